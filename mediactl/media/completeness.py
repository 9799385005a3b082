"""Whether a file under the name of an output is whole: its container ends where it must, and opens."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import msgspec

from mediactl.core.errors import MediactlError
from mediactl.model.media import Limits

_IMAGES = {b".webp": "webp", b".jpg": "jpeg", b".png": "png", b".avif": "avif"}
_LONGEST_PAGE = 65_307
"""Bytes of an Ogg page (RFC 3533)."""
_OGG_END = 4
"""Flag of the last page of a stream."""


def incomplete(path: bytes) -> str:
    """Return why a file is not whole; "" if it is, or if it is of a kind that no output has. Raises OSError."""
    check = _CHECKS.get(os.path.splitext(path)[1])
    if check is None:
        return ""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        return check(fd, size) if size else "it is empty"
    finally:
        os.close(fd)


def _image(format: str, fd: int, size: int) -> str:
    from mediactl.media.image import vips
    from mediactl.media.image.container.structure import is_complete

    try:
        vips.open_image(fd, format, "truncated").avg()
    except vips.FAILURES as error:
        return vips.reason(error)
    return "" if is_complete(fd, format, size) else "its end is missing"


def _mp4(fd: int, size: int) -> str:
    from mediactl.media.inspect.containers.isobmff import top_level_boxes

    boxes = top_level_boxes(fd)
    if not boxes or sum(boxes[-1][1:]) != size:
        return "it ends within a box"
    return _decoded(fd)


def _ogg(fd: int, size: int) -> str:
    tail = os.pread(fd, _LONGEST_PAGE, max(0, size - _LONGEST_PAGE))
    at = tail.rfind(b"OggS")
    page = tail[at:] if at >= 0 else b""
    segments = page[27 : 27 + page[26]] if len(page) > 27 else b""
    if not segments or len(page) != 27 + len(segments) + sum(segments) or not page[5] & _OGG_END:
        return "its last page is missing"
    return _decoded(fd)


def _decoded(fd: int) -> str:
    from mediactl.media.inspect.verify import verified

    try:
        verified(fd, "it", Limits())
    except MediactlError as error:
        return str(error)
    return ""


def _text(fd: int, size: int) -> str:
    return "" if os.pread(fd, 1, size - 1) == b"\n" else "its last line is cut"


def _json(fd: int, size: int) -> str:
    content = os.pread(fd, size, 0)
    try:
        msgspec.json.decode(content)
    except ValueError as error:
        return str(error)
    return "" if content.endswith((b"}", b"}\n")) else "its last line is cut"


_CHECKS: dict[bytes, Callable[[int, int], str]] = {
    **{suffix: partial(_image, format) for suffix, format in _IMAGES.items()},
    b".mp4": _mp4, b".m4a": _mp4, b".opus": _ogg, b".m3u8": _text, b".vtt": _text, b".json": _json,
}  # fmt: skip
