"""Folders and files: any name that Linux allows, and never an output."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.core.errors import UsageError
from mediactl.model.jobs import Priority
from mediactl.sources import scan

WEIRD = [
    b"-rf.jpg",
    b"%03d.jpg",
    b"[red]x.jpg",
    b"two\nlines.jpg",
    b" spaces at both ends ",
    b"caf\xe9\xff.jpg",
    b"*?$(id)`id`;&|<>\"'.jpg",
    b"\x1b[31m.jpg",
    "日本 \u202e.jpg".encode(),
    b"a" * 255,
]


def walk(root: Path, *never: Path, prefix: bytes = b"", follow: bool = False) -> list[scan.Found]:
    """Everything that a walk yields."""
    marks = frozenset((folder.stat().st_dev, folder.stat().st_ino) for folder in never)
    return list(scan.folder(os.fsencode(root), prefix=prefix, never=marks, follow=follow))


def paths(found: list[scan.Found]) -> list[bytes]:
    """Paths of all files, relative to the root; troubles fail the test."""
    assert not [each for each in found if isinstance(each, scan.Trouble)], found
    return [
        os.path.join(each.folder, entry.name) for each in found if isinstance(each, scan.Batch) for entry in each.files
    ]


def troubles(found: list[scan.Found]) -> list[tuple[bytes, str]]:
    """(base name, message) of what could not be looked at."""
    return [(os.path.basename(each.name), each.message) for each in found if isinstance(each, scan.Trouble)]


def plant(root: Path, *names: str) -> None:
    """Make files, with their folders."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_files_come_folder_by_folder_in_the_order_of_their_names(tmp_path: Path) -> None:
    plant(tmp_path, "b/z.jpg", "b/a.jpg", "a/1.jpg", "a/deep/er/2.jpg", "top.jpg")
    assert paths(walk(tmp_path)) == [b"top.jpg", b"a/1.jpg", b"a/deep/er/2.jpg", b"b/a.jpg", b"b/z.jpg"]


def test_a_file_is_told_with_its_stat_and_its_place_under_the_prefix(tmp_path: Path) -> None:
    plant(tmp_path, "top.jpg", "trip/a.jpg")
    top, trip = walk(tmp_path, prefix=b"mine")
    assert isinstance(top, scan.Batch)
    assert isinstance(trip, scan.Batch)
    status = (tmp_path / "trip" / "a.jpg").stat()
    assert trip.files == [scan.Entry.of(b"a.jpg", status)]
    assert (top.root, top.folder, top.directory) == (os.fsencode(tmp_path), b"", b"mine")
    assert (trip.root, trip.folder, trip.directory) == (os.fsencode(tmp_path), b"trip", b"mine/trip")


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    plant(tmp_path, ".hidden.jpg", ".git/x.jpg", "a/.thumbs/y.jpg", "a/b.jpg")
    assert paths(walk(tmp_path)) == [b"a/b.jpg"]


def test_any_name_that_linux_allows_is_found_as_it_is(tmp_path: Path) -> None:
    for name in WEIRD:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))).write_bytes(b"x")
    os.mkdir(os.fsencode(tmp_path) + b"/dir\n\xff")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/dir\n\xff/x.jpg")).write_bytes(b"x")
    assert paths(walk(tmp_path)) == [*sorted(WEIRD), b"dir\n\xff/x.jpg"]


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    plant(tmp_path, "a.jpg")
    assert paths(walk(tmp_path)) == [b"a.jpg"]


