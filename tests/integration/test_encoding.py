"""Films through the encoder: exact pieces that join without a seam, colours, fields, times."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest

from mediactl.media import ffmpeg, tracks
from mediactl.media.tracks import Tracks
from mediactl.media.video_encode import Encoded, Piece, Stream, encode
from mediactl.model import Limits

LIMITS = Limits()
SMALL = Stream("h264", 160, 120, crf=23, preset="ultrafast", maxrate=500)


def make(path: Path, *arguments: str) -> Path:
    """A clip, made by ffmpeg."""
    command = [ffmpeg.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def moving(path: Path, rate: str, seconds: int, *arguments: str) -> Path:
    """A clip in which every frame is another, of few bits."""
    picture = f"testsrc2=s=160x120:r={rate}:d={seconds}"
    return make(path, "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", *arguments)


def inspected(path: Path, *, rate: str = "") -> Tracks:
    """What is in a film; with ``rate``, an even one."""
    fd = os.open(path, os.O_RDONLY)
    try:
        found = tracks.inspect(fd, path.suffix[1:], LIMITS)
    finally:
        os.close(fd)
    if rate and found.info.video:
        video = msgspec.structs.replace(found.info.video, rate=rate, even=True)
        found = msgspec.structs.replace(found, info=msgspec.structs.replace(found.info, video=video))
    return found


def encoded(
    path: Path, found: Tracks, streams: Sequence[Stream], places: Sequence[Path], piece: Piece | None = None
) -> Encoded:
    fd = os.open(path, os.O_RDONLY)
    try:
        return encode(
            fd,
            found,
            streams,
            piece,
            [os.fsencode(place) for place in places],
            threads=2,
            limits=LIMITS,
            folder=os.fsencode(places[0].parent),
            report=lambda _: None,
        )
    finally:
        os.close(fd)


def in_pieces(path: Path, found: Tracks, stream: Stream, count: int, frames: int) -> list[Path]:
    """A film's pieces of so many frames, made one by one."""
    pieces = [Piece(number, first, min(frames, count - first)) for number, first in enumerate(range(0, count, frames))]
    places = [path.parent / f"{path.name}-{piece.number}.mp4" for piece in pieces]
    for piece, place in zip(pieces, places, strict=True):
        assert encoded(path, found, [stream], [place], piece).frames == (piece.frames,)
    return places


def joined(places: Sequence[Path], whole: Path) -> Path:
    """The pieces, joined by copy."""
    names = whole.with_suffix(".txt")
    names.write_text("".join(f"file '{place}'\n" for place in places))
    return make(whole, "-f", "concat", "-safe", "0", "-i", str(names), "-c", "copy")


def likeness(first: Path, second: Path, *, of_first: str = "null") -> list[float]:
    """SSIM of each frame of one film with that of the same number of another."""
    graph = f"[0:v]{of_first},settb=1/1000,setpts=N[a];[1:v]settb=1/1000,setpts=N[b];[a][b]ssim=f=-"
    command = [ffmpeg.find(), "-nostdin", "-loglevel", "error", "-i", str(first), "-i", str(second)]
    done = subprocess.run(
        [*command, "-filter_complex", graph, "-f", "null", "-"], check=True, timeout=60, capture_output=True
    )
    return [float(value) for value in re.findall(rb"All:([\d.]+)", done.stdout)]


def packets(path: Path) -> list[Any]:
    """The packets of a film's picture, in the order of their times."""
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(video=0) if packet.size]
    return sorted(found, key=lambda packet: packet.pts or 0)


def headers(path: Path) -> bytes:
    """Parameter sets of a film's picture."""
    with av.open(str(path)) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


OPEN = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "40", "-x264-params", "open-gop=1:b-pyramid=normal")
SOURCES = {
    "film in mp4": ("24000/1001", "mp4", OPEN),
    "thirty in mkv": ("30", "mkv", OPEN),
    "fifty in ts": ("50", "ts", OPEN),
    "hevc in mp4": ("30000/1001", "mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=40")),
    "mpeg-2 in ts": ("25", "ts", ("-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-q:v", "3")),
    "vp9 in webm": ("30", "webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "100")),
}


@pytest.mark.parametrize("source", SOURCES)
def test_pieces_have_exactly_their_frames_and_join_to_the_whole_film(source: str, tmp_path: Path) -> None:
    rate, container, options = SOURCES[source]
    film = moving(tmp_path / f"film.{container}", rate, 8, *options)
    count = len(packets(film))
    found = inspected(film, rate=rate)
    gop = round(Fraction(rate) * 2)
    places = in_pieces(film, found, SMALL, count, gop)
    assert len(places) >= 4
    assert len({headers(place) for place in places}) == 1
    for place in places:
        made = packets(place)
        assert made[0].pts == 0
        assert made[0].is_keyframe
        assert [packet.is_keyframe for packet in made[1:]] == [False] * (len(made) - 1)
    whole = joined(places, tmp_path / "whole.mp4")
    like = likeness(film, whole)
    assert len(like) == count
    assert min(like) > 0.93  # A frame beside its place has about 0.6.
