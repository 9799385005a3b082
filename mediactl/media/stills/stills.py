"""What a page shows before a video plays: posters, storyboards, previews; what several of them need is decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mediactl.core.errors import RejectedInput
from mediactl.media.drafts import Draft, Drafts, Report, Temporary
from mediactl.media.filters.video_filters import Weave
from mediactl.media.inspect.streams import Streams
from mediactl.media.stills import poster, preview, storyboard
from mediactl.media.stills.frames import Sampling
from mediactl.media.stills.samples import Samples
from mediactl.media.stills.source import Video, open_video
from mediactl.model.assets import Operation, Target, made_by
from mediactl.model.media import Limits
from mediactl.outputs.poster import PosterParams
from mediactl.outputs.preview import PreviewParams
from mediactl.outputs.storyboard import StoryboardMapParams, StoryboardParams

OPERATIONS = (PosterParams, StoryboardParams, StoryboardMapParams, PreviewParams)
"""Operations whose targets are made here."""


def render(
    fd: int,
    found: Streams,
    targets: tuple[Target[Operation], ...],
    temporary: Temporary,
    *,
    limits: Limits,
    threads: int,
    placeholder: bool,
    report: Report = lambda _: None,
    weave: Callable[[], Weave | None] | None = None,
) -> Drafts:
    """Make and verify all stills of an open video, in the order of ``targets``, and its placeholder if requested.

    ``weave`` returns how the video is interlaced; without it, frames are examined here.
    A placeholder comes with a poster only. Outputs for which no frame can be decoded are left out, with a warning.
    Raises RejectedInput when there is no video, JobFailed when an output is invalid, FfmpegFailed, MachineBlocked,
    OSError.
    """
    if found.video is None:
        raise RejectedInput("has no video stream that can be decoded")
    if not targets:
        return Drafts(())
    folder = os.path.dirname(temporary(targets[0].name))
    made: dict[str, Draft] = {}
    warnings: list[str] = []

    def alive() -> None:
        report(len(made) / len(targets))

    video = open_video(fd, found, found.video, limits, threads, folder, alive, weave=weave)
    samples = Samples(video, temporary(targets[0].name) + b".sample", _samplings(video, targets))
    thumbhash = ""
    try:
        for group, maker in _makers(video, targets, temporary, samples, placeholder=placeholder):
            try:
                drafts = maker()
            except RejectedInput as error:
                warnings.append(f"left out: {', '.join(target.name for target in group)} ({error})")
                continue
            made |= {draft.target.name: draft for draft in drafts.files}
            thumbhash = thumbhash or drafts.placeholder
            alive()
    finally:
        samples.clear()
    return Drafts(
        tuple(made[target.name] for target in targets if target.name in made),
        thumbhash,
        tuple(warnings),
        tuple(target.name for target in targets if target.name not in made),
    )


def _samplings(video: Video, targets: tuple[Target[Operation], ...]) -> Iterator[Sampling]:
    """Yield what is certain to be sampled. A poster's other frames are not: where key frames suffice, none are."""
    if made_by(targets, PosterParams):
        yield poster.sampling(video)
    sheets = [storyboard.sampling(video, sheet.params) for sheet in made_by(targets, StoryboardParams)]
    animated = made_by(targets, PreviewParams)
    parts = [preview.sampling(video, preview.seconds_of(animation.params)) for animation in animated]
    yield from filter(None, [*sheets, *parts])


def _makers(
    video: Video, targets: tuple[Target[Operation], ...], temporary: Temporary, samples: Samples, *, placeholder: bool
) -> Iterator[tuple[Sequence[Target[Operation]], Callable[[], Drafts]]]:
    """Yield targets that are made, or left out, together, and what makes them."""
    if wanted := made_by(targets, PosterParams):
        yield wanted, partial(poster.posters, video, wanted, temporary, samples, placeholder=placeholder)
    maps = made_by(targets, StoryboardMapParams)
    for sheet in made_by(targets, StoryboardParams):
        own = tuple(text for text in maps if text.params.of == sheet.name)
        maps = tuple(text for text in maps if text not in own)
        yield (sheet, *own), partial(_mapped, video, sheet, own, temporary, samples)
    yield maps, partial(_mapped, video, None, maps, temporary, samples)
    for animation in made_by(targets, PreviewParams):
        yield (animation,), partial(_animated, video, animation, temporary, samples)


def _mapped(
    video: Video,
    sheet: Target[StoryboardParams] | None,
    maps: Sequence[Target[StoryboardMapParams]],
    temporary: Temporary,
    samples: Samples,
) -> Drafts:
    """Make a storyboard, unless it is there, and its maps."""
    made = (storyboard.storyboard(video, sheet, temporary, samples),) if sheet else ()
    return Drafts((*made, *(storyboard.storyboard_map(text, temporary(text.name)) for text in maps)))


def _animated(video: Video, target: Target[PreviewParams], temporary: Temporary, samples: Samples) -> Drafts:
    return Drafts((preview.preview(video, target, temporary, samples),))
