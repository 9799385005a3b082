"""Recipes: what to derive from each kind of source. TOML in, validated frozen values out."""

from __future__ import annotations

import hashlib
import os
import tomllib
from importlib import resources
from typing import Literal

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.suggestions import did_you_mean
from mediactl.model.media import Kind, Limits
from mediactl.outputs.tables import (
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
from mediactl.recipe import collisions, conditions, inheritance, messages
from mediactl.recipe.inheritance import Draft

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

OUTPUTS: dict[str, type[AnyOutput]] = {
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
}
"""Table -> what it holds one of, or several."""
TABLES: dict[str, type[msgspec.Struct]] = {**OUTPUTS, "cutting": Cutting, "limits": Limits, "run": RunLimits}
OF_KIND = {
    Kind.IMAGE: ("image", "animation"),
    Kind.VIDEO: ("video", "hls", "poster", "storyboard", "preview", "subtitles"),
    Kind.AUDIO: ("audio", "waveform"),
}
"""Kind of source -> tables of what is made of it, in the order of asset.json."""
DEFAULT_FORMATS = {
    table: field.default
    for table, output in OUTPUTS.items()
    for field in msgspec.structs.fields(output)
    if field.name == "format"
}

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
    """Name of the recipe, as in asset.json."""
    description: str = ""
    """What the recipe is for."""
    placeholder: Literal["thumbhash", "none"] = "thumbhash"
    """What a page can show until an image has loaded: a thumbhash in asset.json, or none."""
    metadata: tuple[Tag, ...] = DEFAULT_METADATA
    """Tags to write to asset.json. "place", the GPS position, is written only if it is listed."""
    image: tuple[ImageOutput, ...] = ()
    """Variants of images."""
    animation: tuple[AnimationOutput, ...] = ()
    """Videos of animated images."""
    video: tuple[VideoOutput, ...] = ()
    """Videos as one file."""
    hls: tuple[HlsOutput, ...] = ()
    """Videos for streaming."""
    poster: tuple[PosterOutput, ...] = ()
    """Posters of videos."""
    storyboard: tuple[StoryboardOutput, ...] = ()
    """Thumbnail sheets of videos, for a player's seek bar."""
    preview: tuple[PreviewOutput, ...] = ()
    """Short animations of videos."""
    subtitles: tuple[SubtitlesOutput, ...] = ()
    """Subtitles of videos."""
    audio: tuple[AudioOutput, ...] = ()
    """Audio files."""
    waveform: tuple[WaveformOutput, ...] = ()
    """Waveforms of audio files."""
    cutting: Cutting = Cutting()
    """How long videos are split."""
    limits: Limits = Limits()
    """Upper bounds for sources."""
    run: RunLimits = RunLimits()
    """Limits of one job."""

    def outputs(self, kind: Kind) -> tuple[AnyOutput, ...]:
        """The outputs that a source of this kind gets."""
        return tuple(output for table in OF_KIND[kind] for output in getattr(self, table))

    def digest(self) -> str:
        """Short digest of everything that the recipe says: equal digests, equal work."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


class RecipeFile(Recipe, frozen=True, forbid_unknown_fields=True):
    """A recipe as it is written: on its own, or laid over another one."""

    extends: str = ""
    """Bundled recipe, or a file relative to this one's directory, that this recipe is merged over."""
    without: tuple[str, ...] = ()
    """What to remove from it: "hls" (a whole table), "video.v720" (an output), "audio.audio.opus" (one format)."""


def builtin_names() -> list[str]:
    """Names of the recipes that come with mediactl."""
    folder = resources.files("mediactl.recipe.bundled")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def text_of(name_or_file: str) -> tuple[str, str]:
    """The TOML of a built-in recipe or a file, and where it is from. Raises UsageError."""
    if name_or_file in builtin_names():
        return resources.files("mediactl.recipe.bundled").joinpath(name_or_file + ".toml").read_text(
            "utf-8"
        ), name_or_file
    looks_like_file = "/" in name_or_file or name_or_file.endswith(".toml")
    try:
        with open(name_or_file, encoding="utf-8-sig") as file:  # Windows' editors put a byte order mark first
            return file.read(), name_or_file
    except FileNotFoundError:
        if looks_like_file:
            raise UsageError(f"recipe {shown(name_or_file)}: no such file") from None
        raise UsageError(f"recipe {_no_such(name_or_file)}") from None
    except (OSError, ValueError) as error:
        text = isinstance(error, UnicodeDecodeError)
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text" if text else "no possible file name"
        raise UsageError(f"recipe {shown(name_or_file)}: cannot be read: {reason}") from None


def _no_such(name: str) -> str:
    names = builtin_names()
    hint = did_you_mean(name, names, f"there are: {', '.join(names)}; or name a .toml file")
    return f"{shown(name)!r}: no such recipe; {hint}"


def load(name_or_file: str) -> Recipe:
    """A recipe by built-in name or file name. Raises UsageError, naming the place and what would be right."""
    text, origin = text_of(name_or_file)
    return parse(text, origin)


def parse(text: str, origin: str) -> Recipe:
    """A recipe from TOML text. Raises UsageError, naming ``origin``, the place in it, and what would be right."""
    return checked(draft(text, origin))


def draft(text: str, origin: str, chain: tuple[str, ...] = ()) -> Draft:
    """A recipe as its files have it, what it extends included; each file is sound by itself. Raises UsageError.

    ``chain`` are the files that have led here, the first one first.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{shown(origin)}: not valid TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{shown(origin)}: not valid TOML: nested too deeply") from None
    try:
        file = msgspec.convert(tree, RecipeFile)
    except msgspec.ValidationError as error:
        raise UsageError(f"{shown(origin)}: {messages.explain(error, RecipeFile, TABLES)}") from None
    own = inheritance.draft(
        {key: value for key, value in tree.items() if key not in ("extends", "without")}, origin, OUTPUTS
    )
    if not file.extends:
        if file.without:
            raise UsageError(
                f'{shown(origin)}: without: takes nothing away, for extends is missing, as extends = "web"'
            )
        return own
    base = file.extends
    if "/" in base or base.endswith(".toml"):
        base = os.path.join(os.path.dirname(origin), base)
    elif base not in builtin_names():
        raise UsageError(f"{shown(origin)}: extends: {_no_such(base)}")
    chain = (*chain, origin)
    marks = [each if each in builtin_names() else os.path.realpath(each) for each in (*chain, base)]
    if marks[-1] in marks[:-1]:
        circle = " -> ".join(map(shown, (*chain[marks.index(marks[-1]) :], base)))
        raise UsageError(f"{shown(origin)}: extends: goes round in a circle: {circle}")
    try:
        found = text_of(base)
    except UsageError as error:
        raise UsageError(f"{shown(origin)}: extends: {error}") from None
    below = draft(*found, chain)
    try:
        return inheritance.extend(inheritance.leave_out(below, file.without), own, DEFAULT_FORMATS)
    except inheritance.Wrong as error:
        raise UsageError(f"{shown(origin)}: {shown(str(error))}") from None


def checked(found: Draft) -> Recipe:
    """The recipe that a draft comes to. Raises UsageError."""
    recipe = msgspec.convert(found.tree(), Recipe)
    for table in OUTPUTS:
        for entry, output in zip(found.outputs[table], getattr(recipe, table), strict=True):
            if wrong := _trouble(output, table):
                raise UsageError(f"{shown(entry.origin)}: {entry.place}.{wrong[0]}: {shown(wrong[1])}")
    for kind in Kind:
        outputs = recipe.outputs(kind)
        if (same := collisions.clash(outputs)) is None:
            continue
        entries = [(table, entry) for table in OF_KIND[kind] for entry in found.outputs[table]]
        _, entry = entries[same[1]]
        other = "mediactl itself"
        if same[0] >= 0:
            table, earlier = entries[same[0]]
            other = f"{earlier.place} ({table} {earlier.values['name']!r})"
            if earlier.origin != entry.origin:
                other += f" of {shown(earlier.origin)}"
        raise UsageError(
            f"{shown(entry.origin)}: {entry.place}: {entry.values['name']!r} would write {same[2]!r}, as {other} does;"
            " give it another name"
        )
    if not any(recipe.outputs(kind) for kind in Kind):
        raise UsageError(
            f"{shown(found.origin)}: makes nothing;"
            " add an [[image]], [[video]], [[hls]], [[poster]] or [[audio]] output"
        )
    return recipe


def _trouble(output: AnyOutput, table: str) -> tuple[str, str] | None:
    """Key and complaint of an output whose values do not go together."""
    if wrong := conditions.check(output.when, table):
        return "when", f"{output.when!r}: {wrong}"
    if isinstance(output, Encoding):
        return output.trouble()
    if isinstance(output, ImageOutput):
        if output.fit != "inside" and not (output.width and output.height):
            return "fit", f"{output.fit!r} needs width and height"
        if output.fit == "inside" and output.position != "attention":
            return "position", 'goes with fit = "cover" alone; add that, or leave this out'
        if output.quality != "auto" and output.similarity != ImageOutput(output.name).similarity:
            return "similarity", 'goes with quality = "auto" alone; add that, or leave this out'
    plain = WaveformOutput(output.name)
    if isinstance(output, WaveformOutput) and output.format != "png" and output.height != plain.height:
        return "height", 'goes with format = "png" alone; add that, or leave this out'
    return None
