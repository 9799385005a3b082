"""Reading a source for the first time: digest of its content, dimensions, tracks, tags."""

from __future__ import annotations

import os
import re
import time

from mediactl.core.errors import JobFailed, MachineTrouble, RejectedInput, SourceChanged, SourceUnreadable
from mediactl.core.files import digest_fd
from mediactl.media import decode, decoding
from mediactl.media.cache import ProbeCache, Remembered
from mediactl.media.decoding import Decoder
from mediactl.media.limits import require
from mediactl.media.opening import BLOCK, check_unchanged, open_source, require_readable, unreadable
from mediactl.model import formats
from mediactl.model.jobs import JobResult, ProbeTask
from mediactl.model.media import UNREADABLE, Kind, MediaInfo

FINE_TICK = 0.02
COARSE_TICK = 2.0
"""Seconds. The kernel stamps files by its tick (4 to 10 ms); some file systems (FAT) by 2 s."""

_PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:#EXTM3U|ffconcat version|\[playlist\]|v=0\s|RTSPtext|# mpv EDL"
    rb"|(?i:<asx[\s>]|(?:<\?xml[^>]*+>\s*+)?+<(?:MPD|SmoothStreamingMedia|smil)[\s>]))"
)
"""HLS, ffconcat, PLS, SDP, QuickTime's RTSP, EDL; ASX, DASH, Smooth Streaming, SMIL."""
_LARGE, _SPARSE = 1 << 30, 1000
"""Bytes above which a file must not be sparse, and how many times larger than its content a sparse one is: file systems
that compress store silence and plain colours in less."""

_CLAIMED = {Kind.IMAGE: "an image", Kind.VIDEO: "a video", Kind.AUDIO: "an audio file"}
"""What a file is by its name."""
CACHE = "MEDIACTL_CACHE"
"""Variable of a worker's environment: the cache's directory, or none."""
_caches: dict[str, ProbeCache] = {}


def probe(task: ProbeTask, decoder: Decoder | None = None) -> JobResult:
    """Digest and MediaInfo of a source. Raises RejectedInput, SourceChanged and SourceUnreadable."""
    try:
        with decode.given(decoder) as decoder_:
            return _probe(task, decoder_)
    except OSError as error:  # nothing but the source is read here
        if error.errno is None:
            raise
        raise unreadable(error) from error


def _probe(task: ProbeTask, decoder: Decoder) -> JobResult:
    source = task.source
    fd = open_source(source)
    try:
        if source.format == UNREADABLE:
            os.pread(fd, BLOCK, 0)
            raise SourceChanged("could not be read when it was found, and can be now")
        status = os.fstat(fd)
        if status.st_size == 0:
            raise RejectedInput("is empty (0 bytes)")
        require(status.st_size, task.limits, "bytes", "bytes")
        _require_stored(status)
        _let_the_clock_pass(status)
        mark = (source.copy or source).fingerprint
        cache = _cache()
        known = cache.get(status.st_dev, mark, source.format, task.limits, position=task.position) if cache else None
        if known is None:
            # Header first: a file that is refused need not be read whole.
            info = _certain_info(fd, task, decoder)
            known = Remembered(digest_fd(fd), info)
            check_unchanged(fd, source)
            if cache:
                cache.put(status.st_dev, mark, source.format, task.limits, known, position=task.position)
        return JobResult(digest=known.digest, info=known.info, cache_trouble=cache.trouble if cache else "")
    finally:
        os.close(fd)


def _certain_info(fd: int, task: ProbeTask, decoder: Decoder) -> MediaInfo:
    """Return what the file contains. A refusal must be given twice: the first may be due to a read that failed once."""
    try:
        return _info(fd, task, decoder)
    except SourceUnreadable:
        raise
    except (RejectedInput, JobFailed, MachineTrouble):
        require_readable(task.source, whole=False)
        return _info(fd, task, decoder)


def _info(fd: int, task: ProbeTask, decoder: Decoder) -> MediaInfo:
    source = task.source
    if refusal := formats.refusal(source.format):
        raise RejectedInput(refusal)
    if source.format == formats.UNKNOWN:
        raise RejectedInput(f"is not {_CLAIMED[source.kind]} despite its name: {_looks_like(fd)}")
    info: MediaInfo = decoder(decoding.Probe(task), fd, lambda _: None, decoding.refuse)
    return info


def _looks_like(fd: int) -> str:
    head = os.pread(fd, 512, 0)
    if not head.strip(b"\0"):
        return "its first bytes are all zero"
    if _PLAYLIST.match(head):
        return "it is a playlist, which names other files; name those instead"
    text = not any(byte < 9 or 13 < byte < 32 for byte in head)
    return "it contains text" if text else "its content is of an unknown type"


def _require_stored(status: os.stat_result) -> None:
    """Raise RejectedInput for a large file with hardly any content: decoders would search its holes for days."""
    stored = status.st_blocks * 512
    if status.st_size > _LARGE and stored * _SPARSE < status.st_size:
        raise RejectedInput(f"is a sparse file: {stored:,} of its {status.st_size:,} bytes are stored; copy it again")


def _let_the_clock_pass(status: os.stat_result) -> None:
    """Wait until a write from now on would get another time stamp, so that equal stamps mean equal content."""
    coarse = status.st_mtime_ns % 10**9 == 0 and status.st_ctime_ns % 10**9 == 0
    tick = COARSE_TICK if coarse else FINE_TICK
    age = time.time() - max(status.st_mtime_ns, status.st_ctime_ns) / 1e9
    if 0 <= age < tick:
        time.sleep(tick - age)


def _cache() -> ProbeCache | None:
    """Return the cache that the run uses; None: none."""
    folder = os.environ.get(CACHE, "none")
    if folder == "none":
        return None
    if folder not in _caches:
        _caches[folder] = ProbeCache(os.fsencode(folder))
    return _caches[folder]
