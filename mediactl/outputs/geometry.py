"""Sizes: what fits into a box, a frame or a ladder, never enlarged."""

from __future__ import annotations

_NEARLY = 0.01
"""Part of a frame's lines by which a video may miss it and still keep its size."""


def fit(width: int, height: int, box_width: int | None, box_height: int | None, longest: int) -> tuple[int, int]:
    """Return width and height scaled to fit a box, in whole pixels, never enlarged, no side over ``longest``."""
    scale = min(
        1.0,
        (box_width or width) / width,
        (box_height or height) / height,
        longest / max(width, height),
    )
    return max(1, round(width * scale)), max(1, round(height * scale))


def even(side: float, most: int | None = None) -> int:
    """Return the nearest even number of pixels, at most ``most``: 4:2:0 halves both sides."""
    nearest = round(side / 2) * 2
    return max(2, nearest if most is None or nearest <= most else most // 2 * 2)


def lines_of(width: int, height: int) -> float:
    """Return the lines of the smallest 16:9 frame, lying or upright, that a video fits into: 1080 for 1920 x 1080, for
    1920 x 800 and for 1080 x 1920."""
    return max(min(width, height), max(width, height) * 9 / 16)


def frame(width: int, height: int, lines: int) -> tuple[int, int]:
    """Return a video's size on a rung, even, never enlarged: what fits into a 16:9 frame of so many lines, lying or
    upright.

    So a "720p" rendition of a wide video is 1280 x 534, as players, levels and bit rates expect it, and not 1728 x 720.
    A video within 1 % of the frame keeps its size (856 x 480, 1920 x 1088): scaling would cost sharpness for nothing.
    """
    scale = lines / lines_of(width, height)
    if scale < 1 - _NEARLY:
        return even(width * scale), even(height * scale)
    return even(width), even(height)


def rungs(heights: tuple[int, ...], own: float) -> list[int]:
    """Return the rungs of a ladder for a video of ``own`` lines (``lines_of``), largest first: those that do not
    enlarge it, and the next one (which becomes its own size) when the video lies well above them, or below all."""
    wanted = sorted(set(heights), reverse=True)
    below = [height for height in wanted if height <= own * (1 + _NEARLY)]
    above = [height for height in wanted if height > own * (1 + _NEARLY)]
    if above and (not below or own >= below[0] * 1.2):
        below.insert(0, above[-1])
    return below
