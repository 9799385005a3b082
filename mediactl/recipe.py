"""Recipes: what to derive from each kind of source. TOML in, validated frozen values out."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from importlib import resources
from typing import Annotated, Literal

import msgspec

from mediactl.errors import UsageError
from mediactl.files import shown
from mediactl.model import Kind, Limits

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Names become file names and parts of URLs: lower case letters, digits, "-" and "_"."""
Pixels = Annotated[int, msgspec.Meta(ge=1, le=16_383)]
"""WebP's own limit for a side."""
Quality = Annotated[int, msgspec.Meta(ge=1, le=100)]
ImageFormat = Literal["webp", "jpeg", "png", "avif"]

DEFAULT_QUALITY = {"webp": 80, "jpeg": 80, "png": 100, "avif": 60}
DEFAULT_EFFORT = {"webp": 2, "jpeg": 0, "png": 6, "avif": 1}
"""Measured on ten photos at 1600 px: WebP effort 2 takes 57 ms for 146 kB, effort 4 140 ms for 141 kB; AVIF effort 1
237 ms, effort 2 497 ms for the same bytes; JPEG effort 0 (fixed tables) 4 ms for 234 kB, effort 1 11 ms for 230 kB."""
EXTENSIONS = {"webp": "webp", "jpeg": "jpg", "png": "png", "avif": "avif", "mp4": "mp4", "m4a": "m4a", "opus": "opus"}


class ImageOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One still or animated variant; fits inside width x height, is never enlarged."""

    name: Name
    format: ImageFormat = "webp"
    width: Pixels | None = None
    height: Pixels | None = None
    quality: Quality | None = None
    effort: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class VideoOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One MP4 rendition, at most ``height`` pixels on its shorter side."""

    name: Name
    format: Literal["mp4"] = "mp4"
    codec: Literal["h264"] = "h264"
    height: Annotated[int, msgspec.Meta(ge=16, le=4320)] = 720
    crf: Annotated[int, msgspec.Meta(ge=0, le=51)] = 23
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        "veryfast"
    )
    audio_bitrate: Annotated[int, msgspec.Meta(ge=16, le=512)] = 128
    """kbit/s of AAC."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class PosterOutput(ImageOutput, frozen=True, forbid_unknown_fields=True):
    """A picture of a video, taken from its first seconds; black frames are avoided."""


class AudioOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sound file: AAC in .m4a or Opus in .opus."""

    name: Name
    format: Literal["m4a", "opus"] = "m4a"
    bitrate: Annotated[int, msgspec.Meta(ge=8, le=512)] | None = None
    """kbit/s for two channels. Default: 128 (AAC), 96 (Opus)."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class RunLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one job of this recipe may take, where that is not to be learnt. No part of what is made: changing it makes
    nothing anew."""

    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Wall time of a job."""
    stall_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time that a film may be worked on without any progress."""
    memory_mib: Annotated[int, msgspec.Meta(ge=64)] | None = None
    """Memory of a worker with all that it started."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to derive. A kind without outputs is left alone (its sources count as ignored)."""

    name: Name
    description: str = ""
    placeholder: Literal["thumbhash", "none"] = "thumbhash"
    image: tuple[ImageOutput, ...] = ()
    video: tuple[VideoOutput, ...] = ()
    poster: tuple[PosterOutput, ...] = ()
    audio: tuple[AudioOutput, ...] = ()
    limits: Limits = Limits()
    run: RunLimits = RunLimits()

    def outputs(self, kind: Kind) -> tuple[ImageOutput | VideoOutput | AudioOutput, ...]:
        """The outputs that a source of this kind gets."""
        if kind is Kind.IMAGE:
            return self.image
        return (*self.video, *self.poster) if kind is Kind.VIDEO else self.audio

    def digest(self) -> str:
        """Short digest of everything that the recipe says: equal digests, equal work."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def builtin_names() -> list[str]:
    """Names of the recipes that come with mediactl."""
    folder = resources.files("mediactl.recipes")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def text_of(name_or_file: str) -> tuple[str, str]:
    """The TOML of a built-in recipe or a file, and where it is from. Raises UsageError."""
    if name_or_file in builtin_names():
        return resources.files("mediactl.recipes").joinpath(name_or_file + ".toml").read_text("utf-8"), name_or_file
    looks_like_file = "/" in name_or_file or name_or_file.endswith(".toml")
    try:
        with open(name_or_file, encoding="utf-8") as file:
            return file.read(), name_or_file
    except FileNotFoundError:
        if looks_like_file:
            raise UsageError(f"recipe {shown(name_or_file)}: no such file") from None
        close = difflib.get_close_matches(name_or_file, builtin_names(), 1)
        hint = (
            f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(builtin_names())}; or name a .toml file"
        )
        raise UsageError(f"recipe {shown(name_or_file)!r}: no such recipe; {hint}") from None
    except (OSError, ValueError) as error:
        text = isinstance(error, UnicodeDecodeError)
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text" if text else "no possible file name"
        raise UsageError(f"recipe {shown(name_or_file)}: cannot be read: {reason}") from None


def load(name_or_file: str) -> Recipe:
    """A recipe by built-in name or file name. Raises UsageError, naming the place and what would be right."""
    text, origin = text_of(name_or_file)
    return parse(text, origin)


def parse(text: str, origin: str) -> Recipe:
    """A recipe from TOML text. Raises UsageError, naming ``origin``, the place in it, and what would be right."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{shown(origin)}: not valid TOML: {error}") from None
    try:
        recipe = msgspec.convert(tree, Recipe)
    except msgspec.ValidationError as error:
        raise UsageError(f"{shown(origin)}: {_explain(str(error), tree)}") from None
    for kind in Kind:
        seen: dict[str, int] = {}
        for number, output in enumerate(recipe.outputs(kind)):
            if output.file_name in seen:
                raise UsageError(
                    f"{shown(origin)}: {kind.value} outputs {seen[output.file_name]} and {number} would both be written"
                    f" to {output.file_name!r}; give one of them another name"
                )
            seen[output.file_name] = number
    if not any(recipe.outputs(kind) for kind in Kind):
        raise UsageError(f"{shown(origin)}: makes nothing; add an [[image]], [[video]], [[poster]] or [[audio]] output")
    return recipe


