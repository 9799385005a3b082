"""Sources x Recipe -> what is missing. Pure: the same values in, the same keys out, on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from mediactl.assets.document import Appearance
from mediactl.model.assets import AssetWarning, Operation, OutputFile, Target, made_by
from mediactl.model.jobs import JOIN, MakeTask, NewJob, PieceTask, Priority, ProbeTask
from mediactl.model.media import Fingerprint, Kind, Limits, MediaInfo, Source
from mediactl.outputs import registry
from mediactl.outputs.base import Params
from mediactl.outputs.cutting import is_long
from mediactl.outputs.encoding import EncodedParams
from mediactl.outputs.hls import AudioTrackParams
from mediactl.outputs.video import VideoParams
from mediactl.planning.keys import Versions, effective_kind
from mediactl.recipe import budgets
from mediactl.recipe.loader import Recipe, RunLimits

STALL_LIMIT = 180.0
"""Seconds that a video may be encoded without its media time advancing; seen at most 20 s on two loaded cores."""
POSITION = "place"
"""The tag that is only read where the recipe names it."""
PROBE_LIMIT = 60.0
"""Seconds, before its bytes are counted."""
PIECE = "piece"
"""Kind of the jobs that encode the pieces of a long video."""
ALL_AUDIO = -1
"""Number of the piece that is all of the audio."""
PIECE_THREADS = 1
"""Cores of a piece: one x264 thread a rendition, for more would make other bytes in every run; pieces side by side fill
the cores better than threads in one encoder do (measured on two cores: one at a time took 1.17 times as long)."""
JOINING = 20
"""Joining, with posters and the like, is so many times less work than encoding; audio is about as little."""
STARTING = 120.0
"""Seconds that any video or audio is granted before its length counts."""
SLOWEST_DISK = 5e6
"""Bytes per second that reading a source is granted at the least."""


def plan_digest(recipe: Recipe, kind: Kind, versions: Versions) -> str:
    """All that decides the targets of a kind but the source: while it stays, what is done stays done.

    Two digests, "recipe:encoders", so that a difference can be explained.
    """
    kinds = (Kind.VIDEO, Kind.AUDIO) if kind is Kind.VIDEO else (kind,)
    outputs = [recipe.outputs(each) for each in kinds]
    operations = {each.operation(): each for each in _operations(recipe, kinds)}
    # What was not measured is read once more; a budget without similarity changes no plan.
    compared = [names] if (names := compared_of(recipe)) and Kind.IMAGE in kinds else []
    encoders = {name for operation in operations.values() for name in operation.encoders} & set(versions)
    return ":".join(
        (
            _digest(
                recipe.name, outputs, recipe.limits, recipe.placeholder, recipe.metadata, recipe.cutting, *compared
            )[:16],
            _digest(
                [(name, operations[name].version) for name in sorted(operations)],
                [(name, versions[name]) for name in sorted(encoders)],
            )[:16],
        )
    )


def compared_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the artefacts whose similarity to their source is measured."""
    return budgets.compared(recipe.budgets, recipe.by_table()) if recipe.budgets else ()


def _operations(recipe: Recipe, kinds: tuple[Kind, ...]) -> Iterator[type[Params]]:
    """Yield the operations that the plan of a source of these kinds depends on."""
    for output in (output for kind in kinds for output in registry.made_of(kind)):
        if output.in_every_plan or recipe.table(output):
            yield from output.operations


def probe_job(source: Source, row: int, limits: Limits, priority: Priority, *, position: bool = False) -> NewJob:
    """The job that reads a source for the first time, or again; with ``position``, its GPS position, too."""
    asked = [POSITION] if position else []
    size = source.fingerprint.size
    return NewJob(
        key=_digest("probe", source.root, source.path, source.directory, source.fingerprint, limits, *asked),
        kind="probe",
        payload=msgspec.json.encode(ProbeTask(source, limits, position)),
        source=row,
        format=source.format,
        size=size,
        priority=priority,
        time_limit=PROBE_LIMIT + size / SLOWEST_DISK,
    )


