"""An output directory with its journal, to which sources are added one by one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self, Unpack

from mediactl.api import asset, options
from mediactl.api.asset import Asset
from mediactl.api.client import Host
from mediactl.api.messages import Add, Completed, LibraryBegun
from mediactl.api.options import Path, PriorityName, RunOptions
from mediactl.assets import document
from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.model.events import Event
from mediactl.model.media import REMOTE


class Pending:
    """A source that was added: ``result`` waits for its asset, and so does ``await``."""

    def __init__(self, future: Future[Completed]) -> None:
        self._future = future

    def result(self, timeout: float | None = None) -> Asset:
        """Return its asset. Raises as ``make`` does; TimeoutError after ``timeout`` seconds, and its job goes on."""
        return asset.of(self._future.result(timeout))

    def done(self) -> bool:
        """Return whether it has ended, one way or the other."""
        return self._future.done()

    def __await__(self) -> Generator[Any, None, Asset]:
        return asset.of((yield from asyncio.wrap_future(self._future).__await__()))


class Library:
    """An output directory, open. Its jobs are in the journal there, as those of ``mediactl process`` are."""

    def __init__(
        self,
        out: Path,
        recipe: Path = "web",
        *,
        to: str | None = None,
        on_event: Callable[[Event], Any] | None = None,
        **given: Unpack[RunOptions],
    ) -> None:
        """``on_event`` gets every event of the run (docs/events.md), in a thread of the library's own."""
        self._begun = LibraryBegun.of(options.with_journal(options.settings(out, recipe, given, to=to)))
        self._recipe = options.recipe_name(recipe)
        self._on_event = on_event
        self._opening = threading.Lock()
        self._host: Host | None = None
        self._following: threading.Thread | None = None
        self._closed = False

    def add(
        self, source: Path, *, name: Path | None = None, recipe: Path | None = None, priority: PriorityName = "normal"
    ) -> Pending:
        """Have a source processed. ``name`` and ``priority`` are those of ``make``.

        Raises UsageError where the library is closed, and for objects (s3://), which ``make`` and ``process`` take.
        """
        file = options.source_path(source)
        if file.startswith(REMOTE):
            raise UsageError(f"{shown(file)}: a library takes files; use make or process for objects")
        add = Add(
            number=0,
            source=file,
            recipe=self._recipe if recipe is None else options.recipe_name(recipe),
            priority=options.priority_of(priority),
            name=None if name is None else options.output_name(name),
        )
        future = self._opened().add(add)
        if future is None:
            raise UsageError("the library has ended; open it again")
        return Pending(future)

    def assets(self) -> Iterator[Asset]:
        """Yield every asset in the output directory, in the order of their paths; a malformed asset.json is left
        out."""
        out = os.fsdecode(self._begun.settings.out)
        for folder, folders, names in os.walk(out):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            if os.fsdecode(document.NAME) in names and folder != out:
                with suppress(OSError, ValueError):
                    yield asset.read(folder)

    def close(self) -> None:
        """Wait until all that was added is done, then end."""
        self._end(Host.finish)

    def stop(self) -> None:
        """End in order: running jobs finish, and the next run continues with the others."""
        self._end(Host.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *error: object) -> None:
        await asyncio.to_thread(self.__exit__, kind, *error)

    def _opened(self) -> Host:
        """Return the host, which is started for the first source."""
        with self._opening:
            if self._closed:
                raise UsageError("the library is closed; open it again")
            if self._host is None:
                self._host = Host(self._begun)
                self._following = threading.Thread(
                    target=self._follow, args=[self._host], name="mediactl-events", daemon=True
                )
                self._following.start()
            return self._host

    def _follow(self, host: Host) -> None:
        """Pass on events; when that raises, the run is stopped in order."""
        while (event := host.events.get()) is not None:
            if self._on_event is not None and isinstance(event, Event):
                try:
                    self._on_event(event)
                except BaseException:
                    host.stop()
                    raise

    def _end(self, end: Callable[[Host], None]) -> None:
        with self._opening:
            self._closed = True
        if self._host is not None:
            end(self._host)
            try:
                self._host.joined()
            except BaseException:
                self._host.stop()
                raise


def open(
    out: Path,
    recipe: Path = "web",
    *,
    to: str | None = None,
    on_event: Callable[[Event], Any] | None = None,
    **given: Unpack[RunOptions],
) -> Library:
    """Return the library of an output directory, for ``with`` or ``async with``. Nothing is started before the first
    source is added."""
    return Library(out, recipe, to=to, on_event=on_event, **given)
