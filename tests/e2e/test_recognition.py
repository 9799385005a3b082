"""Files are recognised by their content: each is processed, rejected by name, or ignored; outputs are measured."""

from __future__ import annotations

import os
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import pytest
from conftest import CASES, CommandLine
from support.films import make

from mediactl.media.inspect import demux
from mediactl.model import formats
from mediactl.model.media import Kind
from mediactl.sources import sniff

RECIPE = """
name = "measured"
[[image]]
name = "i"
format = "png"
width = 64
[[poster]]
name = "p"
width = 64
[[audio]]
name = "a"
format = "m4a"
[[video]]
name = "v"
height = 90
preset = "ultrafast"
"""
TONE = ("-f", "lavfi", "-i", "sine=440:sample_rate=48000:duration=3")
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=160x90:rate=25:duration=3")
FILM = (*PICTURE, *TONE, "-g", "5", "-c:a", "mp2", "-bf", "0")
DV = ("-f", "lavfi", "-i", "testsrc=size=720x576:rate=25:duration=1", "-f", "lavfi", "-i", "sine=440:duration=1")


class Outcome(NamedTuple):
    """What a run printed and wrote."""

    out: Path
    rejected: dict[str, str]
    """File name -> reason."""
    ignored: set[str]

    def asset(self, name: str) -> dict[str, Any]:
        """The asset.json of a source."""
        found: dict[str, Any] = msgspec.json.decode((self.out / name / "asset.json").read_bytes())
        return found

    def duration(self, name: str) -> float:
        """Seconds of samples (or else of frames) that its output has, and whose tone is heard."""
        file = self.out / name / "a.m4a"
        if not file.exists():
            file = self.out / name / "v.mp4"
        seconds, hertz = heard(file)
        assert hertz == pytest.approx(440, rel=0.02), name
        return seconds


def heard(path: Path) -> tuple[float, float]:
    """Seconds of decoded samples, and the frequency of their middle half by its zero crossings."""
    samples, rate = array("f"), 0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples.frombytes(bytes(frame.planes[0])[: 4 * frame.samples])
            rate = frame.sample_rate
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    crossings = sum(one * other < 0 for one, other in pairwise(middle))
    return len(samples) / rate, crossings / 2 * rate / len(middle)


def run(folder: Path, *sources: Path) -> Outcome:
    """Process sources."""
    (folder / "recipe.toml").write_text(RECIPE)
    result = CommandLine(folder)("process", *sources, "--recipe", "recipe.toml", "--out", "out", "--json", "-j", "1")
    assert result.code == 1, result.err
    rejected = {os.path.basename(e["path"]): e["reason"] for e in result.events if e["event"] == "job.rejected"}
    ignored = {os.path.basename(e["path"]) for e in result.events if e["event"] == "source.ignored"}
    return Outcome(folder / "out", rejected, ignored)


def id3(size: int) -> bytes:
    """An ID3v2.4 tag with so many bytes of padding."""
    return b"ID3\4\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"\0" * size


