"""An image of ours beside its source: how similar they are at its size, and small previews of both."""

from __future__ import annotations

import os

from mediactl.core.errors import JobFailed
from mediactl.media.image import load, render
from mediactl.media.image.similarity import luma, ssim
from mediactl.media.image.vips import FAILURES, VipsImage, open_image, reason
from mediactl.model.assets import made_by
from mediactl.model.jobs import MakeTask
from mediactl.outputs.image import ImageParams

QUALITY = 80
"""Of previews, WebP."""


def compared(
    fd: int, task: MakeTask, name: str, file: bytes, side: int, previews: tuple[bytes, bytes]
) -> tuple[float, tuple[int, int]]:
    """Return the SSIM of the artefact ``name``, which lies in ``file``, and the open source, 1.0 being equal; of
    animations, the first frames.

    Unless ``side`` is 0, previews of the source and of the artefact are written to ``previews``, at most ``side``
    pixels long; their size comes with the result. Raises JobFailed where an image cannot be decoded.
    """
    target = next(each for each in made_by(task.targets, ImageParams) if each.name == name)
    made = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        source = render.fitted(fd, task, target)
        artefact = open_image(made, target.params.format).copy_memory()
        similarity = ssim(luma(source).copy_memory(), luma(artefact).copy_memory())
        size = (0, 0)
        for image, preview in zip((source, artefact), previews, strict=True) if side else ():
            size = _write(image, preview, side)
        return similarity, size
    except FAILURES as error:
        raise JobFailed(f"{name}: cannot be compared with its source: {reason(error)}") from None
    finally:
        os.close(made)


def _write(image: VipsImage, file: bytes, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(image.width, image.height))
    small = load.shrink(image, max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    with open(file, "wb") as preview:
        preview.write(small.webpsave_buffer(Q=QUALITY, keep="none"))
    return small.width, small.height
