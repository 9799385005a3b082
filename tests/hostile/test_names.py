"""Names that strangers give to files: done like any other, and never obeyed by what prints or parses them."""

from __future__ import annotations

import csv
import json
import os
import socket
import stat
import unicodedata
from pathlib import Path

import pytest
from conftest import CommandLine, Result
from PIL import Image
from support import films
from support.screens import Terminal

from mediactl.media.ffmpeg import binary

RECIPE = 'name = "small"\n[[image]]\nname = "w50"\nwidth = 50\n[[audio]]\nname = "a"\n'
NAMES = [
    b"a\x1b[2Jb", b"a\x1b]0;title\x07b", b"line\nbreak", b"tab\tand\rreturn", b"\xe2\x80\xaegpj.exe", b"\xff\xfe\x80",
    b"-rf", b"--out=x", b"%03d", b"%s%n", b"http:x", b"file:x", b"concat:a|b", b"pipe:0", b"[link=https:x]y[", b"[red]",
    b"{path}", b"$(touch x)", b"`touch x`", b"; touch x", b"a'b\"c", b"*?", b"\\", b"\\x1b", b"~", b"#", b"=1+1",
    b"@SUM(1)", b"con.", b" leading", b"trailing ", b"\xc2\xa0", b"\xef\xbb\xbf", b"e\xcc\x81", b"\xc3\xa9", b"&lt;b>",
    b"<script>", b"a,b;c", b"x[0]", b"x.jpg[page=1]", b"n" * 251, b"\xf0\x9f\x92\xa9", b"\xed\xa0\x80", b"a\x7fb",
    b"\xc2\x85",
]  # fmt: skip


@pytest.fixture
def line(mediactl: CommandLine) -> CommandLine:
    (mediactl.folder / "small.toml").write_text(RECIPE)
    return mediactl