class Subject(msgspec.Struct, frozen=True):
    """A source that was probed, with the result."""

    source: Source
    digest: str
    info: MediaInfo
    placeholder: str = ""
    """As in ``MakeTask``; "" when it has to be made."""
    kept: tuple[OutputFile, ...] = ()
    """Artefacts believed to be there."""
    warnings: tuple[AssetWarning, ...] = ()
    """Those of the asset as it was left."""
    elsewhere: tuple[OutputFile, ...] = ()
    """As in ``MakeTask``."""


def make_task(
    subject: Subject,
    recipe: Recipe,
    targets: tuple[Target[Operation], ...],
    *,
    out: bytes,
    threads: int,
    work: bytes = b"",
) -> MakeTask:
    """Return all that a worker needs to complete an asset of these targets; see ``MakeTask``."""
    kind = effective_kind(subject.source.kind, subject.info)
    keys = {target.key for target in targets}
    thumbhash = recipe.placeholder == "thumbhash"
    return MakeTask(
        source=msgspec.structs.replace(subject.source, kind=kind),
        digest=subject.digest,
        info=permitted(subject.info, recipe),
        targets=targets,
        keep=tuple(file for file in subject.kept if file.artefact.key in keys),
        out=out,
        recipe=recipe.name,
        limits=recipe.limits,
        placeholder=Appearance.parse(subject.placeholder).known(thumbhash=thumbhash),
        thumbhash=thumbhash,
        metadata=recipe.metadata,
        threads=threads,
        work=work,
        long=kind is Kind.VIDEO and is_long(subject.info, recipe.cutting),
        warnings=tuple(each for each in subject.warnings if each.keys != ()),
        compared=compared_of(recipe) if kind is Kind.IMAGE else (),
        elsewhere=_usable(subject.elsewhere, targets, compared_of(recipe), subject.kept),
    )


def _usable(
    elsewhere: tuple[OutputFile, ...],
    targets: tuple[Target[Operation], ...],
    compared: tuple[str, ...],
    kept: tuple[OutputFile, ...],
) -> tuple[OutputFile, ...]:
    """Return those files of a bucket that need not be made: none where what is to be made reads others."""
    wanted = {(target.name, target.key) for target in targets}
    found = tuple(
        file
        for file in elsewhere
        if (file.artefact.name, file.artefact.key) in wanted
        and (file.similarity is not None or file.artefact.name not in compared)
    )
    there = {file.artefact.key for file in (*found, *kept)}
    return () if any(target.params.reads_others for target in targets if target.key not in there) else found


