"""Clocks that start again, wrap or jump: what is read of such a source continues, in sync, with every frame."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import msgspec
import pytest
from support import tones
from support.films import make
from support.timestamps import with_late_fragments

from mediactl.media import timestamps
from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import streams
from mediactl.model.media import Limits, MediaInfo

COLOURS = ("red", "lime", "blue", "white")
TONES = (440, 660, 550, 880)
WRAP = 2**33 / 90_000
"""Seconds after which the clock of MPEG-TS starts again."""


class Task(msgspec.Struct, frozen=True):
    """What is needed of a task."""

    info: MediaInfo
    limits: Limits = Limits()


def part(path: Path, number: int, seconds: float, *options: str) -> Path:
    """A video of one colour and one tone."""
    video = ("-f", "lavfi", "-i", f"color={COLOURS[number]}:s=64x64:r=25:d={seconds}")
    audio = ("-f", "lavfi", "-i", f"sine={TONES[number]}:d={seconds}:r=48000")
    coding = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac", "-b:a", "128k")
    return make(path, *video, *audio, *coding, *options)


def continuous(source: Path) -> tuple[MediaInfo, Path]:
    """Return what probing finds in a source, and a copy of what its outputs are made from."""
    kept = source.with_name("continuous.copy")
    with source.open("rb") as file:
        info = streams.probe(file.fileno(), source.suffix[1:], Limits())
        path = os.fsencode(source.with_name("continuous"))
        with timestamps.continuous(file.fileno(), Task(info), path) as (fd, _):  # type: ignore[type-var]
            assert os.path.exists(path)
            kept.write_bytes(os.pread(fd, 1 << 24, 0))
        assert not os.path.exists(path)
    return info, kept


def frames(path: Path, times: Sequence[float]) -> list[tuple[int, ...]]:
    """Return the colour of the frame at each time, after seeking there; each part is 0 or 255."""
    colours = []
    for time in times:
        command = [binary.find(), "-v", "error", "-ss", str(time), "-i", str(path), "-frames:v", "1"]
        command += ["-vf", "scale=1:1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
        pixel = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
        colours.append(tuple(255 * (value > 127) for value in pixel))
    return colours


def check(source: Path, lengths: Sequence[float], numbers: Sequence[int] | None = None) -> None:
    """Require that parts of these lengths follow one another, with all their frames, in sync."""
    numbers = numbers or range(len(lengths))
    info, path = continuous(source)
    assert info.discontinuities
    assert info.duration == pytest.approx(sum(lengths), abs=0.2)
    stamps = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.time_base:
                stamps.append(float(packet.pts * packet.time_base))
    stamps.sort()
    assert len(stamps) == round(25 * sum(lengths))
    assert stamps[-1] - stamps[0] == pytest.approx(sum(lengths) - 0.04, abs=0.1)
    samples = tones.samples(path)
    assert len(samples) / tones.RATE == pytest.approx(sum(lengths), abs=0.2)
    begin, middles = 0.0, []
    for number, length in zip(numbers, lengths, strict=True):
        assert tones.tone(samples, begin + 0.12, begin + length - 0.08) == pytest.approx(TONES[number], abs=1)
        middles.append(begin + length / 2)
        begin += length
    rgb = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
    assert frames(path, middles) == [rgb[COLOURS[number]] for number in numbers]


@pytest.mark.parametrize(
    ("lengths", "offsets"),
    [
        ((1.0, 2.0), (0.0, 0.0)),
        ((2.0, 1.0, 1.6, 1.2), (0.0, 0.0, 0.0, 0.0)),
        ((1.0, 1.0), (0.0, 36_000.0)),
        ((1.0, 1.0, 1.0), (5_000.0, 100.0, 5_001.0)),
        ((1.0, 1.4), (WRAP - 1.9, 200.0)),
        ((1.2, 1.0), (WRAP - 20.0, WRAP - 1.9)),
    ],
)
def test_joined_transport_streams(lengths: Sequence[float], offsets: Sequence[float], tmp_path: Path) -> None:
    parts = [
        part(tmp_path / f"{number}.ts", number, length, "-output_ts_offset", str(offset)).read_bytes()
        for number, (length, offset) in enumerate(zip(lengths, offsets, strict=True))
    ]
    source = tmp_path / "a.ts"
    source.write_bytes(b"".join(parts))
    check(source, lengths)


@pytest.mark.parametrize("lengths", [(2.0, 1.0), (1.4, 1.6, 1.4)])
def test_joined_flv(lengths: Sequence[float], tmp_path: Path) -> None:
    parts = [
        part(tmp_path / f"{number}.flv", number, length, "-bf", "0").read_bytes()
        for number, length in enumerate(lengths)
    ]
    source = tmp_path / "a.flv"
    source.write_bytes(parts[0] + b"".join(each[13:] for each in parts[1:]))  # Without the header and an empty trailer.
    check(source, lengths)
    with source.open("rb") as file:
        info = streams.probe(file.fileno(), "flv", Limits())
        assert streams.inspect(file.fileno(), "flv", Limits(), info).info.audio == info.audio


@pytest.mark.parametrize("jump", [40.0, 36_000.0])
@pytest.mark.parametrize("at", [0.9, 2.0])
def test_a_clock_that_jumps_while_streams_are_interleaved(jump: float, at: float, tmp_path: Path) -> None:
    whole = part(tmp_path / "whole.ts", 0, 3.0)
    # The clock of each stream jumps at the same time, but their packets alternate: audio comes later in the file.
    source = tmp_path / "a.ts"
    with av.open(str(whole)) as read, av.open(str(source), "w") as written:
        copies = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        start = (read.start_time or 0) / 1e6
        for packet in read.demux():
            if packet.dts is None or packet.pts is None or not packet.time_base:
                continue
            if float(packet.dts * packet.time_base) - start >= at:
                packet.pts += round(jump / packet.time_base)
                packet.dts += round(jump / packet.time_base)
            packet.stream = copies[packet.stream.index]
            written.mux(packet)
    check(source, [3.0])


def late(content: bytes, track: int, seconds: float, scale: int, fragments: int) -> bytes:
    """Return an MP4 whose last fragments of a track come later, by their ``tfdt``."""
    changed, found = bytearray(content), []
    at = content.find(b"tfhd")
    while at >= 0:
        time = content.find(b"tfdt", at)
        if int.from_bytes(content[at + 8 : at + 12]) == track:
            assert content[time + 4] == 1  # version: 64 bits
            found.append(time + 8)
        at = content.find(b"tfhd", at + 4)
    for place in found[-fragments:]:
        (base,) = struct.unpack_from(">Q", content, place)
        struct.pack_into(">Q", changed, place, base + round(seconds * scale))
    return bytes(changed)


@pytest.mark.parametrize(("seconds", "tracks"), [(600.0, (2,)), (26 * 3600.0, (2,)), (900.0, (1, 2))])
def test_fragments_that_come_hours_late(seconds: float, tracks: Sequence[int], tmp_path: Path) -> None:
    fragmented = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-video_track_timescale", "12800")
    whole = part(tmp_path / "whole.mp4", 0, 4.0, *fragmented)
    content = whole.read_bytes()
    for track in tracks:
        content = late(content, track, seconds, {1: 12_800, 2: 48_000}[track], 1)
    source = tmp_path / "a.mp4"
    source.write_bytes(content)
    check(source, [4.0])


@pytest.mark.parametrize("seconds", [30.0, 562.5])
@pytest.mark.parametrize(("track", "first"), [(1, 1), (1, 2), (2, 1)])
def test_a_fragment_in_the_middle_that_comes_late(seconds: float, track: int, first: int, tmp_path: Path) -> None:
    fragmented = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-video_track_timescale", "12800")
    whole = part(tmp_path / "whole.mp4", 0, 4.0, *fragmented, "-bf", "0").read_bytes()
    ticks, source = round(seconds * {1: 12_800, 2: 48_000}[track]), tmp_path / "a.mp4"
    source.write_bytes(with_late_fragments(whole, track, first, ticks, until=first + 1))
    check(source, [4.0])


def test_a_source_whose_clock_continues_is_read_as_it_is(tmp_path: Path) -> None:
    source = part(tmp_path / "a.ts", 0, 1.0)
    with source.open("rb") as file:
        info = streams.probe(file.fileno(), "ts", Limits())
        with timestamps.continuous(file.fileno(), Task(info), b"/nowhere") as (fd, _):  # type: ignore[type-var]
            assert fd == file.fileno()


@pytest.mark.parametrize(
    ("suffix", "links"),
    [
        ("ogg", [("-q:a", "3"), ("-q:a", "8")]),
        ("ogg", [("-q:a", "1"), ("-q:a", "5"), ("-q:a", "9"), ("-q:a", "0")]),
        ("opus", [("-b:a", "96k"), ("-b:a", "32k"), ("-b:a", "128k")]),
        ("oga", [("-compression_level", "5"), ("-compression_level", "0")]),
        ("ogg", [("-ar", "48000"), ("-ar", "32000"), ("-ar", "44100")]),
        ("ogg", [("-ac", "2"), ("-ac", "1")]),
        ("ogg", [("-c:a", "libvorbis"), ("-c:a", "libopus"), ("-c:a", "flac")]),
    ],
)
def test_links_of_a_chained_ogg_are_decoded_each_by_its_own_headers(
    suffix: str, links: Sequence[tuple[str, str]], tmp_path: Path
) -> None:
    codec = {"ogg": "libvorbis", "opus": "libopus", "oga": "flac"}[suffix]
    seconds = [1.5, 1.0, 2.0, 1.2][: len(links)]
    parts = []
    for number, (length, options) in enumerate(zip(seconds, links, strict=True)):
        audio = ("-f", "lavfi", "-i", f"sine={TONES[number]}:d={length}:r=48000", "-ac", "2", "-c:a", codec)
        parts.append(make(tmp_path / f"{number}.{suffix}", *audio, *options, "-f", "ogg").read_bytes())
    source = tmp_path / f"a.{suffix}"
    source.write_bytes(b"".join(parts))
    info, path = continuous(source)
    assert info.duration == pytest.approx(sum(seconds), abs=0.03)
    differ = "its parts differ in codec, channels or sample rate: all are made like the first one"
    assert (differ in info.warnings) == (links[0][0] in ("-ar", "-ac", "-c:a"))
    samples = tones.samples(path)
    assert len(samples) / tones.RATE == pytest.approx(sum(seconds), abs=0.03)
    begin = 0.0
    for number, length in enumerate(seconds):
        assert tones.tone(samples, begin + 0.1, begin + length - 0.1) == pytest.approx(TONES[number], abs=1)
        assert tones.level(samples, begin + 0.1, begin + length - 0.1) == pytest.approx(-21, abs=1)
        begin += length
