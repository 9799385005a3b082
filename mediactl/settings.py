"""Settings of one run: flags over environment over mediactl.toml, merged once by the command line, then frozen."""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from collections.abc import Mapping

import msgspec

from mediactl.errors import UsageError
from mediactl.files import shown
from mediactl.model import Priority
from mediactl.transfers import IfExists, Place

CONFIG = "mediactl.toml"
"""Read from the current folder. Keys are the long flags' names with "_" for "-"."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where outputs are uploaded to, and how."""

    place: Place
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
        kept = (self.place, self.include_originals, self.cache_control, sorted(self.tags.items()))
        return hashlib.sha256(msgspec.json.encode(kept)).hexdigest()[:16]


class Watching(msgspec.Struct, frozen=True):
    """What one ``mediactl watch`` was asked for, all in seconds."""

    settle: float = 1.0
    """For so long size and mtime of a new file have to stay as they are before it is taken."""
    poll: float | None = None
    """Between two looks at everything, instead of being told of changes."""
    rescan: float = 600.0
    """Between two looks at everything, should a change not have been told."""


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
    """A file whose appearance, and an address whose answer 200, means: leave this machine."""
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
    ffmpeg: str | None = None
    settle: float | None = None
    poll: float | None = None
    rescan: float | None = None


def read_config(path: str = CONFIG) -> dict[str, object]:
    """The settings in a mediactl.toml, by flag; {} when there is none. Raises UsageError naming what is wrong."""
    try:
        with open(path, encoding="utf-8-sig") as file:  # Windows' editors put a byte order mark first
            tree = tomllib.loads(file.read())
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)}: cannot be read: {error}") from None
    known = [field.name for field in msgspec.structs.fields(_Config)]
    for key in tree:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
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
