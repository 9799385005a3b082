"""The table of formats, and what is made from it: sniffer, decoders, demuxers and docs cannot disagree."""

from __future__ import annotations

import av
import pytest
from conftest import ROOT

from mediactl.admin import format_docs
from mediactl.core.errors import RejectedInput
from mediactl.media.ffmpeg import allowed
from mediactl.media.image import fallback, load, vips
from mediactl.model import formats
from mediactl.model.media import Kind
from mediactl.sources.sniff import sniff

PACKET = b"\x47\x40\x00\x10" + b"\xff" * 184
AC3 = bytes.fromhex("0b77480d0c402f84") + b"\0" * 184
EAC3 = bytes.fromhex("0b77005f3f870000") + b"\0" * 184
HEADS = {
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "gif": b"GIF89a\1\0\1\0\0",
    "webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "avif": b"\0\0\0\x14ftypavif\0\0\0\0mif1",
    "heic": b"\0\0\0\x14ftypheic\0\0\0\0mif1",
    "jxl": b"\xff\x0a\xfa\x1f\x01\0",
    "tiff": b"II*\0\x08\0\0\0",
    "bmp": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "pnm": b"P6\n2 2\n255\n\0\1\2",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "psd": b"8BPS\0\1\0\0",
    "raw": b"FUJIFILMCCD-RAW 0201\0\0",
    "cgbi": b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\2",
    "ico": b"\0\0\1\0\1\0\x20\x20\0\0\1\0",
    "cur": b"\0\0\2\0\1\0\x20\x18\0\0\0\0\0\0\xa1\4\0\0\x16\0\0\0",
    "icns": b"icns\0\0\1\0",
    "dds": b"DDS \x7c\0\0\0",
    "blp": b"BLP2\1\0\0\0",
    "sgi": b"\x01\xda\1\1\0\3",
    "tga": b"\0\0\2\0\0\0\0\0\0\0\0\0\x40\1\xf0\0\x18\0",
    "pcx": b"\n\5\1\x08\0\0\0\0\x3f\1\xef\0\x64\0\x64\0" + b"\0" * 49 + b"\3\x40\1\1\0",
    "exr": b"v/1\x01\2\0\0\0",
    "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 9\n\2\2\0\x09",
    "fli": b"\0\1\0\0\x12\xaf\1\0\x40\1\xc8\0\x08\0\3\0",
    "xcf": b"gimp xcf v011\0\0\0\1",
    "qoi": b"qoif\0\0\0\1\0\0\0\1\4\0",
    "jxr": b"II\xbc\x01\x20\0\0\0",
    "bpg": b"BPG\xfb\x20\0\1\1",
    "dpx": b"SDPX\0\0\x20\0V1.0\0",
    "ras": b"\x59\xa6\x6a\x95\0\0\0\1",
    "wmf": b"\xd7\xcd\xc6\x9a\0\0\0\0",
    "mp4": b"\0\0\0\x14ftypisom\0\0\0\0mp41",
    "matroska": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01",
    "avi": b"RIFF\x10\0\0\0AVI LIST",
    "mpegts": PACKET * 6,
    "mpeg": b"\0\0\1\xba\x44\0\4\0\4\1\0\0\3\xf8",
    "flv": b"FLV\x01\x05\0\0\0\x09",
    "asf": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa",
    "ogg": b"OggS\0\x02" + b"\0" * 22 + b"\x01\x2a\x80theora",
    "mp3": b"\xff\xfb\x90\x64\0\0",
    "flac": b"fLaC\0\0\0\x22",
    "wav": b"RIFF\x10\0\0\0WAVEfmt ",
    "w64": b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
    "aac": b"\xff\xf1\x50\x80\x02\x1f\xfc",
    "ac3": AC3,
    "eac3": EAC3 * 3,
    "aiff": b"FORM\0\0\0\x10AIFFCOMM",
    "caf": b"caff\0\1\0\0desc",
    "amr": b"#!AMR\n\x3c\0\0",
    "au": b".snd\0\0\0\x18",
    "wavpack": b"wvpk\x20\0\0\0",
    "tta": b"TTA1\1\0\1\0\x10\0",
    "ape": b"MAC \x96\x0f\0\0",
    "dv": b"\x1f\7\0\xbf" + b"\xff" * 76 + b"\x3f\7\0",
    "mxf": bytes.fromhex("060e2b34020501010d01020101020400"),
    "y4m": b"YUV4MPEG2 W96 H54 F25:1 Ip A1:1\nFRAME\n\x10\x10\0\1",
    "h264": bytes.fromhex("000000016764000cacd94141"),
    "hevc": bytes.fromhex("0000000140010c01ffff0160"),
    "mpegvideo": b"\0\0\1\xb3\x14\x00\xf0\x13",
    "ivf": b"DKIF\0\0\x20\0VP80",
    "nut": b"nut/multimedia container\0NM",
    "bink": b"BIKi\0\1\2\0\x10\0\0\0",
    "wtv": bytes.fromhex("b7d800203749da11a64e0007e95ead8d"),
    "rm": b".RMF\0\0\0\x12\0\1",
    "ra": b".ra\xfd\0\4\0\0",
    "dsf": b"DSD \x1c\0\0\0\0\0\0\0\x5c\x70\5\0",
    "dff": b"FRM8\0\0\0\0\0\5\x62\x92DSD FVER",
    "dts": b"\x7f\xfe\x80\x01\xfc\x3c",
    "truehd": b"\xf0\xa8\0\0\xf8\x72\x6f\xba\0\0",
    "ofr": b"OFR \x0c\0\0\0\0\1",
    "voc": b"Creative Voice File\x1a\x1a\0",
    "mpc": b"MPCKSH\x0f\0",
    "shn": b"ajkg\2\xfb\xb1",
}
"""Format -> what a file of it begins with."""

