"""What a file is, by its content and not by its name."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.model.media import Kind
from mediactl.sources.sniff import HEAD, sniff

JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
ADTS = b"\xff\xf1\x50\x80\x02\x1f\xfc"
MP3 = b"\xff\xfb\x90\x64\0\0"


def ftyp(brand: bytes, *compatible: bytes) -> bytes:
    """The first box of an MP4, HEIC or AVIF file."""
    body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4) + body + b"\0\0\0\x08mdat"


def transport_stream(packet: int, start: int = 0) -> bytes:
    """Packets that begin with the sync byte, and noise in between that never is one."""
    return (b"\0" * start + b"\x47" + b"\1" * (packet - 1 - start)) * (HEAD // packet)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (JPEG, (Kind.IMAGE, "jpeg")),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", (Kind.IMAGE, "png")),
        (b"GIF89a", (Kind.IMAGE, "gif")),
        (b"RIFF\x10\0\0\0WEBPVP8 ", (Kind.IMAGE, "webp")),
        (b"RIFF\x10\0\0\0AVI LIST", (Kind.VIDEO, "avi")),
        (b"RIFF\x10\0\0\0WAVEfmt ", (Kind.AUDIO, "wav")),
        (b"RF64\xff\xff\xff\xffWAVEds64", (Kind.AUDIO, "wav")),
        (b"II*\0\x08\0\0\0", (Kind.IMAGE, "tiff")),
        (b"MM\0*\0\0\0\x08", (Kind.IMAGE, "tiff")),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02", (Kind.IMAGE, "bmp")),
        (b"P6\n2 2\n255\n", (Kind.IMAGE, "pnm")),
        (b"P5 # by hand\n", (Kind.IMAGE, "pnm")),
        (ftyp(b"avif", b"mif1"), (Kind.IMAGE, "avif")),
        (ftyp(b"mif1", b"avif", b"miaf"), (Kind.IMAGE, "avif")),
        (ftyp(b"heic", b"mif1"), (Kind.IMAGE, "heic")),
        (ftyp(b"isom", b"mp41"), (Kind.VIDEO, "mp4")),
        (ftyp(b"qt  "), (Kind.VIDEO, "mp4")),
        (ftyp(b"M4A ", b"isom"), (Kind.AUDIO, "mp4")),
        (b"\0\0\0\x08wide\0\0\0\0mdat", (Kind.VIDEO, "mp4")),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01", (Kind.VIDEO, "matroska")),
        (b"FLV\x01\x05", (Kind.VIDEO, "flv")),
        (b"\0\0\1\xba\x44", (Kind.VIDEO, "mpeg")),
        (transport_stream(188), (Kind.VIDEO, "mpegts")),
        (transport_stream(192, start=4), (Kind.VIDEO, "mpegts")),
        (transport_stream(188)[:189], (Kind.VIDEO, "mpegts")),
        (b"OggS\0\x02" + b"\0" * 22 + b"\x01\x1e\x01vorbis", (Kind.AUDIO, "ogg")),
        (b"OggS\0\x02" + b"\0" * 22 + b"\x01\x2a\x80theora", (Kind.VIDEO, "ogg")),
        (b"fLaC\0\0\0\x22", (Kind.AUDIO, "flac")),
        (b"FORM\0\0\0\x10AIFFCOMM", (Kind.AUDIO, "aiff")),
        (b"ID3\x04\0\0\0\0\0\0", (Kind.AUDIO, "mp3")),
        (MP3, (Kind.AUDIO, "mp3")),
        (b"\xff\xf3\x84\xc4", (Kind.AUDIO, "mp3")),
        (ADTS, (Kind.AUDIO, "aac")),
        (b"\xff\xf9\x50\x80", (Kind.AUDIO, "aac")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (Kind.IMAGE, "svg")),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg>", (Kind.IMAGE, "svg")),
        (b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"><svg ', (Kind.IMAGE, "svg")),
        (b"<!-- one --> <!-- two --><SVG>", (Kind.IMAGE, "svg")),
        (b"%PDF-1.7", (Kind.IMAGE, "pdf")),
    ],
)
@pytest.mark.parametrize("name", [b"file", b"file.txt", b"file.mp4", b"file.jpg"])
def test_the_content_decides_whatever_the_name_says(head: bytes, expected: tuple[Kind, str], name: bytes) -> None:
    assert sniff(head, name) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"notes.jpg", Kind.IMAGE),
        (b"NOTES.JPEG", Kind.IMAGE),
        (b"clip.mp4", Kind.VIDEO),
        (b"song.mp3", Kind.AUDIO),
        (b"\xff\n.png", Kind.IMAGE),
        (b"archive.tar.gif", Kind.IMAGE),
    ],
)
@pytest.mark.parametrize("head", [b"", b"just text\n", b"#EXTM3U\n", b"\0" * HEAD])
def test_a_name_that_promises_media_makes_an_unknown_file_one_to_be_told(head: bytes, name: bytes, kind: Kind) -> None:
    assert sniff(head, name) == (kind, "unknown")


@pytest.mark.parametrize("name", [b"notes", b"notes.txt", b".jpg.txt", b"jpg", b"x.html", b"a.\xff"])
@pytest.mark.parametrize("head", [b"", b"just text\n", b"<html><svg>", b"PK\x03\x04", b"RIFF\0\0\0\0ACON"])
def test_what_is_no_media_and_is_not_named_so_is_passed_over(head: bytes, name: bytes) -> None:
    assert sniff(head, name) is None


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xff\xff\xff",
        b"\xff\xe0\0\0",
        b"\xff\xfb\xf0\0",
        b"\xff\xfb\x0c\0",
        b"\xff\xeb\x90\0",
        b"\xff\xfb",
    ],
)
def test_bytes_that_only_resemble_the_start_of_an_mp3_are_none(head: bytes) -> None:
    assert sniff(head, b"data.bin") is None


def test_a_text_with_two_capital_letters_in_the_wrong_places_is_no_film() -> None:
    text = (b"GNU GENERAL PUBLIC LICENSE " * 7)[:188] + b"Going on as plain text. " * 100
    assert text[188:189] == b"G"
    assert sniff(text, b"COPYING") is None


@pytest.mark.parametrize(
    "head",
    [b"<!---->" * 585, b"<!DOCTYPE>" * 409, (b"<!-- -->" + b" " * 60) * 60, b"<?xml" + b" " * 4000, b" " * HEAD],
)
def test_no_content_takes_long_to_look_at(head: bytes) -> None:
    start = time.process_time()
    assert sniff(head, b"file") is None
    assert time.process_time() - start < 0.5


@REPEATABLE
@given(st.binary(max_size=300), st.binary(max_size=20))
def test_any_content_and_name_gets_an_answer(head: bytes, name: bytes) -> None:
    assert sniff(head, name) is None or isinstance(sniff(head, name), tuple)
