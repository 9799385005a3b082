"""Decompression bombs: small files that announce, or decompress to, far more than they hold."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

from PIL import Image

MIB = 1 << 20


def zeros(size: int) -> bytes:
    """Zlib's stream of so many zero bytes, a thousandth of them: one block again and again."""

    def block(length: int) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(bytes(length)) + packer.flush(zlib.Z_FULL_FLUSH)

    checksum = struct.pack(">HH", size % 65521, 1)
    return b"\x78\xda" + block(MIB) * (size // MIB) + block(size % MIB) + b"\x03\0" + checksum


# PNG


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, width: int = 8, height: int = 8, pixels: bytes | None = None) -> bytes:
    """A grey PNG, with these chunks before its pixels (a zlib stream)."""
    rows = zlib.compress(bytes((width + 1) * height)) if pixels is None else pixels
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def apng(frames: int, announced: int | None = None, side: int = 1, before: bytes = b"") -> bytes:
    """An animated PNG of so many small frames on a square canvas, with other chunks before them."""
    pixel = zlib.compress(b"\0\0")
    parts = [chunk(b"acTL", struct.pack(">II", frames if announced is None else announced, 0))]
    parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 100, 0, 0)))
    canvas = chunk(b"IDAT", zeros((side + 1) * side))
    later = []
    for number in range(1, frames):
        later.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * number - 1, 1, 1, 0, 0, 1, 100, 0, 0)))
        later.append(chunk(b"fdAT", struct.pack(">I", 2 * number) + pixel))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + b"".join(parts) + canvas + b"".join(later) + chunk(b"IEND", b"")


# GIF, WebP


def gif(frames: int, width: int, height: int) -> bytes:
    """A GIF of so many frames of one pixel on a canvas of this size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + b"\0\0\0\xff\xff\xff"
    control = b"\x21\xf9\x04\0\x05\0\0\0"
    frame = control + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + frame * frames + b";"


def riff(kind: bytes, content: bytes) -> bytes:
    """A chunk of WebP, WAV or AVI."""
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp(frames: int, side: int) -> bytes:
    """An animated WebP of so many frames of one pixel on a square canvas."""
    still = io.BytesIO()
    Image.new("RGB", (1, 1)).save(still, "WEBP", lossless=True)
    image = still.getvalue()[12:]

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    canvas = riff(b"VP8X", b"\x02\0\0\0" + three(side - 1) * 2) + riff(b"ANIM", bytes(6))
    frame = riff(b"ANMF", three(0) * 2 + three(0) * 2 + three(40) + b"\0" + image)
    body = b"WEBP" + canvas + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_exif(size: int) -> bytes:
    """A WebP of one pixel with so many bytes of EXIF."""
    still = io.BytesIO()
    Image.new("RGB", (1, 1)).save(still, "WEBP", lossless=True, exif=b"II*\0" + bytes(size))
    return still.getvalue()


# TIFF


def tiff(*fields: tuple[int, int, int, int], data: bytes = b"", pages: int = 1) -> bytes:
    """A TIFF whose pages have these fields (tag, type, count, value); ``data`` lies at byte 8."""
    at = 8 + len(data) + len(data) % 2
    size = 2 + 12 * len(fields) + 4
    body = b"".join(struct.pack("<HHII", *each) for each in sorted(fields))
    parts = [struct.pack("<2sHI", b"II", 42, at), data, b"\0" * (len(data) % 2)]
    for page in range(pages):
        following = at + size * (page + 1) if page + 1 < pages else 0
        parts.append(struct.pack("<H", len(fields)) + body + struct.pack("<I", following))
    return b"".join(parts)


def grey(width: int, height: int, *more: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """Fields of a grey TIFF of 8 bits."""
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1), *more
    ]  # fmt: skip


def deflated(fields: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The same, compressed with zlib."""
    return [each for each in fields if each[0] != 259] + [(259, 3, 1, 8)]


