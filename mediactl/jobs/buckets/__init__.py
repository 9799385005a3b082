"""The journal on buckets as memory."""