def make_job(task: MakeTask, row: int, run: RunLimits, plan: str, priority: Priority) -> NewJob:
    """Return the job that makes what is missing of an asset, checks what is there, and writes asset.json."""
    kind, info = task.source.kind, task.info
    names = [(target.name, target.key) for target in task.targets]
    return NewJob(
        key=_digest(
            "make", task.source.directory, task.digest, names, task.source.fingerprint, task.metadata, task.thumbhash
        ),
        kind=kind.value,
        payload=msgspec.json.encode(task),
        # Half: of the encoders of a ladder, each with one thread, the largest has more to do than all others.
        cores=max(1, task.threads // 2) if kind is Kind.VIDEO else 1,
        memory_limit=memory_limit(kind, info) if run.memory_mib is None else run.memory_mib << 20,
        memory=memory_of(kind, info),
        stall_limit=(run.stall_seconds or STALL_LIMIT) if kind is Kind.VIDEO else None,
        source=row,
        content=task.digest,
        format=info.format,
        size=work_of(kind, info),
        priority=priority,
        time_limit=run.seconds or make_limit(kind, info),
        plan=plan,
    )


def joining(job: NewJob) -> NewJob:
    """Return a make job with little left to do after its pieces. Its limits stay: what is missing it encodes itself."""
    return msgspec.structs.replace(job, special=JOIN, format="", size=max(1, job.size // JOINING))


def piece_jobs(
    make: NewJob, task: MakeTask, missing: tuple[Target[Operation], ...], threads: int
) -> tuple[NewJob, ...]:
    """Return the jobs that go before a make job, for those of its targets that are ``missing``; none for what is not
    cut.

    All of the audio first, then the pieces of the video in their order.
    """
    encoded = made_by(missing, EncodedParams, AudioTrackParams)
    frames = max((target.params.piece for target in made_by(encoded, EncodedParams)), default=0)
    has_audio = bool(made_by(encoded, AudioTrackParams)) or any(
        each.params.sound for each in made_by(encoded, VideoParams)
    )
    video = task.info.video
    if not frames or video is None or not video.frames:
        return ()
    spans = [(ALL_AUDIO, 0, 0)] if has_audio else []
    spans += [
        (number, first, min(frames, video.frames - first))
        for number, first in enumerate(range(0, video.frames, frames))
    ]
    return tuple(
        _piece_job(
            make,
            PieceTask(
                task.source, task.digest, task.info, encoded, task.limits, task.work, number, first, length, threads
            ),
            spans[-1][0] + 1,
            length / video.frames,
        )
        for number, first, length in spans
    )  # fmt: skip


def _piece_job(make: NewJob, piece: PieceTask, count: int, part: float) -> NewJob:
    """Return the job of one piece of ``count``, which is so much of the video; part 0: the audio."""
    content = _digest(PIECE, piece.digest, sorted(target.key for target in piece.targets), piece.number)
    encoding = make_limit(Kind.VIDEO, piece.info) - STARTING
    return msgspec.structs.replace(
        make,
        key=_digest(PIECE, make.key, make.plan, content),
        kind=PIECE,
        payload=msgspec.json.encode(piece),
        content=content,
        size=max(1, int(work_of(Kind.VIDEO, piece.info) * (part or 1 / JOINING))),
        cores=piece.threads if part else 1,
        time_limit=min(make.time_limit, STARTING + encoding * (part or 1.0)),
        piece=piece.number + 1,
        pieces=count if part else 0,
        cut=cut_of(piece.digest, piece.source.fingerprint),
    )


def cut_of(digest: str, mark: Fingerprint) -> str:
    """Return what the pieces of one state of a source have in common, whatever the plan."""
    return _digest(digest, mark)[:16]


def permitted(info: MediaInfo, recipe: Recipe) -> MediaInfo:
    """Return what may be kept of a probe: no GPS position unless the recipe names it."""
    if POSITION in recipe.metadata or POSITION not in info.tags:
        return info
    return msgspec.structs.replace(info, tags={name: value for name, value in info.tags.items() if name != POSITION})


def lacks_position(info: MediaInfo, recipe: Recipe) -> bool:
    """Return whether the recipe names the GPS position and it was not read: the source has to be probed again."""
    return POSITION in recipe.metadata and POSITION not in info.tags


def work_of(kind: Kind, info: MediaInfo) -> int:
    """Amount of work: pixels of an image, milliseconds of audio, milliseconds of video weighed by its pixels."""
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
    return STARTING + work / 1000 * (20.0 if kind is Kind.VIDEO else 2.0)


def memory_limit(kind: Kind, info: MediaInfo) -> int:
    """Bytes that a make job may take: several times what jobs like it take, for it is there to stop runaways.

    Measured: 90 MB for a photo of 12 MP, 1,000 frames of animation 44 MB more, a 4K video 700 MB with its ffmpeg.
    """
    pixels = (info.width or 1) * (info.height or 1)
    return (1 << 30) + pixels * (16 if kind is Kind.IMAGE else 256)


def memory_of(kind: Kind, info: MediaInfo) -> int:
    """Bytes that a make job is expected to take with its worker: what was measured, plus a quarter.

    60 MB for a worker, 2.5 bytes a pixel of a photo (it is shrunk while it is decoded), 80 a pixel of a video.
    """
    pixels = (info.width or 1) * (info.height or 1)
    return (80 << 20) + pixels * (3 if kind is Kind.IMAGE else 100)


def _digest(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
