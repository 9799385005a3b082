"""Trees of any size whose sources are all done, in seconds: mediactl makes one folder of them, the others are copies.

A copy has files of its own, sources and outputs (with ``links`` further names of the same files, for trees of a
million), and rows of its own in the journal: sources, artefacts, jobs and attempts, with what differs from folder to
folder replaced (ids, paths, inode, times, digest, job key). What a copied source contains is what its digest in the
journal was, so all that does not hash it takes the tree for one that mediactl made.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import apsw

from benchmarks.measure import MEDIACTL, run

FOLDER = 1000
"""Sources in a folder."""
JOBS = 10 * FOLDER
"""Room for the ids of a folder's jobs."""
_ROWS = {
    "sources": {
        "id": "id + :sources", "folder": ":folder", "path": "CAST(:folder || '/' || name AS BLOB)",
        "digest": ":folder || substr(digest, 1 + length(:folder))",
    },
    "artefacts": {"source": "source + :sources"},
    "jobs": {
        "id": "id + :jobs", "source": "source + :sources", "key": ":folder || '-' || key",
        "content": ":folder || '-' || content",
    },
    "attempts": {"job": "job + :jobs"},
}  # fmt: skip
"""Table -> what of a copied row differs."""
_FIRST = {"sources": "id", "artefacts": "source", "jobs": "id", "attempts": "job"}
"""Table -> the id by which the rows of the first folder are known."""


def png(pixels: bytes) -> bytes:
    """An 8 x 8 RGB picture; 192 bytes of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[row * 24 : row * 24 + 24] for row in range(8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def plant(tree: Path, count: int) -> None:
    """Write `count` different pictures, a thousand to a folder."""
    dice = random.Random(20)
    for number in range(count):
        folder = tree / f"{number // FOLDER:04d}"
        if number % FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number % FOLDER:04d}.png").write_bytes(png(dice.randbytes(192)))


def grow(
    work: Path,
    count: int,
    *,
    links: bool = False,
    program: Sequence[str] = MEDIACTL,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Make ``tree`` and ``out`` in ``work``, of so many done sources, a multiple of a thousand; an earlier call's stay.

    ``program`` with its environment ``variables`` is the mediactl that makes the first folder. Raises ContenderError if
    it cannot.
    """
    done, wanted = work / "grown", f"{count} {links}"
    if done.exists() and done.read_text() == wanted:
        return
    if any(work.iterdir()):
        sys.exit(f"{work} holds something else, or a tree of another size: name an empty folder with --work.")
    print(f"making {count} sources with their outputs ...", file=sys.stderr, flush=True)
    plant(work / "tree", FOLDER)
    run([*program, "process", *places(work), "--quiet"], env={**variables, **environment(work)})
    database = apsw.Connection(str(work / "out/.mediactl/journal.db"))
    database.pragma("synchronous", "off")
    with database:
        for number in range(1, count // FOLDER):
            name = f"{number:04d}"
            for top in ("tree", "out"):
                _copy(work / top / "0000", work / top / name, links=links)
            _copy_rows(database, number, name)
        database.executemany(
            "UPDATE sources SET mtime_ns = ?, ctime_ns = ?, inode = ? WHERE folder = ? AND name = ?",
            (
                (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, os.fsencode(folder), os.fsencode(entry.name))
                for folder in sorted(os.listdir(work / "tree"))
                for entry in os.scandir(work / "tree" / folder)
                for status in (entry.stat(),)
            ),
        )
    database.execute("ANALYZE")
    database.pragma("wal_checkpoint(truncate)")
    database.close()
    done.write_text(wanted)


def places(work: Path) -> list[str]:
    """Arguments of ``process`` for the tree."""
    return [str(work / "tree"), "--out", str(work / "out")]


def environment(work: Path) -> Mapping[str, str]:
    """What keeps the cache of digests beside the tree."""
    return {"MEDIACTL_CACHE": str(work / "cache")}


def _copy(source: Path, target: Path, *, links: bool) -> None:
    if links:
        _link(str(source), str(target))
    else:
        shutil.copytree(source, target)  # folders and files keep their times


def _link(source: str, target: str) -> None:
    """Give every file further names, in folders with the times of theirs; ten times as fast as shutil."""
    os.mkdir(target)
    with os.scandir(source) as entries:
        for entry in entries:
            (_link if entry.is_dir(follow_symlinks=False) else os.link)(entry.path, f"{target}/{entry.name}")
    status = os.stat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_rows(database: apsw.Connection, number: int, folder: str) -> None:
    for table, changed in _ROWS.items():
        names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(name, name) for name in names)
        most = FOLDER if table in ("sources", "artefacts") else JOBS
        database.execute(
            f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {_FIRST[table]} <= {most}",
            {"sources": number * FOLDER, "jobs": number * JOBS, "folder": folder.encode()},
        )
