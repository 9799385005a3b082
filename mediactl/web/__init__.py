"""The dashboard of `mediactl web`: pages of the journal, on this machine alone."""
