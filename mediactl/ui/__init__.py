"""Reports of a run: counting (tally) apart from drawing (lines, live, ndjson)."""
