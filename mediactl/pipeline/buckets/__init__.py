"""The bucket of a run as memory."""
