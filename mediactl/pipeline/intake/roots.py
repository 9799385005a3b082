"""SOURCE directories as a whole: is one empty because its files were removed, or because nothing is mounted there?"""

from __future__ import annotations

import os
from collections.abc import Iterable

from mediactl.core.files import shown
from mediactl.core.filesystem.mounts import mount_of
from mediactl.jobs.journal import Journal
from mediactl.model.events import SourceEmptied


class Roots:
    """The SOURCE directories of a run. The journal has the mount point that each was on when files were found in it."""

    def __init__(self, journal: Journal, sources: Iterable[bytes]) -> None:
        self._journal = journal
        self._folders = {os.path.abspath(source) for source in sources if os.path.isdir(source)}
        self._met: set[bytes] = set()

    def met(self, root: bytes) -> None:
        """Take note that files were found in a directory."""
        self._met.add(root)

    def emptied(self) -> list[SourceEmptied]:
        """Return those in which nothing was found and earlier runs found something; remember the others' mount points.

        Called once, when all is scanned.
        """
        found = []
        for folder in sorted(self._folders):
            mount = os.fsencode(mount_of(os.fsdecode(folder)).point)
            if folder in self._met:
                self._remember(folder, mount)
            elif (emptied := self._judge(folder, mount)) is not None:
                found.append(emptied)
        return found

    def _remember(self, folder: bytes, mount: bytes) -> None:
        if self._journal.sources.mount_of(folder) != mount:
            with self._journal.transaction(durable=False):
                self._journal.sources.put_mount(folder, mount)

    def _judge(self, folder: bytes, mount: bytes) -> SourceEmptied | None:
        before, number = self._journal.sources.found_in(folder)
        if not number:
            return None
        unmounted = shown(before) if before not in (b"", mount) else None
        return SourceEmptied(path=shown(folder), sources=number, unmounted=unmounted)
