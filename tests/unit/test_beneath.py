"""Files are opened beneath their root: whichever component of a path has become a link, it is not followed."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.core.filesystem import beneath
from mediactl.core.filesystem.beneath import open_beneath

NAMES = st.lists(st.binary(min_size=1, max_size=8).filter(lambda name: not set(name) & set(b"/\0") and name not in (
    b".", b".."
)), min_size=1, max_size=4)  # fmt: skip


@pytest.fixture(params=["openat2", "component by component"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system call, and without it."""
    if request.param != "openat2":
        monkeypatch.setattr(beneath, "_OPENAT2", 1 << 20)  # no system call has this number: ENOSYS


@given(names=NAMES, replaced=st.integers(0, 3))
def test_a_link_is_not_followed_wherever_it_is(names: list[bytes], replaced: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(os.fsencode(folder), b"root")
        path = b"/".join(names)
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        Path(os.fsdecode(os.path.join(root, path))).write_bytes(b"content")
        fd = open_beneath(root, path, links=False)
        assert os.read(fd, 100) == b"content"
        os.close(fd)
        link = os.path.join(root, *names[: replaced % len(names) + 1])
        os.rename(link, os.path.join(os.fsencode(folder), b"aside"))
        os.symlink(os.path.join(os.fsencode(folder), b"aside"), link)
        with pytest.raises(OSError, match="symbolic links") as refused:
            open_beneath(root, path, links=False)
        assert refused.value.errno == errno.ELOOP
        fd = open_beneath(root, path, links=True)
        assert os.read(fd, 100) == b"content"
        os.close(fd)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "real/below/file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("real")
    os.close(open_beneath(os.fsencode(tmp_path / "link"), b"below/file", links=False))


@pytest.mark.parametrize("path", [b"../file", b"below/../../file"])
def test_nothing_above_the_root_is_opened(tmp_path: Path, path: bytes) -> None:
    (tmp_path / "root/below").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"secret")
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        open_beneath(os.fsencode(tmp_path / "root"), path, links=False)


def test_a_missing_file_a_folder_above_that_is_none_and_a_pipe(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        open_beneath(root, b"nothing/file", links=False)
    with pytest.raises(NotADirectoryError):
        open_beneath(root, b"file/below", links=False)
    os.close(open_beneath(root, b"pipe", links=False))  # is not waited for
