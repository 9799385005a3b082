"""Tags, chapters and cover art for audio files, as files that ffmpeg reads besides the source."""

from __future__ import annotations

import base64
import struct

from mediactl.model.media import MediaInfo

KEPT_TAGS = ("title", "artist", "album", "album_artist", "composer", "genre", "track", "disc", "date")
_FRONT_COVER = 3  # ID3v2, section 4.14, repeated in RFC 9639, table 13


def ffmetadata(info: MediaInfo) -> bytes:
    """Return tags and chapters in ffmpeg's own format."""
    lines = [";FFMETADATA1", *_tags(info)]
    for chapter in info.chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={chapter.start * 1000:.0f}", f"END={chapter.end * 1000:.0f}"]
        lines += [f"title={_escaped(chapter.title)}"] if chapter.title else []
    return _joined(lines)


def vorbis_comments(info: MediaInfo, cover: str) -> bytes:
    """Return the same for Ogg, where chapters and the cover (``cover``, a ``picture_block``) are tags.

    ffmpeg makes such tags of chapters, too, but with the seconds rounded: 0.7 s becomes "00:00:01.700" (ffmpeg 9).
    """
    lines = [";FFMETADATA1", *_tags(info)]
    for number, chapter in enumerate(info.chapters):
        whole = round(chapter.start * 1000)
        time = f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"
        lines += [f"CHAPTER{number:03}={time}", f"CHAPTER{number:03}NAME={_escaped(chapter.title)}"]
    return _joined([*lines, f"METADATA_BLOCK_PICTURE={_escaped(cover)}"] if cover else lines)


def picture_block(jpeg: bytes, width: int, height: int) -> str:
    """Return a JPEG as Opus files hold it: a FLAC picture block (RFC 9639, section 8.8) in base64."""
    mime = b"image/jpeg"
    head = struct.pack(">II", _FRONT_COVER, len(mime)) + mime + struct.pack(">I", 0)
    return base64.b64encode(head + struct.pack(">IIIII", width, height, 24, 0, len(jpeg)) + jpeg).decode("ascii")


def _tags(info: MediaInfo) -> list[str]:
    return [f"{name}={_escaped(info.tags[name])}" for name in KEPT_TAGS if name in info.tags]


def _joined(lines: list[str]) -> bytes:
    return "\n".join([*lines, ""]).encode("utf-8", "replace")


def _escaped(value: str) -> str:
    return "".join("\\" + character if character in "=;#\\\n" else character for character in value)
