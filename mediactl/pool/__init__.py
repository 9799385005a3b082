"""Worker processes and their supervisor. Jobs are opaque payloads here: it imports neither media nor the journal."""
