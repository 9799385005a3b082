"""Sources x Recipe -> what is missing. Pure: the same values in, the same keys out, on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from mediactl.model import (
    Kind,
    Limits,
    MakeTask,
    MediaInfo,
    NewJob,
    OutputFile,
    Priority,
    ProbeTask,
    Source,
    Target,
)
from mediactl.recipe import DEFAULT_EFFORT, DEFAULT_QUALITY, AudioOutput, ImageOutput, PosterOutput, Recipe, VideoOutput

Versions = Mapping[str, str]
"""Encoder ("image", "ffmpeg") -> series, as ``media.versions`` tells it."""

OPERATION_VERSIONS = {"image": 1, "poster": 1, "video": 1, "audio": 1}
"""Raised when an operation of ours makes other bytes from the same parameters."""
ENCODERS = {"image": ("image",), "poster": ("ffmpeg", "image"), "video": ("ffmpeg",), "audio": ("ffmpeg",)}
OPERATIONS = {Kind.IMAGE: ("image",), Kind.VIDEO: ("video", "poster", "audio"), Kind.AUDIO: ("audio",)}
"""What may be done to a source of each kind; a film container may turn out to be a recording."""
MAX_SIDE = {"webp": 16_383, "jpeg": 65_535, "png": 1_000_000, "avif": 65_535}
"""Longest side in pixels that each format can hold."""
DEFAULT_AUDIO_BITRATE = {"m4a": 128, "opus": 96}
"""kbit/s for two channels; Opus at 96 is judged as good as AAC at 128 in public listening tests."""

STALL_LIMIT = 180.0
"""Seconds that a film may be worked on without its media time advancing; seen at most 20 s on two loaded cores."""
PROBE_LIMIT = 60.0
"""Seconds, before its bytes are counted."""
SLOWEST_DISK = 5e6
"""Bytes per second that reading a source is granted at the least."""


def targets(recipe: Recipe, kind: Kind, info: MediaInfo, digest: str, versions: Versions) -> tuple[Target, ...]:
    """Every artefact of a source, in the order of the recipe, with resolved parameters and keys."""
    made: list[Target] = []
    for output in recipe.outputs(effective_kind(kind, info)):
        if isinstance(output, ImageOutput):  # posters are image outputs of a video
            params = _picture(output, info)
            operation = "poster" if isinstance(output, PosterOutput) else "image"
            role = "poster" if isinstance(output, PosterOutput) else "variant"
        elif isinstance(output, VideoOutput):
            params, operation, role = _rendition(output, info), "video", "rendition"
        else:
            params, operation, role = _sound(output, info), "audio", "audio"
        made.append(Target(output.file_name, role, operation, params, key(digest, operation, params, versions)))
    return tuple(made)


def effective_kind(kind: Kind, info: MediaInfo) -> Kind:
    """A film container without a moving picture is a recording."""
    return Kind.AUDIO if kind is Kind.VIDEO and info.video is None else kind


def key(digest: str, operation: str, params: Mapping[str, int | float | str | bool], versions: Versions) -> str:
    """An artefact's identity: what went in, what was done, by which code. 32 hex digits."""
    return _digest(
        digest, operation, sorted(params.items()), OPERATION_VERSIONS[operation],
        [versions[encoder] for encoder in ENCODERS[operation]],
    )  # fmt: skip


def plan_digest(recipe: Recipe, kind: Kind, versions: Versions) -> str:
    """All that decides the targets of a kind but the source: while it stays, what is done stays done.

    Two digests, "recipe:encoders", so that a difference can be explained.
    """
    outputs = [recipe.outputs(each) for each in ((Kind.VIDEO, Kind.AUDIO) if kind is Kind.VIDEO else (kind,))]
    operations = sorted(OPERATIONS[kind])
    encoders = {name for operation in operations for name in ENCODERS[operation]} & set(versions)
    return ":".join(
        (
            _digest(recipe.name, outputs, recipe.limits, recipe.placeholder)[:16],
            _digest(
                [(each, OPERATION_VERSIONS[each]) for each in operations],
                [(name, versions[name]) for name in sorted(encoders)],
            )[:16],
        )
    )


def probe_job(source: Source, row: int, limits: Limits, cache: bytes | None, priority: Priority) -> NewJob:
    """The job that reads a source for the first time, or again."""
    size = source.fingerprint.size
    return NewJob(
        key=_digest("probe", source.root, source.path, source.place, source.fingerprint, limits),
        kind="probe",
        payload=msgspec.json.encode(ProbeTask(source, limits, cache)),
        source=row,
        format=source.format,
        size=size,
        priority=priority,
        time_limit=PROBE_LIMIT + size / SLOWEST_DISK,
    )


