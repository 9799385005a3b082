"""Bombs: each is rejected by the name of a limit, or made, within seconds and a bounded amount of memory."""

from __future__ import annotations

import os
import re
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import bombs
import pytest
from bombs import MIB, zeros
from conftest import CommandLine
from support import films, pictures
from support.forkserver import ForkServer
from support.pictures import outputs

from mediactl.core.errors import RejectedInput
from mediactl.media.inspect import streams
from mediactl.media.limits import bounded_files
from mediactl.model.media import Kind, Limits
from mediactl.sources.sniff import HEAD, sniff

SECONDS, MEMORY = 5.0, 256
"""CPU seconds and MiB that a bomb may cost, at most: a hundredth of what it would without limits."""
MADE = "made"
TONE = ("-f", "lavfi", "-i", "sine=d=0.3")


def id3(*frames: bytes) -> bytes:
    content = b"".join(frames)
    return bombs.id3(len(content), content) + films.made(".mp3", *TONE)


def with_blocks(*blocks: bytes) -> bytes:
    """A FLAC with these metadata blocks behind its first one."""
    whole = films.made(".flac", *TONE)
    return whole[:42] + b"".join(blocks) + whole[42:]


def block(kind: int, content: bytes) -> bytes:
    return struct.pack(">I", kind << 24 | len(content)) + content


def comments(number: int) -> bytes:
    return struct.pack("<II", 0, number) + b"".join(struct.pack("<I", 9) + b"a%07d=" % each for each in range(number))


def tiff_pages(number: int) -> bytes:
    return bombs.tiff(*bombs.grey(8, 8, (273, 4, 1, 8), (278, 4, 1, 8), (279, 4, 1, 64)), data=bytes(64), pages=number)


def bmp(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64)
    )


def jxl(side: int) -> bytes:
    """The header of a square JPEG XL: its height in 30 bits, and the same width."""
    return b"\xff\x0a" + (3 << 1 | side - 1 << 3 | 1 << 33).to_bytes(16, "little")


