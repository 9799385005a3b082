"""Uploads in parts that resume. So far the part arithmetic; the store and the command come with it in a later version."""
