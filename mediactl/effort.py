"""How much work a job is, before anything was measured on this machine."""

from __future__ import annotations

SECONDS_A_BYTE = {"image": 25e-9, "video": 600e-9, "audio": 100e-9}
"""By kind of source, before it was probed: camera JPEGs, phone films, MP3s; seconds of one core of 2024."""


def seconds_of(kind: str, size: int) -> float:
    """Rough seconds of one core for a job of a kind and size (as in ``NewJob``).

    25 MP of image, 60 s of sound, 3 s of 720p film or 200 MB of probing in a second.
    """
    return {"image": size / 25e6, "audio": size / 60e3, "video": size / 3e3, "probe": size / 200e6}.get(kind, 0.0)
