"""What libav reports of streams, chapters and tags, as values of the model: cleaned, bounded, without a location."""

from __future__ import annotations

import unicodedata
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from mediactl.media.inspect.frames.appearance import Appearance
from mediactl.media.inspect.frames.side_data import Crop
from mediactl.model.media import AudioStream, Chapter, SubtitleStream, VideoStream

TRANSFERS = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear"} | {
    11: "iec61966-2-4", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"
}  # fmt: skip
"""Transfer characteristics (ITU-T H.273, table 3) under ffmpeg's names."""
TEXT_CODECS = frozenset({
    "subrip", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "mpl2", "jacosub", "sami", "realtext",
    "subviewer", "subviewer1", "vplayer", "pjs", "stl",
})  # fmt: skip
"""Subtitles that libav decodes to text (AV_CODEC_PROP_TEXT_SUB, libavcodec/codec_desc.c), so that WebVTT can be made of
them. Closed captions in the video and Teletext are not among them."""

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
"""Our tag: the container's, best first. An allow-list: a location cannot slip through."""
_GUESSED = {10: "5.1.4", 12: "7.1.4", 14: "9.1.4", 16: "9.1.6", 24: "22.2"}
"""What ffmpeg takes more than 8 channels without a layout for (av_channel_layout_default)."""
_TAG_LENGTH = 500
_READ = 1 << 16
"""Characters of a tag that are looked at."""
_MOST_CHAPTERS = 1_000


def video(stream: Any, frame: Any, look: Appearance, rate: float | None, start: float, end: float) -> VideoStream:
    """Return a video stream as shown; ``frame`` is its first one, ``start`` and ``end`` in seconds from the file's."""
    # PyAV counts degrees counter-clockwise, -180 to 180, from the frame's display matrix.
    rotation = round(-frame.rotation / 90) * 90 % 360
    aspect = stream.sample_aspect_ratio or Fraction(1)
    aspect = aspect if Fraction(1, 5) <= aspect <= 5 else Fraction(1)
    width, height = look.crop.size(frame.width, frame.height)
    width = max(1, round(width * aspect))
    if rotation in (90, 270):
        width, height = height, width
    return VideoStream(
        codec=codec(stream),
        width=width,
        height=height,
        rotation=rotation,
        fps=round(rate, 3) if rate else None,
        frames=stream.frames or None,
        duration=round(end - start, 6),
        pixel_format=frame.format.name,
        transfer=TRANSFERS.get(look.tags.transfer, ""),
        start=round(start, 6),
        interlaced=bool(frame.interlaced_frame),
        cropped=look.crop != Crop(),
        treatment=look.treatment,
    )


def audio(stream: Any, frame: Any, end: float | None, playable: bool) -> AudioStream:
    """Return an audio stream; ``frame`` is its first one, ``end`` in seconds from the file's start; None when they are
    not known."""
    context = stream.codec_context
    return AudioStream(
        codec=codec(stream),
        channels=context.channels if context else 0,
        sample_rate=context.sample_rate if context else 0,
        duration=round(end, 6) if end is not None else None,
        language=_language(stream),
        title=_title(stream),
        playable=playable,
        layout=_layout(frame.layout) if frame and context and frame.layout.nb_channels == context.channels else (),
    )


def subtitle(stream: Any) -> SubtitleStream:
    """Return a subtitle stream."""
    name = codec(stream)
    return SubtitleStream(codec=name, language=_language(stream), title=_title(stream), text=name in TEXT_CODECS)


def chapters(container: InputContainer, duration: float) -> tuple[Chapter, ...]:
    """Return chapters in order, within the duration; none when there is but one without a title."""
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
    """Return the name of the format ("mp3", not the decoder's "mp3float")."""
    context = stream.codec_context
    return str(context.codec.canonical_name) if context else "unknown"


def tags(container: InputContainer, audio_stream: Any) -> dict[str, str]:
    """Return the tags that are kept, under our names."""
    # Ogg keeps its tags in the stream. Keys differ in case between containers.
    found = {key.lower(): value for key, value in (audio_stream.metadata if audio_stream else {}).items()}
    found |= {key.lower(): value for key, value in container.metadata.items()}
    kept = {}
    for name, keys in _TAGS.items():
        if value := next((found[key].strip() for key in keys if found.get(key, "").strip()), ""):
            kept[name] = clean(value)
    return kept


def clean(value: str) -> str:
    """Return a tag on one line, without control characters; of the rest, whoever shows it takes care. What is not UTF-8
    (PyAV has surrogates for its bytes) becomes U+FFFD."""
    text = value[:_READ].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    return " ".join(line.split())[:_TAG_LENGTH]


def _layout(layout: Any) -> tuple[str, ...]:
    """Return the position of each channel as libav reads or guesses it; () for mono and stereo, and for few channels
    without positions."""
    if layout.name in ("mono", "stereo"):
        return ()
    channels = tuple(channel.name for channel in layout.channels)
    if set(channels) != {"NONE"}:
        return channels
    guessed = _GUESSED.get(len(channels))
    return tuple(channel.name for channel in av.AudioLayout(guessed).channels) if guessed else ()


def _language(stream: Any) -> str:
    language = stream.language or ""
    return "" if language == "und" else clean(language)[:16]


def _title(stream: Any) -> str:
    # Not an MP4's handler_name: programs write their own names there ("SoundHandle", "Core Media Audio", "GoPro AAC").
    found = {key.lower(): value for key, value in stream.metadata.items()}
    return clean(found.get("title") or found.get("name") or "")
