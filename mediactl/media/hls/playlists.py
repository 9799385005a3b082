"""HLS playlists (RFC 8216) as text: pure functions of what ``fragments`` read from the files that they name.

Each track is one file, and a segment a range of its bytes (decision 10). Equal tracks give equal text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from mediactl.media.mp4 import languages
from mediactl.media.mp4.fragments import Segment, Track

_VERSION = 7
"""EXT-X-MAP in a playlist without I-frames only requires 6; players of fMP4 expect 7."""
_RANGES = {16: "PQ", 18: "HLG"}
_AUDIO_GROUP, _SUBTITLE_GROUP = "sound", "text"
"""Names of the rendition groups."""


class VideoRendition(msgspec.Struct, frozen=True):
    """A variant stream: a rendition of the video."""

    name: str
    """Of its playlist, relative to the master."""
    track: Track


class AudioRendition(msgspec.Struct, frozen=True):
    """An audio rendition."""

    name: str
    track: Track
    language: str = ""
    title: str = ""


class SubtitleRendition(msgspec.Struct, frozen=True):
    """A WebVTT rendition."""

    name: str
    language: str = ""
    title: str = ""


def media(track: Track, name: str, *, segment: float = 0.0, others: Iterable[Track] = ()) -> str:
    """Return the playlist of a CMAF track whose file has this name.

    All playlists of a master have the same target duration (RFC 8216, 6.2.4): that of ``segment`` (seconds, of the
    recipe) or of the longest one in this track or ``others``.
    """
    segments = track.segments
    longest = max(target(segments), *(target(each.segments) for each in others), _nearest(Fraction(segment)))
    lines = [*_head(longest), "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines.append(f'#EXT-X-MAP:URI="{name}",BYTERANGE="{track.header}@0"')
    passed, written = Fraction(0), 0
    for each in segments:
        passed += each.duration
        # Rounded so that the durations add up to the whole, however many segments there are.
        micro = round(passed * 1_000_000) - written
        written += micro
        lines += [
            f"#EXTINF:{micro // 1_000_000}.{micro % 1_000_000:06},",
            f"#EXT-X-BYTERANGE:{each.size}@{each.offset}",
        ]
        lines.append(name)
    return _joined([*lines, "#EXT-X-ENDLIST"])


def text(name: str, duration: float) -> str:
    """Return the playlist of a WebVTT file: all of it is one segment of ``duration`` seconds."""
    lines = [*_head(_nearest(Fraction(duration))), f"#EXTINF:{max(duration, 0.001):.6f},", name, "#EXT-X-ENDLIST"]
    return _joined(lines)


def master(
    videos: Sequence[VideoRendition],
    audios: Sequence[AudioRendition] = (),
    subtitles: Sequence[SubtitleRendition] = (),
) -> str:
    """Return the master playlist, videos in this order; the first audio rendition is the default, no subtitles are.

    Without videos, each audio rendition is a variant stream of its own.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    names = _unique([each.title or languages.name(each.language) for each in audios], "Sound")
    for number, (audio, name) in enumerate(zip(audios, names, strict=True)):
        first = "YES" if number == 0 else "NO"
        more = f',DEFAULT={first},AUTOSELECT=YES,CHANNELS="{audio.track.channels}",URI="{audio.name}"'
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_AUDIO_GROUP}",NAME="{name}"{_language(audio.language)}{more}'
        )
    names = _unique([each.title or languages.name(each.language) for each in subtitles], "Subtitles")
    for each, name in zip(subtitles, names, strict=True):
        more = f',DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="{each.name}"'
        lines.append(
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{_SUBTITLE_GROUP}",NAME="{name}"{_language(each.language)}{more}'
        )
    tracks = [audio.track for audio in audios]
    seconds = max((target(track.segments) for track in (*tracks, *(video.track for video in videos))), default=1)
    groups = [f'AUDIO="{_AUDIO_GROUP}"'] * bool(audios) + [f'SUBTITLES="{_SUBTITLE_GROUP}"'] * bool(subtitles)
    for video in videos:
        codecs = dict.fromkeys([video.track.codec, *(each.codec for each in tracks)])
        rate = float(video.track.rate)
        described = [
            *_bandwidth([video.track], tracks, seconds),
            f'CODECS="{",".join(codecs)}"',
            f"RESOLUTION={video.track.width}x{video.track.height}",
            f"FRAME-RATE={rate:.3f}",
            f"VIDEO-RANGE={_RANGES.get(video.track.transfer, 'SDR')}",
            *groups,
        ]
        lines += ["#EXT-X-STREAM-INF:" + ",".join(described), video.name]
    for audio in audios if not videos else ():
        described = [*_bandwidth([], tracks, seconds), f'CODECS="{audio.track.codec}"', *groups]
        lines += ["#EXT-X-STREAM-INF:" + ",".join(described), audio.name]
    return _joined(lines)


def target(segments: Sequence[Segment]) -> int:
    """Return the target duration: the longest segment in seconds, rounded to the nearest (RFC 8216, 4.3.3.1)."""
    return max((_nearest(each.duration) for each in segments), default=1)


def peak(track: Track, seconds: int) -> int:
    """Return the largest bit rate of segments in a row that last between half and one and a half of the target
    duration, which is ``seconds`` (RFC 8216, 4.1), in bit/s, rounded up."""
    segments = track.segments
    shortest, longest = Fraction(seconds, 2), Fraction(3 * seconds, 2)
    best = Fraction(0)
    for first in range(len(segments)):
        size, duration = 0, Fraction(0)
        for each in segments[first:]:
            size, duration = size + each.size, duration + each.duration
            if duration > longest:
                break
            if duration >= shortest:
                best = max(best, 8 * size / duration)
    return -int(-(best or average(track)) // 1)


def average(track: Track) -> int:
    """Return the average bit rate: bits of all segments over their duration, in bit/s, rounded up."""
    return -int(-8 * sum(each.size for each in track.segments) / (track.duration or 1) // 1)


def _bandwidth(videos: list[Track], audios: list[Track], seconds: int) -> list[str]:
    """Return the bandwidth of a rendition with the audio rendition of the highest bit rate, by the target duration."""
    peak_rate = sum(peak(each, seconds) for each in videos) + max((peak(each, seconds) for each in audios), default=0)
    average_rate = sum(map(average, videos)) + max(map(average, audios), default=0)
    return [f"BANDWIDTH={peak_rate}", f"AVERAGE-BANDWIDTH={average_rate}"]


def _head(seconds: int) -> list[str]:
    return ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", f"#EXT-X-TARGETDURATION:{seconds}", "#EXT-X-PLAYLIST-TYPE:VOD"]


def _nearest(seconds: Fraction) -> int:
    return max(1, int(seconds + Fraction(1, 2)))


def _language(language: str) -> str:
    code = languages.tag(language)
    return f',LANGUAGE="{code}"' if code else ""


def _unique(wanted: list[str], otherwise: str) -> list[str]:
    """Return unique names for people, without characters that would end a quoted string."""
    found: list[str] = []
    for number, name in enumerate(wanted, 1):
        clean = "".join(each if each.isprintable() and each != '"' else " " for each in name)
        clean = " ".join(clean.split())[:100] or (otherwise if len(wanted) == 1 else f"{otherwise} {number}")
        while clean in found:
            clean = f"{clean} ({number})"
        found.append(clean)
    return found


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
