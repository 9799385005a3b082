"""Measure artefacts with tools other than mediactl's own: PyAV, numpy, Pillow and a walk over MP4 boxes."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from mediactl.media.ffmpeg import binary

CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf"})
MANY = 8
"""Planes of a frame from which on PyAV's to_ndarray reads beyond its end and crashes (PyAV 16)."""
GAP = 0.0015
"""Seconds between time stamps that count as equal: containers count in milliseconds."""

Samples = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Video(NamedTuple):
    """A decoded video stream."""

    times: list[float]
    """Presentation time of each frame, in seconds."""
    end: float
    """Presentation time of the last frame plus its duration, in seconds."""
    frames: list[Pixels]
    """RGB pixels of each frame, height x width x 3."""
    aspect: float
    """Width of a pixel by its height."""
    matrix: int
    """Matrix coefficients as coded (ITU-T H.273)."""
    primaries: int
    transfer: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.frames[0].shape[:2]
        return width, height

    def at(self, seconds: float) -> Pixels:
        """Return the frame that is on screen at a time."""
        shown = [number for number, time in enumerate(self.times) if time <= seconds + GAP]
        return self.frames[shown[-1] if shown else 0]


class Sound(NamedTuple):
    """A decoded audio stream."""

    samples: Samples
    """Channels x samples, full scale is 1."""
    rate: int
    channels: tuple[str, ...]
    """Names of the channels: FL, FR ..."""
    start: float
    """Presentation time of the first sample, in seconds."""

    @property
    def end(self) -> float:
        """Presentation time of the end of the last sample, in seconds."""
        return float(self.start + self.samples.shape[1] / self.rate)

    def between(self, begin: float, end: float, channel: int | None = None) -> Samples:
        """Return the samples of a channel, or the mean of all, between two presentation times."""
        mono: Samples = self.samples.mean(axis=0) if channel is None else self.samples[channel]
        return mono[max(0, round((begin - self.start) * self.rate)) : max(0, round((end - self.start) * self.rate))]

    def tone(self, begin: float, end: float, channel: int | None = None) -> float:
        """Return the frequency of the loudest tone, in hertz; 0 in silence."""
        return tone(self.between(begin, end, channel), self.rate)

    def level(self, begin: float, end: float, channel: int | None = None) -> float:
        """Return the RMS level in dBFS."""
        return level(self.between(begin, end, channel))


def level(samples: Samples) -> float:
    """Return the RMS level in dBFS, -200 for digital silence."""
    return (
        float(20 * np.log10(max(1e-10, np.sqrt(np.mean(np.square(samples, dtype=np.float64))))))
        if samples.size
        else -200.0
    )


