"""Files that try to have another file read, or a connection made, by what processes them."""

from __future__ import annotations

import base64
import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bombs import box, element, full, id3, matroska, mkv_track
from support import films
from support.gab2 import with_gab2

_CLIP = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.5")
_PLAIN = ("-c:v", "mpeg4", "-bitexact")
_TONE = ("-f", "lavfi", "-i", "sine=d=0.3", "-bitexact")


class Bait(NamedTuple):
    """What must not be read, and where must not be connected to."""

    canary: Path
    """A text file that holds the secret."""
    video: Path
    """A video that is playable, to which playlists refer."""
    image: Path
    port: int
    """Of a listener on 127.0.0.1."""

    @property
    def url(self) -> str:
        """A URL whose server is the listener."""
        return f"http://127.0.0.1:{self.port}/x.mp4"


def write(folder: Path, bait: Bait) -> list[str]:
    """Write all files into ``folder``; return their names."""
    names = []
    for name, content in _all(bait):
        assert name not in names
        (folder / name).write_bytes(content)
        names.append(name)
    return names


def _all(bait: Bait) -> Iterator[tuple[str, bytes]]:
    yield from ((name, text.encode()) for name, text in _playlists(bait))
    yield from ((name, text.encode()) for name, text in _documents(bait))
    yield from _videos(bait)
    yield from _audios(bait)
    yield from _archives(bait)


def _playlists(bait: Bait) -> Iterator[tuple[str, str]]:
    head = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-TARGETDURATION:5\n#EXTINF:5.0,\n"
    yield "hls-file.mp4", f"{head}file://{bait.video}\n#EXT-X-ENDLIST\n"
    yield "hls-absolute.avi", f"{head}{bait.video}\n#EXT-X-ENDLIST\n"
    yield "hls-relative.mkv", f"{head}{bait.video.name}\n#EXT-X-ENDLIST\n"
    yield "hls-http.mov", f"{head}{bait.url}\n#EXT-X-ENDLIST\n"
    yield "hls-concat.mp4", f"{head}concat:{bait.url}|file://{bait.canary}\n#EXT-X-ENDLIST\n"
    yield "hls-subfile.mp4", f"{head}subfile,,start,0,end,64,,:{bait.canary}\n#EXT-X-ENDLIST\n"
    yield (
        "hls-key.ts",
        f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{bait.url}"\n#EXTINF:1,\n{bait.canary}\n',
    )
    yield "hls-image.jpg", f"{head}file://{bait.canary}\n#EXT-X-ENDLIST\n"
    yield "hls-master.mp3", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{bait.url}\n"
    yield "playlist.m3u8", f"{head}{bait.video}\n#EXT-X-ENDLIST\n"
    yield "playlist.pls.mp3", f"[playlist]\nFile1={bait.url}\nNumberOfEntries=1\n"
    yield "ffconcat.mp4", f"ffconcat version 1.0\nfile '{bait.video}'\n"
    yield "ffconcat-http.mkv", f"ffconcat version 1.0\nfile {bait.url}\n"
    yield (
        "dash.mp4",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"'
        ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" minBufferTime="PT1S"><Period><AdaptationSet'
        f' mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{bait.url}</BaseURL><SegmentBase/>'
        "</Representation></AdaptationSet></Period></MPD>\n",
    )
    yield (
        "sdp.mp4",
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {bait.port} TCP/RTP/AVP 96\n",
    )
    yield "smooth.ism.mp4", f'<?xml version="1.0"?><SmoothStreamingMedia Url="{bait.url}"/>'
    yield "asx.wmv", f'<asx version="3.0"><entry><ref href="{bait.url}"/></entry></asx>'
    yield "rtsp.mov", f"RTSPtext\nrtsp://127.0.0.1:{bait.port}/x\n"
    yield "webvtt.mp4", f"WEBVTT\n\n00:00.000 --> 00:01.000\n<img src={bait.url}>\n"
    yield "edl.mp4", f"# mpv EDL v0\n{bait.video},0,1\n"


