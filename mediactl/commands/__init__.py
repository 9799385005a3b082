"""The commands, one module per command or family: a new command is one module more (docs/extending.md)."""
