"""Commands that look at a journal, change it, or check a machine."""
