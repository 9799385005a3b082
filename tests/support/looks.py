"""What a video looks like in each of its outputs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image, ImageSequence

from mediactl.core.files import fingerprint
from mediactl.media.drafts import Request
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.media.inspect import streams
from mediactl.media.video import render
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, Limits, MediaInfo, Source
from mediactl.planning import keys
from mediactl.recipe import loader

_RECIPE = """
name = "looks"
[[video]]
name = "video"
preset = "ultrafast"
crf = 12
[[hls]]
name = "hls"
preset = "ultrafast"
crf = 12
heights = [720]
[[poster]]
name = "poster"
format = "png"
[[storyboard]]
name = "storyboard"
interval = 0.5
width = 160
quality = 95
[[preview]]
name = "preview"
width = 160
seconds = 0.5
quality = 95
"""
_ONLY_VIDEO = _RECIPE[: _RECIPE.index("[[hls]]")]


class Looks:
    """All outputs of a video, as planned for it and rendered, read back."""

    def __init__(self, path: Path, *, only_video: bool = False, recipe: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(dir=path.parent))
        fd = os.open(path, os.O_RDONLY)
        try:
            self.info: MediaInfo = streams.probe(fd, path.suffix[1:], Limits())
            chosen = loader.parse(recipe or (_ONLY_VIDEO if only_video else _RECIPE), "looks.toml")
            self.targets = keys.targets(chosen, Kind.VIDEO, self.info, "f" * 64, encoder_versions())
            name = os.fsencode(path.name)
            mark = fingerprint(os.fstat(fd))
            source = Source(os.fsencode(path.parent), name, name, mark, Kind.VIDEO, path.suffix[1:])
            task = MakeTask(
                source, "f" * 64, self.info, self.targets, (), os.fsencode(self.folder), "looks", Limits(), threads=2
            )
            made = render.render(Request(fd, task, self.targets, self._temporary, lambda _: None, lambda _: None))
        finally:
            os.close(fd)
        self.warnings = made.warnings
        self.files = {draft.target.name: Path(os.fsdecode(draft.file)) for draft in made.files}

    def _temporary(self, name: str) -> bytes:
        return os.fsencode(self.folder / f".mediactl-t-{name}")

    @property
    def video(self) -> Path:
        """The MP4."""
        return self.files["video.mp4"]

    def frames(self, name: str = "video.mp4") -> list[Image.Image]:
        """The frames of the MP4, or of the track of the ladder."""
        return list(self._decoded(name))

    def _decoded(self, name: str) -> Iterator[Image.Image]:
        with av.open(str(self.files[name]), format="mp4") as container:
            for frame in container.decode(video=0):
                yield frame.to_image()  # type: ignore[no-untyped-call]

    def of_all(self) -> dict[str, Image.Image]:
        """An image of each output: the first frame, tile or image."""
        found = {
            name: next(self._decoded(name)) for name in self.files if name.endswith(".mp4") and "audio" not in name
        }
        found["poster"] = Image.open(self.files["poster.png"]).convert("RGB")
        found["storyboard"] = self.tiles()[0]
        found["preview"] = self.previews()[0]
        return found

    def tiles(self) -> list[Image.Image]:
        """The tiles of the storyboard, in order, those behind the end included."""
        sheet = Image.open(self.files["storyboard.webp"]).convert("RGB")
        [params] = [each.params for each in self.targets if each.name == "storyboard.webp"]
        width, height = params.width, params.height  # type: ignore[attr-defined]
        corners = [(x, y) for y in range(0, sheet.height, height) for x in range(0, sheet.width, width)]
        return [sheet.crop((x, y, x + width, y + height)) for x, y in corners]

    def previews(self) -> list[Image.Image]:
        """The images of the preview."""
        return [each.convert("RGB") for each in ImageSequence.Iterator(Image.open(self.files["preview.webp"]))]

    def keys(self) -> dict[str, str]:
        """The key of each output by its name."""
        return {target.name: target.key for target in self.targets}

    def tags(self, name: str = "video.mp4") -> tuple[int, int, int]:
        """Primaries, transfer characteristics and matrix of the MP4's first frame."""
        with av.open(str(self.files[name]), format="mp4") as container:
            frame = next(container.decode(video=0))
            return int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)
