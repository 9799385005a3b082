"""A storyboard: small images of a video at even intervals in one sheet, and a WebVTT file with the position of each.

The image of each interval is the frame nearest to its middle; where frames are shown for long, the one on screen then.
Key frames are used where they are close enough to one another, or where decoding all of it would take minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.core.files import removed_on_error
from mediactl.media.drafts import Draft, Report, Temporary
from mediactl.media.image.save import encode, save
from mediactl.media.image.vips import FAILURES, VipsImage, pyvips, reason
from mediactl.media.stills import frames
from mediactl.media.stills.poster import read_png
from mediactl.media.stills.source import Video
from mediactl.model.assets import Target
from mediactl.outputs.image import StillParams
from mediactl.outputs.storyboard import StoryboardMapParams, StoryboardParams

_BUDGET = 4e9
"""Pixels of a video up to which it is decoded whole: a minute of 1080p24, about 10 s on two cores."""
_SPARSE = 2.5
"""Intervals that key frames of a larger video may be apart: x264 puts one every 10.4 s into 24 frames a second."""
_BLACK = 16
"""Mean luma and its deviation, of 0 to 255, below which an image is black."""
_SHEET_EFFORT = 4


def storyboard(
    video: Video, target: Target[StoryboardParams], temporary: Temporary, report: Report = lambda _: None
) -> Draft:
    """Return the sheet, row by row; intervals after the end of the video repeat the last image. Verified.

    Raises RejectedInput when not one frame can be decoded, FfmpegFailed, JobFailed when it cannot be encoded, OSError.
    """
    params = target.params
    path, size, interval = temporary(target.name), (params.width, params.height), params.interval
    scratch = path + b".tile"
    times = middles(video.duration, params.count, interval)
    try:
        chosen: list[VipsImage] = []
        if params.still and not _is_long(video, interval):
            made = [read_png(file) for file in frames.on_screen(video, times, size, scratch, report)]
            chosen = [made[min(number, len(made) - 1)] for number in range(params.count) if made]
        if not chosen:
            tiles = _sampled(video, interval, size, scratch, report)
            black = {time for time, tile in tiles.items() if _is_black(tile)} if video.gap() > interval else set()
            choose = _latest if params.still else partial(_nearest, black=black, interval=interval)
            chosen = [tiles[choose(tiles, time)] for time in times if tiles]
    finally:
        frames.clear(scratch)
    if not chosen:
        raise RejectedInput("not one frame of the video can be decoded")
    sheet = arranged(chosen, params.columns)
    whole = StillParams(
        format=params.format,
        width=sheet.width,
        height=sheet.height,
        quality=params.quality,
        effort=_SHEET_EFFORT,
        animated=False,
    )
    try:
        data = encode(sheet, whole)
    except FAILURES as error:
        raise JobFailed(f"the {whole.format} encoder failed: {reason(error)}") from None
    return save(data, target, whole, path)


def storyboard_map(target: Target[StoryboardMapParams], path: bytes) -> Draft:
    """Write the WebVTT file of a sheet: one cue an interval, the last one until the video ends. Raises OSError."""
    params = target.params
    width, height, interval = params.width, params.height, params.interval
    cues = ["WEBVTT"]
    for number in range(params.count):
        row, column = divmod(number, params.columns)
        end = params.duration if number == params.count - 1 else (number + 1) * interval
        cues.append(
            f"{_stamp(number * interval)} --> {_stamp(end)}\n"
            f"{params.of}#xywh={column * width},{row * height},{width},{height}"
        )
    with removed_on_error(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with open(fd, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n\n".join(cues) + "\n")
    return Draft(target, path, "text/vtt")


def _sampled(
    video: Video, interval: float, size: tuple[int, int], scratch: bytes, report: Report
) -> dict[float, VipsImage]:
    """Return two images of each interval, by time: of key frames where those serve."""
    keys = serves(video, interval)
    made = frames.spread(video, size, scratch, interval / 2, keys=keys, exact=False, report=report)
    if not made and keys:
        made = frames.spread(video, size, scratch, interval / 2, report=report)
    return {time: read_png(file) for time, file in made.items()}


def _is_long(video: Video, interval: float) -> bool:
    """Return whether decoding all frames would take minutes, and key frames serve instead."""
    width, height = video.size
    return width * height * (video.count or 0) > _BUDGET and video.gap() <= interval * _SPARSE


def serves(video: Video, interval: float) -> bool:
    """Return whether a storyboard of this interval (seconds) is made of key frames only."""
    gap = video.gap()
    return gap <= interval or (video.work * video.duration > _BUDGET and gap <= interval * _SPARSE)


def middles(duration: float, count: int, interval: float) -> list[float]:
    """Return the middle of each interval in seconds; of the last one, of the part before the end of the video."""
    starts = [number * interval for number in range(count)]
    return [(start + max(start, min(start + interval, duration))) / 2 for start in starts]


def arranged(tiles: list[VipsImage], columns: int) -> VipsImage:
    """Return images of equal size in rows, on black where the last row is short; in memory."""
    rows: Any = pyvips.Image.arrayjoin(tiles, across=columns, background=0)
    return rows.copy_memory()


def _latest(times: Iterable[float], wanted: float) -> float:
    """Return the last time until ``wanted``; the first one where there is none."""
    return max(times, key=lambda time: (time <= wanted, -abs(time - wanted)))


def _nearest(times: Iterable[float], wanted: float, *, black: set[float], interval: float) -> float:
    """Return the time that is nearest to ``wanted``, the earlier one of two.

    A black frame counts as one interval further: where key frames are rare, a scene that fades in would stay black.
    """
    return min(times, key=lambda time: (abs(time - wanted) + (interval if time in black else 0.0), time))


def _is_black(tile: VipsImage) -> bool:
    luma = tile.colourspace("b-w")
    return bool(luma.avg() < _BLACK and luma.deviate() < _BLACK)


def _stamp(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"
