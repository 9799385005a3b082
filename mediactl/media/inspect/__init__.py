"""What is in a file: streams, durations, tags, container structure."""
