"""Buckets as memory: values."""
