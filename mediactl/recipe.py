"""Recipes: what to derive from each kind of source. TOML in, validated frozen values out."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from importlib import resources
from typing import Literal

import msgspec

from mediactl import conditions
from mediactl.errors import UsageError
from mediactl.files import shown
from mediactl.model import Kind, Limits
from mediactl.wanted import (
    AnimationOutput,
    AudioOutput,
    Cutting,
    Encoding,
    HlsOutput,
    ImageOutput,
    Name,
    PosterOutput,
    PreviewOutput,
    RunLimits,
    StoryboardOutput,
    SubtitlesOutput,
    VideoOutput,
    WaveformOutput,
)

AnyOutput = (
    ImageOutput
    | AnimationOutput
    | VideoOutput
    | HlsOutput
    | PosterOutput
    | StoryboardOutput
    | PreviewOutput
    | SubtitlesOutput
    | AudioOutput
    | WaveformOutput
)

Tag = Literal[
    "camera", "lens", "taken", "exposure", "aperture", "iso", "focal_length", "artist", "copyright", "title",
    "description", "software", "album", "album_artist", "composer", "genre", "track", "date", "make", "model", "place",
]  # fmt: skip
DEFAULT_METADATA: tuple[Tag, ...] = (
    "camera", "lens", "taken", "exposure", "aperture", "iso", "focal_length", "artist", "copyright", "title",
    "description", "software", "album", "album_artist", "composer", "genre", "track", "date", "make", "model",
)  # fmt: skip
"""Tags that asset.json has unless the recipe says otherwise: all but the place."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to derive. A kind without outputs is left alone (its sources count as ignored)."""

    name: Name
    description: str = ""
    placeholder: Literal["thumbhash", "none"] = "thumbhash"
    metadata: tuple[Tag, ...] = DEFAULT_METADATA
    """Tags that asset.json has. "place" (where it was taken) only when it is named."""
    image: tuple[ImageOutput, ...] = ()
    animation: tuple[AnimationOutput, ...] = ()
    video: tuple[VideoOutput, ...] = ()
    hls: tuple[HlsOutput, ...] = ()
    poster: tuple[PosterOutput, ...] = ()
    storyboard: tuple[StoryboardOutput, ...] = ()
    preview: tuple[PreviewOutput, ...] = ()
    subtitles: tuple[SubtitlesOutput, ...] = ()
    audio: tuple[AudioOutput, ...] = ()
    waveform: tuple[WaveformOutput, ...] = ()
    cutting: Cutting = Cutting()
    limits: Limits = Limits()
    run: RunLimits = RunLimits()

    def outputs(self, kind: Kind) -> tuple[AnyOutput, ...]:
        """The outputs that a source of this kind gets."""
        if kind is Kind.IMAGE:
            return (*self.image, *self.animation)
        if kind is Kind.AUDIO:
            return (*self.audio, *self.waveform)
        return (*self.video, *self.hls, *self.poster, *self.storyboard, *self.preview, *self.subtitles)

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
    for table in _TABLES:
        outputs = getattr(recipe, table)
        for number, output in enumerate(outputs if isinstance(outputs, tuple) else ()):
            if found := _trouble(output):
                raise UsageError(f"{shown(origin)}: {table}[{number}].{found[0]}: {shown(found[1])}")
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
        raise UsageError(
            f"{shown(origin)}: makes nothing; add an [[image]], [[video]], [[hls]], [[poster]] or [[audio]] output"
        )
    return recipe


def _trouble(output: AnyOutput) -> tuple[str, str] | None:
    """Key and complaint of an output whose values do not go together."""
    if wrong := conditions.check(output.when, table):
        return "when", f"{output.when!r}: {wrong}"
    if isinstance(output, Encoding):
        return output.trouble()
    if isinstance(output, ImageOutput) and output.fit != "inside" and not (output.width and output.height):
        return "fit", f"{output.fit!r} needs width and height"
    return None


_TABLES: dict[str, type[msgspec.Struct]] = {
    "image": ImageOutput,
    "animation": AnimationOutput,
    "video": VideoOutput,
    "hls": HlsOutput,
    "poster": PosterOutput,
    "storyboard": StoryboardOutput,
    "preview": PreviewOutput,
    "subtitles": SubtitlesOutput,
    "audio": AudioOutput,
    "waveform": WaveformOutput,
    "cutting": Cutting,
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
