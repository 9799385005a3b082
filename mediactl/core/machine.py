"""Is the machine to blame for a failure (disk, network file system, threads, memory, descriptors), or the file?

Decoders report both alike: a JPEG is "damaged" where libvips cannot start a thread. So whatever fails is believed only
once what it was raised from, and what the machine has left, have been looked at.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import threading
from collections.abc import Iterator

from mediactl.core import system
from mediactl.core.errors import MachineTrouble
from mediactl.core.files import shown

PASSING = system.errnos(
    "EIO", "ESTALE", "ETIMEDOUT", "ENODEV", "EREMOTEIO", "ENOLINK", "ECOMM", "ENOTCONN", "ECONNABORTED", "ECONNRESET",
    "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "ENOLCK", "ENOBUFS",
    "EUCLEAN", "EKEYEXPIRED",
)  # fmt: skip
"""What system calls fail with because of a disk, a file system, the network behind it, or a limit that is reached."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""... and with which nothing can be written."""
SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""Those of them with which a process, a thread, a pipe or an open file is refused."""

_NO_THREAD = re.compile(
    r"can't start new thread|unable to create thread|error creating thread|pthread_create"
    r"|resource temporarily unavailable",
    re.IGNORECASE,
)
"""What Python, libvips, GLib and ffmpeg say where the kernel refuses a thread (EAGAIN)."""
_THREADS = 16
"""Threads and descriptors that must be left for a failure to be believed: more than any decoder starts here."""
_MEMORY = 256 << 20
"""Bytes of address space that must be left; what a decoder asks for beyond them, the file is to blame for."""


def trouble(error: BaseException) -> str:
    """Return in which way the machine is to blame for an error, by what it was raised from; "" if it is not."""
    for each in causes(error):
        # Raised by Python: FFmpeg's errors borrow errno's numbers, for what is wrong with a file.
        if isinstance(each, OSError) and type(each).__module__ == "builtins" and each.errno in PASSING:
            return each.strerror or str(each)
        if _NO_THREAD.search(str(each)):
            return "no thread can be started"
    return ""


def blocked(error: BaseException) -> str:
    """Return in which way the machine is to blame for an error that nothing expected, and about which file; "" if it
    is not."""
    if isinstance(error, OSError) and error.errno in PASSING | FULL:
        where = f"{shown(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return f"{where}{os.strerror(error.errno)}"
    return trouble(error)


def shortage() -> str:
    """Return what there is too little of for any decoder: threads, open files, memory; "" if nothing.

    Takes 2 ms, so it is for failures only.
    """
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, daemon=True) for _ in range(_THREADS)]
    descriptors: list[int] = []
    try:
        descriptors += (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(_THREADS))
        for thread in threads:
            thread.start()
        mmap.mmap(-1, _MEMORY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, RuntimeError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return "almost no file can be opened"
        return (
            f"no more than {sum(map(_began, threads))} threads can be started"
            if not all(map(_began, threads))
            else "almost no memory can be allocated"
        )
    finally:
        over.set()
        for thread in filter(_began, threads):
            thread.join()
        for descriptor in descriptors:
            os.close(descriptor)
    return ""


def pass_on(error: Exception) -> None:
    """Raise MachineTrouble when what a library raised is due to the machine, where it would be overlooked otherwise."""
    if found := trouble(error):
        raise MachineTrouble(f"the machine failed: {found}") from error


def require(error: Exception) -> None:
    """Raise MachineTrouble when the machine is to blame for an error that a job ended with."""
    if found := trouble(error) or shortage():
        text = " ".join(str(error).split())[:300]
        raise MachineTrouble(f"the machine failed: {found}" + (f" ({text})" if text != found else "")) from error


def _began(thread: threading.Thread) -> bool:
    return thread.ident is not None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was raised from, each once; also what ``from None`` hides, and in a circle."""
    met: set[int] = set()
    found: list[BaseException | None] = [error]
    while found:
        each = found.pop()
        if each is not None and id(each) not in met:
            met.add(id(each))
            yield each
            found += (each.__cause__, each.__context__)
