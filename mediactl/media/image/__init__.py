"""Images: decode once, make every variant."""
