"""What a report says: a value that the page is made of, and that reports of several runs (shards) are merged from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

import msgspec

from mediactl.admin.stats import Figures, figures
from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.jobs.report import Report, Window
from mediactl.jobs.runs import RunRow
from mediactl.model.media import Kind

SCHEMA = 1
"""Of blobs."""
PAIRS = 200
"""Pairs that a report shows."""
PROBLEMS = 5_000
"""Problems that a report lists."""
DIGITS = 3
"""Significant digits of durations: reports of millions of attempts stay small, percentiles true to 0.5 %."""


class Run(msgspec.Struct, frozen=True):
    """A run, or a shard of one."""

    id: str
    command: str
    version: str
    started_at: float
    ended_at: float | None
    exit_code: int | None
    done: int
    rejected: int
    quarantined: int
    unfinished: int

    @property
    def seconds(self) -> float:
        """Duration; 0 while it is unknown."""
        return 0.0 if self.ended_at is None else max(0.0, self.ended_at - self.started_at)


class Problem(msgspec.Struct, frozen=True):
    """A source that was given up."""

    path: str
    kind: str
    state: str
    """rejected or quarantined."""
    reason: str


class Pair(msgspec.Struct, frozen=True):
    """A source and an artefact of it, side by side."""

    path: str
    name: str
    """File name of the artefact."""
    similarity: float
    """SSIM at the size of the artefact."""
    bytes_before: int
    bytes_after: int
    width: int
    height: int
    """Of the previews, in pixels."""
    before: bytes
    after: bytes
    """WebP files."""
    warnings: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True):
    """The attempts at one operation."""

    attempts: int
    failed: int
    cpu: float
    """Seconds, all together."""
    memory: int
    """Bytes, of the largest."""
    seconds: dict[float, int]
    """Duration, rounded -> number of attempts that took it."""

    @property
    def figures(self) -> Figures:
        """Percentiles of the durations."""
        return figures(list(chain.from_iterable([each] * number for each, number in self.seconds.items())))


class Before(msgspec.Struct, frozen=True):
    """The run before, as far as it is compared."""

    run: Run
    operations: dict[str, Operation]
    new: tuple[str, ...] = ()
    """Paths of sources that were given up by this run and not by the one before."""
    repaired: tuple[str, ...] = ()
    """Paths of sources that failed in the run before and were completed by this one."""


class Data(msgspec.Struct, frozen=True):
    """A report."""

    schema: int
    runs: tuple[Run, ...]
    sources: int
    """Sources that were completed."""
    artefacts: int
    """Files that these have."""
    bytes_in: int
    bytes_out: int
    problems: tuple[Problem, ...]
    operations: dict[str, Operation]
    pairs: tuple[Pair, ...]
    before: tuple[Before, ...] = ()
    omitted: int = 0
    """Problems beyond those that are listed."""
    images: int = 0
    """Sources that a pair could have been made of."""


def find(report: Report, wanted: str | None) -> RunRow:
    """Return the run whose id begins as ``wanted``, or the last one. Raises UsageError."""
    if wanted is None:
        found = next(report.runs(1), None)
        if found is None:
            raise UsageError("no run in the journal; process something first")
        return found
    if (run := report.run(wanted)) is None:
        raise UsageError(f"run {shown(wanted)}: no such run, or several begin so; `mediactl runs --json` lists them")
    return run


def collect(report: Report, row: RunRow, pairs: Iterable[Pair]) -> Data:
    """Return what the journal says of a run; ``pairs`` are made of what it completed."""
    problems = list(_problems(report, row.id))
    sources = artefacts = bytes_in = bytes_out = images = 0
    for each in report.completed_by(row.id):
        sources += 1
        artefacts += len(each.made)
        images += each.source.kind is Kind.IMAGE
        bytes_in += each.source.fingerprint.size
        bytes_out += sum(made.bytes for made in each.made)
    return Data(
        schema=SCHEMA,
        runs=(_run(row),),
        sources=sources,
        artefacts=artefacts,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        problems=tuple(problems[:PROBLEMS]),
        operations=_operations(report, row.id),
        pairs=ordered(pairs),
        before=tuple(_before(report, row, problems)),
        omitted=max(0, len(problems) - PROBLEMS),
        images=images,
    )


def merged(reports: Iterable[Data]) -> Data:
    """Return the report of several shards."""
    found = list(reports)
    problems = sorted((each for data in found for each in data.problems), key=lambda each: each.path)
    operations: dict[str, Operation] = {}
    for name, operation in (item for data in found for item in data.operations.items()):
        operations[name] = _added(operations[name], operation) if name in operations else operation
    return Data(
        schema=SCHEMA,
        runs=tuple(sorted((run for data in found for run in data.runs), key=lambda run: run.started_at)),
        sources=sum(data.sources for data in found),
        artefacts=sum(data.artefacts for data in found),
        bytes_in=sum(data.bytes_in for data in found),
        bytes_out=sum(data.bytes_out for data in found),
        problems=tuple(problems[:PROBLEMS]),
        operations=operations,
        pairs=ordered(pair for data in found for pair in data.pairs),
        before=tuple(each for data in found for each in data.before),
        omitted=sum(data.omitted for data in found) + max(0, len(problems) - PROBLEMS),
        images=sum(data.images for data in found),
    )


def ordered(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return the pairs that a report shows: those that grew or have warnings first, then the least similar."""
    return tuple(sorted(pairs, key=lambda each: (*_concern(each), each.path))[:PAIRS])


