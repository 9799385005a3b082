"""Objects of a bucket as sources: their names as paths, and a list of keys as the directories that these imply. Pure.

A key may be anything: parts that no path can have are escaped, so that each key has a path of its own, and each path
says its key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from mediactl.core.files import LONGEST_NAME, shown
from mediactl.model.media import Fingerprint
from mediactl.sources.filters import HIDDEN, IGNORE_FILE, OUTPUTS, Filter, Rule, UnusableRules
from mediactl.sources.scan import Batch, Entry, Found, LeftOut, Trouble

JOURNAL = b".mediactl"
_ESCAPED = b"%%"
"""What an escaped part of a key begins with."""
_LONGEST = LONGEST_NAME - 17
"""Bytes of a longer name that are kept, with a digest of all of it behind them."""


class Object(NamedTuple):
    """An object below a prefix."""

    key: bytes
    """Behind the prefix."""
    fingerprint: Fingerprint


def path_of(key: bytes) -> bytes:
    """Return the path of a key: the key itself, where each of its parts may be a file's name."""
    return b"/".join(map(_name, key.split(b"/")))


def key_of(path: bytes) -> bytes:
    """Return the key that has this path."""
    return b"/".join(map(_part, path.split(b"/")))


def _name(part: bytes) -> bytes:
    if part not in (b"", b".", b"..") and b"\0" not in part and not part.startswith(_ESCAPED):
        return part
    return _ESCAPED + quote_from_bytes(part, safe="").replace(".", "%2E").encode()


def _part(name: bytes) -> bytes:
    return unquote_to_bytes(name[len(_ESCAPED) :]) if name.startswith(_ESCAPED) else name


def output_of(path: bytes) -> bytes:
    """Return the output directory of a path: the same, with names that are too long for a file system shortened."""
    return b"/".join(map(_shortened, path.split(b"/")))


def _shortened(name: bytes) -> bytes:
    if len(name) <= LONGEST_NAME:
        return name
    return name[:_LONGEST].decode("utf-8", "ignore").encode() + b"~" + hashlib.sha256(name).hexdigest()[:16].encode()


class Directory:
    """What was listed of a directory."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        """Below the root, without a slash at its end; "" for the root."""
        self.entries: list[Entry] = []
        self.below: set[bytes] = set()
        """Names of directories in it."""
        self.markers: list[bytes] = []
        """Keys that end with a slash and have content, behind the directory's."""


def directories(
    objects: Iterable[Object], above: bytes, below: Iterable[bytes]
) -> Iterator[tuple[list[Directory], bytes | None]]:
    """Yield directories that are complete, those inside before those around them, with the key that came next.

    ``objects`` come in the order of their keys. ``above``: the key of the directory, with its slash, that all are in;
    ``below``: names of directories in that one that are listed elsewhere.
    """
    stack = [Directory(path_of(above[:-1]) if above else b"")]
    stack[0].below.update(below)
    keys = [above]
    for each in objects:
        closed = []
        while not each.key.startswith(keys[-1]):
            keys.pop()
            closed.append(stack.pop())
        *parts, last = each.key[len(keys[-1]) :].split(b"/")
        for part in parts:
            name = _name(part)
            stack[-1].below.add(name)
            stack.append(Directory(os.path.join(stack[-1].path, name) if stack[-1].path else name))
            keys.append(keys[-1] + part + b"/")
        mark = each.fingerprint
        if last:
            stack[-1].entries.append(Entry(_name(last), mark.size, mark.mtime_ns, mark.ctime_ns, mark.inode))
        elif mark.size:
            stack[-1].markers.append(each.key)
        yield closed, each.key
    yield stack[::-1], None