def jp2(width: int, height: int) -> bytes:
    size = struct.pack(">HHIIIIIIIIH", 41, 0, width, height, 0, 0, width, height, 0, 0, 1) + b"\7\1\1"
    coding = struct.pack(">HBBHBBBBBB", 12, 0, 0, 1, 0, 0, 4, 4, 0, 1)
    steps = struct.pack(">HB", 4, 0x40) + b"\x40"
    tile = b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 0, 0, 1) + b"\xff\x93" + bytes(9)
    return b"\xff\x4f\xff\x51" + size + b"\xff\x52" + coding + b"\xff\x5c" + steps + tile + b"\xff\xd9"


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "size.png": (lambda: bombs.png(width=100_000, height=100_000, pixels=zeros(MIB)), "limits.pixels"),
    "excess.png": (lambda: bombs.png(pixels=zeros(256 * MIB)), MADE),
    "ztxt.png": (lambda: bombs.png(bombs.chunk(b"zTXt", b"Comment\0\0" + zeros(256 * MIB))), MADE),
    "itxt.png": (lambda: bombs.png(bombs.chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(256 * MIB))), MADE),
    "profile.png": (lambda: bombs.png(bombs.chunk(b"iCCP", b"x\0\0" + zeros(256 * MIB))), MADE),
    "exif.png": (lambda: bombs.png(bombs.chunk(b"eXIf", b"II*\0" + bytes(16 * MIB))), MADE),
    "texts.png": (lambda: bombs.png(bombs.chunk(b"tEXt", b"a\0b") * 100_000), MADE),
    "frames.apng": (lambda: bombs.apng(10_000), "limits.frames"),
    "announced.apng": (lambda: bombs.apng(2, 2**31 - 1), "limits.frames"),
    "canvas.apng": (lambda: bombs.apng(1_000, side=8_000), "limits.animation_pixels"),
    "ztxt.apng": (
        lambda: bombs.apng(3, before=bombs.chunk(b"zTXt", b"Comment\0\0" + zeros(65 * MIB))), "limits.metadata_bytes"
    ),
    "frames.gif": (lambda: bombs.gif(50_000, 8, 8), "limits.frames"),
    "canvas.gif": (lambda: bombs.gif(2, 65_535, 65_535), MADE),
    "exif.webp": (lambda: bombs.webp_exif(65 * MIB), "limits.metadata_bytes"),
    "frames.webp": (lambda: bombs.webp(20_000, 8), "limits.frames"),
    "canvas.webp": (lambda: bombs.webp(2_000, 16_383), "limits.animation_pixels"),
    "strip.tif": (lambda: bombs.tiff_strip(100_000, 4_000), "limits.pixels"),
    "tile.tif": (lambda: bombs.tiff_tile(8, 65_536), "tile size"),
    "strips.tif": (lambda: bombs.tiff_strips(100_000_000), "StripOffsets"),
    "pages.tif": (lambda: tiff_pages(50_000), "limits.pages"),
    "scans.jpg": (lambda: bombs.jpeg_scans(16_000, 16_000, 200), "limits.scans"),
    "size.jpg": (lambda: bombs.jpeg_huge(65_500, 65_500), "limits.pixels"),
    "grid.heic": (lambda: bombs.heif_grid(b"heic", 256, 255, 65_535, 65_535), "security limits"),
    "grid.avif": (lambda: bombs.heif_grid(b"avif", 256, 255, 65_535, 65_535), "security limits"),
    "size.bmp": (lambda: bmp(2**31 - 1, 2**31 - 1), "limits.pixels"),
    "size.ppm": (lambda: b"P6 99999999 99999999 255\n" + bytes(64), "limits.pixels"),
    "size.j2k": (lambda: jp2(100_000, 100_000), "limits.pixels"),
    "size.jxl": (lambda: jxl(2**30), "limits.pixels|extra"),
    "samples.mp4": (lambda: bombs.mp4(bombs.track(1, 100_000_000, 1)), "limits.packets"),
    "samples of tracks.mp4": (lambda: bombs.mp4(*[bombs.track(n, 10**7, 1) for n in range(1, 50)]), "limits.packets"),
    "fragment.mp4": (lambda: bombs.fragments(1, 50_000_000), "limits.packets"),
    "fragments.mp4": (lambda: bombs.fragments(50, 500_000), "limits.packets"),
    "tracks.mp4": (lambda: bombs.mp4(*[bombs.track(n, 1, 1) for n in range(1, 2_000)]), "limits.streams"),
    "index.mov": (lambda: bombs.compressed_index(256 * MIB), "limits.metadata_bytes"),
    "cover.mp4": (lambda: bombs.mp4(bombs.box(b"udta", bytes(65 * MIB))), "limits.metadata_bytes"),
    "zlib.mkv": (lambda: bombs.mkv_zlib(256 * MIB), "no playable stream"),
    "attachments.mkv": (lambda: bombs.mkv_attachments(2_000, 10), "limits.attachments"),
    "tracks.mkv": (lambda: bombs.matroska(b"".join(bombs.mkv_track(n) for n in range(1, 2_000))), "limits.streams"),
    "tags.mkv": (lambda: bombs.matroska(bombs.mkv_track(1), bombs.mkv_tags(50_000)), "limits.tags"),
    "programs.m2ts": (lambda: bombs.ts(700) * 3, "limits.streams"),
    "rate.wav": (lambda: bombs.wav(rate=1, data=bytes(100_000)), "limits.duration"),
    "list.wav": (lambda: bombs.wav(bombs.riff(b"LIST", b"INFOINAM" + bytes(65 * MIB))), "limits.metadata_bytes"),
    "tags.wav": (lambda: bombs.wav(bombs.riff(b"LIST", b"INFO" + bombs.riff(b"INAM", b"ab") * 20_000)), "limits.tags"),
    "chunks.wav": (lambda: bombs.wav(bombs.riff(b"junk", b"") * 100_000), MADE),
    "tag.mp3": (lambda: bombs.id3(2**28 - 1) + bytes(64), "limits.metadata_bytes"),
    "tags.mp3": (lambda: id3(*[b"TXXX\0\0\0\x09\0\0\0%07d\0" % n for n in range(50_000)]), "limits.tags"),
    "covers.mp3": (lambda: id3(bombs.apic(bombs.png()) * 1_500), "limits.attachments"),
    "zlib.mp3": (lambda: id3(bombs.compressed_title(256 * MIB)), MADE),
    "comments.flac": (lambda: with_blocks(block(4, comments(50_000))), "limits.tags"),
    "covers.flac": (lambda: with_blocks(*[block(6, bytes(15 * MIB))] * 5), "limits.metadata_bytes"),
    "cover.flac": (
        lambda: with_blocks(block(6, bombs.flac_picture(bombs.png(width=60_000, height=60_000, pixels=b"")))), MADE
    ),
    "comments.opus": (lambda: bombs.ogg(b"OpusTags" + comments(50_000)), "limits.tags"),
}  # fmt: skip
"""File -> what it holds, and what the reason contains; MADE where an output is made of it."""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name: str, tmp_path: Path, fork_server: ForkServer) -> None:
    content, expected = BOMBS[name]
    path = tmp_path / name.replace(".apng", ".png")
    path.write_bytes(content())
    fork_server.call(cost_little, path, expected)


