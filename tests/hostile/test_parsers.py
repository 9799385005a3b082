"""Mutated inputs of all parsers of mediactl's own: each is read, or refused in the way that its callers expect."""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import bombs
import msgspec
import pytest
from conftest import ROOT, SAMPLES
from mutations import mutants
from PIL import Image
from support import films

from mediactl.admin import names
from mediactl.assets import document
from mediactl.core import quantities, settings_files
from mediactl.core.errors import JobFailed, RejectedInput, UsageError
from mediactl.core.files import shown
from mediactl.media.cache import Remembered
from mediactl.media.image import cicp
from mediactl.media.image.container import announced as announced_image
from mediactl.media.image.container import damage, density, kinds, moving, parts, structure
from mediactl.media.inspect import metadata
from mediactl.media.inspect.containers import announced, declared_size, flv, isobmff, ogg
from mediactl.media.mp4 import cmaf, fragments, index, languages
from mediactl.media.video import charsets, subtitles
from mediactl.model.assets import Artefact
from mediactl.model.events import AnyEvent
from mediactl.model.jobs import JobResult, MakeTask, PieceTask, ProbeTask
from mediactl.model.media import Kind, Limits, MediaInfo
from mediactl.outputs import registry
from mediactl.pool import messages
from mediactl.recipe import loader
from mediactl.sources import manifest
from mediactl.sources.sniff import HEAD, sniff
from mediactl.ui import lines

SEED = int(os.environ.get("MEDIACTL_FUZZ_SEED", "713"))
FEW, MANY = 40, 2_000
"""Mutants of each parser's inputs: in the suite, and in a sweep."""
SLOW = 2.0
"""CPU seconds that one input of some kilobytes may take."""


class Parser(NamedTuple):
    """A parser, with what its callers expect it to raise."""

    parse: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    raises: tuple[type[Exception], ...] = ()


def in_file(parse: Callable[[int], object]) -> Callable[[bytes], object]:
    """Return what parses bytes by the descriptor of a file."""

    def parsed(content: bytes) -> object:
        fd = os.memfd_create("fuzz")
        try:
            os.write(fd, content)
            return parse(fd)
        finally:
            os.close(fd)

    return parsed


