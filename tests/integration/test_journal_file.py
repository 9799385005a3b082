"""The journal's file: durable, checked, set aside when it is damaged, refused where it would not be safe."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from support.journals import Rows, a_source, claim_one, new_job, opened, put

from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.core.filesystem.mounts import mount_of
from mediactl.jobs import database
from mediactl.jobs.database import Damaged, TooNew, refuse_network_filesystem
from mediactl.jobs.journal import FILE, Journal


def test_what_a_transaction_held_is_there_after_the_process_and_its_memory_are_gone(tmp_path: Path) -> None:
    """The log as it lies on disk when the transaction has returned, copied away while the journal is still open."""
    copy = tmp_path / "copy"
    copy.mkdir()
    with opened(tmp_path / "state") as journal:
        put(journal, *(new_job(number) for number in range(100)))
        for name in (FILE, FILE + "-wal"):
            (copy / name).write_bytes((tmp_path / "state" / name).read_bytes())
    assert Rows(copy).jobs() == {"ready": 100}


def test_the_journal_is_synced_at_every_commit_and_writes_ahead(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        assert journal._connection.pragma("synchronous") == 2
        assert journal._connection.pragma("journal_mode") == "wal"
        assert journal._connection.pragma("foreign_keys") == 1


def test_its_log_is_small_again_once_a_reader_that_kept_it_has_gone(tmp_path: Path) -> None:
    log = tmp_path / (FILE + "-wal")
    with opened(tmp_path) as journal:
        reader = apsw.Connection(str(tmp_path / FILE))
        reader.execute("BEGIN; SELECT count(*) FROM jobs").fetchall()
        for number in range(6):
            put(journal, *(new_job(f"{number} {name}", payload=bytes(4096)) for name in range(1000)))
        assert log.stat().st_size > database.SMALL
        reader.execute("COMMIT")
        for number in range(3):
            put(journal, *(new_job(f"after {number} {name}", payload=bytes(4096)) for name in range(1000)))
        assert log.stat().st_size <= database.SMALL
        reader.close()


def test_its_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "deep" / "state"):
        assert (tmp_path / "deep" / "state").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "deep" / "state" / "runs").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        "state = 'lost'",
        "state = 'running'",
        "owner = (SELECT id FROM runs)",
        "state = 'done', run_after = 5.0",
        "state = 'running', owner = (SELECT id FROM runs), run_after = 5.0",
        "lane = 'fast'",
        "priority = 5",
        "priority = -1",
        "time_limit = 0",
        "payload = NULL",
        "failures = 'many'",
        "source = 99",
        "state = 'running', owner = 'nobody'",
    ],
)
def test_a_job_that_makes_no_sense_cannot_be_stored(tmp_path: Path, change: str) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("a"))
        with pytest.raises(apsw.ConstraintError), journal.transaction():
            journal._connection.execute(f"UPDATE jobs SET {change}")
        assert claim_one(journal)


@pytest.mark.parametrize("change", ["state = 'done'", "state = 'lost'", "kind = 'text'", "size = 'big'"])
def test_a_source_that_makes_no_sense_cannot_be_stored(tmp_path: Path, change: str) -> None:
    with opened(tmp_path) as journal:
        with journal.transaction():
            journal.sources.put(a_source(), "", "", "pending")
        with pytest.raises(apsw.ConstraintError), journal.transaction():
            journal._connection.execute(f"UPDATE sources SET {change}")


def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("a"))
        journal._connection.pragma("user_version", database.VERSION + 1)
    for _ in range(2):
        with pytest.raises(TooNew, match="newer mediactl.*upgrade mediactl, or use another --state"), opened(tmp_path):
            pass
    with pytest.raises(TooNew), Journal.rehearse(str(tmp_path), clock=float, random=float, version=""):
        pass
    assert Rows(tmp_path).jobs() == {"ready": 1}
    assert not [name for name in os.listdir(tmp_path) if "damaged" in name]


def overwrite(path: Path, start: float, length: int, filler: bytes) -> None:
    """Write over part of a file, from a fraction of its size on."""
    content = bytearray(path.read_bytes())
    at = int(start * len(content))
    content[at : at + length] = (filler * length)[:length]
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no database at all": lambda path: path.write_bytes(b"not a database\n" * 1000),
    "garbage in its header": lambda path: overwrite(path, 0, 64, b"\xa5"),
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "bytes flipped in the middle": lambda path: overwrite(path, 0.4, 20_000, b"\x5a"),
    "torn to half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "torn within a page": lambda path: os.truncate(path, path.stat().st_size - 1000),
    "another program's": lambda path: sqlite3.connect(path).executescript("PRAGMA application_id = 7;"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_journal_is_set_aside_and_rebuilt(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    with opened(tmp_path) as journal:
        put(journal, *(new_job(number, payload=b"x" * 300) for number in range(500)))
    damage(tmp_path / FILE)
    size = (tmp_path / FILE).stat().st_size
    rebuilt: list[Journal] = []
    with opened(tmp_path, rebuild=rebuilt.append) as journal:
        assert rebuilt == [journal]
        assert journal.set_aside == str(tmp_path / (FILE + ".damaged-1"))
        assert Path(journal.set_aside).stat().st_size == size
        put(journal, new_job("after"))
        assert Rows(tmp_path).jobs() == {"ready": 1}
    with opened(tmp_path, rebuild=rebuilt.append) as journal:
        assert (len(rebuilt), journal.set_aside) == (1, None)


def test_a_second_damaged_journal_does_not_take_the_firsts_name(tmp_path: Path) -> None:
    for number in (1, 2):
        with opened(tmp_path, rebuild=lambda _: None):
            pass
        (tmp_path / FILE).write_bytes(b"junk" * 1000)
        with opened(tmp_path, rebuild=lambda _: None) as journal:
            assert journal.set_aside == str(tmp_path / f"{FILE}.damaged-{number}")


def test_a_damaged_journal_is_left_alone_by_whoever_cannot_rebuild_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"junk" * 1000)
    with pytest.raises(Damaged, match="is damaged"), opened(tmp_path):
        pass
    assert os.listdir(tmp_path / "runs") == []
    with opened(tmp_path, rebuild=lambda _: None) as journal:
        assert journal.set_aside


def test_a_rebuilding_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    def cut_short(journal: Journal) -> None:
        with journal.transaction():
            journal.sources.put(a_source(b"first.jpg"), "", "", "pending")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened(tmp_path, rebuild=cut_short):
        pass
    rebuilt: list[Journal] = []
    with opened(tmp_path, rebuild=rebuilt.append) as journal:
        assert rebuilt == [journal]
    with opened(tmp_path, rebuild=rebuilt.append):
        assert len(rebuilt) == 1


def test_damage_that_is_met_at_work_stops_the_run_and_is_mended_by_the_next(tmp_path: Path) -> None:
    """Large journals are not read whole at each open."""
    with opened(tmp_path) as journal:
        put(journal, *(new_job(number, payload=bytes(1 << 20)) for number in range(database.SMALL // (1 << 20) + 1)))
        page = journal._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs_due'").get
    with (tmp_path / FILE).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x5a" * 4096)
    with pytest.raises(MachineBlocked, match="damaged.*run again"), opened(tmp_path, rebuild=lambda _: None) as journal:
        claim_one(journal)
    with opened(tmp_path, rebuild=lambda _: None) as journal:
        assert journal.set_aside
        put(journal, new_job("a"))
    with opened(tmp_path, rebuild=lambda _: None) as journal:
        assert not journal.set_aside
        assert claim_one(journal)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a file system that takes no files: /proc")
def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--state .*: not a directory"), opened(tmp_path / "file" / "state"):
        pass
    with (
        pytest.raises(MachineBlocked, match="journal directory .*: cannot be created"),
        opened(Path("/proc/self/state")),
    ):
        pass


def test_a_file_system_without_a_write_ahead_log_is_refused() -> None:
    """A database in memory is one that answers "memory" when it is asked for a log."""
    with pytest.raises(MachineBlocked, match="write-ahead log.*--state"):
        database._prepare(apsw.Connection(":memory:"), "journal.db", False)


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/nas rw - nfs4 nas:/export rw
31 30 8:2 / /mnt/nas/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/with\\040space rw - fuse.sshfs me@host: rw
33 22 0:42 / /over rw - ext4 /dev/sdc1 rw
34 33 0:43 / /over rw - cifs //host/share rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/deep/er", "nfs4"),
        ("/mnt/nasty", "ext4"),
        ("/mnt/nas/local/x", "xfs"),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/over/x", "cifs"),
    ],
)
def test_a_journal_on_a_network_file_system_is_refused(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert mount_of(folder, str(mounts)).kind == kind
    if kind in ("ext4", "xfs"):
        refuse_network_filesystem(folder, str(mounts))
    else:
        with pytest.raises(MachineBlocked, match=rf"network file system \({kind}\).*local disk with --state"):
            refuse_network_filesystem(folder, str(mounts))


def test_a_kernel_that_tells_no_mounts_is_no_hindrance(tmp_path: Path) -> None:
    assert mount_of(str(tmp_path), str(tmp_path / "none")) == ("", "")
    refuse_network_filesystem(str(tmp_path), str(tmp_path / "none"))


def test_a_rehearsal_leaves_no_trace(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        put(journal, new_job("a"))
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in os.listdir(tmp_path)}
    with Journal.rehearse(str(tmp_path), clock=float, random=float, version="") as copy:
        assert claim_one(copy).key == new_job("a").key
        put(copy, new_job("b"))
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in os.listdir(tmp_path)} == before
    assert Rows(tmp_path).jobs() == {"ready": 1}


def test_a_journal_that_others_hold_for_too_long_stops_the_run_to_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 10)
    with opened(tmp_path) as journal:
        other = apsw.Connection(str(tmp_path / FILE))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MachineBlocked, match="run again"):
            put(journal, new_job("a"))
        other.execute("ROLLBACK")
        assert put(journal, new_job("a")) == 1
