"""The versions of the encoders, which are part of every artefact's key. Loads none of them."""

from __future__ import annotations

import glob
import os
import re
import sys

from mediactl.media.ffmpeg.bundled import bundled_ffmpeg, series


def encoder_versions(ffmpeg: str | None = None) -> dict[str, str]:
    """{"image": "libvips-8.18", "ffmpeg": "9.0"}: series, not patch levels (docs/decisions/0004-encoder-series.md).

    ``ffmpeg`` names a binary other than the bundled one; it is asked for its version. Raises as ``binary.find``.
    """
    return {"image": f"libvips-{series(_installed('pyvips-binary'))}", "ffmpeg": _ffmpeg(ffmpeg)}


def _ffmpeg(named: str | None) -> str:
    named = named or os.environ.get("MEDIACTL_FFMPEG")
    bundled = None if named else bundled_ffmpeg()
    # Its name contains its version: "ffmpeg-linux-x86_64-v9.0.2".
    if bundled and (found := re.search(r"-v(\d[\w.]*)", os.path.basename(bundled))):
        return series(found[1])
    from mediactl.media.ffmpeg import binary

    return binary.version(binary.find(named))


def _installed(distribution: str) -> str:
    """Return the version of an installed distribution, by the name of its folder (importlib.metadata takes 30 ms)."""
    pattern = distribution.replace("-", "_") + "-*.dist-info"
    for folder in sys.path:
        for path in glob.glob(os.path.join(glob.escape(folder or "."), pattern)):
            return os.path.basename(path).removesuffix(".dist-info").rpartition("-")[2]
    from importlib.metadata import version

    return version(distribution)
