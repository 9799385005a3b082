"""The part of all sources that one machine of several takes: decided by each path alone, or by the work of all.

Every machine looks at all sources, and each of them is taken by exactly one, without any of them knowing another.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from mediactl.core.errors import UsageError
from mediactl.model.formats import EXTENSIONS
from mediactl.model.shard import Shard, ShardBy
from mediactl.planning.cost import SECONDS_A_BYTE
from mediactl.sources.scan import Batch, Entry, Found

AUTO = "auto"
_EACH = 0.02
"""Seconds of one core for a source, however small: probe, journal, asset.json."""


class _Array(NamedTuple):
    """The environment variables that number the tasks of an array job."""

    task: str
    of: str
    first: str
    """Number of the first task: a number, or the variable that has it."""
    step: str = ""
    """Variable with the distance of two numbers; "": 1."""


_ARRAYS = (
    _Array("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", "0"),
    _Array("CI_NODE_INDEX", "CI_NODE_TOTAL", "1"),
    _Array("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", "0"),
    _Array("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", "0"),
    _Array("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"),
    _Array("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "0"),
)
"""AWS Batch, GitLab CI, CircleCI, Buildkite, Slurm, indexed Jobs of Kubernetes. The last sets no total itself."""


def parse(text: str, environment: Mapping[str, str], by: ShardBy = "path") -> Shard:
    """Return the shard that a "3/10", "auto" or "auto/10" names. Raises UsageError."""
    number, _, total = text.partition("/")
    if number == AUTO:
        return _of_array(total, environment, by)
    if number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total):
        return Shard(int(number), int(total), by)
    raise UsageError(f"--shard {text}: expected N/M, N from 1 to M, such as 3/10; auto, or auto/M")


def _of_array(total: str, environment: Mapping[str, str], by: ShardBy) -> Shard:
    for array in _ARRAYS:
        if array.task not in environment:
            continue
        try:
            first = int(environment.get(array.first, "0") if array.first.isupper() else array.first)
            step = int(environment.get(array.step, "1"))
            of = int(total or environment[array.of])
            number = (int(environment[array.task]) - first) // step + 1
        except KeyError:
            raise UsageError(f"--shard auto: {array.task} is set and {array.of} is not: use --shard auto/M") from None
        except (ValueError, ZeroDivisionError):
            names = [name for name in (array.task, array.of, array.first, array.step) if name in environment]
            values = ", ".join(f"{name}={environment[name]}" for name in names)
            raise UsageError(f"--shard auto: {values}: not whole numbers; use --shard N/M") from None
        if not 1 <= number <= of:
            raise UsageError(f"--shard auto: {array.task}={environment[array.task]} is none of {of}; use --shard N/M")
        return Shard(number, of, by)
    known = ", ".join(array.task for array in _ARRAYS)
    raise UsageError(f"--shard auto: none of {known} is set; use --shard N/M")


def only(found: Iterable[Found], shard: Shard) -> Iterator[Found]:
    """Yield what a shard has of everything that was found. Troubles and what is left out are reported by each shard;
    a batch of which it has nothing is empty."""
    if shard.by == "work":
        all_found = list(found)
        mine = _balanced(all_found, shard)
        yield from (_with(each, mine.__contains__) for each in all_found)
    else:
        yield from (_with(each, lambda path: _of_path(path, shard.of) == shard.number) for each in found)


def _with(found: Found, takes: Callable[[bytes], bool]) -> Found:
    if not isinstance(found, Batch):
        return found
    return msgspec.structs.replace(found, files=[file for file in found.files if takes(found.output_of(file))])


def _of_path(path: bytes, of: int) -> int:
    """Return the shard of a path, the one relative to its SOURCE, which is the same on every machine."""
    return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest()) % of + 1


def _balanced(found: Iterable[Found], shard: Shard) -> set[bytes]:
    """Return the paths of a shard, when each source, the largest first, is taken by the shard with least work so far
    (a third more than the best possible at the worst: Graham 1969)."""
    work = [(-_seconds(file), batch.output_of(file)) for batch in found if isinstance(batch, Batch)
            for file in batch.files]  # fmt: skip
    shards = [(0.0, number) for number in range(1, shard.of + 1)]
    mine: set[bytes] = set()
    for negative, path in sorted(work):
        seconds, number = shards[0]
        heapq.heapreplace(shards, (seconds - negative, number))
        if number == shard.number:
            mine.add(path)
    return mine


def _seconds(file: Entry) -> float:
    """Return about how many seconds of one core a source takes, by its name and bytes alone: what one machine has
    measured, the others do not know."""
    extension = os.path.splitext(file.name)[1][1:].decode("ascii", "replace").lower()
    kind = EXTENSIONS.get(extension)
    return _EACH + (file.size * SECONDS_A_BYTE[kind.value] if kind is not None else 0.0)
