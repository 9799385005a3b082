"""What a walk leaves out: by --exclude and --include, by .mediactlignore files, and by default.

The first of these that has a rule for a file or directory decides: --exclude, the .mediactlignore of its own directory,
those of the directories above up to SOURCE, the defaults. Within one of them the last rule that matches does, and a
rule that begins with "!" takes back what others leave out. What an excluded directory holds is never looked at. So far
this is gitignore(5), byte by byte as git does it. Of what is left, --include takes only the files that match it.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterable

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.machine import PASSING
from mediactl.core.settings import Settings
from mediactl.model.events import LeftOutBy

IGNORE_FILE = b".mediactlignore"
LARGEST = 1 << 20
"""Bytes of a .mediactlignore: nobody writes more, and each line costs a regular expression."""
MOST_WILDCARDS = 3
"""Of "*" in one name, and of "**" in a pattern, of a file that may have come with the sources: matching takes time that
grows with this power of the name's length, 30 ms for 3 and the longest name."""

DIRECTORIES = (
    # thumbnails, bins and working directories of NAS: Synology, QNAP, others
    "@eaDir", "#recycle", "@Recycle", "@tmp", "@__thumb", ".@__thumb", ".@upload_cache", "Network Trash Folder",
    # snapshots: QNAP, Synology, NetApp, ZFS, snapper
    "@Recently-Snapshot", "@sharesnap", "#snapshot", "~snapshot", ".snapshot", ".snapshots", ".zfs",
    # what systems keep on a disk
    "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found", ".Trashes", ".Trash-1000", ".Spotlight-V100",
    ".fseventsd", "__MACOSX",
    # caches and old versions of other tools: thumbnails (freedesktop.org), digiKam, Syncthing, Resilio
    ".thumbnails", ".dtrash", ".stversions", ".stfolder", ".sync",
)  # fmt: skip
"""Names of directories that are never entered by default, in any case of letters."""
DIRECTORY_ENDS = (".download", ".lrdata")
"""Safari's unfinished downloads, and Lightroom's previews."""
ENDS = (
    # unfinished downloads: Firefox, yt-dlp and curl; Chrome; qBittorrent; WinSCP; Edge; Safari; Opera; aria2, others
    ".part", ".crdownload", ".!qB", ".!ut", ".!bt", ".bc!", ".filepart", ".partial", ".download", ".opdownload",
    ".fdmdownload", ".aria2", ".ytdl", ".xltd",
    # what programs write before they rename it, and backups and locks of editors
    ".tmp", ".temp", "~", ".bak", ".swp", ".swo",
)  # fmt: skip
STARTS = ("~$", ".#", "#")
"""Files with such an end, or such a start, are never taken by default; "#" only where it is the end as well."""


class Rule(msgspec.Struct, frozen=True):
    """Why something is left out."""

    by: LeftOutBy
    text: str
    """The rule itself; of a .mediactlignore, after the file and the line."""


LINK = Rule(LeftOutBy.SYMLINK, "--follow-symlinks is not given")
HIDDEN = Rule(LeftOutBy.HIDDEN, "hidden")
SPECIAL = Rule(LeftOutBy.SPECIAL, "not a regular file")
OUTPUTS = Rule(LeftOutBy.OUTPUTS, "an output directory")
NOT_INCLUDED = Rule(LeftOutBy.INCLUDE, "no --include matches")


class UnusableRules(Exception):
    """The .mediactlignore ``file`` cannot be used; its directory is skipped, not taken as if there were none."""

    def __init__(self, file: bytes, why: str, *, passes: bool = False) -> None:
        super().__init__(f"{why}; its directory is skipped")
        self.file = file
        self.passes = passes
        """Whether the machine is to blame: the next run may read it."""


class Pattern(msgspec.Struct, frozen=True):
    """One pattern of gitignore, without what it says of a directory's contents: those are not looked at."""

    regex: re.Pattern[bytes]
    excludes: bool
    directories: bool
    """Whether it is for directories alone."""
    rule: Rule

    def matches(self, path: bytes, *, directory: bool) -> bool:
        """Return whether it is for this very file or directory."""
        if self.directories and not directory:
            return False
        match = self.regex.search(path)
        return match is not None and not _is_of_above(match)

    def holds(self, path: bytes) -> bool:
        """Return whether it is for this file or for a directory above it."""
        match = self.regex.search(path)
        return match is not None and (not self.directories or _is_of_above(match))