def _documents(bait: Bait) -> Iterator[tuple[str, str]]:
    link = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64"'
    yield "svg-image.svg", f'<svg {link}><image xlink:href="file://{bait.image}" width="64" height="64"/></svg>'
    yield "svg-http.png", f'<svg {link}><image xlink:href="{bait.url}" width="64" height="64"/></svg>'
    entity = f'<!DOCTYPE svg [<!ENTITY secret SYSTEM "file://{bait.canary}">]>'
    yield "svg-entity.jpg", f'<?xml version="1.0"?>{entity}<svg {link}><text y="9">&secret;</text></svg>'
    yield "svg-css.webp", f"<svg {link}><style>@import url({bait.url});</style></svg>"
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    yield "svg-bomb.svg", f'<!DOCTYPE svg [<!ENTITY a0 "ha">{bomb}]><svg {link}><text>&a9;</text></svg>'
    yield "mvg.png", f"push graphic-context\nviewbox 0 0 64 64\nfill 'url({bait.url})'\npop graphic-context\n"
    yield "msl.gif", f'<?xml version="1.0"?><image><read filename="{bait.canary}"/></image>'
    yield (
        "postscript.eps",
        f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({bait.canary}) (r) file 99 string readstring\n",
    )
    yield "postscript.jpg", f"%!PS\n(|/bin/cat {bait.canary}) (r) file 99 string readstring pop show showpage\n"
    yield (
        "document.pdf",
        f"%PDF-1.4\n1 0 obj<</Type/Action/S/URI/URI({bait.url})>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
    )
    yield "page.jpg", f'<html><img src="{bait.url}"></html>'
    data = base64.b64encode(b"GIF89a").decode()
    yield "data-uri.png", f"data:image/gif;base64,{data}"
    yield "url.webp", bait.url
    yield "indirect.jpg", f"@{bait.canary}"
    yield "xpm.png", f'/* XPM */ static char *x[] = {{ "1 1 1 1", "a c {bait.url}", "a" }};'
    yield "vips-%03d.png", f"{bait.canary}[0]"


def _videos(bait: Bait) -> Iterator[tuple[str, bytes]]:
    local, remote = str(bait.video).encode(), bait.url.encode()
    video = bait.video.read_bytes()
    yield "dref-alis.mov", _with_dref(video, _alias(local))
    yield "dref-url-file.mov", _with_dref(video, full(b"url ", b"file://" + local + b"\0"))
    yield "dref-url-http.mp4", _with_dref(video, full(b"url ", remote + b"\0"))
    yield "dref-urn.mp4", _with_dref(video, full(b"urn ", b"x\0" + remote + b"\0"))
    yield "rmra.mov", box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", _reference(remote))))
    previous = element(0x3CB923, bytes(16)) + element(0x3C83AB, bait.video.name.encode())
    following = element(0x3EB923, bytes(16)) + element(0x3E83BB, local)
    links = element(0x1549A966, previous + following)
    clip = _clip("x.mkv")
    yield (
        "mkv-segment-links.mkv",
        clip[: clip.index(b"\x15\x49\xa9\x66")] + links + clip[clip.index(b"\x15\x49\xa9\x66") :],
    )
    attached = element(0x466E, b"../../" + bait.canary.name.encode()) + element(0x4660, b"application/x-mpegurl")
    playlist = f"#EXTM3U\n#EXTINF:1,\n{bait.canary}\n".encode()
    file = element(0x61A7, attached + element(0x465C, playlist) + element(0x46AE, b"\1"))
    yield "mkv-attached.mkv", matroska(mkv_track(1), element(0x1941A469, file))
    yield "mkv-vfw-url.mkv", matroska(mkv_track(1, element(0x3B4040, remote) + element(0x26B240, remote)))
    linked = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n" + remote + b"\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{bait.video}'\n".encode()
    for name, text in (("hls", playlist), ("http", linked), ("concat", concat)):
        yield f"gab2-{name}.avi", with_gab2(_clip("x.avi"), text)
    yield "subtitles-external.mp4", _clip("x.mp4")
    yield "subtitles-external.srt", f"1\n00:00:00,000 --> 00:00:01,000\n<img src='{bait.url}'>\n".encode()
    yield "concat:a|b.mp4", _clip("x.mp4")
    yield "subfile,,start,0,end,9,,:x.mp4", _clip("x.mp4")
    yield "http:127.0.0.1:x.mp4", _clip("x.mp4")
    yield "image%03d.mp4", _clip("x.mp4")


