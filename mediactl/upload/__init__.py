"""Uploads in parts that resume. So far the part arithmetic; store and command come in a later version."""
