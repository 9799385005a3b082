"""The one table of formats: what a file can be, and whether it is processed or rejected by name.

The sniffer (``sources.sniff``), the demuxers that may open a source (``media.ffmpeg.command``), the conditions of
recipes and docs/formats.md are all made from it.
"""

from __future__ import annotations

from typing import NamedTuple

from mediactl.model.media import Kind


class Format(NamedTuple):
    """One format of sources."""

    name: str
    """As in ``Source.format``, asset.json and conditions of recipes."""
    title: str
    """For people."""
    kind: Kind
    extensions: str = ""
    """File name extensions, with spaces between them, that promise this format."""
    demuxers: tuple[str, ...] = ()
    """libav's demuxers that may open it; none for images."""
    refusal: str = ""
    """Why it is rejected and what to do instead, after the file's name; "" when it is processed."""
    extra: str = ""
    """The extra of the package that decodes it."""


UNSUPPORTED = ", which is not supported; convert it to PNG"
"""What ends the refusal of a kind of a format that is processed."""


def _unsupported(what: str, advice: str) -> str:
    return f"is {what}, which is not supported; {advice}"


CONVERT_IMAGE = "convert it to PNG, TIFF or JPEG"
_CONVERT_AUDIO = "convert it to FLAC or WAV"
_CONVERT_VIDEO = "convert it to MP4 or Matroska"
_WRAP = "put it into a container (ffmpeg -i FILE -c copy FILE.mkv)"


def _image(name: str, title: str, extensions: str, extra: str = "") -> Format:
    return Format(name, title, Kind.IMAGE, extensions, extra=extra)


def _video(name: str, title: str, extensions: str, *demuxers: str) -> Format:
    return Format(name, title, Kind.VIDEO, extensions, demuxers)


def _audio(name: str, title: str, extensions: str, *demuxers: str) -> Format:
    return Format(name, title, Kind.AUDIO, extensions, demuxers)


def _no_image(name: str, title: str, extensions: str, refusal: str = "") -> Format:
    refusal = refusal or _unsupported(name.upper(), CONVERT_IMAGE)
    return Format(name, title, Kind.IMAGE, extensions, refusal=refusal)


def _no_video(name: str, title: str, extensions: str, advice: str = _CONVERT_VIDEO) -> Format:
    return Format(name, title, Kind.VIDEO, extensions, refusal=_unsupported(title, advice))


def _no_audio(name: str, title: str, extensions: str, advice: str = _CONVERT_AUDIO) -> Format:
    return Format(name, title, Kind.AUDIO, extensions, refusal=_unsupported(title, advice))