def tiff_strip(width: int, height: int) -> bytes:
    """A TIFF of one deflated strip of zeros."""
    data = zeros(min(width * height, 16 * MIB))
    strip = ((273, 4, 1, 8), (278, 4, 1, height), (279, 4, 1, len(data)))
    return tiff(*deflated(grey(width, height, *strip)), data=data)


def tiff_tile(side: int, tile: int) -> bytes:
    """A small TIFF of one tile that is far larger than the image."""
    data = zeros(64 * MIB)
    tiles = ((322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, 8), (325, 4, 1, len(data)))
    return tiff(*deflated(grey(side, side, *tiles)), data=data)


def tiff_strips(number: int) -> bytes:
    """A TIFF that says that it has very many strips, without their offsets."""
    return tiff(*grey(8, number, (273, 4, number, 8), (278, 4, 1, 1), (279, 4, number, 8)), data=bytes(64))


# JPEG


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive grey JPEG of empty pixels whose coefficients are refined one by one, bit by bit, in valid order."""
    table = segment(0xDB, b"\0" + b"\x01" * 64)
    frame = segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0")
    # One code of one bit each: for "no difference", and for runs of blocks without a coefficient.
    dc = segment(0xC4, b"\0" + b"\x01" + bytes(15) + b"\0")
    ac = segment(0xC4, b"\x10" + b"\x01" + bytes(15) + b"\xe0")
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    first = segment(0xDA, b"\x01\x01\0\0\0\0") + bytes((blocks + 7) // 8)
    runs = (blocks + 32766) // 32767
    bits = ("0" + "1" * 14) * runs
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    parts = [b"\xff\xd8", table, frame, dc, ac, first]
    orders = [(at, high) for at in range(1, 64) for high in range(14)]
    for at, high in orders[:scans]:
        bit = (14 - high) << 4 | (13 - high) if high else 13
        parts.append(segment(0xDA, bytes((1, 1, 0, at, at, bit))) + empty)
    return b"".join((*parts, b"\xff\xd9"))


def jpeg_huge(width: int, height: int) -> bytes:
    """The header of a JPEG of this size, with hardly a pixel."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0")
    tables = segment(0xDB, b"\0" + b"\x01" * 64) + segment(0xC4, b"\0\x01" + bytes(15) + b"\0")
    tables += segment(0xC4, b"\x10\x01" + bytes(15) + b"\0")
    return b"\xff\xd8" + tables + frame + segment(0xDA, b"\x01\x01\0\0\x3f\0") + bytes(64) + b"\xff\xd9"


# ISO base media


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of an MP4, HEIC or AVIF."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def heif(brand: bytes, items: list[tuple[bytes, bytes]], properties: list[bytes], references: bytes = b"") -> bytes:
    """A HEIF of these items (type, data), each of which has all of the properties; the first is the primary one."""
    entries = [
        full(b"infe", struct.pack(">HH4s", number, 0, kind), b"\0", version=2)
        for number, (kind, _) in enumerate(items, 1)
    ]
    data = b"".join(each for _, each in items)
    associations = bytes([len(properties)]) + bytes(range(1, len(properties) + 1))
    each = b"".join(struct.pack(">H", number) + associations for number in range(1, len(items) + 1))

    def meta(at: int) -> bytes:
        offsets, places = [], at
        for number, (_, content) in enumerate(items, 1):
            offsets.append(struct.pack(">HHHHII", number, 1, 0, 1, places, len(content)))
            places += len(content)
        # Version 1 of the box, in the data of "idat".
        return full(
            b"meta",
            full(b"hdlr", struct.pack(">I4s12x", 0, b"pict"), b"\0"),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)), *offsets, version=1),
            full(b"iinf", struct.pack(">H", len(items)), *entries),
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", struct.pack(">I", len(items)), each)),
            *([full(b"iref", references)] if references else []),
            box(b"idat", data),
        )

    return box(b"ftyp", brand, bytes(4), brand, b"mif1") + meta(0)


def heif_grid(brand: bytes, rows: int, columns: int, width: int, height: int) -> bytes:
    """A HEIF of one grid of so many tiles, all the same item."""
    size = full(b"ispe", struct.pack(">II", width, height))
    grid = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    tiles = rows * columns
    references = box(b"dimg", struct.pack(">HH", 1, tiles & 0xFFFF), struct.pack(">H", 2) * (tiles & 0xFFFF))
    return heif(brand, [(b"grid", grid), (b"hvc1", bytes(64))], [size], references)


MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def track(number: int, samples: int, size: int = 0) -> bytes:
    """A track of H.263 video that says that it has so many samples of one size."""
    entry = box(
        b"s263",
        bytes(6),
        struct.pack(">H", 1),
        bytes(16),
        struct.pack(">HHIIIH32sHh", 16, 16, 0x480000, 0x480000, 0, 1, b"", 24, -1),
    )
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stts", struct.pack(">III", 1, samples, 1)),
        full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        full(b"stsz", struct.pack(">II", size, samples)),
        full(b"stco", struct.pack(">II", 1, 32)),
    )
    own = full(b"dref", struct.pack(">I", 1), full(b"url ", flags=1))
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, samples, 0x55C4, 0)),
        full(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"\0"),
        box(b"minf", full(b"vmhd", bytes(8), flags=1), box(b"dinf", own), table),
    )
    size_shown = struct.pack(">II", 16 << 16, 16 << 16)
    head = full(b"tkhd", struct.pack(">IIIII", 0, 0, number, 0, samples), bytes(16), MATRIX, size_shown, flags=3)
    return box(b"trak", head, media)


def mp4(*tracks: bytes) -> bytes:
    """An MP4 of these tracks, with a few bytes of data."""
    head = full(
        b"mvhd", struct.pack(">IIIIIH10x", 0, 0, 1000, 1000, 0x10000, 0x100), MATRIX, bytes(24), struct.pack(">I", 2)
    )
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"mdat", bytes(4096)) + box(b"moov", head, *tracks)


# Matroska


def element(name: int, content: bytes) -> bytes:
    """An EBML element."""
    return name.to_bytes((name.bit_length() + 7) // 8) + struct.pack(">Q", len(content) | 1 << 56) + content


def matroska(tracks: bytes, *more: bytes) -> bytes:
    """A Matroska file of these track entries, and whatever follows."""
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    info = element(0x1549A966, element(0x2AD7B1, b"\x0f\x42\x40") + element(0x4489, struct.pack(">d", 1000.0)))
    return head + element(0x18538067, info + element(0x1654AE6B, tracks) + b"".join(more))


def mkv_track(number: int, *more: bytes, kind: int = 1, codec: bytes = b"V_MJPEG") -> bytes:
    """A track entry of Matroska, of MJPEG by default."""
    size = element(0xE0, element(0xB0, b"\x10") + element(0xBA, b"\x10")) if kind == 1 else b""
    name = element(0xD7, struct.pack(">H", number)) + element(0x73C5, struct.pack(">H", number))
    return element(0xAE, name + element(0x83, bytes([kind])) + element(0x86, codec) + size + b"".join(more))


def mkv_zlib(size: int) -> bytes:
    """A Matroska file whose blocks are compressed by zlib, and decompress to so many bytes each."""
    packed = element(0x6D80, element(0x6240, element(0x5034, element(0x4254, b"\0"))))
    block = b"\x81\0\0\x80" + zeros(size)
    cluster = element(0x1F43B675, element(0xE7, b"\0") + element(0xA3, block) * 20)
    return matroska(mkv_track(1, packed), cluster)


def mkv_attachments(number: int, size: int) -> bytes:
    """A Matroska file of one empty video track and so many attachments."""
    one = element(
        0x61A7,
        element(0x466E, b"a.ttf")
        + element(0x4660, b"font/ttf")
        + element(0x465C, bytes(size))
        + element(0x46AE, b"\x01"),
    )
    return matroska(mkv_track(1), element(0x1941A469, one * number))


# Audio


def id3(size: int, frame: bytes = b"") -> bytes:
    """An ID3 tag of so many bytes (of which those that follow ``frame`` may be left out as a hole)."""
    packed = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + packed + frame


def wav(*chunks: bytes, rate: int = 8000, data: bytes = bytes(1600), channels: int = 1) -> bytes:
    """A WAV of 8 bits with these chunks in front of its data."""
    format = b"fmt " + struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels & 0xFFFFFFFF, channels, 8)
    body = b"WAVE" + format + b"".join(chunks) + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fragments(number: int, samples: int, each: int = 1) -> bytes:
    """An MP4 of fragments that say that they have so many samples, of no bytes and without a row for each."""
    extends = box(b"mvex", full(b"trex", struct.pack(">IIIII", 1, 1, 1, 0, 0)))
    run = full(b"trun", struct.pack(">I", samples))
    part = box(b"traf", full(b"tfhd", struct.pack(">I", 1), flags=0x20000), *[run] * each)
    return mp4(track(1, 0), extends) + b"".join(
        box(b"moof", full(b"mfhd", struct.pack(">I", number)), part) for number in range(1, number + 1)
    )


