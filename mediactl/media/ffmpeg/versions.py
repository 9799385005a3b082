"""Which encoders make the artefacts: part of every artefact's key. Loads none of them."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import sys


def encoder_versions(ffmpeg: str | None = None) -> dict[str, str]:
    """{"image": "libvips-8.18", "ffmpeg": "9.0"}: series, not patch levels (docs/decisions/0004-encoder-series.md).

    ``ffmpeg`` names a binary other than the bundled one; it is asked for its version. Raises as ``ffmpeg.find``.
    """
    return {"image": f"libvips-{series(_installed('pyvips-binary'))}", "ffmpeg": _ffmpeg(ffmpeg)}


def series(word: str) -> str:
    """The series of a version word: "9.0" for "n9.0.2-17-g2a571b6068", "9.0.2" or "v9.0.2"; other words as they are."""
    found = re.match(r"[nv]?(\d+\.\d+)(?!\d)", word)
    return found[1] if found else word


def bundled_ffmpeg() -> str | None:
    """Path of the binary that imageio-ffmpeg brings; None on platforms that it has none for.

    Looked up by hand: the package's own function starts the binary to see whether it works.
    """
    package = importlib.util.find_spec("imageio_ffmpeg")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "binaries", "ffmpeg-*"))):
            if os.access(path, os.X_OK):
                return os.path.abspath(path)
    return None


def _ffmpeg(named: str | None) -> str:
    named = named or os.environ.get("MEDIACTL_FFMPEG")
    bundled = None if named else bundled_ffmpeg()
    # It carries its version in its name: "ffmpeg-linux-x86_64-v9.0.2".
    if bundled and (found := re.search(r"-v(\d[\w.]*)", os.path.basename(bundled))):
        return series(found[1])
    from mediactl.media.ffmpeg import process

    return process.version(process.find(named))


def _installed(distribution: str) -> str:
    """Version of an installed distribution, by the name of its folder: importlib.metadata takes 30 ms to import."""
    pattern = distribution.replace("-", "_") + "-*.dist-info"
    for folder in sys.path:
        for path in glob.glob(os.path.join(glob.escape(folder or "."), pattern)):
            return os.path.basename(path).removesuffix(".dist-info").rpartition("-")[2]
    from importlib.metadata import version

    return version(distribution)
