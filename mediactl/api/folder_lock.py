"""One process at a time for the outputs of one source: the same task may be delivered twice, to two machines at once.

The locks are a fixed set of files in OUT that are never removed, so that nobody locks a file that is gone; sources that
share one are made one after the other. Hosts that share OUT over NFS share its locks.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os

FOLDER = os.path.join(b".mediactl", b"making")
_MISSING = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""A file system without locks: then nothing is known of others."""


def taken(out: bytes, directory: bytes) -> int | None:
    """Return a descriptor that holds the lock of a directory under OUT until it is closed; None: another has it."""
    folder = os.path.join(out, FOLDER)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    name = hashlib.sha256(directory).hexdigest()[:2]
    fd = os.open(os.path.join(folder, name.encode()), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError as error:
        if error.errno not in _MISSING:
            os.close(fd)
            raise
    return fd
