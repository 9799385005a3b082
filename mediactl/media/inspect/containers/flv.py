"""Streams of FLV files that begin late: libav knows only those that it meets while it opens a file."""

from __future__ import annotations

import os

_KINDS = {8: 4, 9: 1}
"""Type of a tag (audio, video) and the flag in the header that announces it (FLV 10.1, annex E.2 and E.4)."""
_TAG, _TRAILER = 11, 4
"""Bytes of a tag's header, and of the size that follows it."""
_MOST_TAGS = 50_000
_EARLY = 2.0
"""Seconds within which libav meets a stream by itself; it reads for 5."""
_LARGEST = 64 << 20
"""Bytes that libav may keep in memory to meet all streams."""


def open_options(fd: int) -> dict[str, int]:
    """Return the options of libav with which it meets all streams that the header announces; usually none."""
    head = os.pread(fd, 9, 0)
    if head[:3] != b"FLV" or len(head) < 9:
        return {}
    missing = {kind for kind, flag in _KINDS.items() if head[4] & flag}
    at = int.from_bytes(head[5:9], "big") + _TRAILER
    for _ in range(_MOST_TAGS):
        tag = os.pread(fd, _TAG, at)
        if len(tag) < _TAG or at > _LARGEST:
            break
        at += _TAG + int.from_bytes(tag[1:4], "big") + _TRAILER
        missing.discard(tag[0] & 0x1F)
        if not missing:
            second = int.from_bytes(tag[7:8] + tag[4:7], "big") / 1000
            return {"analyzeduration": int((second + 1) * 1e6), "probesize": at + (1 << 20)} if second > _EARLY else {}
    return {}
