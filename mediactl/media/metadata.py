"""What a camera wrote about a picture, from its EXIF: who, when, with what. Never where.

Our own reader of the few fields wanted: it looks at nothing else, so no place, serial number or maker's note can
slip through, and whatever is broken in an EXIF block costs at most the field it is in.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

Read = Callable[[int, int], bytes]
"""Offset and size -> bytes, fewer where the block ends."""
Value = str | tuple[float, ...]

MAX_TEXT = 500
"""Characters of one value."""
_MAX_ENTRIES = 512
"""Fields of one directory that are looked at; cameras write some dozens."""
_MAX_BYTES = 4096
"""Of one field that are read."""

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_SIZES = {_BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _SRATIONAL: 8, 13: 4}
_EXIF_IFD, _SUB_IFDS, _SUBFILE_TYPE, _DNG_VERSION = 0x8769, 0x014A, 0x00FE, 0xC612
_XP_TITLE = 0x9C9B
_MAIN = {
    0x010E: "description", 0x010F: "make", 0x0110: "model", 0x0131: "software", 0x0132: "changed",
    0x013B: "artist", 0x8298: "copyright", _XP_TITLE: "title",
    _EXIF_IFD: "exif", _SUB_IFDS: "parts", _SUBFILE_TYPE: "subfile", _DNG_VERSION: "dng",
}  # fmt: skip
_PHOTO = {
    0x829A: "exposure", 0x829D: "aperture", 0x8827: "iso", 0x9003: "taken", 0x9004: "digitized",
    0x9010: "changed_zone", 0x9011: "taken_zone", 0x9012: "digitized_zone", 0x920A: "focal_length",
    0xA433: "lens_make", 0xA434: "lens",
}  # fmt: skip
"""Numbers and names of the fields: Exif 2.32, tables 4 to 8; TIFF 6.0; XPTitle is Windows' own, in UTF-16."""


def tags(exif: bytes) -> dict[str, str]:
    """The tags in an EXIF block (with or without "Exif\\0\\0" before it), in a fixed order; {} when it is unreadable.

    Keys: camera, lens, taken (ISO 8601, with the offset where the camera knew it), exposure ("1/125 s"), aperture
    ("f/2.8"), iso, focal_length ("50 mm"), artist, copyright, title, description, software. Values are one line of at
    most MAX_TEXT characters without control characters.
    """
    block = exif.removeprefix(b"Exif\0\0")
    return tags_at(lambda offset, size: block[offset : offset + size])


def tags_at(read: Read) -> dict[str, str]:
    """``tags`` of a TIFF file, or anything laid out like one."""
    found = _fields(read)
    make, model = _text(found.get("make")), _text(found.get("model"))
    lens_make, lens = _text(found.get("lens_make")), _text(found.get("lens"))
    all_tags = {
        "camera": _joined(make, model),
        "lens": _joined(lens_make, lens) if lens else "",
        "taken": _time(found, "taken") or _time(found, "digitized") or _time(found, "changed"),
        "exposure": _exposure(_number(found.get("exposure"))),
        "aperture": _measure(_number(found.get("aperture")), "f/{}"),
        "iso": _measure(_number(found.get("iso")), "{}"),
        "focal_length": _measure(_number(found.get("focal_length")), "{} mm"),
        **{name: _text(found.get(name)) for name in ("artist", "copyright", "title", "description", "software")},
    }
    return {name: value for name, value in all_tags.items() if value}


def is_raw(read: Read) -> bool:
    """Whether a TIFF is a camera's RAW: DNG, or one whose first picture is but a preview of parts further on."""
    if read(8, 2) == b"CR":
        return True  # Canon's CR2
    found = _fields(read)
    return "dng" in found or ("parts" in found and _number(found.get("subfile")) == 1)


def _fields(read: Read) -> dict[str, Value]:
    head = read(0, 8)
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return {}
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"

    def number(data: bytes) -> int:
        return int.from_bytes(data, order)

    found = _directory(read, number, number(head[4:8]), _MAIN)
    pointer = _number(found.get("exif"))
    if pointer is not None:
        found.update(_directory(read, number, int(pointer), _PHOTO))
    return found


def _directory(read: Read, number: Callable[[bytes], int], offset: int, wanted: dict[int, str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    count = min(number(read(offset, 2)), _MAX_ENTRIES) if offset >= 8 else 0
    entries = read(offset + 2, count * 12)
    for at in range(0, len(entries) - 11, 12):
        tag, kind, length = (
            number(entries[at : at + 2]),
            number(entries[at + 2 : at + 4]),
            number(entries[at + 4 : at + 8]),
        )
        size = _SIZES.get(kind, 0) * length
        if tag not in wanted or not size:
            continue
        size = min(size, _MAX_BYTES)
        data = entries[at + 8 : at + 8 + size] if size <= 4 else read(number(entries[at + 8 : at + 12]), size)
        found.setdefault(wanted[tag], _value(tag, kind, data, number))
    return found


def _value(tag: int, kind: int, data: bytes, number: Callable[[bytes], int]) -> Value:
    if tag == _XP_TITLE:
        return data.decode("utf-16-le", "ignore")
    if kind == _ASCII:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if kind in (_RATIONAL, _SRATIONAL):
        above, below = number(data[:4]), number(data[4:8])
        return (above / below,) if below and len(data) >= 8 else ()
    width = _SIZES[kind]
    return tuple(float(number(data[at : at + width])) for at in range(0, len(data) - width + 1, width))


def _text(value: Value | None) -> str:
    if not isinstance(value, str):
        return ""
    # Two names may stand in one field, with a NUL between (photographer and editor of a copyright).
    spaced = "".join(" " if each in "\0\n\r\t" else each for each in value)
    shown = "".join(each for each in spaced if unicodedata.category(each)[0] != "C")
    return " ".join(shown.split())[:MAX_TEXT].rstrip()


def _number(value: Value | None) -> float | None:
    return value[0] if isinstance(value, tuple) and value else None


def _joined(make: str, model: str) -> str:
    # Most makers begin the model with their own name, some with only its first word ("NIKON CORPORATION", "NIKON D70").
    if not make or not model or model.casefold().startswith(make.casefold().split(" ")[0]):
        return model or make
    return f"{make} {model}"[:MAX_TEXT]


def _time(found: dict[str, Value], name: str) -> str:
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", _text(found.get(name)))
    if not match:
        return ""
    try:
        moment = datetime.datetime(*(int(part) for part in match.groups())).isoformat()  # type: ignore[arg-type]
    except ValueError:
        return ""
    zone = _text(found.get(f"{name}_zone"))
    return moment + (zone if re.fullmatch(r"[+-]\d\d:\d\d|Z", zone) else "")


def _exposure(seconds: float | None) -> str:
    if not seconds or not 0 < seconds < 1e6:
        return ""
    return f"1/{round(1 / seconds)} s" if seconds < 0.3 else f"{seconds:.3g} s"


def _measure(value: float | None, pattern: str) -> str:
    return pattern.format(f"{value:.6g}") if value and 0 < value < 1e9 else ""
