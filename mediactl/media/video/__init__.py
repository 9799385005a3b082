"""Videos: encode, cut into pieces, subtitles."""
