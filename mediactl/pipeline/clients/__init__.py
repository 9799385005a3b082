"""What others may see of a run, and ask of it, while it goes on."""
