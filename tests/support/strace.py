"""Runs of which one process is traced by strace, which ends it, or has a call fail, at a chosen system call.

The supervisor, the first worker and the first process in which it decodes are forked, and have strace attach to
themselves before they begin; ffmpeg is started by way of a script, which the sandbox would not allow. Only the first
process of a kind is traced, so that what replaces it goes on.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mediactl.core.sandbox import process
from mediactl.media.ffmpeg import binary
from mediactl.pool import worker

CALLS = (
    "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate", "truncate", "fallocate", "link", "linkat", "symlink",
    "symlinkat", "copy_file_range", "sendfile",
)  # fmt: skip
"""System calls that change files."""
KILL = "signal=SIGKILL"
SUPERVISOR, WORKER, DECODER, FFMPEG = "supervisor", "worker", "decoder", "ffmpeg"
_PR_SET_PTRACER = 0x59616D61
_ANY = ctypes.c_ulong(-1)
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$")


class Point(NamedTuple):
    """Something that happens to one process of a run as it makes a system call."""

    process: str
    """``SUPERVISOR``, ``WORKER``, ``DECODER``, or ``FFMPEG`` and the number of the run of ffmpeg, from 1."""
    call: str
    number: int
    """The n-th call of this name that it makes."""
    effect: str
    """``KILL``, or "error=EIO" and the like."""

    def __str__(self) -> str:
        return f"{self.process} {self.call} {self.number} {self.effect.partition('=')[2]}"


class Made(NamedTuple):
    """A call that a process made in a run to which nothing happened."""

    process: str
    call: str
    number: int
    on_disk: bool
    """Whether it is about a file in the folder of the run: no pipe, socket or terminal."""


@functools.cache
def missing() -> str:
    """Return why nothing can be traced here; "" if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], capture_output=True, text=True)
    return f"strace cannot trace: {done.stderr.strip()}" if done.returncode else ""


def traced(arguments: Sequence[str], logs: str, point: Point | None) -> None:
    """Run a command line in this process, forked by the server; trace what ``point`` names, or (None) everything."""
    if point is None or point.process == SUPERVISOR:
        _attach(f"{logs}/{SUPERVISOR}", point)
    for kind, module, function in ((WORKER, worker, "main"), (DECODER, process, "_be")):
        if point is None or point.process == kind:
            vars(module)[function] = partial(_first, f"{logs}/{kind}", point, getattr(module, function))
    sys.argv = ["mediactl", *arguments]
    from mediactl.cli import main as run

    run()


def ffmpeg(folder: Path, logs: str, point: Point | None) -> str:
    """Return what to start as ffmpeg; each run of it takes a number, and the one that ``point`` names is traced."""
    real = binary.find()
    if point is not None and not point.process.startswith(FFMPEG):
        return real
    number = "*" if point is None else point.process.removeprefix(FFMPEG).strip()
    options = " ".join(f"'{each}'" for each in _options(point))
    script = folder / "ffmpeg"
    script.write_text(
        "#!/bin/sh\nn=1\n"
        f'until mkdir "{logs}/ffmpeg-$n" 2>/dev/null; do n=$((n+1)); done\n'
        f'case $n in {number}) exec strace -D -f --seccomp-bpf -qq -y -o "{logs}/ffmpeg $n" {options} "{real}" "$@" ;;'
        f' *) exec "{real}" "$@" ;; esac\n'
    )
    script.chmod(0o755)
    return str(script)


def calls(logs: Path, folder: Path) -> Iterator[Made]:
    """Yield the calls of a run in which everything was traced, in the order in which each process made them."""
    for log in sorted(path for path in logs.iterdir() if path.is_file()):
        numbers: dict[str, int] = {}
        for line in log.read_text(errors="replace").splitlines():
            found = _CALL.match(line)
            if found and found[1] in CALLS:
                numbers[found[1]] = numbers.get(found[1], 0) + 1
                yield Made(log.name, found[1], numbers[found[1]], str(folder) in found[2])


def hit(logs: Path) -> bool:
    """Return whether what a point names has happened."""
    return any(
        "(INJECTED)" in (text := log.read_text(errors="replace")) or "+++ killed by SIGKILL" in text
        for log in logs.iterdir()
        if log.is_file()
    )


def _first(log: str, point: Point | None, program: Callable[..., None], *arguments: Any) -> None:
    """Run a program, traced if it is the first of its kind."""
    with suppress(FileExistsError):
        os.mkdir(f"{log}.first")
        _attach(log, point)
    program(*arguments)


def _options(point: Point | None) -> list[str]:
    if point is None:
        return ["-e", "trace=" + ",".join(CALLS)]
    return ["-e", f"trace={point.call}", "-e", f"inject={point.call}:{point.effect}:when={point.number}"]


def _attach(log: str, point: Point | None) -> None:
    """Have this thread traced from now on, by a process that is no child of it."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.execvp("strace", ["strace", "-y", "-o", log, *_options(point), "-p", str(me)])
    os.waitpid(child, 0)
    deadline = time.monotonic() + 20
    while not _tracer() and time.monotonic() < deadline:
        os.sched_yield()  # nothing reports that a tracer has attached


def _tracer() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("TracerPid:"))
