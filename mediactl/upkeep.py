"""Changes that a person asks for by hand: retry, cancel, prune."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mediactl import __version__, asset, files
from mediactl.inspect import find
from mediactl.jobs import report
from mediactl.jobs.journal import Journal
from mediactl.model import Priority


def retry(state: str, what: bytes | None) -> list[str]:
    """Make stopped jobs ready: those that a key, path or place names, or (None) all rejected and quarantined ones.

    Returns their keys. Raises UsageError.
    """
    with report.read(state) as rows:
        if what is not None:
            jobs = find(rows, what)
        else:
            jobs = [job for each in ("rejected", "quarantined") for job in rows.listed(each, -1)]
    with opened(state) as journal, journal.transaction():
        return [job.key for job in jobs if journal.retry(job.id)]


def cancel(state: str, what: bytes | None) -> list[str]:
    """Cancel jobs that wait: those named, or (None) all. Returns their keys. Raises UsageError."""
    with report.read(state) as rows:
        jobs = find(rows, what) if what is not None else list(rows.listed("ready", -1))
    with opened(state) as journal, journal.transaction():
        return [job.key for job in jobs if journal.cancel(job.id)]


def bump(state: str, what: bytes, priority: Priority) -> list[str]:
    """Give waiting jobs another priority; returns their keys. Raises UsageError."""
    with report.read(state) as rows:
        jobs = find(rows, what)
    with opened(state) as journal, journal.transaction():
        return [job.key for job in jobs if journal.bump(job.id, priority)]


Gone = tuple[int, bytes, bytes, list[str]]
"""(id, file, place, artefact names) of a source whose file is gone."""


def removed_sources(state: str) -> tuple[list[Gone], Counter[bytes]]:
    """Sources whose file is gone; and, apart, how many lay in each folder that is gone as a whole.

    Of the latter nobody can tell whether they were removed or a disk is not mounted, so they are never pruned
    with the others.
    """
    removed: list[Gone] = []
    unmounted: Counter[bytes] = Counter()
    with report.read(state) as rows:
        for root, gone in rows.gone():
            if os.path.isdir(root):
                removed.append(gone)
            else:
                unmounted[root] += 1
    return removed, unmounted


def prune(state: str, out: bytes, removed: list[Gone]) -> int:
    """Remove the outputs of removed sources, then forget them; return the number of files.

    Only files that the journal names are removed, and folders that are empty then. Killed in between, the rest is
    found by the next prune.
    """
    number = 0
    with report.read(state, write=True) as rows:
        for source, _, place, names in removed:
            folder = os.path.join(out, place)
            for name in (asset.NAME, *(each.encode() for each in names)):
                number += files.remove_if_there(os.path.join(folder, name))
            while folder != out and _remove_if_empty(folder):
                folder = os.path.dirname(folder)
            rows.delete_source(source)
    return number


def _remove_if_empty(folder: bytes) -> bool:
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True


@contextmanager
def opened(state: str) -> Iterator[Journal]:
    """The journal, for a change by hand."""
    with Journal.open(state, clock=time.time, random=random.random, version=__version__) as journal:
        yield journal
        journal.end(0)
