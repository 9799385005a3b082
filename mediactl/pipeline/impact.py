"""What another recipe, or another encoder, means for what was made already: how many artefacts, seconds and bytes.

Counts are exact: an artefact is kept when its key stays, and linked at no cost when it is there under another name.
Seconds and bytes are estimates, from what was measured here and from the artefacts that each source has, else from the
constants below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from mediactl.jobs.sources import Outcome, PriorArtefact
from mediactl.model.assets import Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.planning.jobs import work_of
from mediactl.planning.keys import Params, Versions, by_output, effective_kind
from mediactl.recipe.loader import OUTPUTS, AnyOutput, Recipe

Measured = Callable[[Kind, str, int], float | None]
"""Seconds of one core that a make job of a kind, format and amount of work takes; None: not measured yet."""

BYTES_A_PIXEL = {"webp": 0.085, "jpeg": 0.13, "avif": 0.07, "png": 1.5}
"""Of a picture of two megapixels at default quality: mean of ten photos."""
PICTURE_GROWTH = 0.67
"""Bytes grow by this power of the pixels: 0.60 to 0.78 between 320, 800 and 1600 pixels across, over those photos."""
FILM_GROWTH = 0.75
"""The same of films at one CRF, as ``targets`` has it for bit rates."""
TWO_MEGAPIXELS = 2_000_000
FILM_SHARE = 0.5
"""Part of the highest bit rate that films take on average."""
BYTES_A_CODEC = {"h264": 1.0, "hevc": 0.7, "av1": 0.6}
"""Against H.264 that looks alike."""
_UNKNOWN = "h264"
"""Codec that a film is taken for when nothing tells it: what recipes have unless they say otherwise."""

SECONDS_A_PIXEL = {"webp": 30e-9, "avif": 360e-9, "jpeg": 2e-9, "png": 60e-9}
"""Of encoding a picture, at the first of its ``EFFORTS``."""
EFFORTS = {"webp": (2, 1.56), "avif": (3, 2.1), "jpeg": (0, 1.4), "png": (6, 1.3)}
"""An effort of each format, and by how much each further step multiplies the time."""
SECONDS_A_SOURCE_PIXEL = 2.5e-9
"""Of decoding a photo and making it smaller: 30 ms for 12 megapixels."""
HD = 1280 * 720
SECONDS_A_SECOND = {"h264": 0.33, "hevc": 1.3, "av1": 0.7}
"""Of encoding a second of 720p at the default presets; one core."""
DECODING = 0.07
"""Seconds a second of 720p."""
SECONDS_A_STILL = 0.3
"""Of a poster, or of a picture of a preview: a seek and a few frames."""
SOUND = 0.015
"""Seconds a second of sound."""

_TRACK = re.compile(r"-\d+(-[a-z0-9]{1,8})?\.")
_TABLE_OF_ROLE = {
    "variant": "image", "rendition": "video", "stream": "hls", "sound": "hls", "playlist": "hls", "master": "hls",
}  # fmt: skip
"""Those that are not called like their table."""
_TABLE_OF = {output: table for table, output in OUTPUTS.items()}


class Change(msgspec.Struct):
    """What becomes of one output's artefacts, over all sources."""

    output: str
    """Table and file: "image w640.webp"."""
    change: str
    """"new", "changed" or "removed"."""
    artefacts: int = 0
    sources: int = 0
    seconds: float = 0.0
    """Of one core; 0 of what is removed."""
    bytes: float = 0.0
    """Of what is removed: those that asset.json does not name any more."""


