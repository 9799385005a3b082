"""Monitoring: metrics, checks, and what is sent to others while a run works."""
