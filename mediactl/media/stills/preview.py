"""A preview: a short silent animation (WebP) of moments from the whole video, in an endless loop."""

from __future__ import annotations

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.media.drafts import Draft, Temporary
from mediactl.media.image.save import encode_at, save
from mediactl.media.image.vips import FAILURES, VipsImage, pyvips, reason, with_field
from mediactl.media.stills import frames, poster
from mediactl.media.stills.frames import Sampling
from mediactl.media.stills.poster import FrameStatistics, Lighting
from mediactl.media.stills.samples import Samples, read_png
from mediactl.media.stills.source import Video
from mediactl.model.assets import Target
from mediactl.outputs.image import StillParams
from mediactl.outputs.preview import PreviewParams

_SNIPPET = 0.75
"""Seconds that one moment is shown at least."""
_SNIPPETS = 4
_TRIES = 4
"""Attempts to begin a snippet later because it begins with black frames."""
_BLANK = 0.98
"""Share of black pixels, or of white ones, from which on a frame is blank."""
_DIM = 50
"""Mean luma below which a near-uniform frame is blank, as when a video fades in."""
_EFFORT = 4
_SAMPLED = (0.0, 0.95)
"""Span of a video that moments are taken from: without the end of its credits."""


def preview(video: Video, target: Target[PreviewParams], temporary: Temporary, samples: Samples) -> Draft:
    """Return the animation; only what is around its moments is decoded. Verified.

    Raises RejectedInput when not one frame can be decoded, FfmpegFailed, JobFailed when it cannot be encoded, OSError.
    """
    params = target.params
    path = temporary(target.name)
    width, height, rate = params.width, params.height, params.fps
    count = _count(params)
    scratch = path + b".frame"
    shown: list[VipsImage] = []
    try:
        begins = moments(video, seconds_of(params), samples)
        for number, begin in enumerate(begins):
            wanted = count * (number + 1) // len(begins) - len(shown)
            end = video.duration * (number + 1) / len(begins) - wanted / rate
            shown += _snippet(video, begin, end, wanted, rate, (width, height), scratch, still=params.still)
        if not shown:
            # A video that ends before the first frame's time.
            end = video.duration + 1.0
            shown = list(samples.images(Sampling((width, height), end, 0.0, end)).values())[:1]
    finally:
        frames.clear(scratch)
    if not shown:
        raise RejectedInput("not one frame of the video can be decoded")
    # Even times, without the drift that rounding each delay would add up to.
    delays = [round((number + 1) * 1000 / rate) - round(number * 1000 / rate) for number in range(len(shown))]
    strip = pyvips.Image.arrayjoin(shown, across=1)
    strip = with_field(strip, pyvips.GValue.gint_type, "page-height", height)
    strip = with_field(strip, pyvips.GValue.array_int_type, "delay", delays)
    strip = with_field(strip, pyvips.GValue.gint_type, "loop", 0)
    whole = StillParams(
        format="webp", width=width, height=height, quality=params.quality, effort=_EFFORT, animated=True
    )
    try:
        data = encode_at(strip, whole, params.quality, apart=True)
    except FAILURES as error:
        raise JobFailed(f"the WebP encoder failed: {reason(error)}") from None
    return save(data, target, whole, path, delays)


def seconds_of(params: PreviewParams) -> float:
    """Return how long the animation is: a whole number of frames."""
    return _count(params) / params.fps


def _count(params: PreviewParams) -> int:
    return max(1, round(params.seconds * params.fps))


def _snippet(
    video: Video, begin: float, end: float, count: int, rate: int, size: tuple[int, int], scratch: bytes, *, still: bool
) -> list[VipsImage]:
    """Return so many images from ``begin`` on, or, where the first frames are blank, from the first visible one on.

    ``end`` is when it may begin at the latest; ``still`` as for ``frames.run``.
    """
    shown: list[VipsImage] = []
    for _ in range(_TRIES):
        made = frames.run(video, begin, count / rate, float(rate), size, scratch, still=still)
        shown = [read_png(file) for file in made[:count]]
        frames.clear(scratch)
        visible = (number for number, each in enumerate(shown) if not _blank(poster.lighting(each)))
        blank = next(visible, len(shown))
        if not blank or begin + blank / rate > end:
            break
        begin += blank / rate
    return shown


def sampling(video: Video, seconds: float) -> Sampling | None:
    """Return the key frames that moments are chosen from; None: there is no choice. ``seconds``: see ``moments``."""
    many = video.duration - video.begin - seconds > seconds and _snippets(seconds) > 1
    return poster.sampling(video, _SAMPLED, exact=False) if many else None


def moments(video: Video, seconds: float, samples: Samples) -> list[float]:
    """Return where the snippets begin, in order, evenly over the video; in each part, at its most detailed frame.

    ``seconds`` is how long all of them are together.
    """
    first, whole = video.begin, video.duration - video.begin
    room, number = whole - seconds, _snippets(seconds)
    sampled = sampling(video, seconds)
    if sampled is None:
        return [first + room / 3 if room > 0 else first]
    length = seconds / number
    seen = {time: poster.statistics_of(image) for time, image in samples.images(sampled).items()}
    begins: list[float] = []
    for part in range(number):
        begin, end = first + whole * part / number, first + whole * (part + 1) / number - length
        middle = (begin + end) / 2
        # Of about equal values, the one nearest to the middle of its part.
        worth = {
            (round(_value(found), 1), -abs(time - middle)): time for time, found in seen.items() if begin <= time <= end
        }
        begins.append(worth[max(worth)] if worth else middle)
    return begins


def _snippets(seconds: float) -> int:
    return min(_SNIPPETS, max(1, int(seconds / _SNIPPET)))


def _blank(found: Lighting) -> bool:
    return found.empty >= _BLANK or (found.plain and found.light < _DIM)


def _value(found: FrameStatistics) -> float:
    return 0.0 if found.plain else found.detail * (1.0 - found.empty) * poster.lit(found)
