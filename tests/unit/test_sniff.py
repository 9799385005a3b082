"""What a file is, by its content and not by its name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.model.media import Kind
from mediactl.sources.sniff import HEAD, head, sniff

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
        (b"GIF89a\1\0\1\0\0\0\0", (Kind.IMAGE, "gif")),
        (b"RIFF\x10\0\0\0WEBPVP8 ", (Kind.IMAGE, "webp")),
        (b"RIFF\x10\0\0\0AVI LIST", (Kind.VIDEO, "avi")),
        (b"RIFF\x10\0\0\0WAVEfmt ", (Kind.AUDIO, "wav")),
        (b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0", (Kind.AUDIO, "wav")),
        (b"II*\0\x08\0\0\0", (Kind.IMAGE, "tiff")),
        (b"MM\0*\0\0\0\x08", (Kind.IMAGE, "tiff")),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02", (Kind.IMAGE, "bmp")),
        (b"P6\n2 2\n255\n", (Kind.IMAGE, "pnm")),
        (b"P5 # by hand\n2 2 255\n\0\1\2\3", (Kind.IMAGE, "pnm")),
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


# Frames with headers as encoders write them, and bytes in between that are no sync word.
MP3_128 = b"\xff\xfb\x90\x64" + b"\x11" * 413  # 144 * 128000 // 44100 bytes
MP2_192 = b"\xff\xfd\xa4\x04" + b"\x11" * 572
ADTS_16 = b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"\x11" * 9
AC3_192 = bytes.fromhex("0b77480d14402f84") + b"\x11" * 760
STREAMS = {"mp3": MP3_128, "aac": ADTS_16, "ac3": AC3_192}
PACK = bytes.fromhex("000001ba44000400040100 03f8") + b"\xf8" + bytes.fromhex("000001bb000c") + b"\x11" * 12
FLAC = b"fLaC\0\0\0\x22" + b"\x10" * 34


def packets(size: int, number: int) -> bytes:
    """A transport stream with a payload in every packet; camcorders write 192 bytes, broadcasters 204."""
    stamp, correction = {188: (0, 0), 192: (4, 0), 204: (0, 16)}[size]
    return (b"\x11" * stamp + b"\x47\x01\x00\x10" + b"\x22" * 184 + b"\x33" * correction) * number


def id3(size: int) -> bytes:
    """An ID3v2.4 tag with so many bytes in it."""
    return b"ID3\4\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"\0" * size


def ape(size: int) -> bytes:
    """An APEv2 tag with header and footer, and so many bytes in it."""
    marks = b"APETAGEX" + (2000).to_bytes(4, "little") + (size + 32).to_bytes(4, "little") + b"\1\0\0\0"
    return marks + b"\0\0\0\xa0" + b"\0" * (8 + size) + marks + b"\0\0\0\x80" + b"\0" * 8


def read(folder: Path, content: bytes) -> bytes:
    """What is read of a file with this content."""
    path = folder / "file"
    path.write_bytes(content)
    return head(os.fsencode(folder), b"file")


@REPEATABLE
@given(st.sampled_from([188, 192, 204]), st.integers(0, 203))
def test_a_transport_stream_may_begin_in_the_middle_of_a_packet(size: int, skipped: int) -> None:
    assert sniff(packets(size, 50)[skipped : skipped + HEAD], b"file") == (Kind.VIDEO, "mpegts")


@REPEATABLE
@given(st.sampled_from([188, 192, 204]), st.integers(0, 7000), st.randoms(use_true_random=False))
def test_a_transport_stream_is_found_behind_junk(size: int, junk: int, random: Random) -> None:
    content = random.randbytes(junk).replace(b"\xff", b"\xfe") + packets(size, 50)
    assert sniff((b"\0" + content)[:HEAD], b"file") == (Kind.VIDEO, "mpegts")


@REPEATABLE
@given(st.integers(1, 7500), st.sampled_from([b"\0", b"\xff", b"\r\n\0", b"\x80\x05"]))
def test_a_program_stream_is_found_behind_junk(junk: int, fill: bytes) -> None:
    assert sniff(((fill * junk)[:junk] + PACK * 20)[:HEAD], b"file") == (Kind.VIDEO, "mpeg")


@REPEATABLE
@given(
    st.sampled_from(sorted(STREAMS)),
    st.integers(0, 5000),
    st.sampled_from([b"\0", b"\xff", b"\r\n", b" ", b"\x80\x05", b"junk"]),
)
def test_frames_of_audio_are_found_behind_junk(format: str, junk: int, fill: bytes) -> None:
    content = (fill * (junk // len(fill)) + STREAMS[format] * 500)[:HEAD]
    assert sniff(content, b"file") == (Kind.AUDIO, format)


@REPEATABLE
@given(st.sampled_from([("mp3", MP3_128), ("mp3", MP2_192), ("aac", ADTS_16), ("ac3", AC3_192)]), st.data())
def test_audio_may_begin_in_the_middle_of_a_frame(stream: tuple[str, bytes], data: st.DataObject) -> None:
    skipped = data.draw(st.integers(0, len(stream[1]) - 1))
    assert sniff((stream[1] * 600)[skipped : skipped + HEAD], b"file") == (Kind.AUDIO, stream[0])


def test_frames_of_ac3_and_eac3_may_alternate() -> None:
    dependent = bytes.fromhex("0b77405f3f870000") + b"\x11" * 184
    assert sniff((AC3_192 + dependent.replace(b"\x3f\x87", b"\x0f\x87")) * 4, b"file") == (Kind.AUDIO, "ac3")
    assert sniff(dependent * 4, b"file") == (Kind.AUDIO, "eac3")


def test_two_frames_behind_junk_are_audio_only_where_the_file_ends_behind_them() -> None:
    assert sniff(b"\0" * 9 + MP3_128 * 2, b"file") == (Kind.AUDIO, "mp3")
    assert sniff(b"\0" * 9 + MP3_128 * 2 + b"\0" * 50, b"file") is None


def test_an_mp3_in_a_riff_file_is_one() -> None:
    assert sniff(b"RIFF\xb3\x9d\0\0RMP3data\x8d\x9d\0\0" + MP3_128 * 3, b"file") == (Kind.AUDIO, "mp3")


@REPEATABLE
@given(
    st.sampled_from([("flac", FLAC), ("aac", ADTS_16 * 9), ("mp3", MP3_128 * 4), ("ac3", AC3_192 * 3)]),
    st.lists(st.one_of(st.builds(id3, st.integers(0, 30_000)), st.builds(ape, st.integers(0, 30_000))), max_size=3),
)
def test_tags_before_the_audio_are_skipped_however_large_they_are(stream: tuple[str, bytes], tags: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        found = read(Path(folder), b"".join(tags) + stream[1])
    assert len(found) <= HEAD + 10
    assert sniff(found, b"file") == (Kind.AUDIO, stream[0])


def test_behind_a_tag_and_its_padding_the_format_is_found() -> None:
    assert sniff(id3(40) + b"\0" * 1000 + ADTS_16 * 9, b"file") == (Kind.AUDIO, "aac")
    assert sniff(id3(40) + b"\0" * 1000, b"file") == (Kind.AUDIO, "mp3")


@pytest.mark.parametrize(
    "archive", [b"PK\x03\x04\x14\0\0\0", b"a.mp3".ljust(257, b"\0") + b"ustar\0" + b"00" * 120, b"MZ\x90\0"]
)
@pytest.mark.parametrize("content", [MP3_128 * 9, packets(188, 30), PACK * 9])
def test_media_in_an_archive_are_not_what_the_archive_is(archive: bytes, content: bytes) -> None:
    assert sniff(archive + content, b"file") is None


WORDS = [
    b"ID3 tags", b"BLP1 plan", b"P1 notes", b"P4 12 34 56 table", b"P5 1 2 3 go", b"The free software",
    b"The skip", b"and wide", b"MAC address", b"caff", b"GIF87 i", b"GIF89a is old", b"icns a", b"DDS o",
    b"wvpk;", b"fLaC", b"8BPS", b"OggS", b"MPCK", b"%PDF-1.7 is a format", b"#?RADIANCE", b"TTA1", b"DSD is",
    b"RIFF....WAVE", b"FORM....AIFF", b"DKIF", b"MP+ x", b"qoif", b"YUV4MPEG2 is raw", b"BM              (   ",
    b"\xef\xbb\xbfID3 x", b"\n P1 x", b"APETAGEX", b"....ftypisom", b"p1 1 2",
]  # fmt: skip


@REPEATABLE
@given(st.sampled_from(WORDS), st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=300), st.booleans())
def test_text_is_never_media_whatever_it_begins_with(word: bytes, rest: str, crlf: bool) -> None:
    text = word + (b"\r\n" if crlf else b" ") + rest.encode()
    assert sniff(text, b"notes.md") is None
    for encoding in ("utf-16", "utf-16-be"):
        mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
        assert sniff(mark + text.decode().encode(encoding), b"notes.md") is None


@pytest.mark.parametrize("text", [b"\xff\xfe", b"\xff\xfeP\0", b"\xfe\xff\0P", b"\xff\xfeP", *WORDS])
def test_the_first_word_of_a_text_alone_is_no_media(text: bytes) -> None:
    assert sniff(text, b"notes.md") is None


@REPEATABLE
@given(st.lists(st.text("GHI J", min_size=187, max_size=187), min_size=6, max_size=20))
def test_a_table_with_lines_of_the_size_of_packets_is_text(lines: list[str]) -> None:
    assert sniff("".join("G" + line for line in lines).encode(), b"table.txt") is None


@pytest.mark.parametrize("byte", range(256))
def test_a_file_of_one_byte_over_and_over_is_no_media(byte: int) -> None:
    assert sniff(bytes([byte]) * HEAD, b"data.bin") is None
