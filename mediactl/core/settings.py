"""Settings of one run: flags over environment over mediactl.toml over the user's own configuration, merged once by the
command line, then frozen.

A mediactl.toml of the current folder may have come with what is processed, so it is trusted less than the others: it
cannot name a program to be run, and it is refused where somebody else could have written it.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
import tomllib
from collections.abc import Mapping

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.suggestions import did_you_mean
from mediactl.model.jobs import Priority
from mediactl.model.uploads import IfExists, Location

CONFIG = "mediactl.toml"
"""Read from the current folder. Keys are the long flags' names with "_" for "-"."""
EXECUTED = ("ffmpeg",)
"""Keys that name a program to be run: they may stand in the user's own configuration, or in a file named by --config.
Whatever names an address to be contacted belongs here, too, once it becomes a key."""


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
    priority: Priority = Priority.NORMAL
    jobs: int = 1
    """Worker processes."""
    strict: bool = False
    keep_root: bool = False
    follow_symlinks: bool = False
    allow_outside: bool = False
    include: tuple[bytes, ...] = ()
    exclude: tuple[bytes, ...] = ()
    """Patterns of gitignore, relative to each SOURCE."""
    default_excludes: bool = True
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
    drain_file: str | None = None
    drain_url: str | None = None
    """A file whose appearance, and an address whose answer 200, mean: drain, this machine is to be terminated."""
    watching: Watching | None = None
    """None: what is there is processed, and that is all."""
    cache: bytes | None = None
    environment: Mapping[str, str] = {}
    """What workers inherit."""


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    out: str | None = None
    state: str | None = None
    recipe: str | None = None
    priority: str | None = None
    jobs: int | None = None
    grace: float | None = None
    max_duration: float | None = None
    attempts: int | None = None
    retry_delay: float | None = None
    memory: str | None = None
    strict: bool | None = None
    quiet: bool | None = None
    keep_root: bool | None = None
    follow_symlinks: bool | None = None
    include: list[str] | None = None
    exclude: list[str] | None = None
    no_default_excludes: bool | None = None
    ffmpeg: str | None = None
    settle: float | None = None
    poll: float | None = None
    rescan: float | None = None


def config_of(environment: Mapping[str, str], named: str | None) -> dict[str, object]:
    """All settings in files, by flag: the user's own, overridden by those of the file ``named`` by --config, or else of
    the current folder's mediactl.toml. Raises UsageError naming what is invalid."""
    own = user_config(environment)
    user = {} if own is None else read_config(own)
    return {**user, **(read_config(CONFIG, trusted=False) if named is None else read_config(named))}


def user_config(environment: Mapping[str, str]) -> str | None:
    """Path of the user's own configuration (XDG Base Directory); None when there is no home to look in."""
    base = environment.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # the specification: a relative path is invalid and ignored
        base = os.path.join(environment.get("HOME", ""), ".config")
    return os.path.join(base, "mediactl", "config.toml") if os.path.isabs(base) else None


def read_config(path: str, *, trusted: bool = True) -> dict[str, object]:
    """The settings in one file, by flag; {} when there is none. Raises UsageError naming what is invalid.

    What is not ``trusted`` has to be written by the user alone, and names no program. A program's path is relative to
    the file's folder, so that it is the same one wherever mediactl is started.
    """
    try:
        # O_NONBLOCK: a pipe of this name must not be waited for.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), encoding="utf-8-sig") as file:
            status = os.fstat(file.fileno())
            if not trusted and not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{shown(path)}: not a regular file; remove it")
            if not trusted and (why := _written_by_others(status) or _written_by_others(os.lstat(path))):
                raise UsageError(f"{shown(path)}: {why}; review it, then change its owner or mode, or use --config")
            tree = tomllib.loads(file.read())  # utf-8-sig: Windows' editors put a byte order mark first
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)}: cannot be read: {error}") from None
    config = _converted(path, tree)
    for key in EXECUTED:
        value = config.get(key)
        if value is not None and not trusted:
            raise UsageError(
                f"{shown(path)}: key {key!r} is not allowed in this file, because it names a program to run;"
                f" use --{key}, MEDIACTL_{key.upper()} or ~/.config/mediactl/config.toml"
            )
        if isinstance(value, str) and "/" in value:
            config[key] = os.path.join(os.path.dirname(os.path.abspath(path)), value)
    return config


def _written_by_others(status: os.stat_result) -> str | None:
    """Why others than the user and root may have written a file; None when they cannot.

    A group may write when it is the user's private one (same name, no other members), as with umask 002 on systems
    that give each user a group.
    """
    user = os.geteuid()
    if status.st_uid not in (0, user):
        return f"belongs to another user (id {status.st_uid})"
    if stat.S_ISLNK(status.st_mode):
        return None  # its permissions mean nothing
    if status.st_mode & stat.S_IWOTH:
        return "is writable by everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, user):
        return f"is writable by a group (id {status.st_gid})"
    return None


def _is_private(group: int, user: int) -> bool:
    try:
        name, members = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return members.gr_name == name and not set(members.gr_mem) - {name}


def _converted(path: str, tree: dict[str, object]) -> dict[str, object]:
    known = [field.name for field in msgspec.structs.fields(_Config)]
    for key in tree:
        if key not in known:
            hint = did_you_mean(key, known, f"known keys: {', '.join(known)}")
            raise UsageError(f"{shown(path)}: unknown key {shown(key)!r}; {hint}")
    try:
        config = msgspec.convert(tree, _Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{shown(path)}: {error}") from None
    return {key: value for key, value in msgspec.structs.asdict(config).items() if value is not None}


def cache_folder(environment: Mapping[str, str]) -> bytes | None:
    """The user's cache folder for mediactl (XDG Base Directory); None when there is no home to put it in."""
    if chosen := environment.get("MEDIACTL_CACHE"):
        return None if chosen == "none" else os.fsencode(os.path.abspath(chosen))
    base = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME", ""), ".cache")
    return os.fsencode(os.path.join(base, "mediactl")) if os.path.isabs(base) else None
