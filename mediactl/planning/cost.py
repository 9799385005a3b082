"""How much work a job is, before anything was measured on this machine; and how fast a video is encoded."""

from __future__ import annotations

from typing import TypedDict

from mediactl.model.media import Kind, MediaInfo

SECONDS_A_BYTE = {"image": 25e-9, "video": 600e-9, "audio": 100e-9}
"""By kind of source, before it was probed: camera JPEGs, phone videos, MP3s; seconds of one core of 2024."""
_SECONDS_A_PIXEL = 2.5e-9
"""Of decoding a photo and making it smaller."""


def seconds_of(kind: str, size: int) -> float:
    """Rough seconds of one core for a job of a kind and size (as in ``NewJob``).

    25 MP of image, 60 s of audio, 3 s of 720p video or 200 MB of probing in a second.
    """
    weights = {"image": 25e6, "audio": 60e3, "video": 3e3, "piece": 3e3, "probe": 200e6}
    return size / weights[kind] if kind in weights else 0.0


def fixed_seconds(kind: Kind, info: MediaInfo) -> float:
    """Return seconds of one core for reading a source, whatever is made of it: 30 ms for a photo of 12 megapixels."""
    if kind is Kind.IMAGE:
        return 0.005 + _SECONDS_A_PIXEL * (info.width or 1) * (info.height or 1) * max(1, info.frames)
    return 0.1


class Measured(TypedDict, total=False):
    """Fields of the event "job.progress" of a video, where they are known."""

    seconds: float
    speed: float
    fps: float


class Pace:
    """How fast a video, or a piece of one, is encoded: by its media time, from its first progress on."""

    def __init__(self, seconds: float, rate: float) -> None:
        """Of so many seconds, at so many frames a second (0: none, or unknown)."""
        self._seconds = seconds
        self._rate = rate
        self._began: tuple[float, float] | None = None

    def progress(self, fraction: float, now: float) -> Measured:
        """Fields of "job.progress": ``seconds`` of media in all, ``speed`` (1.0: as fast as it plays) and ``fps``,
        where they are known."""
        fields: Measured = {"seconds": round(self._seconds, 3)}
        if self._began is None or fraction <= 0.0:
            self._began = (now, fraction)
            return fields
        began, first = self._began
        if now - began >= 1.0 and fraction > first:
            speed = (fraction - first) * self._seconds / (now - began)
            fields["speed"] = round(speed, 2)
            if self._rate:
                fields["fps"] = round(speed * self._rate, 1)
        return fields
