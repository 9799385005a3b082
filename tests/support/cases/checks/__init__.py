"""What can be right of an outcome: each check measures, and says in a few words what it found."""
