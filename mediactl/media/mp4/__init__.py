"""MP4 and CMAF: boxes, fragments, muxing by copy."""
