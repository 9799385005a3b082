"""The still image that represents a video: the best of sampled frames, neither black nor blurred."""

from __future__ import annotations

import math
import statistics

import msgspec

from mediactl.core.errors import RejectedInput
from mediactl.media.drafts import Draft, Drafts, Temporary
from mediactl.media.image.render import encode_still, placeholder_of
from mediactl.media.image.vips import VipsImage, pyvips
from mediactl.media.stills import frames
from mediactl.media.stills.frames import Sampling
from mediactl.media.stills.samples import Samples
from mediactl.media.stills.source import Video
from mediactl.model.assets import Target
from mediactl.outputs.poster import PosterParams

_SAMPLED = (0.02, 0.8)
"""Span of a video that is sampled: neither its first moments (fading in, logos) nor its credits."""
_WHOLE = 20.0
"""Seconds up to which a video has no titles: it is sampled from its first frame on."""
_CANDIDATES = 24
_ENOUGH = 6
"""Key frames from which on other frames are not sampled."""
_BUDGET = 600e6
"""Pixels that are decoded at most when there are too few key frames: about 2 s on one core."""
_SIDE = 480
"""Longer side in pixels of the images that are judged: blur is visible at this size, noise is not."""
_DARK, _BRIGHT = 24, 250
"""Of 0 to 255: darker is black (or a black bar), brighter is white."""
_PLAIN = 12.0
"""Standard deviation of the luma below which an image is near-uniform."""
_LIGHT = 60
"""Mean luma from which on an image is not dark: night scenes are below."""
_EDGES = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
"""The Laplacian: its deviation is large in a sharp image and small in a blurred one (Pech-Pacheco et al., 2000)."""


class Lighting(msgspec.Struct, frozen=True):
    """Measures of whether anything is visible in an image."""

    empty: float
    """Share of pixels that are black or white, whichever are more."""
    light: float
    """Mean luma, 0 to 255."""
    plain: bool
    """Whether it is near-uniform: black, white, or of nearly one shade."""


class FrameStatistics(Lighting, frozen=True):
    """Measures of what is visible in an image."""

    detail: float
    """Entropy of the luma, 0 (one shade) to 1 (all shades equally often)."""
    edges: float
    """Deviation of the Laplacian."""
    colour: float
    """Mean chroma (CIE LCh)."""


def posters(
    video: Video,
    targets: tuple[Target[PosterParams], ...],
    temporary: Temporary,
    samples: Samples,
    *,
    placeholder: bool,
) -> Drafts:
    """Return posters of one video, all of the same frame, and its placeholder (thumbhash) if requested.

    Raises RejectedInput when not one frame can be decoded, FfmpegFailed, JobFailed when an encoder failed, OSError.
    """
    paths = [temporary(target.name) for target in targets]
    scratch = paths[0] + b".still"
    try:
        time, key = best(video, samples) or (0.0, False)
        stills = frames.moment(video, time, [_still_size(video, target.params) for target in targets], scratch, key=key)
        if not stills:
            raise RejectedInput("not one frame of the video can be decoded")
        drafts: list[Draft] = [
            encode_still(still, target, path) for still, target, path in zip(stills, targets, paths, strict=True)
        ]
        return Drafts(tuple(drafts), placeholder_of(stills[0]) if placeholder else "")
    finally:
        for number in range(len(targets)):
            frames.clear(scratch + b"-%d" % number)


def best(video: Video, samples: Samples) -> tuple[float, bool] | None:
    """Return the time of the frame that makes the best poster, and whether it is a key frame; None if none was found.

    Raises FfmpegFailed, OSError.
    """
    seen: dict[tuple[float, bool], FrameStatistics] = {}
    for keys in (True, False):
        if len(seen) < _ENOUGH:
            images = samples.images(sampling(video, keys=keys))
            seen |= {(time, keys): statistics_of(image) for time, image in images.items()}
    if not seen:
        return None
    worth = _worth(video, seen)
    return max(seen, key=lambda each: (worth[each], -each[0]))


def sampling(video: Video, share: tuple[float, float] = _SAMPLED, *, keys: bool = True, exact: bool = True) -> Sampling:
    """Return the sampling of a ``share`` of the video that is judged: its key frames, or any of its first frames.

    ``exact``: see ``Sampling``.
    """
    first, length = video.begin, video.duration - video.begin
    parts = (0.0, 1.0) if length <= _WHOLE else share
    begin, end = first + length * parts[0], first + length * parts[1]
    if not keys:
        begin, end = first, min(end, first + max(1.0, _BUDGET / video.work))
    elif not any(begin <= each <= end for each in video.keys):
        begin = first
    step = max((end - begin) / _CANDIDATES, 0.001)
    return Sampling(fitted(video.size, _SIDE), step, begin, end, keys, exact)


def lighting(image: VipsImage) -> Lighting:
    """Return how an 8-bit image is lit, which takes a third of the time of its statistics."""
    luma = image.colourspace("b-w")
    return _lighting(luma, luma.hist_find())


def statistics_of(image: VipsImage) -> FrameStatistics:
    """Return the statistics of an 8-bit image."""
    luma = image.colourspace("b-w")
    shades = luma.hist_find()
    lit = _lighting(luma, shades)
    return FrameStatistics(
        empty=lit.empty,
        light=lit.light,
        plain=lit.plain,
        detail=shades.hist_entropy() / 8,
        edges=luma.cast("float").conv(pyvips.Image.new_from_array(_EDGES), precision="float").deviate(),
        colour=image.colourspace("lch")[1].avg(),
    )


def _lighting(luma: VipsImage, shades: VipsImage) -> Lighting:
    counts = memoryview(bytes(shades.write_to_memory())).cast("I")
    total = luma.width * luma.height
    black, white = sum(counts[:_DARK]) / total, sum(counts[_BRIGHT:]) / total
    return Lighting(empty=max(black, white), light=luma.avg(), plain=luma.deviate() < _PLAIN)


def lit(found: FrameStatistics) -> float:
    """Return 1 for an image that is bright enough to be recognised at a glance, less for darker ones."""
    return min(1.0, 0.4 + 0.6 * found.light / _LIGHT)


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return a size scaled down so that its longer side is at most ``side``."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _worth(video: Video, seen: dict[tuple[float, bool], FrameStatistics]) -> dict[tuple[float, bool], float]:
    """Return the score of each as a poster, 0 to about 1; sharpness is relative to the other frames."""
    shown = [each.edges for each in seen.values() if not each.plain]
    usual = statistics.median(shown) if shown else 1.0
    return {at: _value(each, at[0] / (video.duration or 1.0), usual or 1.0) for at, each in seen.items()}


def _value(found: FrameStatistics, position: float, usual: float) -> float:
    sharp = found.edges / (found.edges + usual)
    colour = 0.8 + 0.2 * min(1.0, found.colour / 30)
    # Titles on black, fades and flashes have some detail as well: from half empty on it counts less and less.
    filled = 1.0 if found.empty <= 0.5 else max(0.05, 2 * (1 - found.empty))
    early = 1.0 if position <= 1 / 3 else 1.0 - 0.15 * (position - 1 / 3) * 1.5
    value = found.detail**2 * math.sqrt(sharp) * colour * filled * lit(found) * early
    return value * 0.01 if found.plain else value


def _still_size(video: Video, params: PosterParams) -> tuple[int, int]:
    """Return the size of the frame for a poster: its own, or the video's proportions where it is cropped."""
    width, height = params.width, params.height
    if params.fit != "cover":
        return width, height
    own = video.size
    scale = max(width / own[0], height / own[1])
    return max(width, round(own[0] * scale)), max(height, round(own[1] * scale))
