"""Floating-point audio with samples beyond full scale, or with what is no number at all."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.films import make
from test_audio import render
from test_loudness import measured, target

from mediactl.media.audio import loudness
from mediactl.media.ffmpeg import binary

RATE = 48_000


def floats(path: Path, samples: np.ndarray, codec: str = "pcm_f32le") -> Path:
    """A file of one channel, by ffmpeg from raw samples."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(samples.astype("<f8").tobytes())
    return make(path, "-f", "f64le", "-ar", str(RATE), "-ac", "1", "-i", str(raw), "-c:a", codec)


def decoded(path: Path) -> np.ndarray:
    command = [binary.find(), "-v", "error", "-i", str(path), "-f", "f32le", "-ar", str(RATE), "-"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return np.frombuffer(done.stdout, np.float32)


def tone(seconds: float, level: float, frequency: float = 440) -> np.ndarray:
    """A sine, rising and falling, which has a loudness range."""
    at = np.arange(round(seconds * RATE)) / RATE
    return level * (0.6 + 0.4 * np.sin(2 * np.pi * at / 3)) * np.sin(2 * np.pi * frequency * at)


@pytest.mark.parametrize(("name", "level"), [("a.wav", 5.6), ("b.caf", 30.0), ("c.wav", 32_767.0), ("d.au", 2e6)])
def test_any_level_reaches_the_target(name: str, level: float, tmp_path: Path) -> None:
    codec = "pcm_f32be" if name.endswith("au") else "pcm_f32le"
    source = floats(tmp_path / name, tone(6, level), codec)
    made = render(source, target("m4a", -16.0, 1), target("opus", -16.0, 1))
    for file in made.files:
        found = measured(file)
        assert found.integrated == pytest.approx(-16.0, abs=1.0)
        assert found.peak <= loudness.PEAK + 1.0
    assert not any("louder" in each or "quieter" in each for each in made.drafts.warnings)
    assert not any("full scale" in each for each in made.drafts.warnings)
    loud = render(source, target("m4a", -16.0, 1), target("opus", None, 1)).drafts.warnings
    assert any("exceeds full scale" in each and "its level is kept" in each for each in loud)


@pytest.mark.parametrize(
    ("name", "codec", "bad"),
    [
        ("a.wav", "pcm_f32le", [math.nan, math.inf]),
        ("b.caf", "pcm_f64le", [-math.inf, math.nan, math.nan]),
        ("c.aiff", "pcm_f32be", [1e30, math.nan]),
        ("d.mka", "pcm_f32le", [math.inf] * 7),
    ],
)
def test_what_is_no_number_is_silent_and_reported(name: str, codec: str, bad: list[float], tmp_path: Path) -> None:
    samples = tone(5, 0.3)
    samples[2 * RATE : 2 * RATE + len(bad)] = bad
    source = floats(tmp_path / name, samples, codec)
    made = render(source, target("m4a", -20.0, 1), target("opus", None, 1))
    count = sum(not math.isfinite(each) for each in bad)
    beyond = "the audio has samples beyond measure, up to 600 dB over full scale: they are silent"
    assert made.drafts.warnings == (
        f"the audio has {count} samples that are not finite numbers: they are silent",
        *([beyond] if 1e30 in bad else []),
    )
    for file in made.files:
        found = decoded(file)
        assert len(found) / RATE == pytest.approx(5.0, abs=0.05)
        for second in range(5):
            part = found[second * RATE + RATE // 4 : second * RATE + 3 * RATE // 4]
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
            assert spectrum.argmax() * RATE / len(part) == pytest.approx(440, abs=3)
    assert measured(made.files[0]).integrated == pytest.approx(-20.0, abs=1.0)


def test_one_loud_moment_does_not_set_the_loudness_of_the_rest(tmp_path: Path) -> None:
    samples = np.concatenate([tone(1, 300), tone(11, 0.1)])
    made = render(floats(tmp_path / "a.wav", samples), target("m4a", -16.0, 1))
    told = " ".join(made.drafts.warnings)
    found = measured(made.files[0])
    assert abs(found.integrated + 16) <= 1.5 or "than requested" in told
    assert found.peak <= loudness.PEAK + 1.5


@pytest.mark.parametrize("samples", [[0.5], [math.nan], [0.1] * 100])
def test_a_few_samples_are_done(samples: list[float], tmp_path: Path) -> None:
    made = render(floats(tmp_path / "a.wav", np.array(samples)), target("m4a", -16.0, 1), target("opus", -16.0, 1))
    assert all(np.isfinite(decoded(file)).all() for file in made.files)


@pytest.mark.parametrize(("name", "level"), [("a.wav", 1e30), ("b.caf", 1e12)])
def test_what_is_beyond_measure_is_reported_and_not_called_silent(name: str, level: float, tmp_path: Path) -> None:
    source = floats(tmp_path / name, tone(2, level), "pcm_f64le")
    made = render(source, target("m4a", None, 1))
    peak = round(20 * math.log10(level))
    (warning,) = made.drafts.warnings
    assert re.fullmatch(rf"the audio has samples beyond measure, up to {peak}.*: they are silent", warning)
    assert len(decoded(made.files[0])) / RATE == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("level", [1e8, 9e8])
@pytest.mark.parametrize("few", [True, False])
def test_aac_is_encoded_whatever_the_samples_are(level: float, few: bool, tmp_path: Path) -> None:
    samples = tone(2, 0.3) if few else tone(2, level)
    samples[RATE : RATE + 100] = level
    found = decoded(render(floats(tmp_path / "a.wav", samples), target("m4a", None, 1)).files[0])
    assert found.size >= 2 * RATE
    assert np.abs(found).max() < 1 << 18
    if few:
        assert np.abs(found[: RATE // 2]).max() < 0.35