def encode(data: Data) -> bytes:
    """Return a report as a blob."""
    return msgspec.msgpack.encode(data)


def decode(blob: bytes, name: str) -> Data:
    """Return the report of a blob. Raises UsageError naming it."""
    try:
        data = msgspec.msgpack.decode(blob, type=Data)
    except msgspec.DecodeError as error:
        raise UsageError(f"{shown(name)}: not a report blob: {error}") from None
    if data.schema != SCHEMA:
        raise UsageError(f"{shown(name)}: report blob of schema {data.schema}, this mediactl supports {SCHEMA}")
    return data


Concern = tuple[Literal[0, 1], float]


def _concern(pair: Pair) -> Concern:
    return (0 if pair.bytes_after > pair.bytes_before or pair.warnings else 1), pair.similarity


def _run(row: RunRow) -> Run:
    return Run(
        row.id, row.command, row.version, row.started_at, row.ended_at, row.exit_code, row.done or 0, row.rejected or 0,
        row.quarantined or 0, row.unfinished or 0,
    )  # fmt: skip


def _problems(report: Report, run: str) -> Iterator[Problem]:
    for path, kind, state, reason in report.problems_of(run):
        yield Problem(shown(path or b"-"), kind, state, shown(reason))


def _operations(report: Report, run: str) -> dict[str, Operation]:
    window = Window(run=run)
    seconds: dict[str, Counter[float]] = {}
    for operation, ran, _ in report.measured("operation", window):
        seconds.setdefault(operation, Counter())[float(f"{ran:.{DIGITS}g}")] += 1
    spent = report.spent("operation", window)
    return {name: Operation(*spent[name], dict(sorted(found.items()))) for name, found in sorted(seconds.items())}


def _added(one: Operation, other: Operation) -> Operation:
    return Operation(
        one.attempts + other.attempts,
        one.failed + other.failed,
        one.cpu + other.cpu,
        max(one.memory, other.memory),
        dict(sorted((Counter(one.seconds) + Counter(other.seconds)).items())),
    )


def _before(report: Report, row: RunRow, problems: list[Problem]) -> Iterator[Before]:
    """Yield the run of the same command before this one, if there is one."""
    for each in report.runs(-1):
        if each.started_at < row.started_at and each.command == row.command:
            known = {problem.path for problem in _problems(report, each.id)}
            new = [problem.path for problem in problems if problem.path not in known]
            repaired = report.repaired(each.id, row.id)
            yield Before(
                _run(each), _operations(report, each.id), tuple(new[:PAIRS]), tuple(map(shown, repaired[:PAIRS]))
            )
            return
