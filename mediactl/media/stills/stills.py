"""What a page shows before a video plays: posters, storyboards, previews; each in ffmpeg runs of its own."""

from __future__ import annotations

import os

from mediactl.core.errors import RejectedInput
from mediactl.media.drafts import Draft, Drafts, Report, Temporary
from mediactl.media.inspect.streams import Streams
from mediactl.media.stills import frames
from mediactl.media.stills.poster import posters
from mediactl.media.stills.preview import preview
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
) -> Drafts:
    """Make and verify all stills of an open video, in the order of ``targets``, and its placeholder if requested.

    A placeholder comes with a poster only. Raises RejectedInput when not one frame can be decoded, JobFailed when an
    output is invalid, FfmpegFailed, MachineBlocked, OSError.
    """
    if found.video is None:
        raise RejectedInput("has no video stream that can be decoded")
    if not targets:
        return Drafts(())
    folder = os.path.dirname(temporary(targets[0].name))
    made: dict[str, Draft] = {}

    def alive() -> None:
        report(len(made) / len(targets))

    video = frames.open_video(fd, found, found.video, limits, threads, folder, alive)
    thumbhash = ""
    if wanted := made_by(targets, PosterParams):
        drafts = posters(video, wanted, temporary, placeholder=placeholder)
        made |= {draft.target.name: draft for draft in drafts.files}
        thumbhash = drafts.placeholder
    alive()
    for sheet in made_by(targets, StoryboardParams):
        made[sheet.name] = storyboard(video, sheet, temporary)
        alive()
    for text in made_by(targets, StoryboardMapParams):
        made[text.name] = storyboard_map(text, temporary(text.name))
    for animation in made_by(targets, PreviewParams):
        made[animation.name] = preview(video, animation, temporary)
        alive()
    return Drafts(tuple(made[target.name] for target in targets), thumbhash)
