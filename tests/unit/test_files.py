"""Files that survive a power cut, and names that are safe to show."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.core import files
from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.core.files import TEMPORARY, fingerprint, shown, storable, sweep_temporaries


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"holiday 1.jpg", "holiday 1.jpg"),
        (b"-rf", "-rf"),
        ("Übung ☀ 日本.png".encode(), "Übung ☀ 日本.png"),
        (b"two\nlines", "two\\nlines"),
        (b"a\tb\rc", "a\\tb\\rc"),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        (b"\x7f", "\\x7f"),
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("cod\u202egpj.exe".encode(), "cod\\u202egpj.exe"),
        ("a\u200bb\u2066c\u2028d".encode(), "a\\u200bb\\u2066c\\u2028d"),
        ("\u0085\u009b".encode(), "\\x85\\x9b"),
        ("\U000e0041".encode(), "\\U000e0041"),
        ("\ue000".encode(), "\\ue000"),
        (b"[red]%03d", "[red]%03d"),
        (b"", ""),
    ],
)
def test_a_name_is_shown_with_whatever_a_terminal_might_obey_escaped(name: bytes, told: str) -> None:
    assert shown(name) == told


def test_a_lone_surrogate_in_text_is_shown_escaped() -> None:
    assert shown("a\ud800b\udcffc") == "a\\ud800b\\xffc"


@REPEATABLE
@given(st.binary())
def test_any_name_that_linux_allows_is_shown_on_one_printable_line(name: bytes) -> None:
    assert shown(name).isprintable()


@REPEATABLE
@given(st.text(st.characters(codec=None)))
def test_any_text_is_shown_on_one_printable_line_that_can_be_encoded(text: str) -> None:
    assert shown(text).isprintable()
    shown(text).encode()


def test_what_was_begun_is_removed_when_the_block_raises_and_kept_when_it_does_not(tmp_path: Path) -> None:
    path = tmp_path / "draft"
    path.touch()
    with files.removed_on_error(os.fsencode(path)):
        pass
    assert path.exists()
    with pytest.raises(KeyboardInterrupt), files.removed_on_error(os.fsencode(path)):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_sweep_takes_one_owners_temporaries_and_nothing_else(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    names = {TEMPORARY + b"aa-w1.webp", TEMPORARY + b"aa-w2.webp", TEMPORARY + b"bb-w1.webp", b"w1.webp", b".hidden"}
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    assert sweep_temporaries(folder, b"aa") == 2
    assert set(os.listdir(folder)) == {TEMPORARY + b"bb-w1.webp", b"w1.webp", b".hidden"}
    assert sweep_temporaries(folder, b"aa") == 0


def test_a_sweep_for_all_owners_leaves_what_is_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / ".mediactl-aa-w1.webp").touch()
    (tmp_path / ".mediactl").mkdir()
    (tmp_path / ".mediactl-backup").mkdir()
    (tmp_path / ".mediactl-scratch-1").mkdir()
    (tmp_path / ".mediactl-scratch-1" / "sample.mkv").touch()
    assert sweep_temporaries(os.fsencode(tmp_path)) == 1
    assert sorted(os.listdir(tmp_path)) == [".mediactl", ".mediactl-backup"]


def test_a_sweep_of_a_folder_that_is_none_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert sweep_temporaries(os.fsencode(tmp_path / "file")) == 0
    assert sweep_temporaries(os.fsencode(tmp_path / "missing")) == 0


def test_a_digest_is_that_of_the_whole_file_wherever_it_was_read_to(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    path = tmp_path / "file"
    path.write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert files.digest_file(os.fsencode(path)) == expected
    with path.open("rb") as file:
        file.seek(1000)
        assert files.digest_fd(file.fileno()) == expected


def test_a_digest_is_never_that_of_another_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError, match="symbolic"):
        files.digest_file(os.fsencode(tmp_path / "link"))


def test_folders_are_made_with_their_parents_and_may_be_there_already(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "a" / "b" / "c")
    files.make_folders(path)
    files.make_folders(path)
    assert os.path.isdir(path)


def test_a_folder_is_not_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        files.make_folders(os.fsencode(tmp_path / "a" / "b"))
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_removing_tells_whether_the_file_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert files.remove_if_there(os.fsencode(tmp_path / "file"))
    assert not files.remove_if_there(os.fsencode(tmp_path / "file"))


def test_a_fingerprint_changes_with_content_of_equal_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = files.fingerprint(os.stat(path))
    assert files.fingerprint(os.stat(path)) == before
    path.write_bytes(b"two")
    os.utime(path, ns=(0, before.mtime_ns + 1))
    assert files.fingerprint(os.stat(path)) != before


@REPEATABLE
@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_number_that_fits_into_64_bits_is_stored_as_it_is(number: int) -> None:
    assert storable(number) == number


@REPEATABLE
@given(st.integers(-(1 << 100), 1 << 100), st.integers(1, (1 << 64) - 1))
def test_a_larger_one_is_mapped_to_one_that_fits_and_its_neighbours_to_others(number: int, apart: int) -> None:
    assert -(1 << 63) <= storable(number) < 1 << 63
    assert storable(number) != storable(number + apart)


def test_every_inode_of_64_bits_has_a_fingerprint_of_its_own() -> None:
    def of(inode: int, mtime_ns: int) -> object:
        numbers = (0o100644, inode, 1, 1, 0, 0, 7, 0, 0, 0)
        return fingerprint(os.stat_result(numbers, {"st_mtime_ns": mtime_ns, "st_ctime_ns": 5}))

    inodes = (1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1)
    assert len({of(inode, 3) for inode in inodes}) == len(inodes)
    assert of(1, 2**63 + 10**9) != of(1, 2**63 + 2 * 10**9)
    assert of(1 << 63, 2**64) == of(1 << 63, 2**64)


@contextmanager
def as_another_user() -> Iterator[None]:
    """Have the effective user be one whom permissions hold back."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_directory_that_permissions_forbid_is_an_error_of_usage() -> None:
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o755)
        os.mkdir(closed := os.path.join(above, "closed"), 0o555)
        os.mkdir(open_ := os.path.join(above, "open"))
        os.chmod(open_, 0o777)
        with as_another_user():
            files.make_writable(os.path.join(open_, "new/out"), "output directory", "--out")
            with pytest.raises(
                UsageError, match=f"^output directory {closed}: not writable by user [0-9]+; change owner"
            ):
                files.make_writable(closed, "output directory", "--out")
            with pytest.raises(
                UsageError, match=f"^output directory {closed}/out: cannot be created: Permission denied; c"
            ):
                files.make_writable(os.path.join(closed, "out"), "output directory", "--out")
        assert os.path.isdir(os.path.join(open_, "new/out"))


def test_a_file_system_that_refuses_is_no_error_of_usage() -> None:
    with pytest.raises(MachineBlocked, match="^journal directory /proc/mediactl/x: cannot be created: "):
        files.make_writable("/proc/mediactl/x", "journal directory", "--state")
