"""What is audible of an audio stream and when: tones, clicks and levels, of what ffmpeg decodes as players do."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from mediactl.media.ffmpeg import binary

RATE = 48_000
Samples = npt.NDArray[np.float32]

CLICKS = "aevalsrc='0.1*sin(2*PI*660*t)+if(between(mod(t,1),0.5,0.502),0.8,0)':s=48000:d={seconds}"
"""A tone of 660 Hz, with a click at 0.5 s of each second."""


def samples(path: Path) -> Samples:
    """Return the first audio stream, mixed to mono, from time 0 of the file on."""
    command = [binary.find(), "-v", "error", "-i", str(path), "-map", "0:a:0", "-af", "aresample=async=1:first_pts=0"]
    command += ["-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout, np.float32)


def tone(audio: Samples, begin: float, end: float) -> float:
    """Return the frequency in Hz of the loudest tone within these seconds, to a tenth."""
    part = audio[round(begin * RATE) : round(end * RATE)]
    points = 1 << 19
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)), points)))) * RATE / points


def level(audio: Samples, begin: float, end: float) -> float:
    """Return the root mean square within these seconds, in dBFS."""
    part = audio[round(begin * RATE) : round(end * RATE)].astype(np.float64)
    return float(20 * np.log10(max(1e-9, np.sqrt(np.mean(part**2)))))


def beside(audio: Samples, frequency: float, begin: float, end: float) -> float:
    """Return how loud the loudest 50 ms are without a tone, in dB relative to it: a cut in it is noise."""
    length = RATE // 20
    phase = 2 * np.pi * frequency * np.arange(length) / RATE
    waves = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    worst = 0.0
    for first in range(round(begin * RATE), round(end * RATE) - length, length):
        part = audio[first : first + length].astype(np.float64)
        rest = part - waves @ np.linalg.lstsq(waves, part, rcond=None)[0]
        worst = max(worst, float(np.sqrt(np.mean(rest**2))))
    return float(20 * np.log10(max(1e-9, worst))) - level(audio, begin, end)


def clicks(audio: Samples, loud: float = 0.4) -> list[float]:
    """Return the seconds at which something loud begins."""
    at = np.flatnonzero(np.abs(audio) > loud) / RATE
    return [float(each) for each, before in zip(at, [-1.0, *at], strict=False) if each - before > 0.3]


def shifted(source: Path, target: Path, shifts: list[tuple[float, float]], **options: Any) -> Path:
    """Copy a file by packets, the audio packets from each of these seconds on later by so many; earlier if negative."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
        streams = {stream.index: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is None or packet.pts is None or not packet.time_base:
                continue
            if packet.stream.type == "audio":
                second = float(packet.pts * packet.time_base) - (read.start_time or 0) / 1e6
                move = round(sum(by for since, by in shifts if second >= since) / float(packet.time_base))
                packet.pts, packet.dts = packet.pts + move, packet.dts + move
            packet.stream = streams[packet.stream.index]
            written.mux(packet)
    return target
