"""What ``stats`` prints, and reports of runs: how long attempts ran and their jobs were pending, and what they took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from mediactl.core.files import shown
from mediactl.jobs.report import Cost, Report, Window
from mediactl.ui.lines import duration, size

By = Literal["operation", "format", "lane", "version"]
GROUPS: tuple[By, ...] = ("operation", "format", "lane", "version")
COSTLIEST = 10
"""Attempts that are listed as the slowest, and as those with most memory."""


class Figures(msgspec.Struct, frozen=True):
    """Seconds that so many in a hundred do not exceed."""

    p50: float
    p90: float
    p99: float
    max: float


class Row(msgspec.Struct, frozen=True):
    """The attempts of one group."""

    group: str
    """Operation, format, lane or version; "" where it has none."""
    attempts: int
    failed: int
    """Those that did not end done."""
    cpu: float
    """Seconds, all together."""
    memory: int
    """Bytes, of the largest."""
    run: Figures
    wait: Figures | None
    """From being enqueued to the first attempt; None: all were attempted before."""


class Stats(msgspec.Struct, frozen=True):
    """The attempts of a window."""

    by: By
    rows: tuple[Row, ...]
    slowest: tuple[Cost, ...]
    largest: tuple[Cost, ...]


SORTS = (
    "group", "attempts", "failed", "cpu", "memory",
    *(f"{what}-{figure}" for what in ("run", "wait") for figure in Figures.__struct_fields__),
)  # fmt: skip


def of(report: Report, by: By, window: Window, *, sort: str = "cpu") -> Stats:
    """Return the figures of a window, by ``sort``: the largest first, or groups by name."""
    run: dict[str, list[float]] = {}
    wait: dict[str, list[float]] = {}
    for group, ran, waited in report.measured(by, window):
        run.setdefault(group, []).append(ran)
        if waited is not None:
            wait.setdefault(group, []).append(waited)
    rows = [
        Row(group, *numbers, figures(run[group]), figures(wait[group]) if group in wait else None)
        for group, numbers in report.spent(by, window).items()
    ]
    return Stats(
        by,
        tuple(sorted(rows, key=lambda row: (*_rank(row, sort), row.group))),
        tuple(report.costliest("wall", window, COSTLIEST)),
        tuple(report.costliest("peak_memory", window, COSTLIEST)),
    )


def figures(seconds: list[float]) -> Figures:
    """Return the percentiles of at least one number, which are some of these numbers (nearest rank)."""
    ordered = sorted(seconds)
    p50, p90, p99 = (ordered[max(0, math.ceil(len(ordered) * part / 100) - 1)] for part in (50, 90, 99))
    return Figures(p50, p90, p99, ordered[-1])


def _rank(row: Row, sort: str) -> tuple[float, ...]:
    if sort == "group":
        return ()
    what, _, figure = sort.partition("-")
    value = getattr(row, what)
    return (-(value if not figure else getattr(value, figure) if value is not None else -1.0),)


def lines(found: Stats) -> Iterator[str]:
    """Yield the figures as a table, then the slowest attempts and those with most memory."""
    if not found.rows:
        yield "no attempts"
        return
    width = max(len(found.by), *(len(shown(row.group)) for row in found.rows))
    heads = [f"{what} {figure}" for what in ("run", "wait") for figure in Figures.__struct_fields__]
    yield f"{found.by:<{width}} {'attempts':>9} {'failed':>7} {'cpu':>11} {'memory':>8} " + " ".join(
        f"{head:>11}" for head in heads
    )
    for row in found.rows:
        times = [*_figures(row.run), *_figures(row.wait)]
        yield (
            f"{shown(row.group) or '-':<{width}} {row.attempts:>9,} {row.failed:>7,} {duration(row.cpu):>11}"
            f" {size(row.memory):>8} " + " ".join(f"{time:>11}" for time in times)
        )
    yield ""
    yield "slowest"
    for cost in found.slowest:
        yield f"{duration(cost.wall):>11}  {_named(cost)}"
    yield ""
    yield "largest memory"
    for cost in found.largest:
        yield f"{size(cost.peak_memory):>11}  {_named(cost)}"


def as_json(found: Stats) -> dict[str, object]:
    """Return the same as JSON; seconds and bytes."""
    return {
        "by": found.by,
        "groups": [msgspec.to_builtins(row) for row in found.rows],
        "slowest": _costs(found.slowest),
        "largest_memory": _costs(found.largest),
    }


def _figures(found: Figures | None) -> Sequence[str]:
    if found is None:
        return ["-"] * len(Figures.__struct_fields__)
    return [duration(each) for each in msgspec.structs.astuple(found)]


def _named(cost: Cost) -> str:
    outcome = "" if cost.outcome == "done" else f": {cost.outcome}"
    return f"{cost.kind} job {cost.key[:12]}, attempt {cost.attempt}: {shown(cost.path or b'-')}{outcome}"


def _costs(costs: Sequence[Cost]) -> list[dict[str, object]]:
    return [{**msgspec.structs.asdict(cost), "path": None if cost.path is None else shown(cost.path)} for cost in costs]