def make_job(
    source: Source,
    row: int,
    digest: str,
    info: MediaInfo,
    recipe: Recipe,
    wanted: tuple[Target, ...],
    keep: tuple[OutputFile, ...],
    placeholder: str,
    out: bytes,
    threads: int,
    priority: Priority,
) -> NewJob:
    """The job that makes what is missing of an asset, checks what is there, and writes asset.json."""
    kind = effective_kind(source.kind, info)
    keys = {target.key for target in wanted}
    task = MakeTask(
        source=msgspec.structs.replace(source, kind=kind),
        digest=digest,
        info=info,
        targets=wanted,
        keep=tuple(file for file in keep if file.artefact.key in keys),
        out=out,
        recipe=recipe.name,
        limits=recipe.limits,
        placeholder=placeholder if recipe.placeholder == "thumbhash" else "none",
        threads=threads,
    )
    work = work_of(kind, info)
    return NewJob(
        key=_digest("make", source.place, digest, [(target.name, target.key) for target in wanted], source.fingerprint),
        kind=kind.value,
        payload=msgspec.json.encode(task),
        cores=threads if kind is Kind.VIDEO else 1,
        memory_limit=memory_limit(kind, info) if recipe.run.memory_mib is None else recipe.run.memory_mib << 20,
        memory=memory_of(kind, info),
        stall_limit=(recipe.run.stall_seconds or STALL_LIMIT) if kind is Kind.VIDEO else None,
        source=row,
        content=digest,
        format=info.format,
        size=work,
        priority=priority,
        time_limit=recipe.run.seconds or make_limit(kind, info),
    )


def work_of(kind: Kind, info: MediaInfo) -> int:
    """Amount of work: pixels of an image, milliseconds of sound, milliseconds of film weighed by its pixels."""
    pixels = (info.width or 1) * (info.height or 1)
    if kind is Kind.IMAGE:
        return pixels * max(1, info.frames)
    milliseconds = int((info.duration or 0.0) * 1000)
    return milliseconds if kind is Kind.AUDIO else int(milliseconds * max(0.25, pixels / (1280 * 720)))


def make_limit(kind: Kind, info: MediaInfo) -> float:
    """Seconds that a make job gets before anything was measured: a tenth of the slowest speed seen in practice."""
    work = work_of(kind, info)
    if kind is Kind.IMAGE:
        return 60.0 + work / 250_000
    return 120.0 + work / 1000 * (20.0 if kind is Kind.VIDEO else 2.0)


def memory_limit(kind: Kind, info: MediaInfo) -> int:
    """Bytes that a make job may take: several times what jobs like it take, for it is there to stop runaways.

    Measured: 90 MB for a photo of 12 MP, 1,000 frames of animation 44 MB more, a 4K film 700 MB with its ffmpeg.
    """
    pixels = (info.width or 1) * (info.height or 1)
    return (1 << 30) + pixels * (16 if kind is Kind.IMAGE else 256)


def memory_of(kind: Kind, info: MediaInfo) -> int:
    """Bytes that a make job is expected to take with its worker: what was measured, plus a quarter.

    60 MB for a worker, 2.5 bytes a pixel of a photo (it is shrunk while it is decoded), 80 a pixel of a film.
    """
    pixels = (info.width or 1) * (info.height or 1)
    return (80 << 20) + pixels * (3 if kind is Kind.IMAGE else 100)


def fit(width: int, height: int, box_width: int | None, box_height: int | None, longest: int) -> tuple[int, int]:
    """Width and height scaled to fit a box, in whole pixels, never enlarged, no side over ``longest``."""
    scale = min(
        1.0,
        (box_width or width) / width,
        (box_height or height) / height,
        longest / max(width, height),
    )
    return max(1, round(width * scale)), max(1, round(height * scale))


def _picture(output: ImageOutput, info: MediaInfo) -> dict[str, int | float | str | bool]:
    width, height = fit(info.width or 1, info.height or 1, output.width, output.height, MAX_SIDE[output.format])
    animated = output.format == "webp" and info.frames > 1 and info.video is None
    return {
        "format": output.format,
        "width": width,
        "height": height,
        "quality": DEFAULT_QUALITY[output.format] if output.quality is None else output.quality,
        "effort": DEFAULT_EFFORT[output.format] if output.effort is None else output.effort,
        "animated": animated,
    }


def _rendition(output: VideoOutput, info: MediaInfo) -> dict[str, int | float | str | bool]:
    width, height = info.width or 2, info.height or 2
    scale = min(1.0, output.height / min(width, height))
    return {
        "codec": output.codec,
        "width": _even(width * scale),
        "height": _even(height * scale),
        "crf": output.crf,
        "preset": output.preset,
        "audio_bitrate": output.audio_bitrate,
        "audio": bool(info.audio),
    }


def _sound(output: AudioOutput, info: MediaInfo) -> dict[str, int | float | str | bool]:
    channels = min(2, info.audio[0].channels) if info.audio else 2
    full = DEFAULT_AUDIO_BITRATE[output.format] if output.bitrate is None else output.bitrate
    return {"format": output.format, "bitrate": full if channels == 2 else max(8, full * 5 // 8), "channels": channels}


def _even(side: float) -> int:
    # 4:2:0 halves both sides.
    return max(2, round(side / 2) * 2)


def _digest(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
