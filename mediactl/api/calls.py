"""The functions of the API: ``make`` and ``process``, and the same for coroutines."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, Unpack

import msgspec

from mediactl.api import asset, options
from mediactl.api.asset import Asset
from mediactl.api.client import Host
from mediactl.api.messages import Add, Completed, MakeBegun, ProcessBegun
from mediactl.api.options import Options, Path, PriorityName, RunOptions
from mediactl.core.errors import Interrupted, UsageError
from mediactl.model.events import Event, Summary

IDLE = 60.0
"""Seconds that a host without anything to make is kept: the next call needs not start one, which takes 0.4 s."""

MOST = 8
"""Hosts that are kept: callers with very many output directories have the idle ones of others end sooner."""


class _Hosts:
    """The hosts of this process that make assets, by their settings; those of a process that forked are not its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.starting = threading.Lock()
        self.hosts: dict[bytes, Host] = {}

    def add(self, begun: MakeBegun, source: Add) -> Future[Completed]:
        """Hand a source to the host with these settings, which is started where there is none."""
        access = sorted(each for each in os.environb.items() if each[0].startswith(b"AWS_"))
        key = msgspec.json.encode([begun, access])
        with self.starting:
            host = self.hosts.get(key)
            if host is not None and (future := host.add(source)) is not None:
                return future
            self._make_room()
            host = self.hosts[key] = Host(begun, idle=IDLE)
            future = host.add(source)
            assert future is not None, "a host that was started takes sources"
            return future

    def _make_room(self) -> None:
        """End hosts that have nothing to do while there are too many, the oldest first."""
        for key, host in list(self.hosts.items()):
            if len(self.hosts) >= MOST and host.stop_if_idle():
                del self.hosts[key]


_hosts = _Hosts()


def _own_hosts() -> _Hosts:
    global _hosts
    if _hosts.process != os.getpid():
        for host in _hosts.hosts.values():
            host.forget()
        _hosts = _Hosts()  # with a lock of its own: that of the parent may have been held at the fork
    return _hosts


def make(
    source: Path,
    recipe: Path = "web",
    *,
    out: Path | None = None,
    to: str | None = None,
    name: Path | None = None,
    priority: PriorityName = "normal",
    timeout: float | None = None,
    **given: Unpack[Options],
) -> Asset:
    """Make all outputs of a source and return its asset; what is there already is reused. There is no journal.

    The source is a file, or an object, as s3://BUCKET/KEY. Outputs are kept in the directory ``out``, uploaded to
    ``to`` (s3://BUCKET/PREFIX), asset.json last, or both. ``name`` is their directory, relative to these: the source's
    own name by default (of an object, its key), so give files of one name a ``name`` each. ``timeout`` is in seconds.

    Raises RejectedInput, UsageError, JobFailed, MachineTrouble, MachineBlocked, Interrupted, TimeoutError.
    """
    future = _begun(source, recipe, out, to, name, priority, given)
    try:
        return asset.of(future.result(timeout))
    except BaseException:
        future.cancel()
        raise


async def make_async(
    source: Path,
    recipe: Path = "web",
    *,
    out: Path | None = None,
    to: str | None = None,
    name: Path | None = None,
    priority: PriorityName = "normal",
    **given: Unpack[Options],
) -> Asset:
    """Do what ``make`` does, without blocking the event loop; a coroutine that is cancelled cancels the work."""
    begin = partial(_begun, source, recipe, out, to, name, priority, given)
    future = await asyncio.to_thread(begin)
    return asset.of(await asyncio.wrap_future(future))


def _begun(
    source: Path,
    recipe: Path,
    out: Path | None,
    to: str | None,
    name: Path | None,
    priority: PriorityName,
    given: Options,
) -> Future[Completed]:
    if out is None and to is None:
        raise UsageError("out, to: one is required; name an output directory or s3://BUCKET/PREFIX")
    settings = options.settings(out, "web", given)
    file, directory = options.source_of(source, name)
    add = Add(
        number=0,
        source=file,
        recipe=options.recipe_name(recipe),
        priority=options.priority_of(priority),
        name=directory,
        to=None if to is None else options.destination(to, given),
        access=options.access(given),
    )
    return _own_hosts().add(MakeBegun.of(settings), add)


def process(
    sources: Path | Iterable[Path],
    *,
    out: Path,
    recipe: Path = "web",
    to: str | None = None,
    priority: PriorityName = "normal",
    on_event: Callable[[Event], Any] | None = None,
    **given: Unpack[RunOptions],
) -> Summary:
    """Process sources as ``mediactl process`` does, with the journal in ``out``, and return the summary.

    ``on_event`` gets every event (docs/events.md) in this thread. When it raises, or this thread is interrupted, the
    run is stopped in order: running jobs finish within ``grace`` seconds, and the next run continues.

    Raises UsageError, MachineBlocked, Interrupted.
    """
    run = _Run(_process_begun(sources, out, recipe, to, priority, given))
    return run.follow(on_event or _ignored)


async def process_async(
    sources: Path | Iterable[Path],
    *,
    out: Path,
    recipe: Path = "web",
    to: str | None = None,
    priority: PriorityName = "normal",
    on_event: Callable[[Event], Any] | None = None,
    **given: Unpack[RunOptions],
) -> Summary:
    """Do what ``process`` does, without blocking the event loop, in which ``on_event`` is called."""
    loop = asyncio.get_running_loop()
    begun = _process_begun(sources, out, recipe, to, priority, given)
    run = _Run(begun)

    def emit(event: Event) -> None:
        if on_event is not None:
            loop.call_soon_threadsafe(on_event, event)

    following = asyncio.ensure_future(asyncio.to_thread(run.follow, emit))
    try:
        return await asyncio.shield(following)
    except asyncio.CancelledError:
        run.host.stop()
        await asyncio.wait([following])
        raise


class _Run:
    """A run in a host."""

    def __init__(self, begun: ProcessBegun) -> None:
        self.host = Host(begun)

    def follow(self, emit: Callable[[Event], Any]) -> Summary:
        """Pass on each event, and return the summary once the run has ended."""
        try:
            summary: Summary | None = None
            for event in self.host.reported():
                if isinstance(event, Summary):
                    summary = event
                emit(event)
        finally:
            self.host.stop()
            self.host.wait()
        if summary is None:
            raise Interrupted("the run has ended without a summary")
        return summary


def _process_begun(
    sources: Path | Iterable[Path],
    out: Path,
    recipe: Path,
    to: str | None,
    priority: PriorityName,
    given: RunOptions,
) -> ProcessBegun:
    named = [sources] if isinstance(sources, str | bytes | os.PathLike) else list(sources)
    if not named:
        raise UsageError("sources: at least one is required")
    settings = options.settings(out, recipe, given, sources=named, to=to, priority=priority)
    return ProcessBegun.of(options.with_journal(settings))


def _ignored(_: Event) -> None:
    """Do nothing with an event."""