_TABLES: dict[str, type[msgspec.Struct]] = {
    "image": ImageOutput,
    "video": VideoOutput,
    "poster": PosterOutput,
    "audio": AudioOutput,
    "limits": Limits,
    "run": RunLimits,
}


def _explain(message: str, tree: dict[str, object]) -> str:
    """msgspec's message, with the place written as in TOML and the likely right key beside a wrong one."""
    text, _, path = message.partition(" - at `$")
    place = re.sub(r"^\.", "", path.rstrip("`"))
    table = re.match(r"\w*", place)
    if found := re.match(r"Object contains unknown field `(.*)`$", text):
        owner = _TABLES.get(table.group() if table else "", Recipe)
        fields = [field.encode_name for field in msgspec.structs.fields(owner)]
        close = difflib.get_close_matches(found.group(1), fields, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(fields)}"
        return f"{_where(place)}unknown key {shown(found.group(1))!r}; {hint}"
    if found := re.match(r"Invalid enum value (.*)$", text):
        return f"{_where(place)}{shown(found.group(1))} is not known here; {_choices(place)}"
    return f"{_where(place)}{text[:1].lower()}{text[1:]}"


def _where(place: str) -> str:
    return f"{place}: " if place else ""


def _choices(place: str) -> str:
    table, _, key = place.partition(".")
    owner = _TABLES.get(table.split("[")[0], Recipe)
    key = key or table
    for field in msgspec.structs.fields(owner):
        if field.encode_name == key:
            kind = msgspec.inspect.type_info(field.type)
            values = kind.values if isinstance(kind, msgspec.inspect.LiteralType) else ()
            return "known: " + ", ".join(str(value) for value in values)
    return "see `mediactl recipe show web`"
