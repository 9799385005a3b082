"""What a journal forgets: attempts, runs and replaced jobs that are older than the history that is kept.

Pruned is what nothing will ask for. These stay, however old they are: the newest job of each kind of a source, with its
last attempt where it is not done, so that ``why`` and ``retry`` can answer; uploads, which say what is in the bucket;
and durations, which predictions are made from. Runs that are removed are added up (``runs.Earlier``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

import apsw

from mediactl.jobs import database, owners

INTERVAL = 86_400.0
"""Seconds between two walks over the journal."""
BUDGET = 0.5
"""Seconds that one run spends on a walk; the next one continues it."""
STEP = 10_000
"""Jobs of one transaction: others wait for it no longer than for any other."""
WASTE = 16 << 20
"""Bytes that have to be free for the file to be rewritten, and ..."""
SHARE = 3
"""... one in so many of all, and ..."""
LARGEST = 512 << 20
"""... at most so many bytes to be kept: they are written twice, which takes seconds. A larger journal uses its free
pages again instead."""


class Transaction(Protocol):
    """What ``Journal.transaction`` is: lost work is done again, so none has to be durable."""

    def __call__(self, *, durable: bool) -> AbstractContextManager[None]:
        """Everything inside is committed as one."""


class Pruning:
    """Prunes an open journal, in transactions of its own, on behalf of the run ``run``."""

    def __init__(
        self,
        connection: apsw.Connection,
        transaction: Transaction,
        state: str,
        run: str,
    ) -> None:
        self._connection = connection
        self._transaction = transaction
        self._state = state
        self._run = run
        self._sql = database.statements("pruning.sql")

    def advance(self, now: float, history: float, *, clock: Callable[[], float] = time.monotonic) -> bool:
        """Continue the walk over all jobs, or begin it when the last one is some time ago; whether it is complete.

        ``now`` in seconds since 1970, ``history`` in seconds; ``clock`` measures the budget.
        """
        position, pruned_at = self._execute("where").fetchone()
        if not position and 0 <= now - pruned_at < min(INTERVAL, history):
            return True
        if not position and not self._execute("any_old_run", now - history, self._run).get:
            return True  # whatever is old is of an old run, and those are removed last
        end, last = clock() + BUDGET, self._execute("last").get or 0
        while position < last:
            if clock() >= end:
                return False
            with self._transaction(durable=False):
                self._execute("attempts", position, position + STEP, now - history)
                self._execute("jobs", position, position + STEP, now - history)
                position += STEP
                self._execute("at", position)
        self._forget_runs(now - history)
        self._forget_logs(now - history)
        with self._transaction(durable=False):
            self._execute("over", now)
        return True

    def compact(self) -> bool:
        """Rewrite the file without its free pages, if that pays and nobody else has it open; whether it was done."""
        pages, free, size = (self._number(name) for name in ("page_count", "freelist_count", "page_size"))
        pays = free * size >= WASTE and free * SHARE >= pages and (pages - free) * size <= LARGEST
        if not pays or self._others():
            return False
        try:
            self._connection.set_busy_timeout(0)
            self._connection.execute("VACUUM")
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            return False  # somebody reads it, or the disk has no room for it: another time
        finally:
            self._connection.set_busy_timeout(database.BUSY_MILLISECONDS)
        return True

    def _forget_runs(self, before: float) -> None:
        """Add up and remove old runs that no job refers to, the living ones aside."""
        alive = [run for (run,) in self._execute("unended", before) if owners.is_alive(self._state, run)]
        # Without it SQLite would look through all jobs for each run: the index of owners is one of running jobs only.
        self._connection.pragma("foreign_keys", False)
        try:
            with self._transaction(durable=False):
                old = (before, self._run, ",".join(alive))
                self._execute("add_up", *old)
                self._execute("runs", *old)
        finally:
            self._connection.pragma("foreign_keys", True)

    def _forget_logs(self, before: float) -> None:
        """Remove what workers of old runs have printed."""
        with suppress(OSError), os.scandir(os.path.join(self._state, "logs")) as logs:
            for log in logs:
                if log.name.endswith(".log") and log.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(log.path)

    def _others(self) -> bool:
        """Whether another run is going on."""
        unended = [run for (run,) in self._execute("unended", float("inf")) if run != self._run]
        return any(owners.is_alive(self._state, run) for run in unended)

    def _number(self, name: str) -> int:
        found = self._connection.pragma(name)
        assert isinstance(found, int)
        return found

    def _execute(self, name: str, *bindings: Any) -> Any:
        return self._connection.execute(self._sql[name], bindings)
