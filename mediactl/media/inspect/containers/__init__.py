"""Structures of containers that libav does not report."""
