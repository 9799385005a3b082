"""What a camera wrote into an image's EXIF: who, when, with what; the GPS position only if it is asked for.

Our own reader of the few fields that are kept: it reads no others, so no serial number or maker's note can slip
through, nor a position that nobody asked for, and a malformed field costs at most itself.
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
"""Fields of one directory that are read; cameras write some dozens."""
_MAX_BYTES = 4096
"""Of one field that are read at most."""

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_SIZES = {_BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _SRATIONAL: 8, 13: 4}
_EXIF_IFD, _GPS_IFD, _SUB_IFDS, _SUBFILE_TYPE, _DNG_VERSION = 0x8769, 0x8825, 0x014A, 0x00FE, 0xC612
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
_GPS = {0x0001: "north", 0x0002: "latitude", 0x0003: "east", 0x0004: "longitude", 0x0009: "status"}
"""Numbers and names of the fields: Exif 2.32, tables 4 to 8 and 15; TIFF 6.0; XPTitle is Windows' own, in UTF-16."""
_ISO_6709 = re.compile(r"([+-])(\d{2,6}(?:\.\d*)?)([+-])(\d{3,7}(?:\.\d*)?)")
"""Latitude and longitude, each in degrees, degrees and minutes, or degrees, minutes and seconds (ISO 6709, annex H)."""


def tags(exif: bytes, *, location: bool = False) -> dict[str, str]:
    """Return the tags in an EXIF block (with or without "Exif\\0\\0" first), in a fixed order; {} if it is unreadable.

    Keys: camera, lens, taken (ISO 8601, with the offset where the camera knew it), exposure ("1/125 s"), aperture
    ("f/2.8"), iso, focal_length ("50 mm"), artist, copyright, title, description, software; place ("48.858222,2.2945",
    degrees north and east) if ``location`` is asked for. Values are one line of at most MAX_TEXT characters without
    control characters.
    """
    block = exif.removeprefix(b"Exif\0\0")
    return tags_at(lambda offset, size: block[offset : offset + size], location=location)


def tags_at(read: Read, *, location: bool = False) -> dict[str, str]:
    """Return the ``tags`` of a TIFF file, or anything laid out like one."""
    found = _fields(read, location=location)
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
        "place": _exif_position(found) if location else "",
    }
    return {name: value for name, value in all_tags.items() if value}


def is_raw(read: Read) -> bool:
    """Return whether a TIFF is a camera's RAW: DNG, or one whose first image is only a preview of later parts."""
    if read(8, 2) == b"CR":
        return True  # Canon's CR2
    found = _fields(read)
    return "dng" in found or ("parts" in found and _number(found.get("subfile")) == 1)


def gps_position(iso6709: str) -> str:
    """Return ``"+48.8584+002.2945+035.000/"`` as ``"48.8584,2.2945"``, degrees north, east; "" if it is malformed."""
    match = _ISO_6709.match(iso6709.strip())
    if not match:
        return ""
    north, latitude, east, longitude = match.groups()
    if len(latitude.partition(".")[0]) % 2 or not len(longitude.partition(".")[0]) % 2:
        return ""
    return _degrees(_iso_degrees(latitude, 2) * _sign(north), _iso_degrees(longitude, 3) * _sign(east))


def _fields(read: Read, *, location: bool = False) -> dict[str, Value]:
    head = read(0, 8)
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return {}
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"

    def number(data: bytes) -> int:
        return int.from_bytes(data, order)

    main = {**_MAIN, _GPS_IFD: "gps"} if location else _MAIN
    found = _directory(read, number, number(head[4:8]), main)
    for name, wanted in (("exif", _PHOTO), ("gps", _GPS)):
        pointer = _number(found.get(name))
        if pointer is not None:
            found.update(_directory(read, number, int(pointer), wanted))
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
        pairs = [(number(data[at : at + 4]), number(data[at + 4 : at + 8])) for at in range(0, len(data) - 7, 8)]
        return tuple(above / below for above, below in pairs) if all(below for _, below in pairs) else ()
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


def _exif_position(found: dict[str, Value]) -> str:
    north, east = _text(found.get("north")), _text(found.get("east"))
    if north not in ("N", "S") or east not in ("E", "W") or _text(found.get("status")) == "V":  # void: it had no fix
        return ""
    latitude, longitude = _angle(found.get("latitude")), _angle(found.get("longitude"))
    if latitude is None or longitude is None:
        return ""
    return _degrees(latitude * _sign(north), longitude * _sign(east))


def _angle(value: Value | None) -> float | None:
    """Return degrees from degrees, minutes and seconds."""
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    return sum((part / 60.0**power for power, part in enumerate(value)), 0.0)


def _iso_degrees(text: str, digits: int) -> float:
    """Return degrees from DD.D, DDMM.M or DDMMSS.S (with so many digits of degrees)."""
    whole, _, part = text.partition(".")
    pieces = [whole[:digits], *(whole[at : at + 2] for at in range(digits, len(whole), 2))]
    pieces[-1] += f".{part or 0}"
    return _angle(tuple(float(piece) for piece in pieces)) or 0.0


def _sign(direction: str) -> int:
    return -1 if direction in ("S", "W", "-") else 1


def _degrees(latitude: float, longitude: float) -> str:
    # Zeros are what a receiver without a fix writes; nobody takes photos there.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
        return ""
    # Six digits are ten centimetres; + 0.0, for there is no "-0".
    return ",".join(f"{round(each, 6) + 0.0:.6f}".rstrip("0").rstrip(".") for each in (latitude, longitude))


def _exposure(seconds: float | None) -> str:
    if not seconds or not 0 < seconds < 1e6:
        return ""
    return f"1/{round(1 / seconds)} s" if seconds < 0.3 else f"{seconds:.3g} s"


def _measure(value: float | None, pattern: str) -> str:
    return pattern.format(f"{value:.6g}") if value and 0 < value < 1e9 else ""
