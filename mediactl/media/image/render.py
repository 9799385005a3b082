"""Images: what the header says, and all missing variants from one decode.

The largest is made while the file is decoded, each smaller one from the next larger in memory; so a photograph costs
one decode, however many sizes a recipe has.
"""

from __future__ import annotations

import os

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.media.drafts import Draft, Drafts, Request, every
from mediactl.media.image import cicp, crop, fingerprint, load
from mediactl.media.image.container import damage, parts
from mediactl.media.image.load import Warn
from mediactl.media.image.save import encode, played, save
from mediactl.media.image.vips import FAILURES, VipsImage, field, reason
from mediactl.media.inspect import metadata
from mediactl.model.assets import Target, made_by
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Limits, MediaInfo
from mediactl.outputs.animation import AnimationParams
from mediactl.outputs.image import ImageParams, StillParams
from mediactl.outputs.poster import PosterParams


def probe(fd: int, format: str, limits: Limits, *, location: bool = False) -> MediaInfo:
    """Return what the header of an open file says; its pixels are not decoded. ``format`` is that of ``sniff``.

    The GPS position is read for ``location`` alone. Width and height are as shown (upright), frames those of an
    animation. Raises RejectedInput for what is damaged, too large for ``limits``, or of an unsupported format;
    OSError when the file cannot be read.
    """
    true_format = load.true_format(fd, format)
    found = load.header(fd, true_format, limits)
    read = {}
    if format == "tiff":
        read = metadata.tags_at(lambda offset, size: os.pread(fd, size, offset), location=location)
    warnings = []
    if found.pages > 1:
        warnings.append(f"{found.pages - 1} of {found.pages} pages left out")
    warnings += parts.left_out(fd, format, found.xmp, found.images)
    if (points := cicp.read(fd, true_format)) and points.hdr:
        warnings.append(f"HDR ({points.hdr}) tone-mapped: variants are standard range")
    if format == "avif" and os.pread(fd, 4, 8) == b"avis":
        warnings.append("animation left out: only its first frame is used")
    return MediaInfo(
        format=format,
        width=found.width,
        height=found.height,
        frames=found.frames,
        alpha=found.alpha,
        tags=read or metadata.tags(found.exif, location=location),
        warnings=tuple(warnings),
        anamorphic=found.anamorphic,
    )


def render(request: Request) -> Drafts:
    """Make and verify variants and animations of an open image, and its placeholder when ``task.placeholder`` is "".

    Of targets with the same key one is made. Drafts are ordered: videos, then largest first.
    Raises RejectedInput when the source is damaged, JobFailed when an encoder failed, OSError when a
    file cannot be read or written.
    """
    task, temporary, report = request.task, request.temporary, request.report
    source = _Source(request.fd, task)
    todo = {target.key: target for target in reversed(request.targets)}
    stills = made_by(task.targets, ImageParams)
    ladder = {target.key: target for target in reversed(stills)}
    drafts: list[Draft] = []
    decoded: list[Draft] = []
    """Stills, which have one decode in common."""
    for video in made_by(todo.values(), AnimationParams):
        drafts.append(_save_video(source, video, temporary(video.name), task))
        report(len(drafts) / len(todo))
    for target in sorted(ladder.values(), key=source.rank):
        params = target.params
        if len(drafts) + len(decoded) == len(todo) and task.placeholder:
            break  # A placeholder is always that of the smallest of all.
        if params.animated and source.moves:
            if target.key in todo:
                named = msgspec.structs.replace(target, name=todo[target.key].name)
                drafts.append(_save_animation(source, named, temporary(named.name)))
        else:
            # Existing sizes are made as well: a variant's bytes must not depend on which others are missing.
            image = source.at(*_covering(params, source.width, source.height))
            if target.key in todo:
                named = msgspec.structs.replace(target, name=todo[target.key].name)
                decoded.append(save(_encoded(image, params), named, params, temporary(named.name)))
        report((len(drafts) + len(decoded)) / max(1, len(todo)))
    drafts += [_warned(draft, source.noticed) for draft in decoded]
    placeholder = "" if task.placeholder else fingerprint.text_of(source.smallest())
    left = [target.name for target in stills if source.moves and not target.params.animated]
    warnings = [f"animation left out of {', '.join(left)}: only its first frame is used"] if left else []
    return Drafts(tuple(drafts), placeholder, every(warnings, drafts))


def _warned(draft: Draft, noticed: list[str]) -> Draft:
    """Return a draft with what was noticed while it was decoded."""
    return msgspec.structs.replace(draft, warnings=tuple(dict.fromkeys(noticed)))


def encode_still(frame: bytes, target: Target[PosterParams], destination: bytes) -> Draft:
    """Encode the PNG file ``frame`` at the target's size and format to ``destination`` (both absolute), and verify it.

    Raises RejectedInput when the frame is truncated, JobFailed when it cannot be encoded, OSError on reading or
    writing.
    """
    params = target.params
    return save(_encoded(_frame(frame, params), params), target, params, destination)


def placeholder_of(frame: bytes) -> str:
    """Return what the PNG file ``frame`` looks like, as text (``document.Appearance``). Raises as ``encode_still``."""
    return placeholder_at(frame, "png")


