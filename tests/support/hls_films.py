"""Clips for tests of streaming, made by ffmpeg: each frame tells its number by its brightness, each second beeps."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from mediactl.media.ffmpeg import binary
from mediactl.media.hls import playlists
from mediactl.media.mp4 import fragments, package
from mediactl.model.media import SubtitleStream

STEPS = 20
"""Frames until the brightness begins anew."""
ENCODERS = {
    "h264": ("-c:v", "libx264", "-preset", "veryfast", "-sc_threshold", "0"),
    "hevc": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:open-gop=0:scenecut=0:info=0"),
    "av1": ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=2"),
}
_EXACT = ("-flags:v", "+bitexact", "-flags:a", "+bitexact", "-fflags", "+bitexact", "-map_metadata", "-1")


def run(*arguments: str | Path) -> None:
    """One run of ffmpeg."""
    command = [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=100, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def picture(
    place: Path,
    *,
    first: int = 0,
    frames: int = 96,
    rate: Fraction = Fraction(24),
    size: str = "64x36",
    codec: str = "h264",
    filters: str = "null",
) -> Path:
    """Frames ``first`` to ``first + frames`` of the film, with a key frame about every 2 s, as a picture-only MP4."""
    shade = f"color=gray:s={size}:r={rate}:d=60,geq=lum='40+8*mod(N\\,{STEPS})':cb=128:cr=128"
    cut = f"trim=start_frame={first}:end_frame={first + frames},setpts=PTS-STARTPTS"
    group = str(round(rate * 2))
    run(
        "-f", "lavfi", "-i", shade, "-vf", f"{cut},format=yuv420p,{filters}", *ENCODERS[codec], "-g", group,
        "-keyint_min", group, "-fps_mode", "passthrough", "-enc_time_base", "1:120000", "-video_track_timescale",
        "120000", *_EXACT, place,
    )  # fmt: skip
    return place


def sound(place: Path, *, seconds: float = 4.0, pitch: int = 880, rate: int = 48_000) -> Path:
    """Silence with a beep of 0.2 s at every whole second."""
    beeps = f"aevalsrc='0.5*sin(2*PI*{pitch}*t)*lt(mod(t\\,1)\\,0.2)*gte(t\\,1)':s={rate}:d={seconds}"
    run("-f", "lavfi", "-i", beeps, "-c:a", "aac", "-b:a", "96k", "-ac", "2", *_EXACT, place)
    return place


def shades(file: Path) -> list[int]:
    """Number (modulo STEPS) of each frame, read from its brightness."""
    with av.open(str(file), "r") as container:
        return [round((float(frame.to_ndarray(format="gray").mean()) - 40 * _SCALE) / (8 * _SCALE) + _SHIFT) % STEPS
                for frame in container.decode(video=0)]  # fmt: skip


_SCALE, _SHIFT = 255 / 219, 16 / 8
"""Limited range (16 to 235) is stretched to full by the conversion to grey."""


def beeps(file: Path) -> list[float]:
    """Seconds at which each beep begins."""
    found: list[float] = []
    quiet = 1.0
    for time, loud, length in _levels(file):
        if loud and quiet > 0.3:
            found.append(time)
        quiet = 0.0 if loud else quiet + length
    return found


def _levels(file: Path) -> Iterator[tuple[float, bool, float]]:
    with av.open(str(file), "r") as container:
        for frame in container.decode(audio=0):
            assert frame.time is not None
            samples: Any = frame.to_ndarray()
            values = abs(samples).max(axis=0)
            step = 48
            for start in range(0, len(values), step):
                yield (
                    frame.time + start / frame.sample_rate,
                    float(values[start : start + step].max()) > 0.2,
                    step / frame.sample_rate,
                )


def presentation(
    folder: Path,
    pictures: Sequence[Sequence[Path]],
    sounds: Sequence[tuple[Path, str]] = (),
    texts: Sequence[tuple[Path, SubtitleStream, float]] = (),
    *,
    rate: Fraction | None = Fraction(24),
    segment: float = 6.0,
) -> Path:
    """An HLS presentation of these pieces and sounds in ``folder``; its master playlist."""
    shown, heard, written = [], [], []
    for number, pieces in enumerate(pictures):
        place = folder / f"hls-{number}.mp4"
        package.video_track([bytes(piece) for piece in pieces], bytes(place), segment=segment, rate=rate)
        shown.append(playlists.VideoRendition(f"hls-{number}.m3u8", fragments.read(bytes(place))))
    for number, (file, language) in enumerate(sounds):
        place = folder / f"hls-audio-{number}.mp4"
        package.audio_track(bytes(file), bytes(place), segment=segment, language=language, rate=rate)
        heard.append(playlists.AudioRendition(f"hls-audio-{number}.m3u8", fragments.read(bytes(place)), language))
    tracks = {each.name: each.track for each in shown} | {each.name: each.track for each in heard}
    for name, made in tracks.items():
        file_name = name.replace(".m3u8", ".mp4")
        _write(folder, name, playlists.media(made, file_name, segment=segment, others=tracks.values()))
    for number, (file, track, duration) in enumerate(texts):
        written.append(playlists.SubtitleRendition(f"hls-text-{number}.m3u8", track.language, track.title))
        _write(folder, written[-1].name, playlists.text(file.name, duration))
    return _write(folder, "hls.m3u8", playlists.master(shown, heard, written))


def _write(folder: Path, name: str, text: str) -> Path:
    place = folder / name
    place.write_text(text)
    return place