class Walk:
    """Turns directories of one root into batches, by the rules that hold for each."""

    def __init__(
        self, root: bytes, prefix: bytes, rules: Filter, read: Callable[[bytes], bytes], never: Callable[[bytes], bool]
    ) -> None:
        """``root``: s3://BUCKET/PREFIX. ``prefix``: directory under OUT. ``read`` returns the content of the object of
        a path; raises OSError. ``never``: whether a directory's path is one of outputs."""
        self._root = root
        self._prefix = prefix
        self._rules = rules
        self._read = read
        self._never = never
        self._known: dict[bytes, Filter | None] = {}
        """Of directories whose content is still to come; None: they are left out."""

    def found(
        self, objects: Iterable[Object], above: bytes = b"", below: Iterable[bytes] = (), ignoring: Iterable[bytes] = ()
    ) -> Iterator[Found]:
        """Yield what is in a list, in the order of its keys, directory by directory; ``above`` and ``below`` as of
        ``directories``.

        ``ignoring``: paths of the .mediactlignore files above it. The list is not asked for where they leave it out.
        """
        held: list[Directory] = []
        ignoring = set(ignoring)
        if above:
            path = path_of(above[:-1])
            try:
                yield from self._enter(os.path.dirname(path), ignoring)
                if self._known[os.path.dirname(path)] is not None:
                    yield from self._leave_out(path)
            except UnusableRules as error:
                yield Trouble(error.file, str(error), error.passes)
                return
            if self._known.get(path, self._rules) is None or self._known[os.path.dirname(path)] is None:
                return
        open_keys: list[bytes] = [above]
        for closed, key in directories(self._noting(objects, ignoring), above, below):
            held += closed
            if key is not None:
                while not key.startswith(open_keys[-1]):
                    open_keys.pop()
                for part in key[len(open_keys[-1]) :].split(b"/")[:-1]:
                    open_keys.append(open_keys[-1] + part + b"/")
                # A name before ".mediactlignore": whether its directory has one is not known yet.
                if not all(key[len(each) :] >= IGNORE_FILE for each in open_keys):
                    continue
            for directory in held:
                yield from self._directory(directory, ignoring)
            held.clear()

    @staticmethod
    def _noting(objects: Iterable[Object], ignoring: set[bytes]) -> Iterator[Object]:
        for each in objects:
            if each.key.endswith(IGNORE_FILE) and os.path.basename(each.key) == IGNORE_FILE:
                ignoring.add(path_of(each.key))
            yield each

    def _directory(self, directory: Directory, ignoring: set[bytes]) -> Iterator[Found]:
        here = directory.path
        left_out: list[tuple[bytes, Rule]] = []
        try:
            yield from self._enter(here, ignoring)
            rules = self._known.pop(here)  # nothing more comes that is in it
        except UnusableRules as error:
            self._known[here] = None
            yield Trouble(error.file, str(error), error.passes)
            return
        if rules is None:
            return
        if here and JOURNAL in directory.below:
            above, own = os.path.split(here)
            yield LeftOut(self._root, above, [(own + b"/", OUTPUTS)])
            return
        plain: list[Entry] = []
        others: list[Entry] = []
        for entry in directory.entries:
            rule = HIDDEN if entry.name[:1] == b"." else rules.excluding(entry.name, directory=False)
            if entry.name == IGNORE_FILE:
                continue
            if rule is not None:
                left_out.append((entry.name, rule))
            elif entry.name in directory.below:
                both = "is an object and a directory of others: their outputs would be mixed; skipped"
                yield Trouble(os.path.join(self._root, here, entry.name), both)
            elif len(entry.name) > LONGEST_NAME:
                others.append(entry)
            else:
                plain.append(entry)
        for key in directory.markers:
            yield Trouble(os.path.join(self._root, key), "its key ends with a slash, as those of directories; skipped")
        if left_out:
            yield LeftOut(self._root, here, left_out)
        output = output_of(here) if here else b""
        under = os.path.join(self._prefix, output) if here else self._prefix
        if plain:
            yield Batch(self._root, here, under, plain)
        for entry in others:
            yield Batch(self._root, here, under, [entry], _shortened(entry.name))

    def _enter(self, here: bytes, ignoring: set[bytes]) -> Iterator[Found]:
        """Find out the rules of a directory, and of those above it; yield those that are left out. Raises
        UnusableRules."""
        if here in self._known:
            return
        if not here:
            self._known[here] = self._with_file(self._rules, here, ignoring)
            return
        above = os.path.dirname(here)
        yield from self._enter(above, ignoring)
        yield from self._leave_out(here)
        if here not in self._known:
            rules = self._known[above]
            self._known[here] = rules and self._with_file(rules, here, ignoring)

    def _leave_out(self, here: bytes) -> Iterator[Found]:
        """Leave a directory out by the rules of the one above, if they say so."""
        above, name = os.path.split(here)
        rules = self._known[above]
        if rules is None:
            return
        rule = HIDDEN if name[:1] == b"." else rules.excluding(name, directory=True)
        rule = rule or (OUTPUTS if self._never(here) else None)
        if rule is not None:
            self._known[here] = None
            yield LeftOut(self._root, above, [(name + b"/", rule)])

    def _with_file(self, rules: Filter, here: bytes, ignoring: set[bytes]) -> Filter:
        name = os.path.join(here, IGNORE_FILE)
        if name not in ignoring:
            return rules.within(here, None, name)
        try:
            return rules.within(here, self._read(name), name)
        except OSError as error:
            raise UnusableRules(
                os.path.join(self._root, name), f"cannot be read: {shown(str(error))}", passes=True
            ) from None