class Effect:
    """Adds up what a recipe means for sources that were done before."""

    def __init__(self, versions: Versions, measured: Measured) -> None:
        self._versions = versions
        self._measured = measured
        self._changes: dict[tuple[str, str], Change] = {}
        self._labels: dict[AnyOutput, str] = {}
        self.sources = 0
        self.kept = 0
        """Artefacts that stay as they are."""
        self.seconds = 0.0
        self.bytes = 0.0

    @property
    def changes(self) -> list[Change]:
        """New ones first, then changed and removed ones."""
        order = ("new", "changed", "removed")
        return sorted(self._changes.values(), key=lambda each: order.index(each.change))

    def take(self, recipe: Recipe, outcome: Outcome) -> bool:
        """One source with the artefacts that it has; False: the recipe makes nothing of it."""
        kind, info, digest, had = outcome.kind, outcome.info, outcome.digest, outcome.had
        self.sources += 1
        keys = {each.key for each in had}
        names = {each.name for each in had}
        same = {(each.name, each.key) for each in had}
        missing: list[tuple[str, Target]] = []
        linked: list[tuple[str, str]] = []
        every: list[Target] = []
        for output, made in by_output(recipe, kind, info, digest, self._versions):
            every += made
            for target in made:
                names.discard(target.name)
                if (target.name, target.key) in same:
                    self.kept += 1
                elif target.key in keys:  # a link, under another name
                    linked.append((self._label(output), target.name))
                else:
                    missing.append((self._label(output), target))
        if missing:
            self._make(missing, every, kind, info, had)
        for label, name in linked:
            self._add(label, "changed" if any(each.name == name for each in had) else "new", True, 0.0, 0.0)
        if names:
            label = ""
            for each in had:
                if each.name in names:
                    last, label = label, removed_label(each, had)
                    self._add(label, "removed", label != last, 0.0, each.bytes)
        return bool(every)

    def _make(
        self,
        missing: list[tuple[str, Target]],
        every: list[Target],
        kind: Kind,
        info: MediaInfo,
        had: Sequence[PriorArtefact],
    ) -> None:
        kind = effective_kind(kind, info)
        fixed = fixed_seconds(kind, info)
        whole = fixed + sum(_costs(every, info))
        costs = _costs([target for _, target in missing], info)
        measured = self._measured(kind, info.format, work_of(kind, info))
        factor = 1.0 if measured is None else measured / whole
        share = fixed / len(missing)
        there = {each.name for each in had}
        codecs = {target.key: str(target.params["codec"]) for target in every if target.role in ("rendition", "stream")}
        seen: set[tuple[str, str]] = set()
        for (label, target), cost in zip(missing, costs, strict=True):
            change = "changed" if target.name in there else "new"
            seconds = (cost + share) * factor
            size = bytes_of(target.operation, target.params, info, had, target.name, codecs)
            self._add(label, change, (label, change) not in seen, seconds, size)
            seen.add((label, change))
            self.seconds += seconds
            self.bytes += size

    def _add(self, label: str, change: str, another: bool, seconds: float, size: float) -> None:
        found = self._changes.get((label, change))
        if found is None:
            found = self._changes[(label, change)] = Change(label, change)
        found.artefacts += 1
        found.sources += another
        found.seconds += seconds
        found.bytes += size

    def _label(self, output: AnyOutput) -> str:
        found = self._labels.get(output)
        if found is None:
            found = self._labels[output] = label(output)
        return found


def label(output: AnyOutput) -> str:
    """Table and file of an output, as people know it: "image w640.webp"."""
    return f"{_TABLE_OF[type(output)]} {output.file_name}"


def removed_label(had: PriorArtefact, every: Sequence[PriorArtefact]) -> str:
    """The same of an artefact whose output is not in the recipe any more."""
    table = _TABLE_OF_ROLE.get(had.role, had.role)
    if had.role in ("stream", "sound", "playlist", "subtitles"):
        for each in every:
            if each.role == "master" and had.name.startswith(each.name.removesuffix("m3u8")[:-1] + "-"):
                return f"hls {each.name}"
    if had.role == "storyboard-map":
        stem = had.name.removesuffix("vtt")
        return next(
            (f"storyboard {each.name}" for each in every if each.role == "storyboard" and each.name.startswith(stem)),
            had.name,
        )
    return f"{table} {_TRACK.sub('.', had.name) if had.role == 'subtitles' else had.name}"


def fixed_seconds(kind: Kind, info: MediaInfo) -> float:
    """Of one core, for reading a source, whatever is made of it."""
    pixels = (info.width or 1) * (info.height or 1)
    if kind is Kind.IMAGE:
        return 0.005 + SECONDS_A_SOURCE_PIXEL * pixels * max(1, info.frames)
    return 0.1


def _costs(targets: Sequence[Target], info: MediaInfo) -> list[float]:
    """Seconds of one core for each; what several artefacts share is counted once."""
    shared: set[tuple[object, ...]] = set()
    found = []
    for target in targets:
        cost = seconds_of(target.operation, target.params, info)
        if target.operation in ("video", "stream"):
            mark = tuple(target.params.get(key) for key in ("codec", "width", "height", "crf", "vmaf", "preset", "hdr"))
            if not shared:
                cost += DECODING * (info.duration or 0.0) * (info.width or 0) * (info.height or 0) / HD
            if mark in shared:
                cost = 0.1
            shared.add(mark)
        found.append(cost)
    return found


def seconds_of(operation: str, params: Params, info: MediaInfo) -> float:
    """Of one core, for one artefact once its source is decoded."""
    duration = info.duration or 0.0
    pixels = int(params.get("width", 0)) * int(params.get("height", 0))
    match operation:
        case "image":
            kind = str(params["format"])
            usual, step = EFFORTS[kind]
            times = math.pow(step, int(params["effort"]) - usual) * (4 if params["quality"] == "auto" else 1)
            return SECONDS_A_PIXEL[kind] * pixels * times * (info.frames if params["animated"] else 1)
        case "animation":
            return 0.2 + pixels * info.frames / HD / 30 * SECONDS_A_SECOND["h264"]
        case "video" | "stream":
            samples = 1.5 if "vmaf" in params else 1.0
            return SECONDS_A_SECOND[str(params["codec"])] * duration * pixels / HD * samples
        case "poster":
            return 4 * SECONDS_A_STILL
        case "storyboard":
            return 0.05 * int(params["count"])
        case "preview":
            return SECONDS_A_STILL * float(params["seconds"])
        case "sound" | "waveform":
            return SOUND * duration
        case "audio":
            return SOUND * duration * (2 if "loudness" in params else 1)
    return 0.005


