"""Settings of one run: flags over environment over settings files, merged once by the command line, then frozen."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

import msgspec

from mediactl.core.sandbox.mode import Mode
from mediactl.model.fetches import Fetching
from mediactl.model.hours import Hours
from mediactl.model.jobs import Priority
from mediactl.model.shard import Shard
from mediactl.model.speed import BALANCED, Speed
from mediactl.model.uploads import IfExists, Location


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where outputs are uploaded to, and how."""

    location: Location
    if_exists: IfExists = IfExists.VERIFY
    include_originals: bool = False
    cache_control: str | None = None
    """Of everything; None: a year and immutable for artefacts, a minute for asset.json."""
    tags: Mapping[str, str] = {}
    concurrency: int = 16
    """Requests at once."""
    bandwidth: float | None = None
    """Bytes a second."""
    memory: int = 256 << 20
    """Bytes of bodies at once."""

    def digest(self) -> str:
        """Of all that decides where an output is and what is kept with it: equal digests, nothing to upload again."""
        kept = (self.location, self.include_originals, self.cache_control, sorted(self.tags.items()))
        return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()[:16]


class Watching(msgspec.Struct, frozen=True):
    """What one ``mediactl watch`` was asked for, all in seconds."""

    settle: float = 1.0
    """For so long size and mtime of a new file have to stay as they are before it is taken."""
    poll: float | None = None
    """Seconds between two full scans, where there are no notifications of changes."""
    rescan: float = 600.0
    """Seconds between two full scans, should a notification of a change be lost."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one ``mediactl process`` or ``watch`` was asked for. Paths are absolute."""

    sources: tuple[bytes, ...]
    """As named by the user; b"-" is a manifest on standard input."""
    out: bytes
    state: str
    """Folder of the journal."""
    recipe: str = "web"
    speed: Speed = BALANCED
    priority: Priority = Priority.NORMAL
    jobs: int = 1
    """Worker processes."""
    strict: bool = False
    list_ignored: bool = False
    """Report also those files that an earlier run found to be no media."""
    keep_root: bool = False
    follow_symlinks: bool = False
    allow_outside: bool = False
    fetching: Fetching = Fetching()
    """How sources in buckets are reached."""
    include: tuple[bytes, ...] = ()
    exclude: tuple[bytes, ...] = ()
    """Patterns of gitignore, relative to each SOURCE."""
    default_excludes: bool = True
    shard: Shard | None = None
    """None: all sources."""
    grace: float = 25.0
    """Seconds that running jobs get after the first signal."""
    max_duration: float | None = None
    """Seconds after which the run stops early."""
    limits: Mapping[str, int] = {}
    """Lane or kind -> jobs of it that may run at once."""
    memory: int | None = None
    """Bytes that running jobs are expected to take together, at most."""
    attempts: int = 3
    """Failed attempts after which a job is given up."""
    retry_delay: float = 1.0
    """Seconds that the first retry waits at most; each further one up to four times as long."""
    to: Destination | None = None
    """Where outputs are uploaded to; None: nowhere."""
    no_local: bool = False
    """Whether outputs are removed from OUT once they are uploaded."""
    drain_file: str | None = None
    drain_url: str | None = None
    """A file whose appearance, and an address whose answer 200, mean: drain, this machine is to be terminated."""
    history: float = 90 * 86_400.0
    """Seconds that attempts and runs are kept in the journal."""
    watching: Watching | None = None
    """None: what is there is processed, and that is all."""
    hours: Hours | None = None
    """When jobs may be started; None: at any time."""
    attempt_events: bool = False
    """Whether monitors get an event of each attempt, at its start and end."""
    traceparent: str | None = None
    """The trace that new sources join, "" for one of their own each; None: no traces are sent."""
    cache: bytes | None = None
    sandbox: Mode = Mode.AUTO
    environment: Mapping[str, str] = {}
    """What workers inherit, as far as they may."""

    def for_workers(self) -> dict[str, str]:
        """Return the variables by which workers learn what this run decides, whichever run has planned their jobs."""
        cache = "none" if self.cache is None else os.fsdecode(self.cache)
        return {
            "MEDIACTL_CACHE": cache,
            "MEDIACTL_FOLLOW_SYMLINKS": "1" if self.follow_symlinks else "",
            "MEDIACTL_OUT": os.fsdecode(self.out),
            "MEDIACTL_SANDBOX": self.sandbox.value,
        }


def cache_folder(chosen: str | None, environment: Mapping[str, str]) -> bytes | None:
    """Return the cache directory: the one chosen, or else the user's (XDG Base Directory).

    None: "none" was chosen, or there is no home to put it in.
    """
    if chosen:
        return None if chosen == "none" else os.fsencode(os.path.abspath(chosen))
    base = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME", ""), ".cache")
    return os.fsencode(os.path.join(base, "mediactl")) if os.path.isabs(base) else None
