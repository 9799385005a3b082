"""Several SOURCEs and manifests, read to the end first: is a file named twice, do two share an output directory?

There may be millions of files: what was found is kept in a temporary database, which is in memory as far as ``CACHE``
goes. The rest of it is in a file that has no name.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import msgspec

from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.core.files import shown
from mediactl.sources.scan import Batch, Entry, Found, LeftOut, Trouble

CACHE = 8_000
"""KiB of the database that are kept in memory: some ten thousand files."""
_SCHEMA = """
CREATE TABLE found (id INTEGER PRIMARY KEY, what BLOB NOT NULL);
CREATE TABLE outputs (path BLOB PRIMARY KEY, source BLOB NOT NULL) WITHOUT ROWID;
-- Directories under OUT that output directories are in, with the source of one of these.
CREATE TABLE above (path BLOB PRIMARY KEY, source BLOB NOT NULL) WITHOUT ROWID;
"""
_MEETING = "SELECT outputs.source, above.source, path FROM above CROSS JOIN outputs USING (path) LIMIT 1"
_decode = msgspec.msgpack.Decoder(Batch | Trouble | LeftOut).decode


def without_repeats(found: Iterable[Found]) -> Iterator[Found]:
    """Read what was found to the end, and return it without files that were named twice.

    Raises UsageError where two files share an output directory, or one's is above the other's, and MachineBlocked where
    the folder of temporary files is full.
    """
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        with _usable():
            _keep(database, found)
    except BaseException:
        database.close()
        raise
    return _kept(database)


def _keep(database: sqlite3.Connection, found: Iterable[Found]) -> None:
    for setting in (f"cache_size = -{CACHE}", "journal_mode = off"):
        database.execute(f"PRAGMA {setting}")
    database.executescript(_SCHEMA)
    database.execute("BEGIN")
    directory: bytes | None = None
    for each in found:
        what = each
        if isinstance(each, Batch):
            if each.directory != directory and each.files:
                directory = each.directory
                _note_above(database, directory, each.path_of(each.files[0]))
            what = msgspec.structs.replace(each, files=_new(database, each))
            if not what.files:
                continue
        database.execute("INSERT INTO found (what) VALUES (?)", (msgspec.msgpack.encode(what),))
    for first, second, output in database.execute(_MEETING):
        raise UsageError(_meeting(first, second, output))


def _new(database: sqlite3.Connection, batch: Batch) -> list[Entry]:
    """Return those files of a batch that were not named before. Raises UsageError."""
    files: list[Entry] = []
    for entry in batch.files:
        output, source = batch.output_of(entry), batch.path_of(entry)
        if database.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (output, source)).rowcount:
            files.append(entry)
            continue
        ((other,),) = database.execute("SELECT source FROM outputs WHERE path = ?", (output,))
        if other != source:
            raise UsageError(_meeting(other, source, output))
    return files


def _note_above(database: sqlite3.Connection, directory: bytes, source: bytes) -> None:
    while directory and database.execute("INSERT OR IGNORE INTO above VALUES (?, ?)", (directory, source)).rowcount:
        directory = os.path.dirname(directory)


def _kept(database: sqlite3.Connection) -> Iterator[Found]:
    with closing(database), _usable():
        for (what,) in database.execute("SELECT what FROM found ORDER BY id"):
            yield _decode(what)


@contextmanager
def _usable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise MachineBlocked(f"temporary list of sources: {error}; free some space, or set TMPDIR") from None


def _meeting(first: bytes, second: bytes, output: bytes) -> str:
    return (
        f"{shown(first)} and {shown(second)} would both be written to {shown(output)}; use --keep-root to put each"
        " folder's own name in front, or give each an --out of its own"
    )