def bytes_of(
    operation: str,
    params: Params,
    info: MediaInfo,
    had: Sequence[PriorArtefact],
    name: str = "",
    codecs: Mapping[str, str] = MappingProxyType({}),
) -> float:
    """Of one artefact: from the picture or film that the source has and that is nearest in pixels, if there is one.

    ``name`` is its file's: a film of that name is the same output, and taken to be of the same codec. ``codecs`` are
    those of other films, by key.
    """
    duration = info.duration or 0.0
    pixels = int(params.get("width", 0)) * int(params.get("height", 0))
    match operation:
        case "image" | "poster":
            role = "variant" if operation == "image" else "poster"
            here = BYTES_A_PIXEL[str(params["format"])]
            if near := _nearest(had, role, pixels):
                there = BYTES_A_PIXEL.get(_format(near.name), here)
                return near.bytes * here / there * math.pow(pixels / _pixels(near), PICTURE_GROWTH)
            size = here * TWO_MEGAPIXELS * math.pow(pixels / TWO_MEGAPIXELS, PICTURE_GROWTH)
            return size * (info.frames * 0.3 if params["animated"] and info.frames > 1 else 1)
        case "video" | "stream":
            sound = 125.0 * float(params.get("audio_bitrate", 0)) * duration if params.get("sound") else 0.0
            own = [each for each in had if each.name == name]
            near = _nearest(own or had, "rendition", pixels) or _nearest(own or had, "stream", pixels)
            if near is None:
                return 125.0 * float(params["maxrate"]) * FILM_SHARE * duration + sound
            codec = str(params["codec"])
            before = codec if own else codecs.get(near.key, _UNKNOWN)
            growth = math.pow(pixels / _pixels(near), FILM_GROWTH)
            return near.bytes * BYTES_A_CODEC[codec] / BYTES_A_CODEC[before] * growth
        case "animation":
            return 0.01 * pixels * info.frames
        case "storyboard":
            return 0.12 * pixels * int(params["count"])
        case "preview":
            return 0.03 * pixels * float(params["seconds"]) * int(params["fps"])
        case "sound" | "audio":
            return 125.0 * float(params["bitrate"]) * duration
        case "waveform":
            return 8.0 * int(params["points"])
    return 2_000.0


def differences(old: Recipe, new: Recipe) -> Iterator[str]:
    """How one recipe differs from another, a line each: what is made, then what else it says."""
    for table in OUTPUTS:
        before = {each.file_name: each for each in getattr(old, table)}
        after = {each.file_name: each for each in getattr(new, table)}
        for name in [*before, *(name for name in after if name not in before)]:
            if name not in after:
                yield f"removed  {table} {name}"
            elif name not in before:
                said = ", ".join(f"{key} {_said(value)}" for key, value in _given(after[name]).items())
                yield f"new      {table} {name}" + (f": {said}" if said else "")
            elif said := _changes(before[name], after[name]):
                yield f"changed  {table} {name}: {said}"
    for table in ("cutting", "limits", "run"):
        if said := _changes(getattr(old, table), getattr(new, table)):
            yield f"changed  {table}: {said}"
    for key in ("placeholder", "metadata"):
        if (was := getattr(old, key)) != (now := getattr(new, key)):
            yield f"changed  {key}: {_said(was)} -> {_said(now)}"


def _given(output: msgspec.Struct) -> dict[str, Any]:
    return {
        field.name: getattr(output, field.name)
        for field in msgspec.structs.fields(output)
        if field.name not in ("name", "format") and getattr(output, field.name) != field.default
    }


def _changes(old: msgspec.Struct, new: msgspec.Struct) -> str:
    pairs = [(each.name, getattr(old, each.name), getattr(new, each.name)) for each in msgspec.structs.fields(old)]
    return ", ".join(f"{key} {_said(was)} -> {_said(now)}" for key, was, now in pairs if was != now)


def _said(value: Any) -> str:
    if value is None or value == "":
        return "not given"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_said, value)) + "]"
    if isinstance(value, msgspec.Struct):
        return ", ".join(f"{key} {_said(each)}" for key, each in msgspec.structs.asdict(value).items())
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _nearest(had: Sequence[PriorArtefact], role: str, pixels: int) -> PriorArtefact | None:
    alike = [each for each in had if each.role == role and each.width and each.height]
    return min(alike, key=lambda each: abs(_pixels(each) - pixels), default=None)


def _pixels(had: PriorArtefact) -> int:
    return (had.width or 1) * (had.height or 1)


def _format(name: str) -> str:
    end = name.rpartition(".")[2]
    return "jpeg" if end == "jpg" else end
