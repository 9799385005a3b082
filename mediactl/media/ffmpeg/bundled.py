"""The ffmpeg binary bundled with imageio-ffmpeg, and the series that a version belongs to. Starts nothing."""

from __future__ import annotations

import glob
import importlib.util
import os
import re


def series(word: str) -> str:
    """Return the series of a version: "9.0" for "n9.0.2-17-g2a571b6068", "9.0.2" or "v9.0.2"; others as they are."""
    found = re.match(r"[nv]?(\d+\.\d+)(?!\d)", word)
    return found[1] if found else word


def bundled_ffmpeg() -> str | None:
    """Return the path of the binary bundled with imageio-ffmpeg; None on platforms without one.

    Looked up by hand: the package's own function starts the binary to see whether it works.
    """
    package = importlib.util.find_spec("imageio_ffmpeg")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "binaries", "ffmpeg-*"))):
            if os.access(path, os.X_OK):
                return os.path.abspath(path)
    return None
