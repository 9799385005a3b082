"""What libav says of tracks, chapters and tags, as values of ours: cleaned, bounded, without places."""

from __future__ import annotations

import unicodedata
from typing import Any

from av.container import InputContainer

from mediactl.model.media import AudioStream, Chapter, SubtitleStream

TRANSFERS = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear"} | {
    11: "iec61966-2-4", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"
}  # fmt: skip
"""Transfer characteristics (ITU-T H.273, table 3) under ffmpeg's names."""
TEXT_CODECS = frozenset({
    "subrip", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "mpl2", "jacosub", "sami", "realtext",
    "subviewer", "subviewer1", "vplayer", "pjs", "stl",
})  # fmt: skip
"""Subtitles that libav decodes to text (AV_CODEC_PROP_TEXT_SUB, libavcodec/codec_desc.c), so that WebVTT can be made of
them. Captions hidden in the picture and Teletext are not among them."""

_TAGS = {
    "title": ("title", "com.apple.quicktime.title"),
    "artist": ("artist", "com.apple.quicktime.artist"),
    "album": ("album", "com.apple.quicktime.album"),
    "album_artist": ("album_artist",),
    "composer": ("composer",),
    "genre": ("genre",),
    "track": ("track",),
    "disc": ("disc",),
    "date": ("date", "year", "tyer", "tdrc"),
    "taken": ("com.apple.quicktime.creationdate", "creation_time"),
    "make": ("com.apple.quicktime.make", "com.android.manufacturer", "make"),
    "model": ("com.apple.quicktime.model", "com.android.model", "model"),
}
"""Our tag: the container's, best first. An allow-list: a place cannot slip through."""
_TAG_LENGTH = 500
_MOST_CHAPTERS = 1_000


def audio(stream: Any, end: float | None, playable: bool) -> AudioStream:
    """A sound track; ``end`` in seconds from the file's start, None when it is not known."""
    context = stream.codec_context
    return AudioStream(
        codec=codec(stream),
        channels=context.channels if context else 0,
        sample_rate=context.sample_rate if context else 0,
        duration=round(end, 6) if end is not None else None,
        language=_language(stream),
        title=_title(stream),
        playable=playable,
    )


def text(stream: Any) -> SubtitleStream:
    """A subtitle track."""
    name = codec(stream)
    return SubtitleStream(codec=name, language=_language(stream), title=_title(stream), text=name in TEXT_CODECS)


def chapters(container: InputContainer, duration: float) -> tuple[Chapter, ...]:
    """Chapters in order, within the duration; none when there is but a nameless one, which says nothing."""
    start = (container.start_time or 0) / 1e6
    found = []
    for each in container.chapters()[:_MOST_CHAPTERS]:
        unit = each["time_base"]
        if not unit:
            continue
        begin = max(0.0, float(each["start"] * unit) - start)
        end = min(duration, float(each["end"] * unit) - start)
        if begin < end:
            found.append(Chapter(round(begin, 6), round(end, 6), clean(each["metadata"].get("title", ""))))
    found.sort(key=lambda chapter: (chapter.start, chapter.end))
    return tuple(found) if len(found) > 1 or any(chapter.title for chapter in found) else ()


def codec(stream: Any) -> str:
    """Name of the format ("mp3", not the decoder's "mp3float")."""
    context = stream.codec_context
    return str(context.codec.canonical_name) if context else "unknown"


def tags(container: InputContainer, sound: Any) -> dict[str, str]:
    """The tags that are kept, under our names."""
    # Ogg keeps its tags at the track. Keys differ in case between containers.
    found = {key.lower(): value for key, value in (sound.metadata if sound else {}).items()}
    found |= {key.lower(): value for key, value in container.metadata.items()}
    kept = {}
    for name, keys in _TAGS.items():
        if value := next((found[key].strip() for key in keys if found.get(key, "").strip()), ""):
            kept[name] = clean(value)
    return kept


def clean(value: str) -> str:
    """A tag on one line, without control characters; of the rest, whoever shows it takes care. What is not UTF-8 (PyAV
    has surrogates for its bytes) becomes U+FFFD."""
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    return " ".join(line.split())[:_TAG_LENGTH]


def _language(stream: Any) -> str:
    language = stream.language or ""
    return "" if language == "und" else clean(language)[:16]


def _title(stream: Any) -> str:
    # Not an MP4's handler_name: programs write their own names there ("SoundHandle", "Core Media Audio", "GoPro AAC").
    found = {key.lower(): value for key, value in stream.metadata.items()}
    return clean(found.get("title") or found.get("name") or "")
