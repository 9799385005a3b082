"""What earlier runs left: jobs of dead runs, files they left half done, pieces that nothing needs any more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from mediactl.core import files, machine
from mediactl.core.errors import MachineBlocked
from mediactl.core.faults import internal_error
from mediactl.jobs import owners
from mediactl.jobs.journal import Journal
from mediactl.model.events import JobQuarantined

LOGS = "logs"
"""Folder beside the journal for what workers and native libraries print."""


def take_over(journal: Journal, out: bytes, report: Callable[[JobQuarantined], None]) -> int:
    """Give the jobs of dead runs back, and remove what those runs left half done; how many jobs there were.

    A source for which that fails is given up, and reported.
    """

    def give_up(job: int, error: Exception) -> None:
        report(given_up(journal, job, None, internal_error(error)))

    return len(journal.reclaim_orphans(give_up, partial(_sweep, journal, out)))


def _sweep(journal: Journal, out: bytes, run: str, source: int) -> None:
    row = journal.sources.get(source)
    sweep_temporaries(os.path.join(out, row.source.directory), run)
    if row.digest is not None:
        sweep_temporaries(files.work_folder(journal.state, row.digest), run)


def sweep_temporaries(folder: bytes, run: str) -> None:
    """Remove what a run left half done in a folder. Raises MachineBlocked where the disk fails."""
    try:
        files.sweep_temporaries(folder, run.encode())
    except OSError as error:
        if trouble := machine.blocked(error):
            raise MachineBlocked(f"temporary files cannot be removed: {trouble}; run again") from error
        raise


def given_up(journal: Journal, job: int, attempt: int | None, reason: str) -> JobQuarantined:
    """Quarantine a job and its source for a fault of mediactl's in handling them; return the event that reports it."""
    ended = journal.give_up(job, attempt, reason)
    path = None if ended.path is None else files.shown(ended.path)
    return JobQuarantined(job=ended.key, kind=ended.kind, path=path, reason=reason)


def sweep_logs(state: str) -> None:
    """Remove the logs of dead runs whose workers printed nothing; runs that end in order remove their own."""
    with suppress(FileNotFoundError), os.scandir(os.path.join(state, LOGS)) as entries:
        for entry in list(entries):
            run = entry.name.removesuffix(".log")
            if not entry.stat(follow_symlinks=False).st_size and not owners.seems_alive(state, run, 0, ""):
                files.remove_if_there(os.fsencode(entry.path))


def sweep_work(journal: Journal) -> None:
    """Remove the pieces of videos that nothing is to be made of any more: rejected ones, and those that are gone."""
    folder = os.path.join(os.fsencode(journal.state), files.WORK)
    try:
        left = os.listdir(folder)
    except FileNotFoundError:
        return
    wanted = journal.sources.unfinished() if left else set()
    for name in left:
        if os.fsdecode(name) not in wanted:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
