"""Names of jobs as people give them: what was printed, or a path typed at a prompt."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator

from mediactl.core.files import shown

_ESCAPE = re.compile(r"\\\\|\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})|\\([ntr])")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r"}


def meant(what: bytes, out: bytes, here: bytes) -> Iterator[bytes]:
    """Yield what a name may stand for, the likeliest first: as given, unescaped, absolute, an output's directory.

    ``out`` is the output directory and ``here`` the current one, both absolute.
    """
    for name in dict.fromkeys((what, unescaped(what))):
        yield name
        full = os.path.normpath(os.path.join(here, name))
        yield full
        if full.startswith(out + b"/"):
            inside = os.path.relpath(full, out)
            yield inside
            yield os.path.dirname(inside)


def unescaped(name: bytes) -> bytes:
    """Return a name whose escapes, as ``shown`` prints them, are undone."""

    def character(found: re.Match[str]) -> str:
        byte, short, long, letter = found.groups()
        if byte is not None:
            code = int(byte, 16)
            return chr(code) if code < 0x80 else chr(0xDC00 + code)
        if letter is not None:
            return _LETTERS[letter]
        return chr(int(short or long, 16)) if short or long else "\\"

    try:
        return _ESCAPE.sub(character, name.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    except (ValueError, OverflowError):  # an escape for what is no character, which ``shown`` never prints
        return name


def near(what: bytes, paths: Iterable[bytes]) -> str:
    """Return the path that resembles a name most, as it is printed; "" when none does."""
    texts = {shown(path): None for path in paths}
    wanted = shown(what)
    ends = [text for text in texts if text.rpartition("/")[2] == wanted.rpartition("/")[2]]
    close = ends[:1] or difflib.get_close_matches(wanted, texts, 1, 0.75)
    return close[0] if close else ""
