"""Pages of the journal: jobs by filter, failures by reason, history by interval."""
