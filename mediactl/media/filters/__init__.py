"""Filters that video frames pass through."""
