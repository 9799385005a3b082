"""The ffmpeg binary: found, asked, run; which encoder makes what."""
