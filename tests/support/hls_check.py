"""What RFC 8216 and we ask of a folder with an HLS presentation, checked by reading it; nothing of mediactl is used."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import m3u8  # type: ignore[import-untyped]


class Range(NamedTuple):
    """A segment as its playlist tells it."""

    start: Fraction
    duration: Fraction
    offset: int
    size: int


class Checked(NamedTuple):
    """A media playlist that was found right."""

    uri: str
    target: int
    header: int
    file: Path
    segments: list[Range]
    peak: int
    average: int
    frames: int

    def data(self, number: int) -> bytes:
        """Segment ``number`` with the header it needs."""
        data, segment = self.file.read_bytes(), self.segments[number]
        return data[: self.header] + data[segment.offset : segment.offset + segment.size]


def presentation(master: Path) -> dict[str, Checked]:
    """Every CMAF track of a presentation, by its playlist's URI. Raises AssertionError where something is wrong."""
    text = master.read_text()
    _form(text)
    parsed = m3u8.loads(text)
    assert parsed.is_variant and parsed.is_independent_segments
    pictures = {each.uri: media(master.parent / each.uri) for each in parsed.playlists}
    spoken = [each for each in parsed.media if each.type == "AUDIO"]
    sounds = {each.uri: media(master.parent / each.uri) for each in spoken}
    tracks = {**pictures, **sounds}
    assert len({each.target for each in tracks.values()}) == 1, "target durations differ (RFC 8216, 6.2.4)"
    for each in parsed.media:
        assert each.name and '"' not in each.name
        assert "/" not in each.uri and ":" not in each.uri
        if each.type == "SUBTITLES":
            _text(master.parent / each.uri)
    for kind in ("AUDIO", "SUBTITLES"):
        group = [each for each in parsed.media if each.type == kind]
        assert len({each.name for each in group}) == len(group), "names of a group are not unique"
        assert sum(each.default == "YES" for each in group) == bool(group and kind == "AUDIO")
        assert len({each.group_id for each in group}) <= 1
    heaviest = max((each.peak for each in sounds.values()), default=0)
    usual = max((each.average for each in sounds.values()), default=0)
    for each in parsed.playlists:
        made, told = pictures[each.uri], each.stream_info
        assert told.bandwidth == made.peak + heaviest
        assert told.average_bandwidth == made.average + usual
        assert told.average_bandwidth <= told.bandwidth
        _like_the_file(made, told, [sounds[sound.uri] for sound in spoken])
        assert bool(told.audio) == bool(sounds)
    _aligned(list(pictures.values()), list(sounds.values()))
    return tracks


