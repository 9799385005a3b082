"""Pictures: what a file's header tells, and all its missing variants made from one decoding.

The largest is made while the file is decoded, each smaller one from the next larger in memory; so a photograph costs
one decoding, however many sizes a recipe asks for.
"""

from __future__ import annotations

import os

from mediactl.errors import JobFailed
from mediactl.media import image_load, look, metadata
from mediactl.media.drafts import Draft, Drafts, Temporary
from mediactl.media.execute import Report
from mediactl.media.image_load import Warn
from mediactl.media.image_save import Params, encode, params_of, save
from mediactl.media.vips import FAILURES, Picture, broken, field, reason
from mediactl.model import Limits, MakeTask, MediaInfo, Target

_GAIN_MAPS = (b"urn:iso:std:iso:ts:21496:-1", b"hdrgm:Version", b"HDRGainMap:")
"""ISO 21496-1, Ultra HDR and Apple: each marks a second picture that makes the first one HDR."""
_FIRST_BYTES = 256 << 10
"""Of a JPEG, in which the markers lie."""


def probe(fd: int, format: str, limits: Limits, *, place: bool = False) -> MediaInfo:
    """What the header of an open file tells; its pixels are not decoded. ``format`` is that of ``sniff``.

    Where it was taken is read for ``place`` alone. Width and height are as shown (upright), frames those of an
    animation. Raises RejectedInput for what is broken, too large for ``limits``, or of a format that is refused;
    OSError when the file cannot be read.
    """
    true_format = image_load.true_format(fd, format)
    found = image_load.header(fd, true_format, limits)
    read = metadata.tags_at(lambda offset, size: os.pread(fd, size, offset), place=place) if format == "tiff" else {}
    warnings = []
    if found.pages > 1:
        warnings.append(f"{found.pages - 1} of {found.pages} pages left out")
    if format == "jpeg" and _has_gain_map(fd, found.xmp):
        warnings.append("HDR gain map left out: variants are standard range")
    if format == "avif" and os.pread(fd, 4, 8) == b"avis":
        warnings.append("animation left out: only its first frame is used")
    return MediaInfo(
        format=format,
        width=found.width,
        height=found.height,
        frames=found.frames,
        alpha=found.alpha,
        tags=read or metadata.tags(found.exif, place=place),
        warnings=tuple(warnings),
    )


def render(fd: int, task: MakeTask, targets: tuple[Target, ...], temporary: Temporary, report: Report) -> Drafts:
    """Make and verify the "image" targets of an open file, and its placeholder when ``task.placeholder`` is "".

    Of targets with the same key one is made. Drafts come largest first. Raises RejectedInput when the source is broken,
    JobFailed when an encoder failed, OSError when a file cannot be read or written.
    """
    warnings: dict[str, None] = {}

    def warn(text: str) -> None:
        warnings.setdefault(text)

    source = _Source(fd, task, warn)
    todo = {target.key: target for target in reversed(targets)}
    ladder = {target.key: target for target in reversed(task.targets)}
    drafts: list[Draft] = []
    for target in sorted(ladder.values(), key=_rank):
        params = params_of(target)
        if len(drafts) == len(todo) and task.placeholder:
            break  # A placeholder is always that of the smallest of all.
        if params.animated and source.moves:
            if target.key in todo:
                drafts.append(_save_animation(source, todo[target.key], params, temporary(todo[target.key].name)))
        else:
            # Sizes that are there already are stepped through as well: a variant's bytes must not depend on which
            # others happen to be missing.
            picture = source.at(params.width, params.height)
            if target.key in todo:
                drafts.append(save(_encoded(picture, params), todo[target.key], temporary(todo[target.key].name)))
        report(len(drafts) / max(1, len(todo)))
    # Every run tells what the whole asset lost, not only what this run made.
    if source.moves and (left := [target.name for target in task.targets if not params_of(target).animated]):
        warn(f"animation left out of {', '.join(left)}: only its first frame is used")
    placeholder = "" if task.placeholder else look.text_of(source.smallest())
    return Drafts(tuple(drafts), placeholder, tuple(warnings))


def encode_still(frame: bytes, target: Target, destination: bytes) -> Draft:
    """A poster: the PNG file ``frame`` at the target's size and format, verified, at ``destination`` (both absolute).

    Raises RejectedInput when the frame is no whole PNG, JobFailed when it cannot be encoded, OSError on reading or
    writing.
    """
    params = params_of(target)
    return save(_encoded(_frame(frame, params.width, params.height), params), target, destination)


def placeholder_of(frame: bytes) -> str:
    """What the PNG file ``frame`` looks like, as text (``asset.Look``). Raises as ``encode_still``."""
    return placeholder_at(frame, "png")


def placeholder_at(file: bytes, format: str) -> str:
    """The same of any picture of ours (absolute path). Raises as ``encode_still``."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = image_load.header(fd, format, Limits())
        content = image_load.content_of(fd)
        size = look.fit(found.width, found.height, look.ENOUGH)
        return look.text_of(image_load.still(content, format, *size, Limits(), lambda _: None))
    finally:
        os.close(fd)


class _Source:
    """One file's pixels at falling sizes, decoded when the first of them is asked for."""

    def __init__(self, fd: int, task: MakeTask, warn: Warn) -> None:
        self.format = image_load.true_format(fd, task.source.format)
        self.content = image_load.content_of(fd)
        self.limits = task.limits
        self.warn = warn
        self.width, self.height = task.info.width or 1, task.info.height or 1
        self.moves = task.info.frames > 1 and self.format in image_load.ANIMATED
        self._last: Picture = None

    def at(self, width: int, height: int) -> Picture:
        """The still picture at this size; sizes must not grow from call to call."""
        if self._last is None:
            self._last = image_load.still(self.content, self.format, width, height, self.limits, self.warn)
        elif (self._last.width, self._last.height) != (width, height):
            self._last = image_load.shrink(self._last, width, height).copy_memory()
        return self._last

    def smallest(self) -> Picture:
        """The smallest still picture made so far; a small one is decoded when there is none."""
        return self.at(*look.fit(self.width, self.height, look.ENOUGH)) if self._last is None else self._last

    def animation(self, width: int, height: int) -> Picture:
        """All frames at this size; decoded anew each time, for all frames at once may be gigabytes."""
        return image_load.animation(self.content, self.format, width, height, self.limits, self.warn)


def _save_animation(source: _Source, target: Target, params: Params, file: bytes) -> Draft:
    try:
        # Frames are decoded while they are encoded, so what fails here is most likely the source.
        strip = source.animation(params.width, params.height)
        data = encode(strip, params)
    except FAILURES as error:
        raise broken(error) from None
    return save(data, target, file, delays=field(strip, "delay"))


def _encoded(picture: Picture, params: Params) -> bytes:
    try:
        return encode(picture, params)
    except FAILURES as error:
        raise JobFailed(f"the {params.format} encoder failed: {reason(error)}") from None


def _frame(file: bytes, width: int, height: int) -> Picture:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = image_load.content_of(fd)
        return image_load.still(content, "png", width, height, Limits(), lambda _: None)
    finally:
        os.close(fd)


def _has_gain_map(fd: int, xmp: bytes) -> bool:
    head = os.pread(fd, _FIRST_BYTES, 0)
    return any(mark in xmp or mark in head for mark in _GAIN_MAPS)


def _rank(target: Target) -> tuple[bool, int, str]:
    """Animations first, each decoded on its own; stills by falling size, for each is made of the one before."""
    params = params_of(target)
    return not params.animated, -params.width * params.height, target.name
