"""Sizes and durations as people write them: one parser each, for flags, the environment and files."""

from __future__ import annotations

import re

_SIZE_UNITS: dict[str, int] = {
    unit: int(base**power)
    for power, letter in enumerate("KMGT", start=1)
    for unit, base in ((letter, 1024), (f"{letter}IB", 1024), (f"{letter}B", 1000))
}
"""As most command-line tools have it: 6G and 6GiB are powers of 1024, 6GB of 1000."""
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT](?:I?B)?|B)?", re.IGNORECASE)
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)", re.IGNORECASE)
_SUSPICIOUS = 1000
"""Bytes: a number below this, without a unit, lacks one."""


def size(text: str) -> int:
    """Return a number of bytes: "6G", "6GiB", "500MB", "250 kB", "1048576".

    Raises ValueError for what is not one, for zero, and for small numbers without a unit.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text}: expected a size, e.g. 512M or 6G")
    unit = (found[2] or "").upper()
    number = float(found[1])
    if not unit and 0 < number < _SUSPICIOUS:
        raise ValueError(f"{text}: expected a unit; did you mean {text}G or {text}M? {text}B are bytes")
    value = round(number * _SIZE_UNITS.get(unit, 1))
    if value < 1:
        raise ValueError(f"{text}: expected more than 0 bytes, e.g. 512M or 6G")
    return value


def duration(text: str, *, unit_required: bool = False) -> float:
    """Return seconds: "90", "1.5", "90s", "15m", "1h30m", "7d". A bare number is seconds.

    Raises ValueError for what is not one, and for a bare number where a unit is required.
    """
    text = text.strip()
    parts = list(_PART.finditer(text))
    if parts and "".join(part[0] for part in parts) == text:
        return sum(float(part[1]) * _TIME_UNITS[part[2].lower()] for part in parts)
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text) and not unit_required:
        return float(text)
    raise ValueError(f"{text}: expected a duration, e.g. 90s, 15m, 1h30m or 7d")
