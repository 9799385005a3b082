"""What every other package stands on: errors and exit codes, files, settings, threads."""
