"""``[[subtitles]]``: subtitle streams of text as WebVTT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mediactl.model.assets import PriorArtefact, Target
from mediactl.model.media import Kind
from mediactl.outputs.base import VIDEO_MAKER, AssetPlan, File, Output, Params, stream_name, without_stream

MOST_STREAMS = 32
"""Audio streams of a video, and subtitle streams: more than discs have; a forged file may have a thousand."""


class TextParams(Params, frozen=True, tag="text"):
    """A subtitle stream as WebVTT."""

    encoders = ("ffmpeg",)
    maker = VIDEO_MAKER

    track: int
    """Which of ``MediaInfo.texts``."""


class SubtitlesOutput(Output, frozen=True):
    """Each text subtitle stream as WebVTT: ``name``-1-eng.vtt."""

    table = "subtitles"
    kinds = (Kind.VIDEO,)
    operations = (TextParams,)
    roles = ("subtitles",)
    order = 80
    in_every_plan = True

    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the file, without number and language of the stream."""
        return f"{self.name}.vtt"

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield a file for each stream."""
        for name, params in texts(asset, self.name):
            yield asset.target(f"{name}.vtt", "subtitles", params)

    def files(self) -> tuple[File, ...]:
        """Return the files of all streams."""
        return (File(f"{self.name}-", ".vtt", True),)

    @classmethod
    def owns(cls, artefact: PriorArtefact, every: Sequence[PriorArtefact]) -> str | None:
        """Return the name that the files of all streams have in common."""
        return without_stream(artefact.name) if artefact.role in cls.roles else None


OUTPUT = SubtitlesOutput


def texts(asset: AssetPlan, name: str) -> Iterator[tuple[str, TextParams]]:
    """Yield file name, without extension, and parameters of each subtitle stream of text."""
    for number, stream in enumerate(asset.info.texts[:MOST_STREAMS]):
        if stream.text:
            yield f"{name}-{stream_name(number, stream.language)}", TextParams(number)
