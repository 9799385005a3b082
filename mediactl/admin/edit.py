"""Edits of the journal by command: retry, cancel, bump, prune."""

from __future__ import annotations

import os
import random
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mediactl import __version__
from mediactl.admin.status import find
from mediactl.assets import document
from mediactl.core import files
from mediactl.jobs import report
from mediactl.jobs.journal import Journal
from mediactl.jobs.report import Filter, Gone, JobRow
from mediactl.model.jobs import Priority

STOPPED, READY = ("rejected", "quarantined"), "ready"
"""States of the jobs that are retried, and of those that are cancelled, where none is named."""


def retry(state: str, what: bytes | None, out: bytes, wanted: Filter | None = None) -> list[JobRow]:
    """Make jobs ready again and return them: those of a key or path, or (None) those ``wanted``: by default all
    rejected and quarantined ones.

    Raises UsageError.
    """
    jobs = _chosen(state, what, out, wanted or Filter(STOPPED))
    with opened(state) as journal, journal.transaction():
        return [job for job in jobs if journal.retry(job.id)]


def cancel(state: str, what: bytes | None, out: bytes, wanted: Filter | None = None) -> list[JobRow]:
    """Cancel pending jobs, those named or (None) those ``wanted``, by default all, and return them.

    Raises UsageError.
    """
    jobs = _chosen(state, what, out, wanted or Filter((READY,)))
    with opened(state) as journal, journal.transaction():
        return [job for job in jobs if journal.cancel(job.id)]


def bump(state: str, what: bytes | None, priority: Priority, out: bytes, wanted: Filter | None = None) -> list[JobRow]:
    """Give pending jobs, those named or (None) those ``wanted``, another priority and return them.

    Raises UsageError.
    """
    jobs = _chosen(state, what, out, wanted or Filter((READY,)))
    with opened(state) as journal, journal.transaction():
        return [job for job in jobs if journal.bump(job.id, priority)]


def matching(state: str, wanted: Filter) -> list[JobRow]:
    """Return the jobs that a filter selects. Raises UsageError."""
    with report.read(state) as rows:
        return list(rows.selected(wanted))


def _chosen(state: str, what: bytes | None, out: bytes, wanted: Filter) -> list[JobRow]:
    if what is None:
        return matching(state, wanted)
    with report.read(state) as rows:
        return find(rows, what, out)


MANY, MOST = 10, 0.9
"""A root that has lost more sources than ``MANY``, and at least this share of them, may not be mounted."""


class Removed(NamedTuple):
    """The result of ``removed_sources``."""

    sources: array[int]
    """Ids; ``details`` has what is recorded of each."""
    unmounted: Counter[bytes]
    """Root that does not exist -> number of its sources. Its file system may not be mounted: they are never pruned."""
    emptied: list[tuple[bytes, int, int]]
    """(root, sources gone, sources in the journal) of each root that exists but has lost (nearly) all its sources: its
    file system may not be mounted."""


def removed_sources(state: str) -> Removed:
    """Return the sources whose file is gone, each root judged on its own."""
    found = Removed(array("q"), Counter(), [])
    known: Counter[bytes] = Counter()
    lost: Counter[bytes] = Counter()
    with report.read(state) as rows:
        for root, gone in rows.each_source():
            known[root] += 1
            if gone is None:
                continue
            if os.path.isdir(root):
                lost[root] += 1
                found.sources.append(gone)
            else:
                found.unmounted[root] += 1
    for root, number in lost.items():
        if number == known[root] or (number > MANY and number >= MOST * known[root]):
            found.emptied.append((root, number, known[root]))
    return found


def details(state: str, removed: Iterable[int]) -> Iterator[Gone]:
    """Yield what is recorded of removed sources, without those that are there again."""
    with report.read(state) as rows:
        for source in removed:
            if (gone := rows.gone(source)) is not None:
                yield gone


def prune(state: str, out: bytes, removed: Iterable[int]) -> int:
    """Remove the outputs of removed sources, then their rows; return the number of files removed.

    Removes only files that the journal names, and directories left empty. After a kill the next prune finds the rest.
    """
    number = 0
    with report.read(state, write=True) as rows:
        for gone in filter(None, map(rows.gone, removed)):
            names = (document.NAME, *(each.encode() for each in gone.artefacts))
            number += files.remove_outputs(out, gone.directory, names)
            rows.delete_source(gone.id)
    return number


@contextmanager
def opened(state: str) -> Iterator[Journal]:
    """Open the journal for an edit."""
    with Journal.open(state, clock=time.time, random=random.random, version=__version__) as journal:
        yield journal
        journal.end(0)
