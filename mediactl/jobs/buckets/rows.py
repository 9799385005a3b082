"""The journal's view of buckets as memory: what their index lacks, and sources whose outputs are in a bucket alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import apsw
import msgspec

from mediactl.jobs import database
from mediactl.model.assets import AssetWarning


class Uploaded(msgspec.Struct, frozen=True):
    """A source that was uploaded and is not in the index as it is."""

    id: int
    directory: bytes
    digest: str
    plan: str
    placeholder: str
    warnings: str
    """JSON, as in the journal."""


class Released(msgspec.Struct, frozen=True):
    """A source whose outputs in OUT are to be removed."""

    id: int
    directory: bytes


class Buckets:
    """Changes stand inside the journal's transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sql = database.statements("buckets/statements.sql")

    def unindexed(self, destination: str, most: int) -> list[Uploaded]:
        """Return up to so many sources that the index of their destination (its digest) lacks."""
        return [
            Uploaded(number, os.path.join(folder, name), *rest)
            for number, folder, name, *rest in self._run("unindexed", (destination, most)).fetchall()
        ]

    def indexed(self, sources: Iterable[Uploaded], destination: str) -> None:
        """The index of a destination has them as they were read."""
        self._connection.executemany(
            self._sql["indexed"], ((each.id, each.digest, each.plan, destination) for each in sources)
        )

    def looks(self, source: int, placeholder: str, warnings: tuple[AssetWarning, ...]) -> None:
        """Keep what a bucket says of how a source looks, and of its outputs."""
        self._run("looks", (source, placeholder, msgspec.json.encode(warnings).decode()))

    def release(self, source: int) -> bool:
        """Keep the outputs of an uploaded source in the bucket alone; False: something is being made of it."""
        self._run("release", (source,))
        if not self._connection.changes():
            return False
        self._run("forget_files", (source,))
        return True

    def released(self) -> Iterator[Released]:
        """Return the sources whose outputs in OUT are to be removed."""
        for number, folder, name in self._run("released", ()).fetchall():
            yield Released(number, os.path.join(folder, name))

    def removed(self, sources: Iterable[int]) -> None:
        """Their outputs in OUT are."""
        self._connection.executemany(self._sql["removed"], ((source,) for source in sources))

    def has_job_for_others(self, source: int, destination: str) -> bool:
        """Return whether ``cancel_for_others`` would cancel any."""
        return bool(self._run("has_job_for_others", (source, destination)).get)

    def cancel_for_others(self, source: int, destination: str) -> None:
        """Cancel pending jobs of a source that count on what another bucket has; "": this run has none."""
        self._run("cancel_for_others", (source, destination))

    def cancel_recalls(self, destination: str) -> list[tuple[int, int]]:
        """Cancel the pending look-ups in a bucket; (source, priority) of each."""
        return [(source, priority) for source, priority in self._run("cancel_recalls", (destination,)).fetchall()]

    def _run(self, name: str, bindings: tuple[Any, ...]) -> Any:
        return self._connection.execute(self._sql[name], bindings)
