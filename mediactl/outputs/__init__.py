"""What can be derived from a source: one module per kind of output."""
