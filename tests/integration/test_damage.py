"""Damage of audio files is reported where something was lost, and not where a tag is no audio."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest
from support.films import make
from test_audio import decoded_length, render, target
from test_loudness import target as loud_target
from test_video_audio import encoded

from mediactl.media.audio.mixdown import AudioRequest
from mediactl.media.inspect import diagnosis
from mediactl.model.assets import Target
from mediactl.outputs.waveform import WaveformParams

DAMAGED = "parts of the audio are damaged and may be distorted"
SINE = "sine=440:d=3:r=44100"
ID3V1 = b"TAG" + b"Title".ljust(125)
ID3V2 = b"ID3\4\0\0\0\0\2\0" + bytes(256)
LYRICS = b"LYRICSBEGININD0000210LYR00050" + b"[00:01]la la la".ljust(50) + b"000079LYRICS200"
JUNK = bytes(number * 7_919 % 251 for number in range(3_000))


def ape() -> bytes:
    """An APEv2 tag with header and footer."""
    item = struct.pack("<II", 5, 0) + b"Title\0Hello"
    ends = [b"APETAGEX" + struct.pack("<IIII", 2_000, len(item) + 32, 1, flags << 28) + bytes(8) for flags in (10, 8)]
    return ends[0] + item + ends[1]


BEHIND = {"id3v1": ID3V1, "ape": ape(), "ape and id3v1": ape() + ID3V1, "lyrics3": LYRICS + ID3V1, "zeros": bytes(999)}


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.aac", "a.ac3"])
def test_tags_behind_the_audio_are_no_damage(name: str, tmp_path: Path) -> None:
    plain = make(tmp_path / name, "-f", "lavfi", "-i", "sine=440:d=3:r=44100").read_bytes()
    for tags in BEHIND.values():
        path = tmp_path / f"{len(tags)} {name}"
        path.write_bytes(plain + tags)
        made = render(path, target("m4a", 1))
        assert DAMAGED not in made.drafts.warnings
        assert decoded_length(made.files[0]) == pytest.approx(3.0, abs=0.06)


def test_tags_between_joined_files_are_no_damage(tmp_path: Path) -> None:
    plain = make(tmp_path / "a.mp3", "-f", "lavfi", "-i", "sine=440:d=3:r=44100", "-id3v2_version", "0").read_bytes()
    for tags in (ID3V1 + ID3V2, ID3V2, LYRICS + ID3V1 + ID3V2):
        path = tmp_path / f"{len(tags)}.mp3"
        path.write_bytes(plain + tags + plain)
        made = render(path, target("m4a", 1))
        assert DAMAGED not in made.drafts.warnings
        assert decoded_length(made.files[0]) == pytest.approx(6.0, abs=0.15)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac"])
def test_what_is_lost_in_the_middle_is_damage(name: str, tmp_path: Path) -> None:
    plain = make(tmp_path / name, "-f", "lavfi", "-i", "anoisesrc=d=3:r=44100:a=0.1:seed=1").read_bytes()
    middle = len(plain) // 2
    path = tmp_path / f"b{Path(name).suffix}"
    path.write_bytes(plain[:middle] + JUNK + plain[middle + len(JUNK) :])
    assert DAMAGED in render(path, target("m4a", 1)).drafts.warnings


@pytest.mark.parametrize("channels", [(1, 1, 1, 1), (2, 1, 2)])
def test_many_joints_with_tags_are_no_damage(channels: tuple[int, ...], tmp_path: Path) -> None:
    parts = []
    for number, count in enumerate(channels):
        sound = ("-f", "lavfi", "-i", f"sine={440 + 110 * number}:d=1:r=44100")
        part = make(tmp_path / f"{number}.mp3", *sound, "-ac", str(count), "-metadata", f"title={'x' * 40}")
        parts.append(part.read_bytes() + ID3V1)
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(parts))
    loud = [loud_target(format_, -16.0, 2) for format_ in ("m4a", "opus")]
    made = render(path, *loud, Target("w.json", "waveform", WaveformParams("json", 50), "w"))
    assert DAMAGED not in made.drafts.warnings
    assert decoded_length(made.files[0]) == pytest.approx(len(channels), abs=0.08 * len(channels))


def video(path: Path, *options: str) -> Path:
    return make(path, "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=3", "-f", "lavfi", "-i", SINE, *options)


def replaced(path: Path, numbers: range, content: bytes, kind: str = "audio") -> Path:
    """Write over the beginning of packets of a stream."""
    with av.open(str(path)) as container:
        packets = [each for each in container.demux(**{kind: 0}) if each.size]
    whole = bytearray(path.read_bytes())
    for packet in packets[numbers.start : numbers.stop]:
        assert packet.pos is not None
        whole[packet.pos : packet.pos + min(len(content), packet.size)] = content[: packet.size]
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "mp3"), ("a.mp4", "aac")])
def test_audio_of_a_video_is_damaged_where_something_was_lost(name: str, codec: str, tmp_path: Path) -> None:
    path = video(tmp_path / name, "-c:v", "libx264", "-c:a", codec)
    replaced(path, range(30, 40), bytes(range(7, 60)))
    (file,), warnings = encoded(path, AudioRequest(0, 96, 1))
    assert DAMAGED in warnings
    assert decoded_length(file) == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("name", ["a.mov", "a.avi"])
def test_junk_at_its_end_is_its_end_alone(name: str, tmp_path: Path) -> None:
    path = video(tmp_path / name, "-c:v", "mjpeg", "-c:a", "mp3", "-b:a", "128k")
    replaced(path, range(108, 120), bytes(range(7, 60)))
    _, warnings = encoded(path, AudioRequest(0, 96, 1))
    assert DAMAGED not in warnings
    assert any("the audio is broken after 2.8 s" in each for each in warnings)


def test_lines_of_ffmpeg_are_about_video_audio_or_an_output() -> None:
    audio = [
        "[mp3float] [error] Header missing",
        "[aist#0:1/aac] [dec:aac] [error] Error submitting packet to decoder: Invalid data found",
    ]
    outputs = [
        "[null] [error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 9 >= 0"
    ]
    seen = ["[h264] [error] error while decoding MB 1 2", "[in#0/mov,mp4] [error] stream 0, offset 0x30: partial file"]
    assert diagnosis.about_audio([*audio, *outputs, *seen]) == audio
    assert not diagnosis.is_video_damaged([*audio, *outputs, seen[0]])
    assert diagnosis.is_video_damaged(seen)
