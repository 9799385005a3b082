"""``[[contact_sheet]]``: key frames of a video in a grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from mediactl.model.assets import Prior, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import AssetPlan, Output, Params, Quality
from mediactl.outputs.geometry import fit


class ContactSheetParams(Params, frozen=True, tag="contact-sheet"):
    """What decides the bytes of a sheet."""

    version = 1
    encoders = ("ffmpeg", "image")
    maker = "mediactl_contact_sheet.make:make"

    columns: int
    rows: int
    width: int
    height: int
    """Pixels of one cell."""
    quality: int

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds: every key frame is decoded."""
        return 0.01 * (info.duration or 0.0)

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size, by pixels."""
        return 0.1 * self.columns * self.rows * self.width * self.height


class ContactSheetOutput(Output, frozen=True):
    """Key frames from all over a video, in a grid."""

    table = "contact_sheet"
    kinds = (Kind.VIDEO,)
    operations = (ContactSheetParams,)
    roles = ("contact-sheet",)

    columns: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    """Frames beside one another."""
    rows: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    """Frames below one another."""
    width: Annotated[int, msgspec.Meta(ge=16, le=8000)] = 1280
    """Pixels of the sheet, at most."""
    quality: Quality = 75
    """1 to 100."""
    when: str = ""
    """Condition, "duration > 60"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.webp"

    def problem(self) -> tuple[str, str] | None:
        """Return a width that leaves no room for the columns."""
        return ("width", "expected at least 16 for each column") if self.width < 16 * self.columns else None

    def resolve(self, asset: AssetPlan) -> Iterator[Target[Params]]:
        """Yield the sheet."""
        info = asset.info
        width, height = fit(info.width or 1, info.height or 1, self.width // self.columns, None, 2000)
        params = ContactSheetParams(self.columns, self.rows, width, height, self.quality)
        yield asset.target(self.file_name, "contact-sheet", params)
