"""Damage of audio files is reported where something was lost, and not where a tag is no audio."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.films import make
from test_audio import decoded_length, render, target

DAMAGED = "parts of the audio are damaged and may be distorted"
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
