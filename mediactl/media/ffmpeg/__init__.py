"""The ffmpeg binary: where it is, its command line, its process; which encoder encodes what."""
