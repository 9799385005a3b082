"""Frozen values that cross processes, by subject."""