def placeholder_at(file: bytes, format: str) -> str:
    """Return the same of any image of ours (absolute path). Raises as ``encode_still``."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = load.header(fd, format, Limits())
        content = load.content_of(fd)
        size = fingerprint.fit(found.width, found.height, fingerprint.ENOUGH)
        return fingerprint.text_of(load.still(content, format, *size, Limits(), lambda _: None))
    finally:
        os.close(fd)


class _Source:
    """One file's pixels at decreasing sizes, decoded when the first is requested."""

    def __init__(self, fd: int, task: MakeTask) -> None:
        self.format = load.true_format(fd, task.source.format)
        self.content = load.content_of(fd)
        self.limits = task.limits
        self.noticed: list[str] = []
        """Warnings while stills were decoded."""
        self.width, self.height = task.info.width or 1, task.info.height or 1
        self.moves = task.info.frames > 1 and self.format in load.ANIMATED
        self._anamorphic = task.info.anamorphic
        self._last: VipsImage = None

    def rank(self, target: Target[ImageParams]) -> tuple[bool, int, str]:
        """Return the sort key: animations first, then stills by decreasing size, each made from the previous."""
        params = target.params
        width, height = _covering(params, self.width, self.height)
        return not params.animated, -width * height, target.name

    def at(self, width: int, height: int) -> VipsImage:
        """Return the still image at this size; sizes must not grow from call to call."""
        if self._last is None:
            self._last = load.still(self.content, self.format, width, height, self.limits, self.noticed.append)
            if self._anamorphic:  # or variants would have square pixels, and a density that says otherwise
                self._last = self._last.copy(xres=1.0, yres=1.0)
        elif (self._last.width, self._last.height) != (width, height):
            self._last = load.shrink(self._last, width, height).copy_memory()
        return self._last

    def smallest(self) -> VipsImage:
        """Return the smallest still image made so far; a small one is decoded when there is none."""
        return (
            self.at(*fingerprint.fit(self.width, self.height, fingerprint.ENOUGH)) if self._last is None else self._last
        )

    def animation(self, params: ImageParams, warn: Warn) -> tuple[VipsImage, VipsImage]:
        """Return all frames for these parameters, and the first alone.

        Decoded again each time, since all frames may be gigabytes.
        """
        size = _covering(params, self.width, self.height) if params.fit == "cover" else (params.width, params.height)
        strip = load.animation(self.content, self.format, *size, self.limits, warn)
        if params.fit == "inside" and params.quality != "auto":
            return strip, None
        first = load.still(self.content, self.format, *size, self.limits, warn)
        if params.fit == "cover":
            # All frames are cropped like the first one.
            offset = crop.offset(first, params.width, params.height, params.position)
            first = first.crop(*offset, params.width, params.height)
            strip = crop.cut_all(strip, size[1], *offset, params.width, params.height)
        return strip, first


def _save_animation(source: _Source, target: Target[ImageParams], file: bytes) -> Draft:
    """Return the draft, with a duration, by which pages recognise animations."""
    params = target.params
    noticed: list[str] = []
    try:
        # Frames are decoded while they are encoded, so errors are most likely the source's.
        strip, first = source.animation(params, noticed.append)
        data = encode(strip, params, like=first)
    except FAILURES as error:
        raise damage.rejection(error, source.content, source.format) from None
    delays = field(strip, "delay")
    times = played(delays or [], strip.height // params.height)
    draft = msgspec.structs.replace(save(data, target, params, file, delays), duration=sum(times) / 1000)
    return _warned(draft, noticed)


def _save_video(source: _Source, target: Target[AnimationParams], file: bytes, task: MakeTask) -> Draft:
    from mediactl.media.image import animation  # Here: PyAV and ffmpeg are for the few images that become videos.

    size = target.params.width, target.params.height
    noticed: list[str] = []
    strip = load.animation(source.content, source.format, *size, source.limits, noticed.append)
    if strip.hasalpha():
        # In GIFs, transparency may only mean that pixels of the previous frame stay; the first one has none.
        first = load.still(source.content, source.format, *size, source.limits, noticed.append)
        if first.hasalpha() and first[first.bands - 1].min() < 255:
            noticed.append(f"transparency was flattened onto white in {target.name}")
    return _warned(animation.animation(strip, target, file, threads=task.threads, limits=source.limits), noticed)


def _encoded(image: VipsImage, params: StillParams) -> bytes:
    """Return the content of one variant, made from an image that covers it."""
    try:
        return encode(_fitted(image, params), params)
    except FAILURES as error:
        raise JobFailed(f"the {params.format} encoder failed: {reason(error)}") from None


def fitted(fd: int, task: MakeTask, target: Target[ImageParams]) -> VipsImage:
    """Return the pixels that a target is encoded from, in memory; of an animation, the first frame.

    Raises RejectedInput, and one of ``vips.FAILURES``.
    """
    source = _Source(fd, task)
    return _fitted(source.at(*_covering(target.params, source.width, source.height)), target.params)


def _fitted(image: VipsImage, params: StillParams) -> VipsImage:
    """Return an image that covers a variant, cropped or squeezed as its parameters say."""
    if params.fit == "cover":
        return crop.cut(image, params.width, params.height, params.position)
    if params.fit == "exact":
        return load.shrink(image, params.width, params.height).copy_memory()
    return image


def _frame(file: bytes, params: StillParams) -> VipsImage:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        width, height = params.width, params.height
        if params.fit != "inside":
            found = load.header(fd, "png", Limits())
            width, height = _covering(params, found.width, found.height)
        content = load.content_of(fd)
        return load.still(content, "png", width, height, Limits(), lambda _: None)
    finally:
        os.close(fd)


def _covering(params: StillParams, own_width: int, own_height: int) -> tuple[int, int]:
    """Return the size of the image that a variant is made from: its own, or what it is cropped or squeezed from."""
    if params.fit == "inside":
        return params.width, params.height
    return crop.covering(own_width, own_height, params.width, params.height)