def media(playlist: Path) -> Checked:
    """A media playlist of one CMAF track."""
    text = playlist.read_text()
    _form(text)
    parsed = m3u8.loads(text)
    assert (
        parsed.version >= 6 and parsed.playlist_type == "vod" and parsed.is_endlist and parsed.is_independent_segments
    )
    assert len(parsed.segment_map) == 1
    uri, header = parsed.segment_map[0].uri, parsed.segment_map[0].byterange
    assert "/" not in uri
    file = playlist.parent / uri
    length, _, offset = header.partition("@")
    assert offset == "0"
    data, place, time, segments = file.read_bytes(), int(length), Fraction(0), []
    assert [kind for kind, _, _ in _boxes(data[:place])] == [b"ftyp", b"moov"]
    frames = 0
    for segment in parsed.segments:
        assert segment.uri == uri
        size, _, offset = segment.byterange.partition("@")
        assert int(offset) == place, "a gap or an overlap"
        place += int(size)
        assert place <= len(data)
        body = data[int(offset) : place]
        kinds = [kind for kind, _, _ in _boxes(body)]
        assert kinds == [b"styp", *([b"moof", b"mdat"] * ((len(kinds) - 1) // 2))] and len(kinds) >= 3
        duration = Fraction(segment.duration).limit_denominator(1_000_000)
        frames += _decodes(data[: int(length)], body, time, duration)
        assert int(duration + Fraction(1, 2)) <= parsed.target_duration
        segments.append(Range(time, duration, int(offset), int(size)))
        time += duration
    assert place == len(data), "bytes that no playlist names"
    peak, average = _rates(segments, parsed.target_duration)
    return Checked(playlist.name, parsed.target_duration, int(length), file, segments, peak, average, frames)


def _form(text: str) -> None:
    """Sections 4.1 and 4.3.1: lines, and tags that come once."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U" and lines[-1] == "" and "\r" not in text and not text.startswith("\ufeff")
    for tag in ("#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-ENDLIST"):
        assert sum(line.startswith(tag) for line in lines) <= 1


def _text(playlist: Path) -> None:
    _form(playlist.read_text())
    parsed = m3u8.loads(playlist.read_text())
    assert parsed.is_endlist and len(parsed.segments) == 1
    assert parsed.segments[0].duration <= parsed.target_duration + 0.5
    assert (playlist.parent / parsed.segments[0].uri).read_bytes().startswith(b"WEBVTT")


def _decodes(header: bytes, body: bytes, start: Fraction, duration: Fraction) -> int:
    """A segment by itself: begins with a key frame, at its time, and every frame of it can be decoded."""
    with av.open(io.BytesIO(header + body), "r") as container:
        (stream,) = container.streams
        heard = stream.type == "audio"  # Asked for now: a stream must not outlive its container.
        tick = Fraction(stream.time_base or 0)
        assert tick
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        times = [(Fraction(each.pts or 0) * tick, Fraction(each.duration or 0) * tick) for each in packets]
        assert packets[0].is_keyframe
        # A sound begins with what its encoder needs before the first second (priming), and is cut at whole packets.
        slack = Fraction(2, 1_000_000) + (times[0][1] if heard else 0)
        assert abs(min(times)[0] - start) <= slack
        assert abs(max(at + length for at, length in times) - start - duration) <= slack
        assert abs(sum(length for _, length in times) - duration) <= Fraction(2, 1_000_000)
    with av.open(io.BytesIO(header + body), "r") as container:
        for each in container.streams:
            each.codec_context.options = {"err_detect": "explode"}
        decoded = [frame for packet in container.demux() for frame in packet.decode()]
        # Of a sound, libav leaves out as much at the beginning of any segment as the header says is priming.
        assert len(decoded) == len(packets) or (heard and len(decoded) == len(packets) - 1)
    return len(packets)


def _like_the_file(made: Checked, told: Any, sounds: list[Checked]) -> None:
    codecs = told.codecs.split(",")
    with av.open(str(made.file), "r") as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert told.resolution == (context.width, context.height)
        rate = Fraction(made.frames) / sum((each.duration for each in made.segments), Fraction(0))
        assert abs(Fraction(str(told.frame_rate)) - rate) < Fraction(1, 1000)
        names = {"avc1": "h264", "hvc1": "hevc", "av01": "av1"}
        assert names[codecs[0].partition(".")[0]] == context.codec.canonical_name
        if codecs[0].startswith("avc1"):  # Profile, constraints and level, as in the SPS.
            assert codecs[0][5:] == bytes(context.extradata or b"")[1:4].hex()
        transfer = {16: "PQ", 18: "HLG"}.get(int(next(container.decode(stream)).color_trc), "SDR")
        assert told.video_range == transfer
    assert codecs[1:] == (["mp4a.40.2"] if sounds else [])
    for sound in sounds:
        with av.open(str(sound.file), "r") as container:
            assert (container.streams.audio[0].codec_context.profile or "") == "LC"


def _aligned(pictures: list[Checked], sounds: list[Checked]) -> None:
    """Borders are the same in all pictures, and in the sounds but for half a packet, as far as both go."""
    if not pictures:
        return
    borders = [each.start for each in pictures[0].segments]
    for picture in pictures[1:]:
        assert [each.start for each in picture.segments] == borders
    for sound in sounds:
        for one, other in zip(sound.segments, pictures[0].segments, strict=False):
            assert abs(one.start - other.start) < Fraction(1, 30)


def _rates(segments: list[Range], target: int) -> tuple[int, int]:
    """Peak (of neighbours that last 0.5 to 1.5 target durations, section 4.1) and average in bit/s, rounded up."""
    rates: list[Fraction] = []
    for first in range(len(segments)):
        for last in range(first, len(segments)):
            some = segments[first : last + 1]
            duration = sum((each.duration for each in some), Fraction(0))
            if target <= 2 * duration <= 3 * target:
                rates.append(Fraction(8 * sum(each.size for each in some)) / duration)
    whole = Fraction(8 * sum(each.size for each in segments)) / sum((each.duration for each in segments), Fraction(0))
    return -int(-max(rates or [whole]) // 1), -int(-whole // 1)


def _boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    found, offset = [], 0
    while offset < len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        assert size >= 8 and offset + size <= len(data)
        found.append((kind, offset, size))
        offset += size
    return found
