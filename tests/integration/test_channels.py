"""Channels of audio files: a tone in each, found again in the channel of its position."""

from __future__ import annotations

import json
import os
import subprocess
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.films import inspected, make
from test_audio import render

from mediactl.media.audio import mixdown
from mediactl.media.ffmpeg import binary
from mediactl.model import channels
from mediactl.model.assets import Target
from mediactl.model.media import AudioStream, Kind, Limits
from mediactl.outputs.audio import AudioParams
from mediactl.outputs.waveform import WaveformParams
from mediactl.planning import keys
from mediactl.recipe import loader

SAME = {"SL": "BL", "SR": "BR", "BL": "SL", "BR": "SR"}
RATE = 48_000


def tone(channel: int, name: str) -> int:
    """Frequency in a channel; the LFE has room for low ones alone."""
    return 60 if name.startswith("LFE") else 200 + 100 * channel


def source(path: Path, layout: str) -> Path:
    """A tone in each channel."""
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    tones = "|".join(f"0.4*sin({2 * tone(number, name)}*PI*t)" for number, name in enumerate(names))
    return make(path, "-f", "lavfi", "-i", f"aevalsrc='{tones}:c={layout}:d=0.6:s={RATE}'", "-c:a", "pcm_f32le")


def heard(path: Path, decoder: tuple[str, ...] = ()) -> dict[str, dict[int, float]]:
    """Channel -> its tones, and how high they are, from the middle of a file."""
    with av.open(str(path)) as container:
        layout = next(container.decode(audio=0)).layout
    command = [binary.find(), "-v", "error", *decoder, "-i", str(path), "-f", "f32le", "-ar", str(RATE), "-"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    samples = np.frombuffer(done.stdout, np.float32).reshape(-1, layout.nb_channels)
    assert np.abs(samples).max() <= 1.0
    middle = samples[RATE // 5 : RATE // 5 + RATE // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))[:, None], axis=0)) * 4 / len(middle)
    found: dict[str, dict[int, float]] = {}
    for number, channel in enumerate(layout.channels):
        levels = {each: float(spectrum[each * len(middle) // RATE, number]) for each in (60, *range(200, 2_700, 100))}
        found[channel.name] = {each: round(level, 2) for each, level in levels.items() if level > 0.01}
    return found


def target(path: Path, format_: str, most: int = 8) -> Target[AudioParams]:
    """What is planned for a file."""
    (stream,) = inspected(path).info.audio
    layout = channels.named(format_, stream, most)
    count = len(channels.LAYOUTS[format_][layout]) if layout else min(most, stream.channels)
    params = AudioParams(format_, 96 * count, count, cover=False, layout=layout)
    return Target(f"audio.{format_}", "audio", params, f"{format_}")


NAMED = ["4.0", "quad(side)", "5.0", "3.1.2", "hexagonal", "6.1(back)", "6.1(front)", "7.1(wide)", "octagonal"]
OTHERS = ["FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TFL", "TFR"]


def check(path: Path) -> None:
    """Render a file in both formats, all channels kept, and find each tone again."""
    (stream,) = inspected(path).info.audio
    made = render(path, target(path, "m4a"), target(path, "opus"))
    for format_, file in zip(("m4a", "opus"), made.files, strict=True):
        found = heard(file)
        fit = channels.kept(format_, stream)
        loudest = {max(tones, key=lambda each: tones[each]): name for name, tones in found.items() if tones}
        told = " ".join(made.drafts.warnings)
        for number, name in enumerate(stream.layout):
            if name in fit.mixed:
                assert f"{name} were mixed" in told or f"{name}, " in told
                assert any(tone(number, name) in tones for tones in found.values())
                continue
            there = loudest[tone(number, name)]
            assert there in (name, SAME.get(name)) or f"{name} is in {there}" in told
            assert fit.mixed or list(found[there]) == [tone(number, name)]
        assert fit.mixed or len(found) >= len(stream.layout)
        assert fit.mixed or len(found) == len(stream.layout) or "silent" in told


@pytest.mark.parametrize("layout", NAMED)
def test_each_channel_is_kept_at_its_position(layout: str, tmp_path: Path) -> None:
    check(source(tmp_path / "a.wav", layout))


@settings(max_examples=8, derandomize=True, deadline=None, phases=[Phase.generate])
@given(st.sets(st.sampled_from(OTHERS), min_size=1, max_size=6))
def test_any_set_of_channels_is_kept(others: set[str]) -> None:
    with TemporaryDirectory() as folder:
        check(source(Path(folder, "a.wav"), "+".join(["FL", "FR", *sorted(others, key=OTHERS.index)])))


@pytest.mark.parametrize("layout", ["cube", "7.1.4", "22.2"])
def test_what_no_layout_has_is_mixed_and_reported(layout: str, tmp_path: Path) -> None:
    check(source(tmp_path / "a.wav", layout))


@pytest.mark.parametrize("layout", ["5.0", "6.1", "5.1"])
def test_two_decoders_of_opus_agree(layout: str, tmp_path: Path) -> None:
    path = source(tmp_path / "a.wav", layout)
    made = render(path, target(path, "opus"))
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    for decoder in ((), ("-c:a", "libopus")):
        found = heard(made.files[0], decoder)
        assert {name: list(tones) for name, tones in found.items()} == {
            name: [tone(number, name)] for number, name in enumerate(names)
        }
    assert made.drafts.warnings == ()


@pytest.mark.parametrize("layout", ["cube", "7.1.4", "22.2", "9.1.6", "7.1(wide)"])
def test_no_channel_is_lost_in_stereo(layout: str, tmp_path: Path) -> None:
    path = source(tmp_path / "a.wav", layout)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    for file in render(path, target(path, "m4a", 2), target(path, "opus", 2)).files:
        found = heard(file)
        for number, name in enumerate(names):
            sides = {side for side in ("FL", "FR") if tone(number, name) in found[side]}
            left, right = "L" in name and "LFE" not in name, "R" in name
            assert sides == (set() if "LFE" in name else {"FL"} if left else {"FR"} if right else {"FL", "FR"}), name


@pytest.mark.parametrize("layout", ["BL+BR", "SL+SR", "FLC+FRC", "BL+BR+LFE", "BL+BR+SL+SR", "LFE+BC", "BC"])
def test_channels_without_a_front_are_heard(layout: str, tmp_path: Path) -> None:
    path = source(tmp_path / "a.wav", layout)
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    usual = tuple(target(path, format_, most) for format_ in ("m4a", "opus") for most in (2, 8))
    usual = tuple(
        Target(f"{number}{each.name}", "audio", each.params, f"{number}") for number, each in enumerate(usual)
    )
    for file in render(path, *usual, Target("w.json", "waveform", WaveformParams("json", 50), "w")).files[:-1]:
        found = heard(file)
        for number, name in enumerate(names):
            levels = [tones[tone(number, name)] for tones in found.values() if tone(number, name) in tones]
            assert max(levels, default=1.0 if name == "LFE" else 0.0) > 0.1, name


def test_ambisonic_audio_is_mixed_to_stereo(tmp_path: Path) -> None:
    """A source on the left has Y = W, one on the right -W, and one in front neither."""
    tones = "|".join(f"0.2*({left}*sin(400*PI*t)+{right}*sin(600*PI*t))" for left, right in ((1, 1), (1, -1), (0, 0)))
    signal = f"aevalsrc='{tones}|0':c=ambisonic 1:d=0.6:s={RATE}"
    path = make(tmp_path / "a.mka", "-f", "lavfi", "-i", signal, "-c:a", "libopus", "-mapping_family", "2")
    made = render(path, target(path, "m4a"))
    assert made.drafts.warnings == ("the audio is ambisonic: it was mixed to stereo",)
    assert {name: list(tones) for name, tones in heard(made.files[0]).items()} == {"FL": [200], "FR": [300]}


@pytest.mark.parametrize("layout", ["FL+FR+FC+LFE+BL+SR", "7.1.4", "5.1"])
def test_a_waveform_and_a_video_are_made_of_any_channels(layout: str, tmp_path: Path) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    path = source(tmp_path / "a.wav", layout)
    params = WaveformParams("json", 50)
    made = render(path, target(path, "m4a", 2), Target("w.json", "waveform", params, "w"))
    peaks = json.loads(made.files[1].read_bytes())["data"]
    assert min(map(abs, peaks[:80])) > 10
    film = make(tmp_path / "a.mov", "-f", "lavfi", "-i", "testsrc2=d=0.6:s=64x36:r=10", "-i", str(path), "-c:a", "copy")
    found = inspected(film)
    (wanted,) = requested = (mixdown.AudioRequest(0, 192, 2),)
    file = tmp_path / "track.m4a"
    with film.open("rb") as opened:
        mixdown.encode_audio(
            opened.fileno(), found, requested, {wanted: os.fsencode(file)}, threads=1, limits=Limits(),
            folder=os.fsencode(tmp_path), report=lambda _: None,
        )  # fmt: skip
    tones = {each for side in heard(file).values() for each in side}
    assert tones == {tone(number, name) for number, name in enumerate(names) if name != "LFE"}


def test_channels_are_those_of_the_stream_that_is_played(tmp_path: Path) -> None:
    surround = source(tmp_path / "a.wav", "5.1")
    one = ("-f", "lavfi", "-i", "sine=440:d=0.6:r=48000")
    marks = ("-map", "0", "-map", "1", "-c:a", "flac", "-disposition:a:0", "0", "-disposition:a:1", "default")
    info = inspected(make(tmp_path / "b.mka", *one, "-i", str(surround), *marks)).info
    assert info.default_audio == 1
    recipe = loader.parse('name = "r"\n[[audio]]\nname = "a"\nchannels = "keep"\n', "r.toml")
    (planned,) = keys.targets(recipe, Kind.AUDIO, info, "f" * 64, {"ffmpeg": "1"})
    made = render(tmp_path / "b.mka", planned)
    assert [list(tones) for tones in heard(made.files[0]).values()] == [[200], [300], [400], [60], [600], [700]]


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8])
def test_channels_without_positions_are_all_kept(count: int, tmp_path: Path) -> None:
    numbers = [60 if count > 5 and number == 3 else 200 + 100 * number for number in range(count)]  # The LFE of 5.1.
    samples = np.stack([0.4 * np.sin(2 * np.pi * each * np.arange(RATE // 2) / RATE) for each in numbers], axis=1)
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as written:
        written.setparams((count, 2, RATE, 0, "NONE", ""))
        written.writeframes((samples * 32_767).astype("<i2").tobytes())
    for file in render(path, target(path, "m4a"), target(path, "opus")).files:
        tones = [list(each) for each in heard(file).values()]
        assert sorted(tones) == sorted([each] for each in numbers)


@settings(derandomize=True, max_examples=300)
@given(st.sets(st.sampled_from([*sorted(channels._INTO), "FL", "FR"]), min_size=3), st.sampled_from(["m4a", "opus"]))
def test_no_channel_disappears(names: set[str], format_: str) -> None:
    layout = tuple(sorted(names))
    stream = AudioStream("flac", len(layout), RATE, layout=layout)
    fit = channels.kept(format_, stream)
    assert len(fit.gains) == len(channels.LAYOUTS[format_][fit.layout])
    assert all(sum(row) <= 1.0 + 1e-9 for row in fit.gains)
    for number, name in enumerate(layout):
        column = [row[number] for row in fit.gains if row[number]]
        assert column if name in fit.mixed else len(column) == 1
        alone = [row for row in fit.gains if row[number] and sum(map(bool, row)) == 1]
        assert name in fit.mixed or fit.mixed or alone
    told = " ".join(channels.remarks(format_, stream, fit))
    assert all(name in told for name in (*fit.mixed, *(here for here, _ in fit.moved)))
