"""Opening the journal's database: where it may lie, its schema version, and what happens when it is damaged.

apsw, not the standard library's sqlite3: it brings an SQLite without the WAL-reset bug, which can lose a committed
transaction when several processes write (docs/decisions/0002-apsw.md).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import quote

import apsw

from mediactl.core import system
from mediactl.core.errors import MachineBlocked, MediactlError, UsageError
from mediactl.core.files import shown
from mediactl.core.filesystem.mounts import MOUNTS, mount_of
from mediactl.jobs import owners

VERSION = 8
"""Schema version, in the database's user_version."""
APPLICATION_ID = 0x6D636A31
"""Marks the file as a mediactl journal ("mcj1")."""
BUSY_MILLISECONDS = 60_000
"""How long a transaction waits for another run's; theirs take milliseconds."""
LONGEST = 500
"""Bytes; with some for the names beside it (-wal), SQLite opens no path that is longer (its MAX_PATHNAME is 512)."""
SMALL = 16 << 20
"""Bytes; a journal up to this size is checked at every open, which takes less than 30 ms."""
NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs"}
    | {"fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs", "fuse.ceph", "fuse.gcsfuse", "davfs", "fuse.davfs2"}
)
"""SQLite's WAL needs memory shared between its users, which these do not give."""

MIGRATIONS: dict[int, str] = {
    1: """
    UPDATE jobs SET interruptions = 0; -- they had no bound, and counted jobs that had not begun
    ALTER TABLE jobs ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;
    DROP INDEX jobs_due;
    CREATE INDEX jobs_due ON jobs (lane, due, id, kind) WHERE state = 'ready' AND run_after IS NULL;
    ALTER TABLE sources ADD COLUMN upload_state TEXT NOT NULL DEFAULT ''
        CHECK (upload_state IN ('', 'pending', 'done', 'conflict', 'failed'));
    ALTER TABLE sources ADD COLUMN uploaded TEXT NOT NULL DEFAULT '';
    """,
    2: """
    ALTER TABLE jobs ADD COLUMN operation TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN piece INTEGER;
    ALTER TABLE jobs ADD COLUMN pieces INTEGER;
    ALTER TABLE jobs ADD COLUMN cut TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN destination TEXT NOT NULL DEFAULT '';
    -- Tasks have another form now. What is not done loses its payload, so that nothing reads it: it is cancelled, now
    -- or, when its run is found dead, by "reclaim", and replanned when its source is next scanned.
    UPDATE jobs SET payload = x'' WHERE kind IN ('probe', 'image', 'video', 'audio', 'piece');
    UPDATE jobs SET state = 'cancelled', run_after = NULL, reason = 'was planned by an older mediactl'
    WHERE payload = x'' AND state = 'ready';
    -- Facts that stood in other columns: "joined" or "asset" as format, "digest:3/8" as content, "plan:cut" as plan of
    -- pieces, the destination of uploads as plan.
    UPDATE jobs SET operation = CASE
        WHEN kind = 'video' AND format = 'joined' THEN 'join'
        WHEN kind = 'upload' AND format = 'asset' THEN 'publish'
        ELSE kind END;
    UPDATE jobs SET format = '' WHERE operation = 'join';
    UPDATE jobs SET format = '', destination = plan, plan = '' WHERE kind = 'upload';
    UPDATE jobs SET cut = substr(plan, -16), plan = substr(plan, 1, length(plan) - 17),
        piece = CAST(substr(content, instr(content, ':') + 1) AS INTEGER),
        pieces = iif(instr(content, '/'), CAST(substr(content, instr(content, '/') + 1) AS INTEGER), 0)
    WHERE kind = 'piece';
    UPDATE durations SET operation = 'join', format = '' WHERE operation = 'video' AND format = 'joined';
    INSERT INTO durations SELECT iif(format = 'asset', 'publish', 'upload'), '', size_bucket, bucket, sum(count)
    FROM durations WHERE operation = 'upload' GROUP BY format = 'asset', size_bucket, bucket;
    DELETE FROM durations WHERE operation = 'upload' AND format <> '';
    """,
    3: """
    ALTER TABLE runs ADD COLUMN command TEXT NOT NULL DEFAULT '';
    ALTER TABLE runs ADD COLUMN done INTEGER;
    ALTER TABLE runs ADD COLUMN rejected INTEGER;
    ALTER TABLE runs ADD COLUMN quarantined INTEGER;
    ALTER TABLE runs ADD COLUMN unfinished INTEGER;
    -- What could have read the rejected ones was not recorded: each is tried once more.
    ALTER TABLE sources ADD COLUMN decoders TEXT NOT NULL DEFAULT '';
    ALTER TABLE sources ADD COLUMN requires TEXT NOT NULL DEFAULT '';
    """,
    4: """
    ALTER TABLE runs ADD COLUMN workers INTEGER;
    """,
    5: "ALTER TABLE artefacts ADD COLUMN similarity REAL;",
    6: "",
    7: """
    ALTER TABLE sources ADD COLUMN in_bucket TEXT NOT NULL DEFAULT '';
    ALTER TABLE sources ADD COLUMN indexed TEXT NOT NULL DEFAULT '';
    CREATE INDEX sources_unindexed ON sources (uploaded, folder, name)
    WHERE upload_state = 'done' AND indexed <> uploaded;
    CREATE INDEX sources_released ON sources (id) WHERE in_bucket <> '' AND outputs <> x'90';
    """,
}
"""Version v -> SQL that makes v+1 of it, with what ``NEW_TABLES`` names."""
NEW_TABLES: dict[int, str] = {
    1: "uploads.sql",
    3: "history.sql",
    4: "totals.sql",
    6: "traces.sql",
    7: "fleet/schema.sql",
}
"""Version v -> file with the tables that came in with v+1."""


