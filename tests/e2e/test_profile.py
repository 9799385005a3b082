"""``mediactl profile``: the page names the functions of the decoder, and nothing in OUT or the journal is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import CommandLine
from PIL import Image
from support import films

RECIPE = """
name = "mine"
[[image]]
name = "w200"
width = 200
format = "avif"
[[video]]
name = "v"
height = 120
"""


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mtime and content of every file in OUT, the journal and its log by content alone."""
    return {
        str(path.relative_to(folder)): (0 if ".mediactl" in path.parts else path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".db-shm", ".db-wal", ".lock") and "locks" not in path.parts
    }


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """An image and a video, processed."""
    mediactl = CommandLine(tmp_path_factory.mktemp("profile"))
    folder = mediactl.folder / "in"
    folder.mkdir()
    Image.effect_noise((900, 700), 60).convert("RGB").save(folder / "a.jpg")
    films.make(folder / "b.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=12:d=1")
    (mediactl.folder / "mine.toml").write_text(RECIPE)
    assert mediactl("process", "in", "--recipe", "mine.toml").code == 0
    return mediactl


@pytest.mark.parametrize(
    ("job", "functions"),
    [("a.jpg", ("render", "_encoded", "encode_at")), ("b.mp4", ("render", "run", "encode"))],
)
def test_the_page_names_the_functions_and_outputs_stay(
    processed: CommandLine, job: str, functions: tuple[str, ...]
) -> None:
    pytest.importorskip("pyinstrument")
    before = state(processed.folder / "derived")
    result = processed("profile", job)
    assert (result.code, result.out, result.err) == (0, "profile.html\n", "")
    page = (processed.folder / "profile.html").read_text()
    for name in functions:
        assert f'"{name}"' in page or f"{name}\\u0000" in page or name in page, name
    assert "mediactl/media" in page
    assert state(processed.folder / "derived") == before


def test_memory_is_profiled_too(processed: CommandLine) -> None:
    pytest.importorskip("memray")
    before = state(processed.folder / "derived")
    result = processed("profile", "a.jpg", "--memory", "--html", "memory.html")
    assert (result.code, result.out, result.err) == (0, "memory.html\n", "")
    assert "mediactl/media/image" in (processed.folder / "memory.html").read_text()
    assert state(processed.folder / "derived") == before


def test_what_cannot_be_profiled_is_refused(processed: CommandLine) -> None:
    result = processed("profile", "nothing.jpg")
    assert (result.code, result.out) == (2, "")
    result = processed("profile", "a.jpg", "--html", "no/such/directory.html")
    assert result.code == 2
    assert "cannot be written" in result.err
