"""What feeds a run with sources while it goes on: a watch, or a library to which they are added."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Protocol, Self

from mediactl.jobs.journal import Journal
from mediactl.sources import scan


class Feed(Protocol):
    """An iterator over what was found; None: nothing for now."""

    wakeup: socket.socket
    """Readable when there may be something again."""

    @property
    def surveyed(self) -> bool:
        """Whether all that was there at the start was found."""

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""

    def follow(self, journal: Journal) -> None:
        """Sources are entered in this journal."""

    def start(self) -> None:
        """Begin; nothing comes before."""

    def close(self) -> None:
        """End what was started."""

    def reports(self, name: bytes) -> bool:
        """Return whether a trouble with this file is to be reported."""

    def hold(self, batch: scan.Batch, entries: Iterable[scan.Entry]) -> None:
        """Debounce new files that a walk found."""

    def __iter__(self) -> Self: ...

    def __next__(self) -> scan.Found | None: ...