UNUSABLE = (
    apsw.FullError, apsw.IOError, apsw.BusyError, apsw.LockedError, apsw.CorruptError, apsw.NotADBError,
    apsw.CantOpenError, apsw.ReadOnlyError, apsw.ProtocolError,
)  # fmt: skip
"""What SQLite raises when the journal cannot be used, whatever is asked of it."""
UNWRITABLE = (
    apsw.FullError, apsw.IOError, apsw.BusyError, apsw.LockedError, apsw.CantOpenError, apsw.ReadOnlyError,
    apsw.ProtocolError, apsw.NoMemError,
)  # fmt: skip
"""Those of them that may pass; and where memory is short."""
PRIVATE_CACHE = 64_000
"""KiB of a copy of a journal that are kept in memory: 30,000 sources; that of a million takes 2 GB."""
COPIES = 5
"""Attempts at a copy of a journal that is being written."""
SUSPECT = ".suspect"
"""Appended to its name: an empty file that asks for a check of the whole journal."""


class Damaged(MediactlError):
    """The journal's file is not a valid database."""


class TooNew(UsageError):
    """The journal was written by a newer mediactl."""


@cache
def statements(file: str = "queries.sql") -> dict[str, str]:
    """The statements of an SQL file by name."""
    text = _text(file)
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _text(file: str) -> str:
    # Not importlib.resources, which takes 8 ms: a tenth of a start.
    with open(os.path.join(os.path.dirname(__file__), file), encoding="utf-8") as lines:
        return lines.read()


def counts(cursor: apsw.Cursor) -> dict[str, int]:
    """Return the only row of a statement, by the names of its columns, without what is 0."""
    names = [name for name, *_ in cursor.get_description()]
    row: tuple[Any, ...]
    (row,) = cursor.fetchall()
    return {name: number for name, number in zip(names, row, strict=True) if number}


def open_database(path: str, *, check: bool) -> apsw.Connection:
    """The journal at ``path``, made if absent.

    ``check`` asks for SQLite's integrity check even when the file is large. Raises Damaged (the file is not a valid
    journal), TooNew, MachineBlocked (network file system, not writable, disk full), or
    UsageError (its path is too long, or it is another user's).
    """
    refuse_network_filesystem(os.path.dirname(path))
    _refuse_unwritable(path)
    try:
        connection = apsw.Connection(path)
        try:
            _prepare(connection, path, check)
        except BaseException:
            connection.close()
            raise
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise Damaged(f"journal {shown(path)} is damaged: {error}") from None
    except UNWRITABLE as error:
        if isinstance(error, apsw.CantOpenError) and (length := len(os.fsencode(os.path.realpath(path)))) > LONGEST:
            raise UsageError(
                f"journal {shown(path[:60])}...: its path has {length:,} bytes, more than SQLite takes;"
                " put it elsewhere with --state DIR"
            ) from None
        raise MachineBlocked(
            f"journal {shown(path)} cannot be opened: {error}; make its folder writable or name another with --state"
        ) from None
    return connection


