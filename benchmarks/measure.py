"""What the benchmarks share: run a program and weigh it, take turns, print a plain table."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
MEDIACTL = [sys.executable, "-P", "-c", "from mediactl.cli import main; main()"]  # -P: as the installed script does
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class ContenderError(Exception):
    """A contender did not do its work; the message says why in one line."""


class Cost(NamedTuple):
    """What one run of a program took, all its descendants included (but peak_mib: its largest process alone).

    `stdout` is the end of what it printed.
    """

    seconds: float
    cpu: float
    peak_mib: float
    stdout: str


class Timed(Protocol):
    """Anything that took wall and CPU seconds."""

    @property
    def seconds(self) -> float: ...
    @property
    def cpu(self) -> float: ...


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None, good: Sequence[int] = (0,)) -> Cost:
    """Run a whole program and weigh it.

    The caller must have no other child: whatever the program leaves behind is waited for and counted too.
    Raises ContenderError with the end of its stderr unless it exits with one of `good`.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        words = {"PYTHONPATH": str(ROOT), **os.environ, **(env or {})}
        words.pop("PYTHONDONTWRITEBYTECODE", None)  # installed programs are compiled: start-up is half as long
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=words)
        seconds = cpu = peak = 0.0
        code = -1
        while True:
            try:
                pid, status, used = os.wait4(-1, 0)
            except ChildProcessError:
                break
            except BaseException:
                child.terminate()
                raise
            cpu += used.ru_utime + used.ru_stime
            if pid == child.pid:
                seconds = time.perf_counter() - start
                code = child.returncode = os.waitstatus_to_exitcode(status)
                peak = used.ru_maxrss / 1024
        if code not in good:
            tail = last(err).splitlines()[-1:] or ["no message"]
            raise ContenderError(f"exit code {code}: {tail[0][:160]}")
        return Cost(seconds, cpu, peak, last(out))


def last(file: IO[bytes]) -> str:
    """The last 16 KiB. Never all of it: a child's peak memory, as Linux counts it, is never below its parent's."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 16_384))
    return file.read().decode(errors="replace").strip()


def stop_tidily() -> None:
    """Let SIGTERM end the benchmark as Ctrl-C does: contenders stopped, temporary folders removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def take_turns(contenders: Mapping[str, Callable[[], T]], rounds: int) -> tuple[dict[str, list[T]], dict[str, str]]:
    """Run every contender once a round, each round beginning with another: noise hits all alike.

    Returns the results of those that never failed, and why each of the others did.
    """
    results: dict[str, list[T]] = {name: [] for name in contenders}
    failures: dict[str, str] = {}
    names = list(contenders)
    for number in range(rounds):
        first = number % len(names) if names else 0
        for name in names[first:] + names[:first]:
            if name in failures:
                continue
            print(f"round {number + 1} of {rounds}: {name} ...", file=sys.stderr, flush=True)
            try:
                results[name].append(contenders[name]())
            except (ContenderError, NotImplementedError) as problem:
                failures[name] = str(problem)
                del results[name]
    return results, failures


def json_option(parser: argparse.ArgumentParser) -> None:
    """Add the option by which benchmarks/all.py asks for figures."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the medians, a line of JSON a comparison")


def keep(file: Path | None, name: str, results: Mapping[str, Sequence[Timed]], missing: Mapping[str, str]) -> None:
    """Append one comparison to the file of ``--json``, if there is one: medians, and why contenders are missing.

    CPU time is left out where it was not measured (0).
    """
    if file is None:
        return
    figures = {
        contender: {"seconds": round(middle([each.seconds for each in rounds]), 6)}
        | ({"cpu": round(middle([each.cpu for each in rounds]), 6)} if rounds[0].cpu else {})
        for contender, rounds in results.items()
    }
    with file.open("a") as lines:
        lines.write(json.dumps({"name": name, "figures": figures, "missing": dict(missing)}) + "\n")


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def ratio(value: float, base: float | None) -> str:
    """How many times `base` it is; a dash when there is nothing to compare with."""
    return f"{value / base:.2f}" if base else "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads, the first left-aligned, the others right-aligned."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    cells = [[word.rjust(width) for word, width in zip(line, widths, strict=True)] for line in lines]
    for line, words in zip(lines, cells, strict=True):
        words[0] = line[0].ljust(widths[0])
    ruler = ["-" * width for width in widths]
    return "\n".join("  ".join(words).rstrip() for words in [cells[0], ruler, *cells[1:]])


def absences(missing: Mapping[str, str]) -> str:
    """One line for each contender that could not be measured."""
    return "".join(f"\n{name}: absent ({why})" for name, why in missing.items())