FORMATS: tuple[Format, ...] = (
    _image("jpeg", "JPEG", "jpg jpeg jpe jfif"),
    _image("png", "PNG, animated PNG", "png apng"),
    _image("gif", "GIF", "gif"),
    _image("webp", "WebP", "webp"),
    _image("avif", "AVIF", "avif"),
    _image("heic", "HEIC, HEIF", "heic heif"),
    _image("jxl", "JPEG XL", "jxl", extra="jxl"),
    _image("tiff", "TIFF, BigTIFF", "tif tiff"),
    _image("bmp", "BMP", "bmp dib"),
    _image("jp2", "JPEG 2000", "jp2 j2k jpf jpx"),
    _image("pnm", "PNM: PBM, PGM, PPM, PAM", "ppm pgm pbm pnm"),
    _no_image("svg", "SVG", "svg svgz", "is SVG, which can hold scripts and links to other files; export it as PNG"),
    _no_image("pdf", "PDF", "pdf", "is PDF, a document; export its pages as PNG or JPEG"),
    _no_image("eps", "EPS", "eps", "is EPS, a PostScript program; export it as PNG"),
    _no_image(
        "psd", "Photoshop", "psd psb", "is a Photoshop file, which is not supported; export it as PNG, TIFF or JPEG"
    ),
    _no_image(
        "raw",
        "RAW of cameras",
        "dng cr2 cr3 nef arw orf rw2 raf pef srw",
        "is a camera's RAW, which is not supported; export it as TIFF or JPEG",
    ),
    _no_image(
        "cgbi",
        "CgBI: PNG as Xcode changes it for iOS apps",
        "",
        "is Apple's CgBI PNG, which is not supported; use the PNG that it was made from, or revert it with pngcrush",
    ),
    _no_image("ico", "Windows icon", "ico"),
    _no_image("cur", "Windows cursor", "cur"),
    _no_image("icns", "Apple icon", "icns"),
    _no_image("dds", "DirectDraw Surface", "dds"),
    _no_image("blp", "Blizzard texture", "blp"),
    _no_image("sgi", "SGI", "sgi rgb bw"),
    _no_image("tga", "Truevision Targa", "tga"),
    _no_image("pcx", "ZSoft PCX", "pcx"),
    _no_image("exr", "OpenEXR", "exr"),
    _no_image("hdr", "Radiance HDR", "hdr"),
    _no_image("fli", "Autodesk FLI and FLC", "fli flc"),
    _no_image("xcf", "GIMP", "xcf"),
    _no_image("qoi", "Quite OK Image", "qoi"),
    _no_image("jxr", "JPEG XR", "jxr"),
    _no_image("bpg", "Better Portable Graphics", "bpg"),
    _no_image("dpx", "SMPTE DPX", "dpx"),
    _no_image("ras", "Sun Raster", ""),
    _no_image("wmf", "Windows Metafile", ""),
    _video("mp4", "MP4, QuickTime, 3GP, M4A", "mp4 m4v mov qt f4v 3gp 3g2", "mov"),
    _video("matroska", "Matroska, WebM", "mkv webm", "matroska"),
    _video("avi", "AVI", "avi divx", "avi"),
    _video("mpegts", "MPEG transport stream", "m2ts m2t", "mpegts"),
    _video("mpeg", "MPEG program stream", "mpg mpeg m2v vob", "mpeg"),
    _video("flv", "Flash Video", "flv", "flv"),
    _video("asf", "ASF: WMV, WMA", "wmv asf", "asf"),
    _video("ogg", "Ogg: Vorbis, Opus, FLAC, Theora", "ogv", "ogg"),
    _audio("mp3", "MP3, MP2, MP1", "mp3", "mp3"),
    _audio("flac", "FLAC", "flac", "flac"),
    _audio("wav", "WAV, RF64", "wav wave", "wav"),
    _audio("w64", "Sony Wave64", "w64", "w64"),
    _audio("aac", "AAC in ADTS", "aac", "aac"),
    _audio("ac3", "AC-3 (Dolby Digital)", "ac3", "ac3"),
    _audio("eac3", "E-AC-3 (Dolby Digital Plus)", "eac3 ec3", "eac3"),
    _audio("aiff", "AIFF, AIFC", "aif aiff aifc", "aiff"),
    _audio("caf", "Core Audio Format", "caf", "caf"),
    _audio("amr", "AMR", "amr", "amr"),
    _audio("au", "AU", "au", "au"),
    _audio("wavpack", "WavPack", "wv", "wv"),
    _audio("tta", "True Audio", "tta", "tta"),
    _audio("ape", "Monkey's Audio", "ape", "ape"),
    _video("dv", "DV", "dv", "dv"),
    _no_video("mxf", "MXF", "mxf"),
    _no_video("y4m", "uncompressed video (YUV4MPEG2)", "y4m"),
    _no_video("h264", "a raw H.264 stream", "h264", _WRAP),
    _no_video("hevc", "a raw H.265 stream", "h265 hevc", _WRAP),
    _no_video("mpegvideo", "a raw MPEG video stream", "m1v", _WRAP),
    _no_video("ivf", "IVF", "ivf", _WRAP),
    _no_video("nut", "NUT", "nut"),
    _no_video("bink", "Bink video", "bik bk2"),
    _no_video("wtv", "Windows recorded TV (WTV)", "wtv"),
    _no_video("rm", "RealMedia", "rm rmvb"),
    _no_audio("ra", "RealAudio", "ra"),
    _no_audio("dsf", "DSD audio (DSF)", "dsf"),
    _no_audio("dff", "DSD audio (DSDIFF)", "dff"),
    _no_audio("dts", "a raw DTS stream", "", _WRAP),
    _no_audio("truehd", "a raw TrueHD stream", "thd", _WRAP),
    _no_audio("ofr", "OptimFROG", "ofr"),
    _no_audio("voc", "Creative Voice", "voc"),
    _no_audio("mpc", "Musepack", "mpc"),
    _no_audio("shn", "Shorten", "shn"),
)


