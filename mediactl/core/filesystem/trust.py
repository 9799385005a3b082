"""Could anybody else have written a file that is about to be obeyed?"""

from __future__ import annotations

import grp
import os
import pwd
import stat


def written_by_others(status: os.stat_result) -> str | None:
    """Return why others than the user and root may have written a file or directory; None: they cannot.

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
