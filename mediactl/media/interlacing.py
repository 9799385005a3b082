"""Whether a film is interlaced, by looking at it: flags are often missing, or set on films that are not."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

from mediactl.files import remove_if_there
from mediactl.media import ffmpeg
from mediactl.media.tracks import Tracks
from mediactl.media.video_filters import Weave
from mediactl.model import Limits

_CODECS = frozenset({"h264", "mpeg2video", "dvvideo", "vc1", "mjpeg", "mpeg4", "prores", "rawvideo"})
"""Those that television was ever interlaced with."""
_LINES = frozenset({480, 486, 576, 1080})
"""Of interlaced television (SMPTE 125M, 259M, 274M)."""
_RATES = (25.0, 30.0 / 1.001, 30.0)
"""Frames a second of it."""
_SAMPLES = (0.1, 0.4, 0.7)
"""Parts of the film that are looked at."""
_FRAMES = 40
"""Frames that are looked at in each."""
_ENOUGH = 12
"""Frames that must look alike before the flags are overruled."""


def detected(fd: int, found: Tracks, *, threads: int, limits: Limits, folder: bytes) -> Weave | None:
    """How a film is interlaced; None: it is not. The answer is the same whichever piece of it is asked for.

    Only films that may be are decoded for it, some frames at three places. Raises MachineBlocked.
    """
    picture, video = found.picture, found.info.video
    if picture is None or video is None:
        return None
    flagged = picture.interlaced or video.interlaced
    if not flagged and not (
        video.codec in _CODECS
        and min(video.height, video.width) in _LINES
        and any(abs((picture.rate or 0.0) - rate) < 0.02 for rate in _RATES)
    ):
        return None
    top, bottom, progressive = _looked_at(fd, found, threads, limits, folder)
    combed = top + bottom
    if flagged:
        return None if progressive >= _ENOUGH and combed * 10 < progressive else Weave(flagged=True)
    # Fine patterns of progressive films look combed too, but not all the time, nor always with the same field first.
    if combed >= _ENOUGH and combed >= 9 * progressive and max(top, bottom) >= 0.95 * combed:
        return Weave(flagged=False, parity="tff" if top >= bottom else "bff")
    return None


def _looked_at(fd: int, found: Tracks, threads: int, limits: Limits, folder: bytes) -> tuple[int, int, int]:
    """Frames that idet calls top field first, bottom field first and progressive; of others it is not sure."""
    assert found.picture is not None
    counts = {b"tff": 0, b"bff": 0, b"progressive": 0}
    for share in _SAMPLES:
        handle, path = tempfile.mkstemp(prefix=b".mediactl-idet-", dir=folder)
        os.close(handle)
        try:
            second = found.picture.end * share if found.picture.end > 2 * len(_SAMPLES) else 0.0
            seek: dict[str, Any] = {"ss": f"{second:.3f}"} if second else {}
            node = ffmpeg.source(fd, threads, max_pixels=limits.pixels, **seek)[str(found.picture.index)]
            node = node.filter("idet").filter("trim", end_frame=_FRAMES if second else _FRAMES * len(_SAMPLES))
            key, file = "lavfi.idet.multiple.current_frame", os.fsdecode(os.path.basename(path))
            node = node.filter("metadata", mode="print", key=key, file=file)
            output = ffmpeg.output([node], b"-", "null", limits)
            ffmpeg.run(
                ffmpeg.arguments(output, threads=threads),
                input_fd=fd,
                folder=folder,
                expected=1.0,
                rate=None,
                report=lambda _: None,
            )
            with open(path, "rb") as file_read:
                for kind in re.findall(rb"current_frame=(\w+)", file_read.read()):
                    if kind in counts:
                        counts[kind] += 1
        except ffmpeg.FfmpegFailed:
            continue  # Broken there; the encoding itself will tell.
        finally:
            remove_if_there(path)
        if not second:
            break
    return counts[b"tff"], counts[b"bff"], counts[b"progressive"]
