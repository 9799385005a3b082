"""Worker processes and the loop over them. Knows jobs as opaque payloads, and nothing of media or of the journal."""