def _refuse_unwritable(path: str) -> None:
    """Raise UsageError for a journal of another user: SQLite would open it, and fail at the first change."""
    if (
        os.path.exists(path)
        and not os.access(path, os.W_OK, effective_ids=True)
        and not os.statvfs(path).f_flag & os.ST_RDONLY
    ):
        raise UsageError(f"journal {shown(path)}: not writable by user {os.geteuid()}; change its owner")


def _prepare(connection: apsw.Connection, path: str, check: bool) -> None:
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise MachineBlocked(
            f"journal {shown(path)}: this file system cannot hold a write-ahead log (SQLite answered {mode!r});"
            " put the journal on a local disk with --state DIR"
        )
    connection.pragma("synchronous", "full")
    connection.pragma("journal_size_limit", SMALL)  # of the log, once no reader keeps it from starting over
    connection.pragma("foreign_keys", True)
    connection.pragma("cache_size", -16_000)  # KiB
    connection.pragma("temp_store", "memory")  # savepoints too: in a file they cost a tenth of all work
    with _transaction(connection):
        found = connection.pragma("user_version")
        if found == 0 and not connection.execute("SELECT count(*) FROM sqlite_schema").get:
            _create(connection)
            return
    if connection.pragma("application_id") != APPLICATION_ID:
        raise Damaged(f"journal {shown(path)} is damaged: it is not a mediactl journal")
    if found > VERSION:
        raise TooNew(
            f"journal {shown(path)} was written by a newer mediactl (schema {found}, this one supports {VERSION}):"
            " upgrade mediactl, or use another --state"
        )
    if check or os.stat(path).st_size <= SMALL:
        verdict = connection.execute("PRAGMA integrity_check(1)").get
        if verdict != "ok":
            raise Damaged(f"journal {shown(path)} is damaged: {verdict}")
    if found < VERSION:
        _refuse_living_runs(connection, path)
        _migrate(connection)


@contextmanager
def _transaction(connection: apsw.Connection, begin: str = "BEGIN") -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has already rolled back where the disk failed
            connection.execute("ROLLBACK")
        raise


def _refuse_living_runs(connection: apsw.Connection, path: str) -> None:
    """Raise MachineBlocked while a run of an older mediactl is going on: it would not understand what it wrote."""
    for run, pid in connection.execute("SELECT id, pid FROM runs WHERE ended_at IS NULL").fetchall():
        if owners.is_alive(os.path.dirname(path), str(run)):
            raise MachineBlocked(
                f"journal {shown(path)} is in use by an older mediactl (process {pid}); end that run and try again"
            )


def _migrate(connection: apsw.Connection) -> None:
    """Bring a journal to today's version, as one transaction; another process may be about to do the same."""
    with _transaction(connection, "BEGIN IMMEDIATE"):
        for version in range(connection.pragma("user_version"), VERSION):
            connection.execute(MIGRATIONS[version])
            if version in NEW_TABLES:
                connection.execute(_text(NEW_TABLES[version]))
            connection.pragma("user_version", version + 1)


def _create(connection: apsw.Connection) -> None:
    connection.execute(_text("schema.sql") + "".join(_text(file) for file in NEW_TABLES.values()))
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", VERSION)


def open_to_read(path: str, busy: int = BUSY_MILLISECONDS) -> apsw.Connection:
    """Return the journal at ``path``, which this process cannot or must not change; of today's version.

    Waits ``busy`` milliseconds for a lock.

    No file is made or changed beside it (docs/decisions/0013-reading-journals.md). Raises Damaged and TooNew.
    """
    try:
        connection = _opened_readonly(path, busy)
        if connection.pragma("user_version") != VERSION:
            connection = _copy(connection)
            _bring_up_to_date(connection, path)
    except (apsw.BusyError, apsw.LockedError) as error:
        raise MachineBlocked(f"journal {shown(path)} is locked by another process: {error}; try again") from None
    except apsw.Error as error:
        raise Damaged(f"journal {shown(path)} is damaged: {error}") from None
    return connection


