"""The versions of the encoders, which are part of every artefact's key. Loads none of them."""

from __future__ import annotations

import os
import re

from mediactl.core import distributions
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


def _installed(package: str) -> str:
    """Return the version of an installed package."""
    if (found := distributions.version(package)) is not None:
        return found
    from importlib.metadata import version

    return version(package)