def picture(path: Path) -> Path:
    """A small image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40), "red").save(path)
    return path


def is_harmless(text: str) -> bool:
    """Whether a terminal would only print this: no control, bidi or invisible character, nor one that is no text."""
    return not [each for each in text if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co"} and each != "\n"]


def check(told: Result) -> None:
    assert is_harmless(told.out + told.err), told
    assert "Traceback" not in told.err


def test_every_name_is_processed_and_none_is_obeyed(line: CommandLine) -> None:
    content = picture(line.folder / "in/plain.jpg").read_bytes()
    root = os.fsencode(line.folder / "in")
    for name in NAMES:
        with open(os.path.join(root, name + b".jpg"), "wb") as file:
            file.write(content)
        os.mkdir(os.path.join(root, b"d" + name))
        with open(os.path.join(root, b"d" + name, b"x.jpg"), "wb") as file:
            file.write(content)
    count = 2 * len(NAMES) + 1
    run = line("process", "in", "--recipe", "small.toml", "--json", "--log", "log", "--verbose")
    assert (run.code, run.summary["done"]) == (0, count), run.err
    check(run)
    logged = [json.loads(each) for each in (line.folder / "log").read_bytes().splitlines()]
    assert [each for each in logged if each["event"] == "job.done"]
    made = {
        path[: path.rindex(b"/")] for path in _files(os.fsencode(line.folder / "derived")) if path.endswith(b"w50.webp")
    }
    expected = {name + b".jpg" for name in NAMES} | {b"d" + name + b"/x.jpg" for name in NAMES} | {b"plain.jpg"}
    assert made == expected
    assert sorted(os.listdir(line.folder)) == ["cache", "derived", "in", "log", "small.toml"]
    paths = [event["path"] for event in run.events if event["event"] == "job.done"]
    assert len(set(paths)) == count
    for command in (
        ["status"], ["jobs"], ["status", "--json"], ["duplicates", "derived"], ["verify"], ["verify", "--journal"],
        ["process", "in", "--recipe", "small.toml", "-v"], ["process", "in", "--recipe", "small.toml", "--dry-run"],
        *(["show", path] for path in paths[::25]), *(["why", path] for path in paths[::40]),
    ):  # fmt: skip
        check(line(*command))


def _files(folder: bytes) -> list[bytes]:
    return [os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_manifest_writes_below_the_output_directory_alone(kind: str, line: CommandLine) -> None:
    picture(line.folder / "in/a.jpg")
    outside = picture(line.folder / "outside.jpg")
    names = [
        "../up",
        "/abs",
        "a/../../b",
        "..",
        ".",
        "",
        ".hidden",
        "a//b",
        "x/.mediactl/y",
        "ok/\u202ename",
        "n" * 256,
        "-x",
    ]
    rows = [{"path": "a.jpg", "name": name} for name in names]
    rows += [
        {"path": path, "name": f"p{at}"}
        for at, path in enumerate(["../outside.jpg", str(outside), "a.jpg\0", "/etc/passwd"])
    ]
    manifest = line.folder / f"in/list.{kind}"
    if kind == "jsonl":
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with manifest.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "name"])
            writer.writeheader()
            writer.writerows({key: value.replace("\0", "") for key, value in row.items()} for row in rows)
    before = sorted(os.listdir(line.folder / "in"))
    run = line("process", f"in/list.{kind}", "--recipe", "small.toml", "--json")
    check(run)
    assert sorted(os.listdir(line.folder / "in")) == before
    assert sorted(os.listdir(line.folder)) == ["cache", "derived", "in", "outside.jpg", "small.toml"]
    made = {path.parent.relative_to(line.folder / "derived") for path in (line.folder / "derived").rglob("w50.webp")}
    assert {path.parts[0] for path in made} <= {"ok", "-x", "a.jpg", "p2"}
    troubles = [event for event in run.events if event["event"] == "scan.trouble"]
    assert len(troubles) >= 12, run.out


def test_special_files_are_neither_opened_nor_waited_for(line: CommandLine) -> None:
    picture(line.folder / "in/a.jpg")
    folder = line.folder / "in"
    os.mkfifo(folder / "pipe.jpg")
    os.link(folder / "a.jpg", folder / "hard.jpg")
    os.symlink("/etc/passwd", folder / "link.jpg")
    os.symlink("/dev/zero", folder / "zero.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)  # the address of a socket is short
        try:
            listener.bind("socket.jpg")
        finally:
            os.chdir("/")
        try:
            os.mknod(folder / "device.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pass
        run = line("process", "in", "--recipe", "small.toml", "--json", limit=60)
    assert (run.code, run.summary["done"]) == (0, 2), run.out


def test_sparse_files_of_terabytes_cost_nothing(line: CommandLine) -> None:
    (line.folder / "in").mkdir()
    for name, head in {
        "zeros.jpg": b"", "jpeg.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
        "riff.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
        "box.mp4": b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "matroska.mkv": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01",
        "tag.mp3": b"ID3\3\0\0\x7f\x7f\x7f\x7f", "flac.flac": b"fLaC\0\0\0\x22", "tiff.tif": b"II*\0\xff\xff\xff\x7f",
        "webp.webp": b"RIFF\xff\xff\xff\x7fWEBPVP8X",
        "png.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\0\0\0\0",
        "text.mp4": b"#EXTM3U\n",
    }.items():  # fmt: skip
        with (line.folder / "in" / name).open("wb") as file:
            file.write(head)
            try:
                file.truncate(900 << 30)
            except OSError:
                pytest.skip("this file system has no files of 900 GB")
    run = line("process", "in", "--recipe", "small.toml", "--json", limit=120)
    assert run.code == 1, run.err
    ended = {event["path"]: event.get("reason") for event in run.events if event["event"] == "job.rejected"}
    assert len(ended) == 11, (ended, run.summary)


class Recorded(Terminal):
    """A terminal that keeps what is written to it."""

    written = b""

    def feed(self, output: bytes) -> None:
        """Keep and show it."""
        self.written += output
        super().feed(output)


def test_a_terminal_obeys_no_name(line: CommandLine) -> None:
    content = picture(line.folder / "in/plain.jpg").read_bytes()
    for name in ("[link=https:evil]click[", "[bold red]x[", "\x1b]8;;http:x\x07y", "a\u202egpj", "[b"):
        (line.folder / "in" / f"{name}.jpg").write_bytes(content)
        (line.folder / "in" / f"{name}.png").write_bytes(b"no image")
    argv = [str(each) for each in line.argv("process", "in", "--recipe", "small.toml", "-v")]
    terminal = Recorded(argv, line.folder, line.environment, columns=200)
    with terminal:
        assert terminal.ended() == 1
        text = terminal.text
    assert b"\x1b]" not in terminal.written
    assert "\u202e" not in terminal.written.decode()
    assert "[link=https:evil]click[" in text and "[bold red]x[" in text


@pytest.mark.parametrize("change", ["truncated", "grown", "replaced"])
def test_a_source_that_changes_while_it_is_read_is_never_half_processed(change: str, line: CommandLine) -> None:
    """ffmpeg changes the source before it reads it: a moment that no test could hit."""
    (line.folder / "small.toml").write_text('name = "small"\n[[audio]]\nname = "a"\n')
    (line.folder / "in").mkdir()
    source = films.make(line.folder / "in/a.wav", "-f", "lavfi", "-i", "sine=d=3")
    other = films.make(line.folder / "other.wav", "-f", "lavfi", "-i", "sine=f=900:d=1")
    how = {
        "truncated": f"truncate -s 20000 {source}", "grown": f"cat {other} >> {source}",
        "replaced": f"mv {other} {source}",
    }[change]  # fmt: skip
    script = line.folder / "ffmpeg"
    once = f"test -e {line.folder}/once || {{ touch {line.folder}/once; {how}; }}"
    script.write_text(f'#!/bin/sh\ncase "$*" in *progress*) {once};; esac\nexec {binary.find()} "$@"\n')
    script.chmod(0o755)
    # In the sandbox it could not.
    environment = {"MEDIACTL_FFMPEG": str(script), "MEDIACTL_RETRY_DELAY": "0.1", "MEDIACTL_SANDBOX": "off"}
    run = line("process", "in", "--recipe", "small.toml", "--json", environment=environment)
    assert (line.folder / "once").exists()
    made = line.folder / "derived/a.wav/a.m4a"
    if made.exists():  # of what is there now, as a whole
        assert films.inspected(made).info.duration == pytest.approx(films.inspected(source).info.duration, abs=0.1)
    else:
        assert run.code in (1, 75)
    again = line("process", "in", "--recipe", "small.toml", "--json")
    assert again.code in (0, 1)
    if made.exists():
        assert films.inspected(made).info.duration == pytest.approx(films.inspected(source).info.duration, abs=0.1)
