"""What a run tells: counting (tally) apart from drawing (lines, live, ndjson)."""