CLASSES = {
    b"alnum": b"a-zA-Z0-9", b"alpha": b"a-zA-Z", b"blank": b" \t", b"digit": b"0-9", b"lower": b"a-z",
    b"upper": b"A-Z", b"space": b" \t\n\v\f\r", b"xdigit": b"0-9a-fA-F",
}  # fmt: skip
"""Classes of characters in brackets, which pathspec lacks: "[[:digit:]]"."""
_CLASS = re.compile(rb"(\[[^\]]*)\[:(" + b"|".join(CLASSES) + rb"):\]")


def parsed(line: bytes, rule: Rule) -> Pattern | None:
    """Return the pattern in a line; None for blank lines, comments, and what git has match nothing, too."""
    text = line.rstrip(b" ")
    if text != line and (len(text) - len(text.rstrip(b"\\"))) % 2:
        text += b" "  # an escaped one
    bare = text.removesuffix(b"/")
    if text.startswith(b"#") or not bare.removeprefix(b"!"):
        return None
    if bare[-1:] != b" " and not bare[-1:].decode("latin-1").strip() and bare[-2:-1] != b"\\":
        bare = bare[:-1] + b"[" + bare[-1:] + b"]"  # the last byte of "\u00e0": pathspec would strip it as a space
    while (expanded := _CLASS.sub(lambda found: found[1] + CLASSES[found[2]], bare)) != bare:
        bare = expanded
    from pathspec import GitIgnoreSpec, RegexPattern  # 17 ms, and most runs have no patterns

    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # "[[" in a regular expression
            (pattern,) = GitIgnoreSpec.from_lines([bare]).patterns
            assert isinstance(pattern, RegexPattern)
            if pattern.regex is None:
                return None
            # Names may hold line feeds.
            regex = re.compile(pattern.regex.pattern.replace(b"|$)", b"|\\Z)"), re.DOTALL)
    except (ValueError, re.error):
        return None
    return Pattern(regex, bool(pattern.include), text.endswith(b"/"), rule)


def _is_of_above(match: re.Match[bytes]) -> bool:
    """Return whether pathspec's regular expression matched a directory above the path."""
    return match.groupdict().get("ps_d") is not None


class Patterns:
    """Patterns in their order; the last one that matches decides."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._backwards = tuple(patterns)[::-1]

    def __bool__(self) -> bool:
        return bool(self._backwards)

    def decisive(self, path: bytes, *, directory: bool) -> Pattern | None:
        """Return the pattern that decides over a file or directory."""
        for pattern in self._backwards:
            if pattern.matches(path, directory=directory):
                return pattern
        return None

    def hold(self, path: bytes) -> bool:
        """Return whether they are for a file, or for a directory above it."""
        return next((pattern.excludes for pattern in self._backwards if pattern.holds(path)), False)


class Filter:
    """The rules for what lies in one directory. ``below`` returns those of a directory in it."""

    def __init__(
        self,
        include: Patterns,
        exclude: Patterns,
        folder: bytes = b"",
        ignoring: tuple[tuple[bytes, Patterns], ...] = (),
        *,
        defaults: bool = True,
    ) -> None:
        self._include = include
        self._exclude = exclude
        self._folder = os.path.join(folder, b"") if folder else b""
        self._ignoring = ignoring
        self._defaults = defaults
        layers = ((base, patterns) for base, patterns in ((b"", exclude), *ignoring) if patterns)
        self._layers = [(self._folder[len(base) :], patterns) for base, patterns in layers]
        """Strongest first, each with the directory's path from where its patterns are relative to."""
        self._by_default_alone = not self._layers and not include

    @classmethod
    def of(cls, include: Iterable[bytes] = (), exclude: Iterable[bytes] = (), *, defaults: bool = True) -> Filter:
        """Return the rules that options ask for. Raises UsageError for a pattern that is none."""
        return cls(
            _options(LeftOutBy.INCLUDE, include), _options(LeftOutBy.EXCLUDE, exclude), defaults=defaults
        )  # fmt: skip

    def below(self, root: bytes, folder: bytes) -> Filter:
        """Return the rules for what lies in ``folder``, a path relative to ``root``, and reads its .mediactlignore.

        Raises UnusableRules.
        """
        name = os.path.join(folder, IGNORE_FILE)
        path = os.path.join(root, name)
        try:
            return self.within(folder, _ignore_file(path), name)
        except UnusableRules as error:
            error.file = path
            raise

    def within(self, folder: bytes, content: bytes | None, name: bytes) -> Filter:
        """Return the rules for what lies in ``folder``, whose .mediactlignore, ``name``, has this content; None: there
        is none. Raises UnusableRules."""
        ignoring = self._ignoring
        if content is not None and (patterns := _patterns(content, name)):
            ignoring = ((os.path.join(folder, b"") if folder else b"", patterns), *ignoring)
        return Filter(self._include, self._exclude, folder, ignoring, defaults=self._defaults)

    def excluding(self, name: bytes, *, directory: bool) -> Rule | None:
        """Return the rule by which a file or directory of this name is left out, if it is."""
        if self._by_default_alone and not directory and name[-1] not in _LAST and name[0] not in _FIRST:
            return None  # nearly every file of a scan
        for above, patterns in self._layers:
            pattern = patterns.decisive(above + name, directory=directory)
            if pattern is not None:
                if pattern.excludes:
                    return pattern.rule
                break
        else:
            if self._defaults and (rule := _default(name, directory=directory)) is not None:
                return rule
        if self._include and not directory and not self._include.hold(self._folder + name):
            return NOT_INCLUDED
        return None


