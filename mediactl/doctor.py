"""Is this machine fit for the work? Each check is a line: ok or not, and what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping

import msgspec

from mediactl.errors import MediactlError
from mediactl.files import shown
from mediactl.jobs import report
from mediactl.jobs.journal import FILE
from mediactl.pool.limits import available_cores
from mediactl.ui.lines import size

LOW_SPACE = 1 << 30
"""Bytes of free space below which a run is likely to stop early."""
MEMORY_A_WORKER = 400 << 20
"""Bytes that a worker may take for a 12 MP photo or a 1080p film."""
NEEDED_ENCODERS = frozenset({"libx264", "aac", "libopus"})


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str


def checks(out: bytes, state: str, environment: Mapping[str, str]) -> Iterator[Check]:
    """Look at everything that a run needs, one after the other; nothing is changed."""
    yield _guarded("ffmpeg", lambda: _ffmpeg(environment))
    yield _guarded("libvips", _libvips)
    yield _guarded("journal", lambda: _journal(state))
    yield _guarded("space", lambda: _space(out))
    yield _guarded("memory", _memory)
    yield Check("cores", True, f"{available_cores()} usable")


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (MediactlError, OSError, ImportError) as error:
        return Check(name, False, str(error))


def _ffmpeg(environment: Mapping[str, str]) -> Check:
    from mediactl.media import ffmpeg

    binary = ffmpeg.find(environment.get(ffmpeg.VARIABLE))
    missing = sorted(NEEDED_ENCODERS - ffmpeg.encoders(binary))
    text = f"{shown(binary)} {ffmpeg.version(binary)}"
    if missing:
        return Check("ffmpeg", False, f"{text}: no encoder {', '.join(missing)}; name a fuller ffmpeg with --ffmpeg")
    return Check("ffmpeg", True, f"{text}, encoders {', '.join(sorted(NEEDED_ENCODERS))}")


def _libvips() -> Check:
    from mediactl.media import vips

    return Check("libvips", True, vips.describe())


def _journal(state: str) -> Check:
    if not os.path.exists(os.path.join(state, FILE)):
        return Check("journal", True, f"none yet in {shown(state)}")
    with report.read(state) as rows:
        verdict = rows.check()
        total = sum(rows.jobs().values())
    return Check("journal", verdict == "ok", f"{shown(state)}: {verdict}, {total:,} jobs")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    good = memory.available >= MEMORY_A_WORKER * available_cores()
    text = f"{size(memory.available)} of {size(memory.total)} available"
    return Check("memory", good, text if good else f"{text}; use fewer workers with --jobs")


def _space(out: bytes) -> Check:
    folder = out
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    return Check("space", free >= LOW_SPACE, f"{size(free)} free at {shown(folder)}")
