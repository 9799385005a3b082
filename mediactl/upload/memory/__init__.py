"""The bucket as memory: what it holds of each source, by its lists, its asset.json objects and an index of those."""
