"""Conditions of recipes ("width > 2000 and not alpha"): expressions of simpleeval over what probing tells."""

from __future__ import annotations

from typing import Any

from mediactl.model import MediaInfo

NAMES: dict[str, Any] = {
    "width": 4000, "height": 3000, "pixels": 12_000_000, "duration": 60.0, "fps": 30.0, "frames": 1, "channels": 2,
    "alpha": False, "animated": False, "hdr": False, "sound": True, "format": "jpeg",
}  # fmt: skip
"""What a condition may ask for, each with an example."""


def holds(condition: str, info: MediaInfo) -> bool:
    """Whether a condition is true of a source; "" always is. Raises what ``check`` would have."""
    return not condition or bool(_value(condition, _names(info)))


def check(condition: str) -> str:
    """What is wrong with a condition, in words; "" when nothing is."""
    if not condition:
        return ""
    from simpleeval import InvalidExpression

    try:
        value = _value(condition, NAMES)
    except (InvalidExpression, SyntaxError, TypeError, ValueError, ArithmeticError, KeyError, AttributeError) as error:
        return f"{error}; known names: {', '.join(NAMES)}"
    return "" if isinstance(value, bool) else "is not true or false; compare with something, as in width > 2000"


def _value(condition: str, names: dict[str, Any]) -> Any:
    from simpleeval import SimpleEval  # here: most recipes have no condition

    return SimpleEval(names=names, functions={}).eval(condition)


def _names(info: MediaInfo) -> dict[str, Any]:
    width, height = info.width or 0, info.height or 0
    return {
        "width": width,
        "height": height,
        "pixels": width * height,
        "duration": info.duration or 0.0,
        "fps": (info.video.fps or 0.0) if info.video else 0.0,
        "frames": (info.video.frames or 0) if info.video else info.frames,
        "channels": max((track.channels for track in info.audio), default=0),
        "alpha": info.alpha,
        "animated": info.video is None and info.frames > 1,
        "hdr": info.video is not None and info.video.transfer in ("smpte2084", "arib-std-b67"),
        "sound": bool(info.audio),
        "format": info.format,
    }