def by_path(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """The same, by the path of a file."""
    return in_file(lambda fd: parse(b"/proc/self/fd/%d" % fd))


def rows(origin: bytes, content: bytes) -> None:
    for found in manifest.read(io.BytesIO(content), origin, b"/nowhere", allow_outside=False, walk=lambda *_: iter(())):
        assert "internal error" not in str(found), found


def each_format(parse: Callable[[structure.Read, str], object], fd: int) -> None:
    """Parse as each format of images: a mutant may be sniffed as any."""
    read = structure.reader(fd)
    for format in ("jpeg", "png", "webp", "tiff", "gif", "heic", "avif", "bmp"):
        parse(read, format)


def check_limits(read: structure.Read, format: str) -> None:
    announced_image.check(read, format, Limits())


def damaged(read: structure.Read, format: str) -> None:
    assert str(damage.rejection(ValueError("x"), read(0, 1 << 20), format))


def code_points(read: structure.Read, format: str) -> None:
    cicp.read(read(0, 1 << 20), format)


def check_containers(fd: int) -> None:
    announced.check(fd, Limits())


def language(word: str) -> None:
    for parse in (languages.tag, languages.three_letters, languages.name):
        parse(word)


def beside(fd: int) -> None:
    for format in ("jpeg", "heic", "avif"):
        parts.left_out(fd, format, os.pread(fd, 4096, 0), 3)


def segments(content: bytes) -> None:
    read = structure.reader(content)
    list(structure.jpeg_segments(read))
    structure.png_chunk(read, b"acTL")
    structure.gif_is_cut(content)


def boxes_of_image(fd: int) -> None:
    list(structure.image_boxes(fd))
    structure.boxes_are_cut(fd)
    structure.jxl_size(fd)
    structure.apng_frames(fd)


def boxes_of_video(fd: int) -> None:
    isobmff.top_level_boxes(fd)
    isobmff.presented(fd, 1)
    isobmff.is_faststart(fd)


def exif(content: bytes) -> None:
    metadata.tags(content, location=True)
    metadata.is_raw(structure.reader(content))


def text(parse: Callable[[str], object], content: bytes) -> None:
    parse(content.decode("utf-8", "surrogateescape"))


def asset(content: bytes) -> None:
    found = document.decode(content)
    document.path_of(found)
    document.encode(found)


def event(decoder: msgspec.json.Decoder[Any], content: bytes) -> None:
    found = decoder.decode(content)
    lines.problem(found)
    lines.detail(found)


def recipe(path: bytes) -> None:
    loader.parse(*loader.text_of(os.fsdecode(path)))


def settings(path: bytes) -> None:
    settings_files.read(os.fsdecode(path))


def frames_of(content: bytes) -> None:
    for stream in (messages.frames_from_worker(), messages.frames_to_worker()):
        list(stream.feed(content))


def printable(content: bytes) -> None:
    assert shown(content).encode().decode().isprintable()


def charset(content: bytes) -> None:
    charsets.detected(content[:2_000], "ger")
    charsets.wide([content[:100], content[100:200]])


# What is mutated


@cache
def clip(suffix: str, *options: str) -> bytes:
    sources = ("-f", "lavfi", "-i", "testsrc2=s=32x32:r=5:d=1", "-f", "lavfi", "-i", "sine=d=1")
    return films.made(suffix, *sources, "-bitexact", *options)


def videos() -> list[bytes]:
    mpeg4 = ("-c:v", "mpeg4")
    made = [clip(suffix, *mpeg4) for suffix in (".mp4", ".mkv", ".avi", ".mov", ".m2ts")]
    return [*made, clip(".flv"), clip(".wmv"), clip(".mp4", *mpeg4, "-movflags", "+frag_keyframe+empty_moov")]


def audios() -> list[bytes]:
    tone = ("-f", "lavfi", "-i", "sine=d=0.2", "-metadata", "title=x")
    made = [films.made(suffix, *tone) for suffix in (".mp3", ".flac", ".wav", ".ogg", ".opus", ".aiff", ".w64", ".aac")]
    return [*made, bombs.wav(bombs.riff(b"LIST", b"INFO" + bombs.riff(b"INAM", b"ab") * 3))]


def images() -> list[bytes]:
    still = Image.new("RGB", (16, 16), "red")
    made = [bombs.saved(still, format) for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000")]
    made += [bombs.saved(still, "JPEG", progressive=True, exif=tiff()), bombs.apng(3), bombs.webp(3, 9)]
    made += [bombs.heif_grid(b"heic", 2, 2, 64, 64), b"\xff\x0a" + bytes(range(40))]
    far = b"\0\0\0\1mdat\x7f" + b"\xff" * 7
    made += [
        b"\0\0\0\x0cJXL \r\n\x87\n" + far * 2,
        b"\0\0\0\x10ftypheic\0\0\0\0" + far,
        b"II+\0\x08\0\0\0" + b"\xff" * 30,
    ]
    return [*made, *(path.read_bytes()[:20_000] for path in SAMPLES.glob("*.jpg"))]


def tiff() -> bytes:
    fields = [(0x010F, 2, 8, 8), (0x0132, 2, 20, 8), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0x0112, 3, 1, 6)]
    return bombs.tiff(*fields, data=b"2020:01:01 00:00:00\0" * 4)


def blocks() -> list[bytes]:
    order = struct.pack(">2sHI", b"MM", 42, 8) + struct.pack(">HHHII", 1, 0x8825, 4, 1, 8)
    return [tiff(), b"Exif\0\0" + tiff(), order, (SAMPLES / "harbour.jpg").read_bytes()[:4096][12:]]


def tracks() -> list[bytes]:
    flags = "+cmaf+frag_keyframe+empty_moov+default_base_moof"
    return [clip(".mp4", "-an", "-movflags", flags), clip(".mp4", "-vn", "-movflags", flags), clip(".mp4", "-an")]


def recipes() -> list[bytes]:
    return [loader.text_of(name)[0].encode() for name in loader.builtin_names()]


def manifests() -> list[bytes]:
    return [
        b'{"path": "a.jpg", "priority": "high", "name": "x/y"}\n{"path": "b\\udcff.jpg"}\n',
        b'path,priority,recipe,name\n"a, b.jpg",low,,x\nc.jpg,,web,\n', b"a.jpg\nb c.mp4\n\n-x\n", b"a.jpg\0b\n.jpg\0",
    ]  # fmt: skip


def events() -> list[bytes]:
    found = [line.encode() for line in (ROOT / "docs" / "events.md").read_text().splitlines() if line.startswith('{"')]
    return found or [b'{"event":"run.failed","time":1.0,"reason":"x","exit_code":2}']


def assets() -> list[bytes]:
    source = document.AssetSource("a\\xff.jpg", 1, "0" * 64, Kind.IMAGE, "Yf8uanBn")
    info = MediaInfo("jpeg", 3, 4, tags={"camera": "x"})
    artefact = Artefact("w.webp", "variant", "image/webp", 1, "0" * 64, "0" * 32, 3, 4)
    return [document.encode(document.Asset(document.SCHEMA, source, "web", info, (artefact,), placeholder="abc"))]


def payloads() -> list[bytes]:
    source = (
        b'{"root":"L3g=","path":"YS5qcGc=","place":"YS5qcGc=","fingerprint":[1,2,3,4],"kind":"image","format":"png"}'
    )
    info = b'{"format":"png","width":3,"height":4,"tags":{"camera":"x"},"warnings":["y"]}'
    probe = b'{"source":' + source + b',"limits":{"pixels":1},"cache":"L3g="}'
    make = (
        b'{"source":'
        + source
        + b',"digest":"0","info":'
        + info
        + b',"targets":[],"keep":[],"out":"L3g=","recipe":"r","limits":{}}'
    )
    return [probe, make, b'{"digest":"00","info":' + info + b',"files":[],"made":3}']


def result(kind: Any, content: bytes) -> None:
    msgspec.json.decode(content, type=kind, dec_hook=registry.decode)


def sent() -> list[bytes]:
    return [messages.frame(messages.Hello()), messages.frame(messages.Progress(1, 2, 0.5)) * 3]


INVALID = (ValueError,)
"""msgspec's errors are such."""
PARSERS = {
    "manifest.jsonl": Parser(partial(rows, b"x.jsonl"), manifests),
    "manifest.csv": Parser(partial(rows, b"x.csv"), manifests),
    "manifest.txt": Parser(partial(rows, b"x.txt"), manifests),
    "recipe": Parser(by_path(recipe), recipes, (UsageError,)),
    "settings": Parser(by_path(settings), recipes, (UsageError,)),
    "asset.json": Parser(asset, assets, INVALID),
    "event": Parser(partial(event, msgspec.json.Decoder(AnyEvent)), events, INVALID),
    "probe task": Parser(partial(result, ProbeTask), payloads, INVALID),
    "make task": Parser(partial(result, MakeTask), payloads, INVALID),
    "piece task": Parser(partial(result, PieceTask), payloads, INVALID),
    "job result": Parser(partial(result, JobResult), payloads, INVALID),
    "cache": Parser(partial(result, Remembered), payloads, INVALID),
    "messages": Parser(frames_of, sent, (ValueError,)),
    "sniff": Parser(lambda content: sniff(content[:HEAD], b"x.tga"), lambda: [*videos(), *audios(), *images()]),
    "exif": Parser(exif, blocks),
    "position": Parser(partial(text, metadata.gps_position), lambda: [b"+48.8584+002.2945+035.000/", b"-4851+00217"]),
    "image segments": Parser(segments, images),
    "image boxes": Parser(in_file(boxes_of_image), images),
    "image parts": Parser(in_file(beside), images),
    "moving image": Parser(in_file(lambda fd: moving.part(fd, "jpeg", os.pread(fd, 999, 0))), images),
    "image kinds": Parser(in_file(partial(each_format, kinds.refusal)), images),
    "image limits": Parser(in_file(partial(each_format, check_limits)), images, (RejectedInput,)),
    "image damage": Parser(in_file(partial(each_format, damaged)), images),
    "code points": Parser(in_file(partial(each_format, code_points)), images),
    "density": Parser(lambda content: density._jfif_ratio(structure.reader(content)), images),
    "boxes": Parser(in_file(boxes_of_video), videos),
    "containers": Parser(in_file(check_containers), lambda: [*videos(), *audios()], (RejectedInput,)),
    "declared size": Parser(in_file(declared_size.declared_size), lambda: [*videos(), *audios()]),
    "flv": Parser(in_file(flv.open_options), lambda: [clip(".flv")]),
    "ogg": Parser(in_file(ogg.links), lambda: [films.made(".ogg", "-f", "lavfi", "-i", "sine=d=0.2")]),
    "fragments": Parser(by_path(fragments.read), tracks, (JobFailed,)),
    "codecs": Parser(by_path(fragments.codecs), tracks, (JobFailed,)),
    "origin": Parser(by_path(cmaf.origin), tracks, (JobFailed,)),
    "edit list": Parser(by_path(index.edit), tracks, (ValueError, struct.error, ZeroDivisionError, IndexError)),
    "languages": Parser(partial(text, language), lambda: [b"eng", b"de-AT", b"zh-Hant-TW", b"und", b"x-klingon"]),
    "charset": Parser(charset, lambda: ["grün".encode("cp1252"), "да".encode("cp1251") * 9, "é".encode("utf-16")]),
    "subtitles": Parser(partial(text, subtitles.markup), lambda: [rb"{\i1}a{\i0}\Nb", b"<b>x</b> & {\\an8}y"]),
    "size": Parser(partial(text, quantities.size), lambda: [b"6G", b"1.5 MiB", b"250kB"], (ValueError,)),
    "duration": Parser(partial(text, quantities.duration), lambda: [b"1h30m", b"90", b"7d"], (ValueError,)),
    "escaped name": Parser(names.unescaped, lambda: [rb"a\x1b\u202e\n", b"\\\\x", b"\\U0001f600"]),
    "shown name": Parser(printable, lambda: [b"a\x1b[2Jb", b"\xff\xfe", "é\u202e".encode()]),
}  # fmt: skip


def check(name: str, number: int) -> None:
    parser = PARSERS[name]
    print("seed", SEED)
    for content in mutants(parser.seeds(), number, SEED):
        began = time.process_time()
        try:
            parser.parse(content)
        except parser.raises:
            pass
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error} for {content[:2_000]!r}") from error
        assert time.process_time() - began < SLOW, content[:2_000]


@pytest.mark.parametrize("name", PARSERS)
def test_mutated_inputs_are_read_or_refused(name: str) -> None:
    check(name, FEW)


@pytest.mark.sweep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PARSERS)
def test_many_mutated_inputs_are_read_or_refused(name: str) -> None:
    check(name, MANY)