def split(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def made(folder: Path) -> dict[str, tuple[str, float]]:
    """Write files that begin oddly; return the format and the duration of each in seconds."""
    there, temporary = folder / "in", folder / "made"
    there.mkdir()
    temporary.mkdir()
    expected: dict[str, tuple[str, float]] = {}

    def add(name: str, content: bytes, format: str, seconds: float = 3.0) -> None:
        (there / name).write_bytes(content)
        expected[name] = (format, seconds)

    def content(name: str, *arguments: str) -> bytes:
        return make(temporary / name, *arguments).read_bytes()

    mp3 = content("a.mp3", *TONE, "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0")
    frame = mp3.index(mp3[:3], 4)
    add("line-break.mp3", b"\r\n" + mp3, "mp3")
    add("zeros-1000.mp3", b"\0" * 1000 + mp3, "mp3")
    add("zeros-5000.mp3", b"\0" * 5000 + mp3, "mp3")
    add("ones.mp3", b"\xff" * 8 + mp3, "mp3")
    add("half-a-frame.mp3", mp3[frame // 2 :], "mp3")
    add("riff.mp3", b"RIFF" + (len(mp3) + 12).to_bytes(4, "little") + b"RMP3data" + bytes(4) + mp3, "mp3")
    add("padding-behind-the-tag.mp3", id3(20_000) + b"\0" * 700 + mp3, "mp3")
    flac = content("a.flac", *TONE)
    add("small-tag.flac", id3(300) + flac, "flac")
    add("large-tag.flac", id3(90_000) + flac, "flac")
    aac = content("a.aac", *TONE)
    add("tag.aac", id3(3000) + aac, "aac")
    add("no-extension-ac3", content("a.ac3", *TONE), "ac3")
    add("a.eac3", content("a.eac3", *TONE), "eac3")
    add("a.tta", content("a.tta", *TONE), "tta")
    add("a.w64", content("a.w64", *TONE), "w64")
    add("a.dv", content("a.dv", *DV, "-target", "pal-dv", "-y"), "dv", 1.0)
    ts = content("a.ts", *FILM)
    m2ts = content("a.m2ts", *FILM, "-f", "mpegts", "-mpegts_m2ts_mode", "1")
    add("188-from-77.ts", ts[77:], "mpegts")
    add("188-behind-junk.ts", b"\1\2\3" * 500 + ts, "mpegts")
    add("192-from-100.m2ts", m2ts[100:], "mpegts")
    add("204.ts", b"".join(packet + b"\x55" * 16 for packet in split(ts, 188)), "mpegts")
    add("204-from-150.ts", b"".join(packet + b"\x55" * 16 for packet in split(ts, 188))[150:], "mpegts")
    add("behind-junk.mpg", b"\1\2\3" * 400 + content("a.mpg", *FILM, "-f", "mpeg"), "mpeg")
    for name, text in TEXTS.items():
        (there / name).write_bytes(text)
    for name, (head, _) in REJECTED.items():
        (there / name).write_bytes(head + bytes(range(256)) * 20)
    return expected


TEXTS = {
    "MAC addresses.txt": b"MAC addresses of the machines\n" * 9,
    "tables.csv": "Album;name;size\r\n1;harbour;3\r\n".encode("utf-16"),
    "DDS of today.md": b"DDS of today, and of tomorrow\n" * 90,
}
REJECTED = {
    "camera.mxf": (bytes.fromhex("060e2b34020501010d01020101020400"), "mxf"),
    "without-extension": (b"DSD \x1c\0\0\0\0\0\0\0\x5c\x70\5\0", "dsf"),
    "icon.png": (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\2\0\0\0\0\0\0\0\rIHDR", "cgbi"),
    "arrow.bin": (b"\0\0\2\0\1\0\x20\x18\0\0\0\0\0\0\xa1\4\0\0\x16\0\0\0", "cur"),
    "stream.264": (bytes.fromhex("000000016764000cacd94141"), "h264"),
}
NAMES = [
    "line-break.mp3", "zeros-1000.mp3", "zeros-5000.mp3", "ones.mp3", "half-a-frame.mp3", "riff.mp3",
    "padding-behind-the-tag.mp3", "small-tag.flac", "large-tag.flac", "tag.aac", "no-extension-ac3", "a.eac3", "a.tta",
    "a.w64", "a.dv", "188-from-77.ts", "188-behind-junk.ts", "192-from-100.m2ts", "204.ts", "204-from-150.ts",
    "behind-junk.mpg",
]  # fmt: skip


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, dict[str, tuple[str, float]]]:
    """One run over all files made here."""
    folder = tmp_path_factory.mktemp("ours")
    expected = made(folder)
    return run(folder, folder / "in"), expected


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_begins_oddly_is_whole(name: str, ours: tuple[Outcome, dict[str, tuple[str, float]]]) -> None:
    outcome, expected = ours
    format, seconds = expected[name]
    assert outcome.asset(name)["metadata"]["format"] == format
    assert outcome.duration(name) == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_ignored(name: str, ours: tuple[Outcome, Any]) -> None:
    assert name in ours[0].ignored


@pytest.mark.parametrize("name", REJECTED)
def test_a_known_format_is_rejected_by_name(name: str, ours: tuple[Outcome, Any]) -> None:
    assert ours[0].rejected[name] == formats.refusal(REJECTED[name][1])


def test_nothing_else_is_rejected_or_left(ours: tuple[Outcome, dict[str, tuple[str, float]]]) -> None:
    outcome, expected = ours
    assert set(expected) == set(NAMES)
    assert set(outcome.rejected) == set(REJECTED)


MUXED: dict[str, tuple[str, ...]] = {
    "mp4": PICTURE, "matroska.mkv": PICTURE, "avi": PICTURE, "flv": PICTURE, "asf": PICTURE, "ogg": TONE,
    "mpegts.ts": PICTURE, "mpeg.mpg": PICTURE, "mp3": TONE, "flac": TONE, "wav": TONE, "w64": TONE, "aac": TONE,
    "ac3": TONE, "eac3": TONE, "aiff": TONE, "caf": TONE, "au": TONE, "wavpack.wv": TONE, "tta": TONE,
    "dv": (*DV, "-target", "pal-dv"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUXED)
def test_what_is_sniffed_is_opened_by_the_demuxer_of_the_table(name: str, tmp_path: Path) -> None:
    path = make(tmp_path / ("a." + name), *MUXED[name])
    found = sniff.sniff(sniff.head(os.fsencode(path.parent), os.fsencode(path.name)), b"file")
    assert found is not None
    known = formats.BY_NAME[name.partition(".")[0]]
    assert found[1] == known.name
    with path.open("rb") as file, demux.opened(file.fileno()) as container:
        assert set(container.format.name.split(",")) & set(known.demuxers)


def test_every_container_is_muxed_here_but_those_without_a_muxer() -> None:
    containers = {each.name for each in formats.FORMATS if each.demuxers}
    assert containers - {name.partition(".")[0] for name in MUXED} == {"ape", "amr"}


GIVEN = {
    "16-text-taken-for-media": "ignored",
    "06-cgbi-iphone-png": "rejected",
    "19-dsd-files": "rejected",
    "29-ts-not-aligned": 5.0,
    "43-flac-behind-id3": 5.0,
    "44-mp3-after-junk": 5.0,
    "34-dv-type-1-avi": 0.96,
}
BY_NAME = {"dvd-track.ac3": 4.0, "song.tta": 4.0, "take.w64": 4.0}
"""Of case 18; the others but the .ogv are rejected."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One run over the files made after public bug reports."""
    folders = [CASES / name for name in (*GIVEN, "18-real-media-by-its-name")]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        pytest.skip(f"no {missing[0]} (MEDIACTL_CASES)")
    return run(tmp_path_factory.mktemp("given"), *folders)


@pytest.mark.parametrize("case", GIVEN)
def test_the_given_files_are_recognised(case: str, given: Outcome) -> None:
    wanted = GIVEN[case]
    for path in sorted((CASES / case).iterdir()):
        if wanted == "ignored":
            assert path.name in given.ignored
        elif wanted == "rejected":
            assert given.rejected[path.name] in {each.refusal for each in formats.FORMATS if each.refusal}
        else:
            assert given.duration(path.name) == pytest.approx(wanted, abs=0.1), path.name
            if path.suffix in (".flac", ".aac", ".mp3"):
                assert given.asset(path.name)["metadata"]["format"] == path.suffix[1:]


def test_the_given_media_with_rare_names_are_done_or_rejected_by_name(given: Outcome) -> None:
    for path in sorted((CASES / "18-real-media-by-its-name").iterdir()):
        if path.suffix == ".ogv":
            assert given.asset(path.name)["metadata"]["video"]["width"] == 320
        elif path.name in BY_NAME:
            assert given.duration(path.name) == pytest.approx(BY_NAME[path.name], abs=0.1)
        else:
            found = sniff.sniff(sniff.head(os.fsencode(path.parent), os.fsencode(path.name)), os.fsencode(path.name))
            assert found is not None
            assert given.rejected[path.name] == formats.refusal(found[1])
            assert found[0] in (Kind.IMAGE, Kind.VIDEO)
