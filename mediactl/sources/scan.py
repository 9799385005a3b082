"""Folders and files on the command line -> batches of files with their stat, folder by folder."""

from __future__ import annotations

import operator
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.faults import internal_error
from mediactl.core.files import marks, shown
from mediactl.core.machine import PASSING
from mediactl.model.jobs import Priority
from mediactl.model.media import Fingerprint
from mediactl.sources.filters import (
    HIDDEN,
    IGNORE_FILE,
    LINK,
    NO_RULES,
    OUTPUTS,
    SPECIAL,
    Filter,
    Rule,
    UnusableRules,
)


class Entry(msgspec.Struct, frozen=True, order=True, gc=False):
    """A file in a folder, with its fingerprint; flat and without garbage collection, for there are very many."""

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, name: bytes, status: os.stat_result) -> Entry:
        """Return the entry of a file with this result of stat."""
        return cls(name, *marks(status))

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint."""
        return Fingerprint(self.size, self.mtime_ns, self.ctime_ns, self.inode)


_NAME = operator.attrgetter("name")


class Batch(msgspec.Struct, frozen=True, tag=True):
    """Files found in one folder."""

    root: bytes
    """Absolute folder that ``folder`` is relative to."""
    folder: bytes
    """Relative to ``root``, "" for the root itself."""
    directory: bytes
    """Folder under OUT where their output folders are."""
    files: list[Entry]
    rename: bytes | None = None
    """Name of the output folder, where it is not the file's own name (a batch of one file)."""
    priority: Priority | None = None
    recipe: str | None = None
    fresh: bool = False
    """Found by a walk that was not the first: a new file in it may still be written to."""

    def output_name(self, entry: Entry) -> bytes:
        """Return the name of a file's output folder."""
        return entry.name if self.rename is None else self.rename

    def output_of(self, entry: Entry) -> bytes:
        """Return the path of a file's output folder, relative to OUT."""
        return os.path.join(self.directory, self.output_name(entry))

    def path_of(self, entry: Entry) -> bytes:
        """Return the absolute path of a file."""
        return os.path.join(self.root, self.folder, entry.name)


class Trouble(msgspec.Struct, frozen=True, tag=True):
    """Something that could not be read."""

    name: bytes
    message: str
    passes: bool = False
    """Whether the machine is to blame: the next run may read it."""

    @classmethod
    def of(cls, path: bytes, error: OSError) -> Trouble:
        """Return that of a directory, or of a file in one, that cannot be read."""
        passes = error.errno in PASSING
        what = "the next run tries again" if passes else "skipped"
        return cls(path, f"cannot be read: {error.strerror}; {what}", passes)


class LeftOut(msgspec.Struct, frozen=True, tag=True):
    """What of one folder is left out."""

    root: bytes
    """Absolute folder that ``folder`` is relative to."""
    folder: bytes
    names: list[tuple[bytes, Rule]]
    """Names in the folder, those of directories with a slash, and the rules by which they are left out."""


Found = Batch | Trouble | LeftOut


def folder(
    root: bytes,
    *,
    prefix: bytes,
    never: frozenset[tuple[int, int]],
    follow: bool,
    below: bytes = b"",
    rules: Filter = NO_RULES,
) -> Iterator[Found]:
    """Walk a folder, or what lies in its folder ``below``, in the order of names.

    Hidden files are left out; symbolic links too, unless ``follow``, and whatever the ``rules`` exclude. Folders whose
    (device, inode) is in ``never`` (OUT and the journal's) are not entered, nor is any that is itself an output tree of
    mediactl's.
    """
    visited: set[tuple[int, int]] = set()
    stack: list[tuple[bytes, Filter]] = []
    try:
        stack.append((below, rules_above(root, below, rules)))
    except UnusableRules as error:
        yield Trouble(error.file, str(error), error.passes)
    while stack:
        here, rules_here = stack.pop()
        absolute = os.path.join(root, here) if here else root
        files: list[Entry] = []
        folders: list[bytes] = []
        left_out: list[tuple[bytes, Rule]] = []
        try:
            if follow and not _first_visit(absolute, visited):
                continue
            with os.scandir(absolute) as entries, _opened(absolute) as above:
                inside = rules_here.below(root, here)
                for entry in entries:
                    name = entry.name
                    if name[:1] == b".":
                        if name == b".mediactl" and here:
                            above_here, own = os.path.split(here)
                            yield LeftOut(root, above_here, [(own + b"/", OUTPUTS)])  # outputs are never sources
                            break
                        if name != IGNORE_FILE:
                            hidden = entry.is_dir(follow_symlinks=False)
                            left_out.append((name + b"/" if hidden else name, HIDDEN))
                        continue
                    try:
                        # Links are stat'ed only when they are followed: a dangling one is then reported.
                        link = entry.is_symlink()
                        if not (link and follow):
                            directory = entry.is_dir(follow_symlinks=False)
                            rule = inside.excluding(name, directory=directory) or (LINK if link else None)
                            if rule is not None:
                                left_out.append((name + b"/" if directory else name, rule))
                                continue
                        try:
                            status = os.stat(name, dir_fd=above, follow_symlinks=follow)
                        except OSError as error:
                            if link or not isinstance(error, FileNotFoundError):  # else: removed just now
                                yield Trouble.of(os.path.join(absolute, name), error)
                            continue
                        mode = status.st_mode
                        if link and (rule := inside.excluding(name, directory=stat.S_ISDIR(mode))) is not None:
                            left_out.append((name, rule))
                        elif stat.S_ISREG(mode):
                            files.append(Entry(name, *marks(status)))
                        elif stat.S_ISDIR(mode) and (status.st_dev, status.st_ino) not in never:
                            folders.append(name)
                        elif not stat.S_ISDIR(mode):
                            left_out.append((name, SPECIAL))
                    except Exception as error:  # noqa: BLE001 - the others are to be found all the same
                        yield Trouble(os.path.join(absolute, name), internal_error(error))
                else:
                    files.sort(key=_NAME)
                    folders.sort(reverse=True)
                    stack.extend((os.path.join(here, name), inside) for name in folders)
                    if left_out:
                        left_out.sort(key=lambda each: each[0])
                        yield LeftOut(root, here, left_out)
                    if files:
                        yield Batch(root, here, os.path.join(prefix, here) if here else prefix, files)
        except UnusableRules as error:
            yield Trouble(error.file, str(error), error.passes)
        except OSError as error:
            yield Trouble.of(absolute, error)
        except Exception as error:  # noqa: BLE001 - so are those of other folders
            yield Trouble(absolute, internal_error(error))


