"""The inputs made after public bug reports (MEDIACTL_CASES): what is right of each, measured from the outputs."""
