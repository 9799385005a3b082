"""mediactl: a batch media processor for folders of photos, videos and audio."""

__version__ = "0.1.0"
