"""What a page shows before a video plays: posters, storyboards, previews; each in ffmpeg runs of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mediactl.core.errors import RejectedInput
from mediactl.media.drafts import Draft, Drafts, Report, Temporary
from mediactl.media.filters.video_filters import Weave
from mediactl.media.inspect.streams import Streams
from mediactl.media.stills.poster import posters
from mediactl.media.stills.preview import preview
from mediactl.media.stills.source import Video, open_video
from mediactl.media.stills.storyboard import storyboard, storyboard_map
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
    thumbhash = ""
    for group, maker in _makers(video, targets, temporary, placeholder=placeholder):
        try:
            drafts = maker()
        except RejectedInput as error:
            warnings.append(f"left out: {', '.join(target.name for target in group)} ({error})")
            continue
        made |= {draft.target.name: draft for draft in drafts.files}
        thumbhash = thumbhash or drafts.placeholder
        alive()
    return Drafts(
        tuple(made[target.name] for target in targets if target.name in made),
        thumbhash,
        tuple(warnings),
        tuple(target.name for target in targets if target.name not in made),
    )


def _makers(
    video: Video, targets: tuple[Target[Operation], ...], temporary: Temporary, *, placeholder: bool
) -> Iterator[tuple[Sequence[Target[Operation]], Callable[[], Drafts]]]:
    """Yield targets that are made, or left out, together, and what makes them."""
    if wanted := made_by(targets, PosterParams):
        yield wanted, partial(posters, video, wanted, temporary, placeholder=placeholder)
    maps = made_by(targets, StoryboardMapParams)
    for sheet in made_by(targets, StoryboardParams):
        own = tuple(text for text in maps if text.params.of == sheet.name)
        maps = tuple(text for text in maps if text not in own)
        yield (sheet, *own), partial(_mapped, video, sheet, own, temporary)
    yield maps, partial(_mapped, video, None, maps, temporary)
    for animation in made_by(targets, PreviewParams):
        yield (animation,), partial(_animated, video, animation, temporary)


def _mapped(
    video: Video,
    sheet: Target[StoryboardParams] | None,
    maps: Sequence[Target[StoryboardMapParams]],
    temporary: Temporary,
) -> Drafts:
    """Make a storyboard, unless it is there, and its maps."""
    made = (storyboard(video, sheet, temporary),) if sheet else ()
    return Drafts((*made, *(storyboard_map(text, temporary(text.name)) for text in maps)))


def _animated(video: Video, target: Target[PreviewParams], temporary: Temporary) -> Drafts:
    return Drafts((preview(video, target, temporary),))
