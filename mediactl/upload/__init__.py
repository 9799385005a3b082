"""Uploads to object stores: resumable, in parts, with retries and limits."""
