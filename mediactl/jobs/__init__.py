"""The journal: every job on disk, every transition a compare-and-set. Only the supervisor opens it."""