def tone(samples: Samples, rate: int) -> float:
    """Return the frequency of the loudest tone to a fraction of a hertz (a parabola through the peak); 0 in silence."""
    if samples.size < 256 or not np.isfinite(samples).all() or level(samples) < -75:
        return 0.0
    size = 1 << max(16, (samples.size * 4 - 1).bit_length())
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), size))
    spectrum[: int(30 * size / rate)] = 0
    peak = int(spectrum.argmax())
    left, middle, right = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
    return float((peak + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / size)


def tones(samples: Samples, rate: int, within: float = 20) -> list[int]:
    """Return the tones within so many dB of the loudest, rounded to 10 Hz, loudest first."""
    if samples.size < 256 or not np.isfinite(samples).all() or level(samples) < -75:
        return []
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    spectrum[: int(30 * samples.size / rate)] = 0
    limit = spectrum.max() * 10 ** (-within / 20)
    found: list[int] = []
    while spectrum.max() > limit:
        peak = int(spectrum.argmax())
        hertz = peak * rate / samples.size
        found.append(round(hertz / 10) * 10)
        spectrum[max(0, int((hertz - 40) * samples.size / rate)) : int((hertz + 40) * samples.size / rate) + 1] = 0
    return found


def video(path: Path) -> Video:
    """Decode the video of a file to the end."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        times, frames, end, last = [], [], 0.0, None
        for frame in container.decode(stream):
            assert frame.time is not None
            times.append(frame.time)
            frames.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            end = max(end, frame.time + float((frame.duration or 0) * (frame.time_base or 0)))
            last = frame
        context = stream.codec_context
        aspect = float(context.sample_aspect_ratio or 1) or 1.0
        assert last is not None
        return Video(times, end, frames, aspect, last.colorspace, last.color_primaries, last.color_trc)


def sound(path: Path, number: int = 0) -> Sound:
    """Decode an audio stream of a file to the end, placed by the time stamp of its first frame."""
    with av.open(str(path)) as container:
        pieces: list[Samples] = []
        start, rate = 0.0, 48_000
        names: tuple[str, ...] = ("FC",)
        for frame in container.decode(container.streams.audio[number]):
            if not pieces:
                start, rate = frame.time or 0.0, frame.sample_rate
                names = tuple(channel.name for channel in frame.layout.channels)
            if len(names) >= MANY:
                pieces = [_by_ffmpeg(path, number, len(names))]
                break
            pieces.append(_planes(frame))
    return Sound(np.concatenate(pieces, axis=1) if pieces else np.zeros((1, 0), np.float32), rate, names, start)


def _planes(frame: av.AudioFrame) -> Samples:
    """Return the samples of a frame, channels x samples, full scale 1."""
    found = frame.to_ndarray()
    if not frame.format.is_planar:
        found = found.reshape(-1, frame.layout.nb_channels).T
    if np.issubdtype(found.dtype, np.integer):
        return (found / float(1 << (found.dtype.itemsize * 8 - 1))).astype(np.float32)
    return found.astype(np.float32)


def _by_ffmpeg(path: Path, number: int, channels: int) -> Samples:
    command = [binary.find(), "-nostdin", "-loglevel", "error", "-i", str(path), "-map", f"0:a:{number}"]
    raw = subprocess.run([*command, "-f", "f32le", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, channels).T


def packets(path: Path) -> tuple[int, float]:
    """Return the number of packets of the video of a file, and the presentation time at which the last one ends."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = [packet for packet in container.demux(stream) if packet.pts is not None]
        end = max((packet.pts or 0) + (packet.duration or 0) for packet in found)
        return len(found), float(end * (stream.time_base or 0))


def has(path: Path, kind: str) -> int:
    """Return the number of streams of a kind."""
    with av.open(str(path)) as container:
        return sum(stream.type == kind for stream in container.streams)


def loudness(path: Path) -> tuple[float, float]:
    """Return the integrated loudness in LUFS and the true peak in dBFS (ffmpeg's ebur128 filter)."""
    command = [binary.find(), "-nostdin", "-hide_banner", "-i", str(path), "-af", "ebur128=peak=true:framelog=quiet"]
    summary = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    return (
        float(re.findall(r"I:\s+(-?[\d.]+|-inf) LUFS", summary)[-1]),
        float(re.findall(r"Peak:\s+(-?[\d.]+|-inf) dBFS", summary)[-1]),
    )


class Box(NamedTuple):
    """An MP4 box."""

    path: str
    """Types from the top: "moov/trak/tkhd"."""
    body: bytes


def boxes(data: bytes, above: str = "") -> Iterator[Box]:
    """Walk over all boxes of an MP4 file."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        size = size or len(data) - at
        if size < head:
            return
        name = above + kind.decode("latin-1")
        body = data[at + head : at + size]
        yield Box(name, body)
        if kind in CONTAINERS:
            yield from boxes(body, name + "/")
        at += size


class Headers(NamedTuple):
    """Durations in the headers of the video track of an MP4 file, in seconds, without an empty edit before it."""

    mvhd: float
    tkhd: float
    mdhd: float
    elst: float
    stts: float
    """Sum of the durations of all samples."""

    @property
    def spread(self) -> float:
        """Return the largest difference between any two, in seconds."""
        return max(self) - min(self)


def headers(path: Path) -> Headers:
    """Read the durations of the video track of an MP4 file that is not fragmented."""
    found = list(boxes(path.read_bytes()))
    movie = next(box.body for box in found if box.path == "moov/mvhd")
    scale, total = _scaled(movie)
    track: dict[str, bytes] = {}
    for box in found:
        if box.path == "moov/trak":
            track = {}
        track[box.path.rpartition("/")[2]] = box.body
        if box.path == "moov/trak/mdia/hdlr" and box.body[8:12] == b"vide":
            break
    index = [box for box in found if box.path.startswith("moov/trak")]
    first = next(n for n, box in enumerate(index) if box.path == "moov/trak/mdia/hdlr" and box.body[8:12] == b"vide")
    stts = next(box.body for box in index[first:] if box.path.endswith("stts"))
    count = struct.unpack_from(">I", stts, 4)[0]
    ticks = sum(n * each for n, each in struct.iter_unpack(">II", stts[8 : 8 + 8 * count]))
    media_scale, media = _scaled(track["mdhd"])
    long = track["tkhd"][0] == 1
    shown = struct.unpack_from(">Q" if long else ">I", track["tkhd"], 28 if long else 20)[0]
    empty, edits = _edits(track["elst"]) if "elst" in track else (0, shown)
    return Headers(
        (total - empty) / scale, (shown - empty) / scale, media / media_scale, edits / scale, ticks / media_scale
    )


def _scaled(body: bytes) -> tuple[int, int]:
    """Return time scale and duration of an mvhd or mdhd."""
    if body[0] == 1:
        scale, duration = struct.unpack_from(">IQ", body, 20)
    else:
        scale, duration = struct.unpack_from(">II", body, 12)
    return scale, duration


def _edits(body: bytes) -> tuple[int, int]:
    """Return the sums of the durations of empty edits and of the others, in units of the movie."""
    count = struct.unpack_from(">I", body, 4)[0]
    form = ">QqI" if body[0] == 1 else ">IiI"
    edits = list(struct.iter_unpack(form, body[8 : 8 + struct.calcsize(form) * count]))
    return sum(length for length, at, _ in edits if at < 0), sum(length for length, at, _ in edits if at >= 0)


def picture(path: Path) -> Pixels:
    """Return the RGBA pixels of an image, height x width x 4."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


def bounds(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return left, top, width and height of what is true in a mask; zeros if nothing is."""
    rows, columns = np.where(mask)
    if not rows.size:
        return 0, 0, 0, 0
    return int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def difference(one: Pixels, other: Pixels) -> float:
    """Return the mean absolute difference of two images of one size, 0 to 255; 255 if the sizes differ."""
    if one.shape != other.shape:
        return 255.0
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


class Playlist(NamedTuple):
    """A media playlist of HLS."""

    target: int
    """EXT-X-TARGETDURATION, in seconds."""
    segments: list[float]
    """Duration of each segment, in seconds."""


def playlist(path: Path) -> Playlist:
    """Read a media playlist."""
    text = path.read_text()
    target = re.search(r"#EXT-X-TARGETDURATION:(\d+)", text)
    assert target
    return Playlist(int(target[1]), [float(found) for found in re.findall(r"#EXTINF:([\d.]+)", text)])


def cues(path: Path) -> list[tuple[float, str]]:
    """Return start in seconds and text of each cue of a WebVTT file."""
    found = []
    for block in path.read_text().split("\n\n"):
        if match := re.search(r"(?:(\d+):)?(\d+):([\d.]+) -->[^\n]*\n(.*)", block, re.DOTALL):
            found.append((int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3]), match[4].strip()))
    return found
