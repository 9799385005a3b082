"""Frames that several stills of a video are chosen from: what is decoded alike is decoded once (decision 17)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mediactl.media.image import load
from mediactl.media.image.vips import VipsImage, pyvips
from mediactl.media.stills import frames
from mediactl.media.stills.frames import Sampling
from mediactl.media.stills.source import Video
from mediactl.model.media import Limits


class Samples:
    """The sampled frames of a video, as files that are named after ``scratch``, a temporary name, until ``clear``.

    The first of ``planned`` samplings to be asked for takes along all that are decoded alike.
    """

    def __init__(self, video: Video, scratch: bytes, planned: Iterable[Sampling] = ()) -> None:
        self._video = video
        self._scratch = scratch
        self._planned = list(dict.fromkeys(planned))
        self._taken: dict[Sampling, dict[float, bytes]] = {}
        self._names: list[bytes] = []

    def images(self, sampling: Sampling) -> dict[float, VipsImage]:
        """Return time -> image, ascending. Raises as ``frames.spread``, RejectedInput, OSError."""
        if sampling not in self._taken:
            self._take(sampling)
        return {time: read_png(file) for time, file in self._taken[sampling].items()}

    def clear(self) -> None:
        """Remove the files."""
        for name in self._names:
            frames.clear(name)
        self._names.clear()
        self._taken.clear()

    def _take(self, sampling: Sampling) -> None:
        together = self._together(sampling)
        if len(together) > 1:
            made = frames.spread(self._video, together, [self._name() for _ in together], more=True)
            if made is not None:
                self._taken |= dict(zip(together, made, strict=True))
                return
            # How decoders conceal damage depends on what else they read: each has its own frames, as it would alone.
            self._planned.clear()
        [alone] = frames.spread(self._video, [sampling], [self._name()]) or [{}]
        self._taken[sampling] = alone

    def _together(self, sampling: Sampling) -> list[Sampling]:
        """Return it and all that are decoded along with it."""
        others = [each for each in self._planned if each not in (*self._taken, sampling)]
        alike = [sampling, *(each for each in others if frames.are_alike(self._video, sampling, each))]
        # Where each needs few of many key frames, they need different ones.
        thinned = [frames.is_thinned(self._video, each) for each in alike]
        if all(thinned) or (any(thinned) and self._video.anchored):
            return [sampling]
        return alike

    def _name(self) -> bytes:
        self._names.append(self._scratch + b"%d" % len(self._names))
        return self._names[-1]


def read_png(file: bytes) -> VipsImage:
    """Return a PNG of ours, in memory. Raises RejectedInput when it is truncated, OSError."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = load.content_of(fd)
    finally:
        os.close(fd)
    header = pyvips.Image.new_from_buffer(content, "")
    return load.still(content, "png", header.width, header.height, Limits(), lambda _: None)
