"""How the frames of a video are meant to look."""
