"""Whether a video is interlaced, by its frames: flags are often missing, or set on videos that are progressive."""

from __future__ import annotations

import os
import re
import tempfile
from typing import Any

from mediactl.core.files import remove_if_there
from mediactl.media.ffmpeg import command, process
from mediactl.media.filters.video_filters import Weave, input_options
from mediactl.media.inspect.streams import Streams
from mediactl.model.media import Limits

_CODECS = frozenset({"h264", "mpeg2video", "dvvideo", "vc1", "mjpeg", "mpeg4", "prores", "rawvideo"})
"""Codecs of interlaced television."""
_LINES = frozenset({480, 486, 576, 1080})
"""Lines of interlaced television (SMPTE 125M, 259M, 274M)."""
_RATES = (25.0, 30.0 / 1.001, 30.0)
"""Frames a second of interlaced television."""
_SAMPLES = (0.1, 0.4, 0.7)
"""Fractions of the duration at which frames are examined."""
_FRAMES = 40
"""Frames that are examined at each."""
_SHORT = 6.0
"""Seconds up to which a video is examined only at its beginning."""
_ENOUGH = 12
_OVERRULING = 9
"""So many frames must agree, and so many times as many as disagree, before the flags are overruled."""


def detected(fd: int, found: Streams, *, threads: int, limits: Limits, folder: bytes) -> Weave | None:
    """Return how a video is interlaced; None: it is progressive. The answer is the same for every piece of a video.

    Only videos that may be interlaced are decoded, some frames at three positions. Raises MachineBlocked.
    """
    video, shown = found.video, found.info.video
    if video is None or shown is None or not is_possible(found):
        return None
    flagged = video.interlaced or shown.interlaced
    top = bottom = progressive = 0
    seekable = video.end > _SHORT and not found.info.discontinuities
    samples, frames = (_SAMPLES, _FRAMES) if seekable else ((0.0,), _FRAMES * len(_SAMPLES))
    for number, share in enumerate(samples, 1):
        kinds = _classified(fd, found, video.end * share, frames, threads, limits, folder)
        top, bottom = top + kinds.count(b"tff"), bottom + kinds.count(b"bff")
        progressive += kinds.count(b"progressive")
        left = (len(samples) - number) * _FRAMES
        if not flagged and top + bottom + left < _OVERRULING * progressive:
            return None  # Most videos end here.
    combed = top + bottom
    if flagged:
        return None if progressive >= _ENOUGH and combed * _OVERRULING < progressive else Weave(flagged=True)
    # Fine patterns of progressive videos look combed too, but not all the time, nor always with the same field first.
    if combed >= _ENOUGH and combed >= _OVERRULING * progressive and max(top, bottom) >= 0.95 * combed:
        return Weave(flagged=False, parity="tff" if top >= bottom else "bff")
    return None


def is_possible(found: Streams) -> bool:
    """Return whether a video may be interlaced, by its flags or because television has such videos."""
    video, shown = found.video, found.info.video
    if video is None or shown is None:
        return False
    return (
        video.interlaced
        or shown.interlaced
        or (
            shown.codec in _CODECS
            and min(shown.height, shown.width) in _LINES
            and any(abs((video.rate or 0.0) - rate) < 0.02 for rate in _RATES)
        )
    )


def _classified(
    fd: int, found: Streams, second: float, frames: int, threads: int, limits: Limits, folder: bytes
) -> list[bytes]:
    """Return how idet classifies some frames from a second on: b"tff", b"bff", b"progressive" or b"undetermined"."""
    assert found.video is not None
    handle, path = tempfile.mkstemp(prefix=b".mediactl-idet-", dir=folder)
    os.close(handle)
    try:
        # From the key frame before: what is between need not be decoded in vain.
        seek: dict[str, Any] = {"ss": f"{second:.3f}", "noaccurate_seek": None} if second else {}
        options = input_options(found, found.video) | seek
        node = command.source(fd, threads, max_pixels=limits.pixels, **options)[str(found.video.index)]
        node = node.filter("idet").filter("trim", end_frame=frames)
        key, file = "lavfi.idet.multiple.current_frame", os.fsdecode(os.path.basename(path))
        node = node.filter("metadata", mode="print", key=key, file=file)
        process.run_repeatably(
            command.arguments(command.output([node], b"-", "null", limits), threads=threads),
            input_fd=fd,
            folder=folder,
            expected=1.0,
            rate=None,
            report=lambda _: None,
        )
        with open(path, "rb") as lines:
            return re.findall(rb"current_frame=(\w+)", lines.read())
    except process.FfmpegFailed:
        return []  # Damaged there; encoding will report it.
    finally:
        remove_if_there(path)