def cost_little(path: Path, expected: str) -> None:
    """Probe a file, and make an image; fail where that ends or costs other than expected."""
    with path.open("rb") as file:
        found = sniff(file.read(HEAD), os.fsencode(path.name))
        assert found
        kind, format = found
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        outcome = MADE
        try:
            if kind is Kind.IMAGE:
                pictures.render(path, *outputs(32))
            else:
                streams.probe(file.fileno(), format, Limits())
        except RejectedInput as error:
            outcome = str(error)
        seconds = time.process_time() - began
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert re.search(expected, outcome), outcome
    assert seconds < SECONDS
    assert memory < MEMORY


NARROW = """
name = "narrow"
[[image]]
name = "w50"
width = 50
[[video]]
name = "v"
height = 64
preset = "ultrafast"
[cutting]
above = 2.0
piece = 2.0
[limits]
"""


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("pixels", 1_000, "still.png"),
        ("duration", 1.0, "clip.mp4"),
        ("video_pixels", 10_000, "clip.mp4"),
        ("packets", 10, "clip.mp4"),
        ("streams", 1, "clip.mkv"),
        ("metadata_bytes", 10, "clip.mp4"),
        ("output_bytes", 1_000, "clip.mp4"),
        ("output_bytes", 100, "still.png"),
        ("scratch_bytes", 1_000, "clip.mp4"),
    ],
)
def test_a_source_beyond_a_limit_of_its_recipe_is_rejected_by_its_name(
    key: str, value: float, name: str, mediactl: CommandLine
) -> None:
    (mediactl.folder / "recipe.toml").write_text(f"{NARROW}{key} = {value}\n")
    (mediactl.folder / "in").mkdir()
    clip = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=4", "-f", "lavfi", "-i", "sine=d=4", "-preset", "ultrafast")
    source = mediactl.folder / "in" / name
    pictures.photo(200, 100).save(source) if name == "still.png" else films.make(source, *clip)
    run = mediactl("process", "in", "--recipe", "recipe.toml", "--json")
    reasons = [event["reason"] for event in run.events if event["event"] == "job.rejected"]
    assert len(reasons) == 1 and f"(limits.{key})" in reasons[0], run
    kept = [
        path for path in (mediactl.folder / "derived").rglob("*") if ".mediactl" not in path.parts and path.is_file()
    ]
    assert kept == []


def test_files_may_grow_again_behind_the_block(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match=r"limits\.output_bytes"), bounded_files(Limits(output_bytes=10)):
        (tmp_path / "x").write_bytes(bytes(11))
    (tmp_path / "x").write_bytes(bytes(11))
