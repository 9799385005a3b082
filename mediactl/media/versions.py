"""Which encoders make the artefacts: part of every artefact's key. Loads none of them."""

from __future__ import annotations

import os
import re
from importlib.metadata import version


def encoder_versions(ffmpeg: str | None = None) -> dict[str, str]:
    """{"image": "libvips-8.18", "ffmpeg": "9.0"}: series, not patch levels (docs/decisions/0004-encoder-series.md).

    ``ffmpeg`` names a binary other than the bundled one; it is asked for its version. Raises as ``ffmpeg.find``.
    """
    return {"image": f"libvips-{_series(version('pyvips-binary'))}", "ffmpeg": _ffmpeg(ffmpeg)}


def _ffmpeg(named: str | None) -> str:
    if named is None and "IMAGEIO_FFMPEG_EXE" not in os.environ:
        from imageio_ffmpeg import get_ffmpeg_exe

        # The bundled binary carries its version in its name: "ffmpeg-linux-x86_64-v7.0.2".
        found = re.search(r"-v(\d+\.\d+)", os.path.basename(get_ffmpeg_exe()))
        if found:
            return found[1]
    from mediactl.media import ffmpeg

    return ffmpeg.version(ffmpeg.find(named))


def _series(text: str) -> str:
    return ".".join(text.split(".")[:2])
