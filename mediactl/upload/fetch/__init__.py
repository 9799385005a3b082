"""Objects of a bucket into files: by ranges, within a run or by their URL alone."""
