"""Files: fingerprints, digests, forcing to disk, temporaries, names safe to show."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.model.media import Fingerprint

SCRATCH = b".mediactl-scratch-"
"""What folders for intermediate files begin with."""
TEMPORARY = b".mediactl-"
"""Every temporary file's name starts with this, followed by the run's id: so stale ones are found by their owner."""

WORK = b"work"
"""Folder beside the journal for the encoded pieces of long videos."""

LONGEST_PATH = 4095
"""Bytes that Linux takes as a path (PATH_MAX without the final zero)."""
LONGEST_NAME = 255
"""Bytes of a name in a folder (NAME_MAX)."""
LONGEST_OUTPUT_FOLDER = LONGEST_PATH - 1 - LONGEST_NAME
"""Bytes of a folder in which every name can be used."""
LONGEST_OUT = LONGEST_OUTPUT_FOLDER - 40
"""The same of OUT, which has workspaces (``core.sandbox.workspace``) in it."""

_BLOCK = 1 << 20
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h
_LOGIN = re.compile(r"(?<=//)[^/?#]*@")
_SIGN = 1 << 63


def storable(number: int) -> int:
    """A number of ``stat`` as SQLite can store it, in 64 bits with a sign; those that fit are returned as they are.

    An inode of 2**63 or more, or the nanoseconds of a time after April 2262, wrap around: equal numbers stay equal,
    and different ones stay different unless they are exactly 2**64 (584 years) apart.
    """
    return number if -_SIGN <= number < _SIGN else (number + _SIGN) % (2 * _SIGN) - _SIGN


def marks(status: os.stat_result) -> tuple[int, int, int, int]:
    """Size, mtime_ns, ctime_ns and inode, as they are stored and compared."""
    modified, changed, inode = status.st_mtime_ns, status.st_ctime_ns, status.st_ino
    if inode >= _SIGN or not -_SIGN <= modified < _SIGN or not -_SIGN <= changed < _SIGN:  # of few files of a scan
        return status.st_size, storable(modified), storable(changed), storable(inode)
    return status.st_size, modified, changed, inode


def fingerprint(status: os.stat_result) -> Fingerprint:
    """The fingerprint in a stat result."""
    return Fingerprint(*marks(status))


def digest_fd(fd: int) -> str:
    """SHA-256 of an open file from its start, in hex; the file's position is left anywhere.

    SHA-256 because every machine of the last years has instructions for it (1.7 GB/s a core measured, twice BLAKE2b).
    """
    os.lseek(fd, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    while block := os.read(fd, _BLOCK):
        digest.update(block)
    return digest.hexdigest()


def digest_file(path: bytes) -> str:
    """SHA-256 of a file in hex. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return digest_fd(fd)
    finally:
        os.close(fd)


