"""From sources to settled jobs: read ``run`` first."""