def copied(path: str) -> apsw.Connection:
    """Return a private copy of the journal at ``path``, or an empty one where there is none.

    Raises as ``open_to_read``.
    """
    if not os.path.exists(path):
        empty = _temporary()
        _create(empty)
        return empty
    try:
        copy = _copy(_opened_readonly(path))
    except apsw.Error as error:
        raise Damaged(f"journal {shown(path)} is damaged: {error}") from None
    _bring_up_to_date(copy, path)
    return copy


def _bring_up_to_date(copy: apsw.Connection, path: str) -> None:
    if not copy.execute("SELECT count(*) FROM sqlite_schema").get:
        _create(copy)  # an empty file, which the next run makes a journal of
        return
    if copy.pragma("application_id") != APPLICATION_ID:
        raise Damaged(f"journal {shown(path)} is damaged: it is not a mediactl journal")
    if copy.pragma("user_version") > VERSION:
        raise TooNew(f"journal {shown(path)} was written by a newer mediactl: upgrade, or use another --state")
    _migrate(copy)


def _opened_readonly(path: str, busy: int = BUSY_MILLISECONDS) -> apsw.Connection:
    """Return a connection that was read from, and that leaves no trace beside the file."""
    if not os.path.exists(path + "-wal"):
        # Nobody has it open, and SQLite need not make its shared memory file.
        return _readonly(path, busy, "immutable=1")
    try:
        return _readonly(path, busy)
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError):
        # Its shared memory file is not there, or has no room for a reader that cannot write to it.
        return _copy_with_log(path)


def _copy_with_log(path: str) -> apsw.Connection:
    """Return a private copy, by way of temporary files; meanwhile no checkpoint may move pages from log to file."""
    import tempfile  # with what it imports, 2 ms, and hardly ever needed

    with tempfile.TemporaryDirectory(prefix="mediactl-") as folder:
        for _ in range(COPIES):
            before = os.stat(path)
            for suffix in ("", "-wal"):
                shutil.copyfile(path + suffix, os.path.join(folder, "copy" + suffix))
            after = os.stat(path)
            if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                return _copy(apsw.Connection(os.path.join(folder, "copy")))
    raise MachineBlocked(f"journal {shown(path)}: changes faster than it can be copied; try again")


def _readonly(path: str, busy: int, *parameters: str) -> apsw.Connection:
    uri = "file:" + quote(os.fsencode(os.path.abspath(path))) + "?" + "&".join(("mode=ro", *parameters))
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(busy)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(source: apsw.Connection) -> apsw.Connection:
    """Return a private copy of a database, which is closed."""
    copy = _temporary()
    try:
        with copy.backup("main", source, "main") as backup:
            backup.step()
    finally:
        source.close()
    return copy


def _temporary() -> apsw.Connection:
    """Return an empty database of this connection's own, in memory as far as ``PRIVATE_CACHE`` goes; the rest of it is
    in a temporary file that has no name."""
    connection = apsw.Connection("")
    connection.pragma("cache_size", -PRIVATE_CACHE)
    return connection


def set_aside(path: str) -> str:
    """Rename a damaged journal and its log so that a new one can be made; return the new name."""
    number = 1
    while os.path.exists(f"{path}.damaged-{number}"):
        number += 1
    aside = f"{path}.damaged-{number}"
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.rename(path + suffix, aside + suffix)
    return aside


def refuse_network_filesystem(folder: str, mounts: str = MOUNTS) -> None:
    """Raise MachineBlocked when the folder lies on a network file system, as far as the kernel reports it."""
    kind = mount_of(folder, mounts).kind
    if kind in NETWORK_FILESYSTEMS:
        raise MachineBlocked(
            f"journal folder {shown(folder)} is on a network file system ({kind}), where a journal is not safe;"
            " put it on a local disk with --state DIR"
        )


def went_down(path: str) -> bool:
    """Whether a large journal may be torn: a run did not end in order and the machine restarted, or one met damage."""
    if os.path.exists(path + SUSPECT):
        return True
    if not os.path.exists(path) or os.stat(path).st_size <= SMALL:
        return False  # small ones are checked at every open
    try:
        connection = apsw.Connection(path)
        try:
            row = connection.execute("SELECT boot, ended_at FROM runs ORDER BY started_at DESC LIMIT 1").fetchone()
        finally:
            connection.close()
    except apsw.Error:
        return True
    return row is not None and row[1] is None and row[0] != system.boot_id()
