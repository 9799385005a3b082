"""Settings files: the user's own configuration, and the current directory's mediactl.toml.

The latter may have come with what is processed, so it is trusted less: it cannot name a program to run or an address to
contact, and it is rejected where somebody else could have written it.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.filesystem.trust import written_by_others

CONFIG = "mediactl.toml"
"""Read from the current directory. Keys are the long flags' names with "_" for "-"."""


class File(NamedTuple):
    """A settings file that was read."""

    path: str
    """As messages name it."""
    values: dict[str, Any]
    """As TOML has them, by key."""
    trusted: bool
    """Whether it may name programs and addresses: it is the user's own, or was named by --config."""


def files(environment: Mapping[str, str], named: str | None) -> list[File]:
    """Return the settings files that exist, the first one wins.

    They are the one ``named`` by --config, or else the current directory's mediactl.toml; and the user's own. Raises
    UsageError for a file that cannot be read or must not be trusted, and for a missing one that was named.
    """
    near = read(CONFIG, trusted=False) if named is None else read(named)
    if named is not None and near is None:
        raise UsageError(f"--config {shown(named)}: no such file")
    own = user_config(environment)
    return [file for file in (near, None if own is None else read(own, named=False)) if file is not None]


def user_config(environment: Mapping[str, str]) -> str | None:
    """Return the path of the user's own configuration (XDG Base Directory); None: there is no home to look in."""
    base = environment.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # the specification: a relative path is invalid and ignored
        base = os.path.join(environment.get("HOME", ""), ".config")
    return os.path.join(base, "mediactl", "config.toml") if os.path.isabs(base) else None


def read(path: str, *, trusted: bool = True, named: bool = True) -> File | None:
    """Return a settings file; None: there is none. Raises UsageError.

    One that is not ``trusted``, or that nobody ``named``, has to be written by the user alone.
    """
    try:
        # O_NONBLOCK: a pipe of this name must not be waited for.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), encoding="utf-8-sig") as file:
            status = os.fstat(file.fileno())
            if not trusted and not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{shown(path)}: not a regular file; remove it")
            alone = trusted and named
            if not alone and (why := written_by_others(status) or written_by_others(os.lstat(path))):
                raise UsageError(f"{shown(path)}: {why}; review it, then change its owner or mode, or use --config")
            tree = tomllib.loads(file.read())  # utf-8-sig: Windows' editors put a byte order mark first
    except FileNotFoundError:
        return None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{shown(path)}: cannot be read: {error}") from None
    return File(path, tree, trusted)