def rules_above(root: bytes, folder: bytes, rules: Filter) -> Filter:
    """Return the rules of the folder above this one. Raises UnusableRules."""
    here = b""
    for name in folder.split(b"/") if folder else ():
        rules = rules.below(root, here)
        here = os.path.join(here, name)
    return rules


def entered(root: bytes, folder: bytes, *, never: frozenset[tuple[int, int]], rules: Filter = NO_RULES) -> bytes | None:
    """The name, relative to ``root``, by which a walk that follows no links enters this folder; None: it does not.

    That is another name than the one asked for where that one leads through a link to a folder inside ``root``.
    Raises OSError when it is not there, and UnusableRules.
    """
    here, whole = b"", rules
    for name in folder.split(b"/") if folder else ():
        rules = rules.below(root, here)
        here = os.path.join(here, name)
        absolute = os.path.join(root, here)
        status = os.lstat(absolute)
        if stat.S_ISLNK(status.st_mode):
            real, top = os.path.realpath(os.path.join(root, folder)), os.path.realpath(root)
            below = real[len(top) + 1 :] if real.startswith(top + b"/") else None
            return None if below is None else entered(root, below, never=never, rules=whole)
        if name[:1] == b"." or not stat.S_ISDIR(status.st_mode) or (status.st_dev, status.st_ino) in never:
            return None
        if rules.excluding(name, directory=True) is not None:
            return None
        if os.path.lexists(os.path.join(absolute, b".mediactl")):
            return None
    return folder


def single(path: bytes, *, prefix: bytes) -> Batch:
    """Return a file named on the command line; its output folder has its own name. Raises UsageError."""
    return explicit(path, os.path.join(prefix, os.path.basename(os.path.normpath(path))))


def explicit(
    path: bytes,
    output: bytes,
    *,
    real: bytes | None = None,
    priority: Priority | None = None,
    recipe: str | None = None,
) -> Batch:
    """Return a file with a given output folder; links are followed, for somebody named it. Raises UsageError.

    ``real`` is its real path, where that was found out already.
    """
    try:
        real = os.path.realpath(path, strict=True) if real is None else real
        status = os.stat(real)
    except OSError as error:
        raise UsageError(f"{shown(path)}: {_reason(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{shown(path)}: not a regular file or folder")
    root, name = os.path.split(real)
    above, last = os.path.split(output)
    return Batch(root, b"", above, [Entry.of(name, status)], None if last == name else last, priority, recipe)


@contextmanager
def _opened(directory: bytes) -> Iterator[int]:
    """Open a directory to stat its entries from there, which takes the kernel half as long as by their whole paths."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _first_visit(path: bytes, visited: set[tuple[int, int]]) -> bool:
    status = os.stat(path)
    mark = (status.st_dev, status.st_ino)
    if mark in visited:
        return False  # a loop of links
    visited.add(mark)
    return True


def _reason(error: OSError) -> str:
    return "no such file or folder" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))


def in_folders(found: Iterable[Found]) -> Iterator[Found]:
    """Join batches that follow one another and differ in their files alone: what is in one folder is taken in at once.

    Those of one file are what the rows of a manifest are.
    """
    for key, group in groupby(found, key=_but_files):
        first = next(group)
        if isinstance(first, Batch) and isinstance(key, tuple):
            files = [*first.files, *(entry for each in group if isinstance(each, Batch) for entry in each.files)]
            yield msgspec.structs.replace(first, files=files)
        else:
            yield first


def _but_files(each: Found) -> object:
    """Return what batches have in common that can be joined; another value for everything else."""
    if isinstance(each, Batch) and each.rename is None:
        return each.root, each.folder, each.directory, each.priority, each.recipe, each.fresh
    return object()