def fsync_file(path: bytes) -> None:
    """Force a file's bytes to disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_files(paths: Iterable[bytes]) -> None:
    """Force the bytes of several files to disk: all are being written before the first is waited for.

    So a journaling file system commits them at once; else each fsync would have the next file's blocks allocated and
    committed on their own (ext4: 2.5 ms for four files instead of 3.7).
    """
    with ExitStack() as stack:
        fds = []
        for path in paths:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            fds.append(fd)
        if start := _start_writing():
            for fd in fds:
                start(fd, 0, 0, _SYNC_FILE_RANGE_WRITE)
        for fd in fds:
            os.fsync(fd)


@cache
def _start_writing() -> Callable[[int, int, int, int], int] | None:
    """Return sync_file_range, which here waits for nothing; None on other systems than Linux."""
    import ctypes

    found = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if found is not None:
        found.argtypes = ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
    return found


def fsync_folder(path: bytes) -> None:
    """Force a folder's entries (renames, new names) to disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(path: bytes) -> list[bytes]:
    """Make a folder and its parents; return those made. To survive a power cut, fsync the folder above each of them."""
    missing: list[bytes] = []
    current = path
    while not os.path.isdir(current):
        missing.append(current)
        current = os.path.dirname(current)
    made: list[bytes] = []
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
            made.append(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
    return made


@contextmanager
def removed_on_error(path: bytes) -> Iterator[None]:
    """Leave no file behind at ``path`` when the block raises."""
    try:
        yield
    except BaseException:
        remove_if_there(path)
        raise


def remove_if_there(path: bytes) -> bool:
    """Remove a file; return whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_outputs(out: bytes, directory: bytes, names: Iterable[bytes]) -> int:
    """Remove files of an output directory, relative to OUT, and directories left empty; return how many files.

    Nothing is removed where a link leads out of OUT. Raises OSError.
    """
    folder = os.path.join(out, directory)
    if not os.path.realpath(folder).startswith(os.path.realpath(out) + b"/"):
        return 0
    number = sum(remove_if_there(os.path.join(folder, name)) for name in names)
    while folder != out:
        try:
            os.rmdir(folder)
        except OSError:
            break
        folder = os.path.dirname(folder)
    return number


def sweep_temporaries(folder: bytes, token: bytes | None = None) -> int:
    """Remove the temporary files in a folder (of one owner, or all with None; then scratch folders, too); return how
    many files there were."""
    prefix = TEMPORARY + (token or b"")
    try:
        with os.scandir(folder) as entries:
            ours = [entry for entry in entries if entry.name.startswith(prefix)]
            found = [entry.path for entry in ours if not entry.is_dir(follow_symlinks=False)]
            folders = [entry.path for entry in ours if entry.name.startswith(SCRATCH)]
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)
    return sum(map(remove_if_there, found))


def make_writable(folder: bytes | str, what: str, option: str, *, mode: int = 0o777) -> None:
    """Create the directory that an option names, unless it is there.

    Raises UsageError where permissions forbid to create it or to write to it, which running again does not help;
    MachineBlocked where the file system does.
    """
    hint = f"; change owner or permissions, or use another {option}"
    try:
        os.makedirs(folder, mode=mode, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{option} {shown(folder)}: not a directory") from None
    except PermissionError as error:
        raise UsageError(f"{what} {shown(folder)}: cannot be created: {error.strerror}{hint}") from None
    except OSError as error:
        raise MachineBlocked(f"{what} {shown(folder)}: cannot be created: {error.strerror}") from None
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        return
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise MachineBlocked(f"{what} {shown(folder)}: {os.strerror(errno.EROFS)}")
    raise UsageError(f"{what} {shown(folder)}: not writable by user {os.geteuid()}{hint}")


class Anchor:
    """A file or directory that has to stay in its path while a run goes on."""

    def __init__(self, path: bytes | str, what: str) -> None:
        self._path, self._what = path, what
        self._mark = self._identity()

    def require(self) -> None:
        """Raise MachineBlocked when it is no longer there, or another one is."""
        if self._mark is None or self._identity() != self._mark:
            raise MachineBlocked(
                f"{self._what} {shown(self._path)} was removed, replaced or unmounted while this run went on"
            )

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_dev, status.st_ino


def shown(path: bytes | str) -> str:
    """A name made safe to print: control, bidi, other invisible and undecodable characters are escaped.

    Names are untrusted; a terminal must not obey them, nor a line break split a log line in two.
    """
    text = path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def without_login(text: str) -> str:
    """Return a text in which "***" stands for the login of each URL ("https://user:password@host")."""
    return _LOGIN.sub("***@", text)


def has_login(url: str) -> bool:
    """Return whether a URL has a login."""
    return bool(_LOGIN.search(url))


def work_folder(state: str, digest: str) -> bytes:
    """Folder of the pieces of long videos with this content."""
    return os.path.join(os.fsencode(state), WORK, digest.encode())


def _shown(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable() and unicodedata.category(character) not in {"Cc", "Cf", "Co", "Cn", "Cs"}:
        return character
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