def test_links_are_left_out_unless_followed(tmp_path: Path) -> None:
    plant(tmp_path, "real/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "real" / "file").symlink_to("a.jpg")
    (tmp_path / "real" / "folder").symlink_to(tmp_path / "elsewhere")
    assert paths(walk(tmp_path / "real")) == [b"a.jpg"]
    assert paths(walk(tmp_path / "real", follow=True)) == [b"a.jpg", b"file", b"folder/b.jpg"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    plant(tmp_path, "a/b/x.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(".")
    assert paths(walk(tmp_path, follow=True)) == [b"a/b/x.jpg"]


@pytest.mark.parametrize("target", ["nowhere", "loop.jpg"])
def test_a_link_that_leads_nowhere_is_told_and_its_neighbours_are_found(tmp_path: Path, target: str) -> None:
    plant(tmp_path, "a.jpg", "sub/b.jpg", "z.jpg")
    (tmp_path / "loop.jpg").symlink_to(target)
    found = walk(tmp_path, follow=True)
    assert [name for name, _ in troubles(found)] == [b"loop.jpg"]
    assert paths([each for each in found if isinstance(each, scan.Batch)]) == [b"a.jpg", b"z.jpg", b"sub/b.jpg"]
    assert paths(walk(tmp_path)) == [b"a.jpg", b"z.jpg", b"sub/b.jpg"]


def test_folders_that_are_named_never_are_never_entered(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "derived/a.jpg/w320.webp", "state/x.jpg")
    (tmp_path / "again").symlink_to("derived")
    for follow in (False, True):
        found = walk(tmp_path, tmp_path / "derived", tmp_path / "state", follow=follow)
        assert paths(found) == [b"a.jpg"]


def test_somebody_elses_output_tree_is_not_entered_unless_it_is_the_source_itself(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "old/derived/b.jpg/w320.webp", "old/c.jpg")
    (tmp_path / "old" / "derived" / ".mediactl").mkdir()
    assert paths(walk(tmp_path)) == [b"a.jpg", b"old/c.jpg"]
    assert paths(walk(tmp_path / "old" / "derived")) == [b"b.jpg/w320.webp"]


def test_a_folder_that_may_not_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    plant(tmp_path, "closed/a.jpg", "open/b.jpg")
    (tmp_path / "closed").chmod(0)
    tmp_path.chmod(0o755)
    found = json.loads(_as_nobody(tmp_path))
    (tmp_path / "closed").chmod(0o700)
    assert found == [["closed", "cannot be read: Permission denied; skipped"], ["open/b.jpg", ""]]


def _as_nobody(folder: Path) -> bytes:
    """What a walk by a user who is not root finds: done in a child when the tests are root's."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.chdir(folder)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            found: list[tuple[str, str]] = []
            for each in scan.folder(b".", prefix=b"", never=frozenset(), follow=False):
                if isinstance(each, scan.Trouble):
                    found.append((os.fsdecode(os.path.relpath(each.name)), each.message))
                elif isinstance(each, scan.Batch):
                    found += [(os.fsdecode(os.path.join(each.folder, entry.name)), "") for entry in each.files]
            os.write(write, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def test_a_root_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert troubles(walk(tmp_path / "none")) == [(b"none", "cannot be read: No such file or directory; skipped")]


def test_a_single_file_stands_at_its_own_name_and_links_to_it_are_followed(tmp_path: Path) -> None:
    plant(tmp_path, "real.jpg")
    (tmp_path / "link.jpg").symlink_to("real.jpg")
    direct = scan.single(os.fsencode(tmp_path / "real.jpg"), prefix=b"")
    assert (direct.root, direct.files[0].name, direct.directory, direct.rename) == (
        os.fsencode(tmp_path),
        b"real.jpg",
        b"",
        None,
    )
    linked = scan.single(os.fsencode(tmp_path / "link.jpg"), prefix=b"mine")
    assert (linked.files, linked.directory, linked.rename) == (direct.files, b"mine", b"link.jpg")


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.jpg", "no such file or folder"), ("pipe", "not a regular file"), ("loop", "symbolic links")],
)
def test_a_single_file_that_is_none_is_refused(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=message):
        scan.single(os.fsencode(tmp_path / name), prefix=b"")


def batch(root: bytes, folder: bytes, directory: bytes, *names: bytes) -> scan.Batch:
    """A batch of files without content."""
    return scan.Batch(root, folder, directory, [scan.Entry(name, 0, 0, 0, 0) for name in names])


@given(st.lists(st.sampled_from([
    *(batch(b"/r", b"", directory, name) for directory in (b"", b"x") for name in (b"a", b"b")),
    msgspec.structs.replace(batch(b"/r", b"", b"", b"a"), rename=b"c"),
    msgspec.structs.replace(batch(b"/r", b"", b"", b"a"), priority=Priority.HIGH),
    scan.Trouble(b"x", "y"),
])))  # fmt: skip
def test_batches_that_follow_one_another_in_a_folder_are_joined(found: list[scan.Found]) -> None:
    joined = list(scan.in_folders(found))
    apart: list[scan.Found] = []
    for each in joined:
        if isinstance(each, scan.Batch):
            apart += [msgspec.structs.replace(each, files=[file]) for file in each.files]
        else:
            apart.append(each)
    assert apart == found
    batches = [each if isinstance(each, scan.Batch) and each.rename is None else None for each in joined]
    for one, other in pairwise(batches):
        assert one is None or other is None or (one.directory, one.priority) != (other.directory, other.priority)


def test_a_walk_may_begin_below(tmp_path: Path) -> None:
    plant(tmp_path, "a.jpg", "trip/b.jpg", "trip/deep/c.jpg")
    found = list(scan.folder(os.fsencode(tmp_path), prefix=b"p", never=frozenset(), follow=False, below=b"trip"))
    assert paths(found) == [b"trip/b.jpg", b"trip/deep/c.jpg"]
    assert [each.directory for each in found if isinstance(each, scan.Batch)] == [b"p/trip", b"p/trip/deep"]


def test_a_folder_is_entered_exactly_where_a_walk_enters_it(tmp_path: Path) -> None:
    plant(tmp_path, "in/a/b/x", "in/.git/b/x", "in/out/b/x", "in/other/b/x", "outside/b/x", "in/file")
    (tmp_path / "in/other/.mediactl").mkdir()
    (tmp_path / "in/outward").symlink_to(tmp_path / "outside")
    (tmp_path / "in/inward").symlink_to("a")
    (tmp_path / "in/hidden").symlink_to(".git")
    status = (tmp_path / "in/out").stat()
    root = os.fsencode(tmp_path / "in")

    def entered(folder: bytes) -> bytes | None:
        return scan.entered(root, folder, never=frozenset({(status.st_dev, status.st_ino)}))

    for folder in (b"", b"a", b"a/b"):
        assert entered(folder) == folder
    for folder in (b".git", b".git/b", b"out", b"out/b", b"other", b"other/b", b"outward", b"outward/b", b"file"):
        assert entered(folder) is None
    assert (entered(b"inward"), entered(b"inward/b"), entered(b"hidden/b")) == (b"a", b"a/b", None)
    with pytest.raises(OSError, match="No such file"):
        entered(b"nowhere")