SUPPORTED = [each for each in formats.FORMATS if not each.refusal]
REJECTED = [each for each in formats.FORMATS if each.refusal]


def test_every_format_has_an_example_and_its_name_once() -> None:
    names = [each.name for each in formats.FORMATS]
    assert len(names) == len(set(names))
    assert set(HEADS) == set(names)


@pytest.mark.parametrize("known", formats.FORMATS, ids=lambda known: known.name)
def test_every_format_in_the_table_is_recognised(known: formats.Format) -> None:
    assert sniff(HEADS[known.name], b"file.tga") == (known.kind, known.name)


@pytest.mark.parametrize("known", formats.FORMATS, ids=lambda known: known.name)
def test_a_format_is_either_decoded_or_rejected_with_what_to_do(known: formats.Format) -> None:
    if known.refusal:
        assert known.refusal.startswith("is ")
        assert "; " in known.refusal
        assert not known.demuxers
    elif known.kind is Kind.IMAGE:
        assert known.name in {*vips.LOADERS, *load.PILLOW}
    else:
        assert known.demuxers


def test_every_decoder_of_images_belongs_to_a_format_that_is_sniffed() -> None:
    images = {each.name for each in SUPPORTED if each.kind is Kind.IMAGE}
    assert {*vips.LOADERS, *load.PILLOW, *fallback.FORMATS} - {"apng"} == images  # animated PNG is found behind "png"
    assert {each.name for each in SUPPORTED if each.extra} == {"jxl"}


def test_every_demuxer_that_may_open_a_source_exists_and_belongs_to_a_format_that_is_sniffed() -> None:
    demuxers = allowed.DEMUXERS.split(",")
    assert sorted(demuxers) == sorted(name for each in SUPPORTED for name in each.demuxers)
    assert len(demuxers) == len(set(demuxers))
    known = {name for each in av.formats_available for name in each.split(",")}
    assert set(demuxers) <= known


@pytest.mark.parametrize("known", [each for each in REJECTED if each.kind is Kind.IMAGE], ids=lambda known: known.name)
def test_an_image_that_is_not_supported_is_rejected_before_it_is_opened(known: formats.Format) -> None:
    with pytest.raises(RejectedInput) as rejected:
        load.true_format(-1, known.name)
    assert str(rejected.value) == known.refusal


def test_extensions_belong_to_one_format_each() -> None:
    extensions = [extension for each in formats.FORMATS for extension in each.extensions.split()]
    assert len(extensions) == len(set(extensions))
    assert not {"ts", "mts", "dts", "txt", "csv", "md"} & formats.EXTENSIONS.keys()


def test_the_page_is_made_from_the_table() -> None:
    written = (ROOT / "docs" / "formats.md").read_text()
    assert written == format_docs.page(), "run: python -m mediactl.admin.format_docs > docs/formats.md"