def _audios(bait: Bait) -> Iterator[tuple[str, bytes]]:
    linked = b"APIC" + struct.pack(">I", len(bait.url) + 7) + b"\0\0\0-->\0\3\0" + bait.url.encode()
    yield "cover-link.mp3", id3(len(linked), linked) + films.made(".mp3", *_TONE, "-id3v2_version", "0")
    picture = (
        struct.pack(">II", 3, 3) + b"-->" + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(bait.url)) + bait.url.encode()
    )
    flac = films.made(".flac", *_TONE)
    block = b"\x06" + struct.pack(">I", len(picture))[1:] + picture
    yield "cover-link.flac", flac[:42] + block + flac[42:]
    yield "list.wav", b"RIFF\0\0\0\0WAVELIST" + struct.pack("<I", len(bait.url)) + bait.url.encode()


def _archives(bait: Bait) -> Iterator[tuple[str, bytes]]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../x.jpg", bytes(50 << 20))
    yield "zip-bomb.jpg", packed.getvalue()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("x.jpg")
        entry.type, entry.linkname = tarfile.SYMTYPE, str(bait.canary)
        tar.addfile(entry)
    yield "tar-link.png", packed.getvalue()
    yield "gzip-bomb.mp4", gzip.compress(bytes(20 << 20), mtime=0)
    yield "svgz.svgz", gzip.compress(f'<svg><image href="{bait.url}"/></svg>'.encode(), mtime=0)


def _clip(name: str) -> bytes:
    return films.made(Path(name).suffix, *_CLIP, *_PLAIN)


def _with_dref(video: bytes, reference: bytes) -> bytes:
    """A MOV without samples: its tracks are those of ``video``, which is the file that ``reference`` names."""
    start = video.index(b"mdat") - 4
    size = int.from_bytes(video[start : start + 4])
    whole = video[: start + 8] + bytes(size - 8) + video[start + size :]
    old, new = (full(b"dref", struct.pack(">I", 1), each) for each in (full(b"url ", flags=1), reference))
    at = len(whole)
    while (at := whole.rfind(old, 0, at)) >= 0:
        whole = _longer(whole, at, old, new)
    return whole


def _longer(whole: bytes, at: int, old: bytes, new: bytes) -> bytes:
    """Replace a box; those around it grow with it."""
    grown = bytearray(whole)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        start = whole.rindex(kind, 0, at) - 4
        size = int.from_bytes(whole[start : start + 4]) + len(new) - len(old)
        grown[start : start + 4] = size.to_bytes(4)
    grown[at : at + len(old)] = new
    return bytes(grown)


def _alias(path: bytes) -> bytes:
    """A record of QuickTime for a file, by its whole path and by its name with the levels that lie between."""
    name = path.rpartition(b"/")[2]
    fixed = (
        bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12) + bytes([len(name)]) + name[:63].ljust(63, b"\0")
    )
    levels = bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    odd = b"\0" * (len(path) % 2)
    parts = (
        struct.pack(">hH", 2, len(path))
        + path
        + odd
        + struct.pack(">hH", 18, len(path))
        + path
        + odd
        + struct.pack(">hH", -1, 0)
    )
    return full(b"alis", fixed + levels + parts)


def _reference(url: bytes) -> bytes:
    return full(b"rdrf", b"url " + struct.pack(">I", len(url) + 1) + url + b"\0")