def of(settings: Settings) -> Filter:
    """Return the rules that settings ask for. Raises UsageError for a pattern that is none."""
    return Filter.of(settings.include, settings.exclude, defaults=settings.default_excludes)


def _options(by: LeftOutBy, lines: Iterable[bytes]) -> Patterns:
    patterns: list[Pattern] = []
    for line in lines:
        pattern = parsed(line, Rule(by, f"{by} {shown(line)}"))
        if pattern is None:
            raise UsageError(f"{by} {shown(line)!r}: not a pattern as in .gitignore")
        patterns.append(pattern)
    return Patterns(patterns)


def _ignore_file(path: bytes) -> bytes | None:
    """Return the content of a .mediactlignore; None where there is none. Raises UnusableRules."""
    try:
        # O_NONBLOCK: a pipe of this name must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnusableRules(path, f"cannot be read: {error.strerror}", passes=error.errno in PASSING) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnusableRules(path, "not a regular file")
    with open(descriptor, "rb") as file:
        return file.read(LARGEST + 1)


def _patterns(content: bytes, name: bytes) -> Patterns:
    """Return the rules of a .mediactlignore of this name. Raises UnusableRules."""
    if len(content) > LARGEST:
        raise UnusableRules(name, f"longer than {LARGEST:,} bytes")
    patterns: list[Pattern] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if not line.startswith(b"#") and _is_costly(line):
            raise UnusableRules(name, f"line {number}: more than {MOST_WILDCARDS} wildcards")
        pattern = parsed(line, Rule(LeftOutBy.IGNORE_FILE, f"{shown(name)}:{number}: {shown(line)}"))
        if pattern is not None:
            patterns.append(pattern)
    return Patterns(patterns)


def _is_costly(pattern: bytes) -> bool:
    return pattern.count(b"**") > MOST_WILDCARDS or any(
        len(re.findall(rb"\*+", name)) > MOST_WILDCARDS for name in pattern.split(b"/")
    )


_DIRECTORIES = {os.fsencode(name.lower()): name for name in DIRECTORIES}
_DIRECTORY_ENDS = tuple(os.fsencode(end.lower()) for end in DIRECTORY_ENDS)
_ENDS = tuple(os.fsencode(end.lower()) for end in ENDS)
_STARTS = tuple(os.fsencode(start.lower()) for start in STARTS)
_LAST = frozenset(byte for end in ENDS for byte in (ord(end[-1].lower()), ord(end[-1].upper())))
_FIRST = frozenset(ord(start[0]) for start in STARTS)
"""Bytes that a file's name ends or starts with if a default rule is for it."""


def _default(name: bytes, *, directory: bool) -> Rule | None:
    """Return the default rule for a name; no regular expressions, for every file of a scan comes through here."""
    name = name.lower()
    if directory:
        if name in _DIRECTORIES:
            return Rule(LeftOutBy.DEFAULT, f"{_DIRECTORIES[name]}/")
        if name.endswith(_DIRECTORY_ENDS):
            return Rule(LeftOutBy.DEFAULT, f"*{next(e for e in DIRECTORY_ENDS if name.endswith(e.lower().encode()))}/")
        return None
    if name.endswith(_ENDS):
        return Rule(LeftOutBy.DEFAULT, f"*{next(e for e in ENDS if name.endswith(e.lower().encode()))}")
    if name.startswith(_STARTS) and (name[:1] != b"#" or (len(name) > 1 and name[-1:] == b"#")):
        start = next(s for s in STARTS if name.startswith(s.encode()))
        return Rule(LeftOutBy.DEFAULT, "#*#" if start == "#" else f"{start}*")
    return None


NO_RULES = Filter.of(defaults=False)
"""Nothing is left out but by .mediactlignore files."""