class Unread(NamedTuple):
    """A kind of files of a processed format that no decoder here reads."""

    format: str
    """Name of the format."""
    kind: str
    """As ``media.image.container.kinds`` finds it."""
    title: str

    @property
    def refusal(self) -> str:
        """Why it is rejected and what to do instead, after the file's name."""
        return f"is {self.title}{UNSUPPORTED}"


TIFF_COMPRESSIONS = {
    6: "old-style JPEG", 9: "JBIG", 10: "JBIG", 32908: "Pixar", 32909: "Pixar", 34661: "JBIG", 34712: "JPEG 2000",
    34887: "LERC", 34892: "lossy DNG", 34925: "LZMA", 34926: "Zstandard", 34933: "PNG", 34934: "JPEG XR",
    50000: "Zstandard", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
"""Number -> name of those that are not read (TIFF 6.0 and its supplements, libtiff's tiff.h, tifffile)."""
_HEIF_CODECS = {
    "avc1": "H.264", "vvc1": "H.266 (VVC)", "evc1": "EVC", "jpeg": "JPEG", "j2k1": "JPEG 2000",
    "unci": "uncompressed pixels",
}  # fmt: skip
UNREAD: tuple[Unread, ...] = (
    Unread("jpeg", "12 bits", "a 12-bit JPEG"),
    Unread("jpeg", "lossless", "a lossless JPEG"),
    Unread("jpeg", "lossless, deep", "a lossless JPEG of more than 8 bits"),
    Unread("jpeg", "hierarchical", "a hierarchical JPEG"),
    Unread("jpeg", "JPEG-LS", "JPEG-LS"),
    Unread("jpeg", "DNL", "a JPEG whose height follows its pixels (DNL)"),
    *(Unread("tiff", name, f"a TIFF with {name} compression") for name in dict.fromkeys(TIFF_COMPRESSIONS.values())),
    Unread("tiff", "bits", "a TIFF whose samples are not of 1, 2, 4, 8, 16 or 32 bits"),
    Unread("tiff", "complex", "a TIFF of complex numbers"),
    Unread("bmp", "bit fields", "a BMP with unusual bit fields"),
    Unread("bmp", "embedded", "a BMP that contains a JPEG or PNG"),
    Unread("bmp", "bits", "a BMP of an unusual depth or compression"),
    *(Unread("heic", kind, f"HEIF with {codec}") for kind, codec in _HEIF_CODECS.items()),
    *(Unread("avif", kind, f"AVIF with {codec}") for kind, codec in _HEIF_CODECS.items()),
)
"""They are rejected once decoding has failed: another version of a decoder may read them."""

RECOGNITION = 1
"""Raised when a file is recognised or read that was not before: what was rejected or ignored is tried again."""
UNKNOWN = "unknown"
"""In place of a format: only the name of the file promises media."""
BY_NAME: dict[str, Format] = {each.name: each for each in FORMATS}
DEMUXERS: tuple[str, ...] = tuple(name for each in FORMATS for name in each.demuxers)
"""All that may open a source. None of them refers to other files, as hls, dash, concat, image2, sdp and lavfi do."""
EXTENSIONS: dict[str, Kind] = {
    **{extension: each.kind for each in FORMATS for extension in each.extensions.split()},
    **dict.fromkeys("m4a m4b ogg oga opus wma mka".split(), Kind.AUDIO),
}
"""Names that promise media: such a file is rejected when it is none, not ignored. TypeScript has "ts" and "mts",
device trees "dts": such names promise nothing."""


def refusal(name: str) -> str:
    """Return why files of this format are rejected and what to do instead, "" when they are processed."""
    return BY_NAME[name].refusal if name in BY_NAME else ""


def unread(name: str, kind: str) -> str:
    """Return why files of this kind of a format are rejected and what to do instead."""
    return next(each.refusal for each in UNREAD if (each.format, each.kind) == (name, kind))
