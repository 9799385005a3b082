"""Files become jobs: those that are processed, and those that are only uploaded."""
