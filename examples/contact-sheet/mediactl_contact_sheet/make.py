"""Making contact sheets; imported in workers, when the first sheet is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyvips
from PIL import Image

from mediactl.core.errors import RejectedInput
from mediactl.media.drafts import Draft, Drafts, Request
from mediactl.media.image import save
from mediactl.media.inspect import demux
from mediactl.model.assets import Target, made_by
from mediactl.outputs.image import StillParams
from mediactl_contact_sheet.output import ContactSheetParams


def make(request: Request) -> Drafts:
    """Make the missing sheets of a video; of several that share this maker, all in one call."""
    return Drafts(tuple(_sheet(request, target) for target in made_by(request.targets, ContactSheetParams)))


def _sheet(request: Request, target: Target[ContactSheetParams]) -> Draft:
    params = target.params
    sheet = Image.new("RGB", (params.columns * params.width, params.rows * params.height))
    number = -1
    for number, frame in enumerate(_key_frames(request, params.columns * params.rows)):
        row, column = divmod(number, params.columns)
        sheet.paste(frame.resize((params.width, params.height)), (column * params.width, row * params.height))
        request.report(number / (params.columns * params.rows))
    if number < 0:
        raise RejectedInput("not one key frame can be decoded")
    still = StillParams(
        format="webp", width=sheet.width, height=sheet.height, quality=params.quality, effort=4, animated=False
    )
    pixels = pyvips.Image.new_from_memory(sheet.tobytes(), sheet.width, sheet.height, 3, "uchar")
    data = save.encode(pixels.copy(interpretation="srgb"), still)
    return save.save(data, target, still, request.temporary(target.name))


def _key_frames(request: Request, count: int) -> Iterator[Image.Image]:
    """Yield the first key frame of each of ``count`` equal parts of the video that has one, upright."""
    info, part = request.task.info, -1
    rotation = info.video.rotation if info.video else 0
    with demux.opened(request.fd, request.task.limits) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        start = (container.start_time or 0) / 1e6
        frames: Iterator[Any] = container.decode(stream)
        for frame in frames:
            found = int(((frame.time or 0.0) - start) * count / (info.duration or 1.0))
            if part < found < count:
                part = found
                yield frame.to_image().rotate(-rotation, expand=True)
