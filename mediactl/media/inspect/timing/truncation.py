"""Whether the end of a file is missing: what it declares is compared with what is there.

A claimed duration is a hint. A file is rejected when its structure proves that data is missing: it is smaller than it
declares, or its index names samples behind its end.
"""

from __future__ import annotations

import os
from typing import Any

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect.containers.declared_size import declared_size
from mediactl.media.inspect.containers.flac import is_complete

_FINE = 0.1
"""Seconds that content may end early by rounding."""
_COUNTING = {"flac", "wv", "tta", "ape", "aiff", "w64", "wav", "au", "caf"}
"""Containers whose header counts samples."""
_GUESSING = {"aac", "ac3", "eac3", "amr", "mpegts", "mpeg", "ogg", "dv"}
"""Containers without a header that says how long they should be: libav guesses from their size or by the last time
stamp. Cut off, they are merely shorter."""
_INDEPENDENT = {"matroska", "mov"}
"""Containers whose claimed duration libav takes from the header alone, and not from the size of the file."""
_ROUGH = {"asf", "mp3"}
"""The same, but their declared size is often off by a tag or some packets."""
_ROUGH_SHARE = 16
"""Part of the file from which on libav does not believe such a size (mp3_parse_info_tag, libavformat/mp3dec.c)."""
_SIZE_SLACK = 1 << 10
"""Bytes that a header may claim too many: padding, and sizes that count themselves."""


def check_index(fd: int, stream: Any) -> None:
    """Raise RejectedInput when the index of an MP4 names samples that lie behind the end of the file."""
    entries, size = stream.index_entries, os.fstat(fd).st_size
    count = len(entries)
    if not count or entries[count - 1].pos + entries[count - 1].size <= size:
        return
    first = next((entry for entry in entries if entry.pos + entry.size > size), entries[count - 1])
    whole = float(stream.duration * stream.time_base)
    raise _cut_off(min(max(float(first.timestamp * stream.time_base), 0.0), whole), whole, 1.0)


def check(fd: int, formats: frozenset[str], real: float, claimed: float) -> str:
    """Return a warning when a file ends a little before what it declares, else "".

    ``real`` and ``claimed`` are seconds: what its packets last, and its header says. Raises RejectedInput ("broken
    after 12.3 s of 30.0 s: ...") when content is missing.
    """
    size, declared = os.fstat(fd).st_size, declared_size(fd)
    missing, lost = claimed - real, (declared or 0) - size
    if declared and lost > _SIZE_SLACK:
        rough = formats & _ROUGH and lost * _ROUGH_SHARE <= size and missing <= slack(claimed)
        if not rough and (not formats & _INDEPENDENT or missing > _FINE):
            raise _cut_off(real, claimed, size / declared)
        return "the file is shorter than it declares, but its content is complete"
    if missing <= _FINE or formats & _GUESSING:
        return ""
    # A header is wrong more often than a file that has the size which it declares is cut off.
    if (
        missing > slack(claimed)
        and (formats & _COUNTING or not declared)
        and not ("flac" in formats and is_complete(fd))
    ):
        raise _cut_off(real, claimed, 1.0)
    return f"its header claims {claimed:.2f} s, but its content ends after {real:.2f} s"


def counts_frames(fd: int) -> bool:
    """Return whether the first frame of an MP3 says how many there are, in a file of the size that it declares."""
    size, declared = os.fstat(fd).st_size, declared_size(fd)
    return declared is not None and abs(declared - size) * _ROUGH_SHARE <= size


def slack(claimed: float) -> float:
    """Return the seconds that may be missing at the end: live recorders round, and write headers too early."""
    return min(1.0, max(0.2, claimed / 20))


def of(part: float, whole: float) -> str:
    """Return "12.3 s of 30.0 s"."""
    digits = 1 if whole - part >= 0.1 else 2
    return f"{part:.{digits}f} s of {whole:.{digits}f} s"


def _cut_off(real: float, claimed: float, share: float) -> RejectedInput:
    after, part = of(real, claimed), ""
    if claimed - real <= _FINE / 2:  # Claimed by the size of what is left.
        after, part = f"{real:.1f} s", f" ({int(share * 100)} % of it is there)"
    return RejectedInput(f"broken after {after}: the end of the file is missing{part}")
