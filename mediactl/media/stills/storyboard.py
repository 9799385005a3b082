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
from mediactl.media.drafts import Draft, Temporary
from mediactl.media.image.save import encode, save
from mediactl.media.image.vips import FAILURES, VipsImage, pyvips, reason
from mediactl.media.stills import frames
from mediactl.media.stills.frames import Sampling
from mediactl.media.stills.samples import Samples, read_png
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


def storyboard(video: Video, target: Target[StoryboardParams], temporary: Temporary, samples: Samples) -> Draft:
    """Return the sheet, row by row; intervals after the end of the video repeat the last image. Verified.

    Raises RejectedInput when not one frame can be decoded, FfmpegFailed, JobFailed when it cannot be encoded, OSError.
    """
    params = target.params
    path, interval = temporary(target.name), params.interval
    times = middles(video.duration, params.count, interval)
    chosen = [] if sampling(video, params) else _on_screen(video, params, times, path + b".tile")
    if not chosen:
        tiles = _sampled(video, params, samples)
        black = {time for time, tile in tiles.items() if _is_black(tile)} if video.gap() > interval else set()
        choose = _latest if params.still else partial(_nearest, black=black, interval=interval)
        chosen = [tiles[choose(tiles, time)] for time in times if tiles]
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


def sampling(video: Video, params: StoryboardParams) -> Sampling | None:
    """Return the frames that tiles are chosen from: two of each interval. None: they are what is on screen."""
    if params.still and not _is_long(video, params.interval):
        return None
    return _two_each(video, params, keys=serves(video, params.interval))


def _two_each(video: Video, params: StoryboardParams, *, keys: bool) -> Sampling:
    size, end = (params.width, params.height), video.duration + 1.0
    return Sampling(size, params.interval / 2, 0.0, end, keys, exact=not keys)


def _on_screen(video: Video, params: StoryboardParams, times: list[float], scratch: bytes) -> list[VipsImage]:
    """Return what is on screen at each of these times, of a video whose frames are shown for long."""
    try:
        files = frames.on_screen(video, times, (params.width, params.height), scratch)
        made = [read_png(file) for file in files]
    finally:
        frames.clear(scratch)
    return [made[min(number, len(made) - 1)] for number in range(params.count) if made]


def _sampled(video: Video, params: StoryboardParams, samples: Samples) -> dict[float, VipsImage]:
    """Return two images of each interval, by time: of key frames where those serve."""
    keys = serves(video, params.interval)
    made = samples.images(_two_each(video, params, keys=keys))
    return samples.images(_two_each(video, params, keys=False)) if keys and not made else made


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
