"""asset.json both ways, its markup, and the check of what it names."""