def compressed_index(size: int) -> bytes:
    """A MOV whose index is compressed, and decompresses to so many bytes."""
    packed = box(b"cmvd", struct.pack(">I", size), zeros(size))
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), packed))


def ts(streams: int) -> bytes:
    """A transport stream of so many programs with one stream each."""

    def packet(pid: int, body: bytes) -> bytes:
        return struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10) + (b"\0" + body).ljust(184, b"\xff")

    def section(table: int, identity: int, body: bytes) -> bytes:
        head = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, identity, 0xC1, 0, 0) + body
        crc = 0xFFFFFFFF
        for byte in head:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        return head + struct.pack(">I", crc)

    parts = []
    for start in range(0, streams, 40):
        listed = range(start, min(start + 40, streams))
        parts.append(packet(0, section(0, start, b"".join(struct.pack(">HH", n + 1, 0xE000 | n + 16) for n in listed))))
        for number in listed:
            entry = struct.pack(">HHBHH", 0xE000 | number + 4112, 0xF000, 2, 0xE000 | number + 4112, 0xF000)
            parts.append(packet(number + 16, section(2, number + 1, entry)))
    return b"".join(parts)


def ogg(packet: bytes) -> bytes:
    """An Opus file whose comment header is this."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48000, 0, 0)
    sequence = itertools.count()

    def page(body: bytes, lacing: bytes, flags: int) -> bytes:
        made = b"OggS" + struct.pack("<BBqIIIB", 0, flags, 0, 7, next(sequence), 0, len(lacing)) + lacing + body
        return made[:22] + struct.pack("<I", _ogg_crc(made)) + made[26:]

    pages = [page(head, bytes([len(head)]), 2)]
    for at in range(0, len(packet), 255 * 255):
        body = packet[at : at + 255 * 255]
        last = at + 255 * 255 >= len(packet)
        lacing = b"\xff" * (len(body) // 255) + (bytes([len(body) % 255]) if last else b"")
        pages.append(page(body, lacing, 1 if at else 0))
    return b"".join(pages)


def _ogg_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[crc >> 24 ^ byte]
    return crc


def _ogg_row(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


_OGG_TABLE = [_ogg_row(value) for value in range(256)]


def apic(picture: bytes) -> bytes:
    """A cover in a frame of ID3v2.3."""
    content = b"\0image/png\0\3\0" + picture
    return b"APIC" + struct.pack(">IH", len(content), 0) + content


def compressed_title(size: int) -> bytes:
    """A compressed frame of ID3v2.3 that decompresses to so many bytes."""
    content = struct.pack(">I", size) + zeros(size)
    return b"TIT2" + struct.pack(">IH", len(content), 0x80) + content


def mkv_tags(number: int) -> bytes:
    """The tags of a Matroska file."""
    tags = (element(0x67C8, element(0x45A3, b"k%d" % each) + element(0x4487, b"v")) for each in range(number))
    return element(0x1254C367, element(0x7373, element(0x63C0, b"") + b"".join(tags)))


def flac_picture(picture: bytes, kind: bytes = b"image/png") -> bytes:
    """The content of a FLAC picture block."""
    return struct.pack(">II", 3, len(kind)) + kind + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(picture)) + picture


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
