"""No file has another one read, or a connection made: the whole program over files that try, with a canary beside."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import CommandLine
from leak_files import Bait, write
from PIL import Image
from support import films

from mediactl.media.ffmpeg import binary

SECRET = "canary-of-files-that-are-not-to-be-read"
RECIPE = """
name = "leaks"
[[image]]
name = "w50"
width = 50
[[video]]
name = "v"
height = 64
preset = "ultrafast"
[[hls]]
name = "hls"
heights = [64]
preset = "ultrafast"
[[poster]]
name = "poster"
[[subtitles]]
name = "subtitles"
[[audio]]
name = "audio"
"""
DONE = {
    "mkv-segment-links.mkv", "gab2-hls.avi", "gab2-http.avi", "gab2-concat.avi", "subtitles-external.mp4",
    "concat:a|b.mp4", "subfile,,start,0,end,9,,:x.mp4", "http:127.0.0.1:x.mp4", "image%03d.mp4", "cover-link.mp3",
    "cover-link.flac",
}  # fmt: skip
"""Files that are playable without what they refer to."""
PLAYLISTS = ("hls-", "playlist", "ffconcat", "dash", "sdp", "smooth", "asx", "rtsp", "edl")
"""What the names of playlists begin with."""
IGNORED = {"playlist.m3u8", "subtitles-external.srt", "hls-key.ts"}
"""Names that promise no media."""


class Listener:
    """A server that counts who connects to it."""

    def __init__(self) -> None:
        self.connections: list[object] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def serve(self) -> None:
        """Until it is closed."""
        while True:
            try:
                connection, peer = self._socket.accept()
            except OSError:
                return
            self.connections.append(peer)
            connection.close()

    def close(self) -> None:
        """Wake ``serve``."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.serve)
    thread.start()
    try:
        yield listener
    finally:
        listener.close()
        thread.join()


def bait(folder: Path, port: int) -> Bait:
    """Lay out what is not to be read, hidden from scans: a text, a video with a tone, an image of one colour."""
    (folder / ".canary.txt").write_text(f"{SECRET}\n" * 10)
    tags = ("-metadata", f"title={SECRET}")
    video = films.make(
        folder / ".canary.mp4",
        "-f",
        "lavfi",
        "-i",
        "color=magenta:s=64x64:r=10:d=1",
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        *tags,
    )
    Image.new("RGB", (64, 64), (255, 0, 255)).save(folder / ".canary.png")
    return Bait(folder / ".canary.txt", video, folder / ".canary.png", port)


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_no_file_is_read_and_nothing_is_connected_to(sandbox: str, mediactl: CommandLine) -> None:
    option = () if sandbox == "auto" else ("--sandbox", sandbox)
    if option and option[0] not in mediactl("process", "--help").out:
        pytest.skip("there is no option --sandbox")
    sources = mediactl.folder / "in"
    sources.mkdir()
    (mediactl.folder / "recipe.toml").write_text(RECIPE)
    with listening() as listener:
        names = write(sources, bait(sources, listener.port))
        run = mediactl("process", "in", "--recipe", "recipe.toml", "--json", "--state", "state", *option)
        assert listener.connections == []
    assert len(names) >= 40
    assert run.code == 1, run.err
    reasons = {event["path"]: event["reason"] for event in run.events if event["event"] == "job.rejected"}
    ended = {event["path"] for event in run.events if event["event"] == "job.done"}
    assert ended == DONE
    assert set(reasons) | ended | IGNORED == set(names), (set(names) - set(reasons) - ended, reasons)
    assert not [reason for reason in reasons.values() if not reason or "internal" in reason], reasons
    playlists = {name for name in names if name.startswith(PLAYLISTS) and name not in IGNORED}
    assert {name for name, reason in reasons.items() if "it is a playlist" in reason} == playlists
    leaks = [path for path in _written(mediactl.folder) if SECRET.encode() in path.read_bytes()]
    assert leaks == []
    assert SECRET not in run.out + run.err
    for name in DONE:
        asset = json.loads((mediactl.folder / "derived" / name / "asset.json").read_text())
        assert asset.get("height") in (None, 48), f"{name}: the canary has 64 rows"


def _written(folder: Path) -> Iterator[Path]:
    for part in ("derived", "state", "cache"):
        yield from (path for path in (folder / part).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hls-http.mov", ("-f", "hls", "-allowed_extensions", "ALL", "-extension_picky", "0")),
        ("ffconcat-http.mkv", ("-f", "concat", "-safe", "0")),
        ("dash.mp4", ("-f", "dash")),
    ],
)
def test_the_same_files_connect_where_nothing_forbids_it(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    with listening() as listener:
        write(tmp_path, bait(tmp_path, listener.port))
        _play(tmp_path / name, "-protocol_whitelist", "file,http,tcp", *options)
        assert listener.connections


def test_a_reference_to_another_file_is_followed_where_nothing_forbids_it(tmp_path: Path) -> None:
    write(tmp_path, bait(tmp_path, 9))
    assert _play(tmp_path / "dref-alis.mov", "-enable_drefs", "1") == b""
    assert _play(tmp_path / "dref-alis.mov") != b""


def _play(path: Path, *options: str) -> bytes:
    """What a bare ffmpeg complains about."""
    command = [binary.find(), "-loglevel", "error", *options, "-i", str(path), "-map", "0:v", "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, timeout=60).stderr
