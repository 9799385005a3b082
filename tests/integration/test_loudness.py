"""Recordings brought to a loudness: by one gain where that can be, dynamically where it cannot, and told which."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import pytest
from support.films import make
from test_audio import render
from test_video_audio import samples

from mediactl.core.errors import JobFailed
from mediactl.media.audio import loudness
from mediactl.media.audio.loudness import Loudness
from mediactl.media.ffmpeg import binary
from mediactl.model.assets import Target
from mediactl.outputs.audio import AudioParams

NOISE = ("-f", "lavfi", "-i", "anoisesrc=d=6:r=48000:c=pink:a=0.1:seed=1")


def target(format: str, lufs: float | None, channels: int = 2, name: str = "audio") -> Target[AudioParams]:
    params = AudioParams(format, 192, channels, cover=False, loudness=lufs)
    return Target(f"{name}.{format}", "audio", params, f"{name}{format}")


def measured(path: Path) -> Loudness:
    """By ffmpeg's ebur128, of the finished file."""
    command = [binary.find(), "-hide_banner", "-nostats", "-i", str(path), "-map", "0:a"]
    command += ["-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return loudness.parsed(done.stderr.decode())


def test_both_formats_reach_the_target_with_one_gain(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", *NOISE, "-ac", "2")
    made = render(source, target("m4a", -23.0), target("opus", -23.0))
    assert made.drafts.warnings == ()
    for file in made.files:
        assert measured(file).integrated == pytest.approx(-23.0, abs=0.5)
        assert measured(file).range == pytest.approx(measured(source).range, abs=0.5)


def test_two_targets_may_want_different_loudness(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", *NOISE, "-ac", "2")
    made = render(
        source, target("m4a", -30.0, 2, "quiet"), target("m4a", None, 2, "same"), target("m4a", -20.0, 1, "one")
    )
    assert measured(made.files[0]).integrated == pytest.approx(-30.0, abs=0.5)
    assert measured(made.files[2]).integrated == pytest.approx(-20.0, abs=0.5)
    assert measured(made.files[1]).integrated == pytest.approx(measured(source).integrated, abs=0.5)


CLICKS = "aevalsrc='{level}*sin(880*PI*t)+if(lt(mod(t,1),0.002),{click},0)':d=8:s=48000:c=mono"


def test_peaks_without_room_are_limited_and_told(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", CLICKS.format(level=0.2, click=0.3))
    before = measured(source)
    made = render(source, target("m4a", -12.0, 1), target("opus", -12.0, 1))
    (warning,) = made.drafts.warnings
    assert warning.startswith("the audio has peaks without headroom for ")
    for draft, file in zip(made.drafts.files, made.files, strict=True):
        assert before.integrated + 2 < measured(file).integrated == pytest.approx(-12.0, abs=0.5)
        assert measured(file).peak == pytest.approx(loudness.PEAK, abs=1.0)
        assert draft.duration == pytest.approx(8.0, abs=0.02)


def test_what_is_little_but_peaks_stays_quieter_and_that_is_told(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", CLICKS.format(level=0.01, click=0.9))
    made = render(source, target("m4a", -10.0, 1))
    assert len(made.drafts.warnings) == 2
    assert "LU quieter than requested" in made.drafts.warnings[1]


def test_limiting_moves_nothing(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", CLICKS.format(level=0.2, click=0.3))
    channels = [samples(file)[0] for file in (source, *render(source, target("m4a", -12.0, 1)).files)]
    # Where in each second the click is loudest.
    for channel in channels:
        part = channel[3 * 48_000 - 4_800 : 3 * 48_000 + 4_800]
        loudest = max(range(len(part)), key=lambda place: abs(part[place]))
        assert 4_700 <= loudest <= 4_950


@pytest.mark.parametrize("sound", ["anullsrc=d=4:r=48000", "sine=440:d=0.2:r=48000"])
def test_silence_and_snippets_are_left_as_they_are(sound: str, tmp_path: Path) -> None:
    made = render(
        make(tmp_path / "a.wav", "-f", "lavfi", "-i", sound), target("m4a", -16.0, 1), target("opus", -16.0, 1)
    )
    wanted = "the audio is silent, or too short or too quiet to be measured: its loudness is unchanged"
    assert wanted in made.drafts.warnings
    assert len(made.files) == 2


def test_real_music_reaches_the_target(corpus: Path, tmp_path: Path) -> None:
    made = render(corpus / "audio" / "kevin-macleod-vibe-ace.ogg", target("m4a", -20.0), folder=tmp_path)
    assert not any("loud" in warning for warning in made.drafts.warnings)
    assert measured(made.files[0]).integrated == pytest.approx(-20.0, abs=0.5)


@pytest.mark.parametrize(
    ("found", "target", "gain", "dynamic"),
    [
        (Loudness(-23.0, -33.0, 5.0, -10.0), -16.0, 7.0, False),
        (Loudness(-10.0, -20.0, 5.0, 1.0), -16.0, -6.0, False),
        (Loudness(-16.0, -26.0, 5.0, -3.0), -16.0, 0.0, False),
        (Loudness(-23.0, -33.0, 5.0, -8.0), -16.0, 7.0, True),
        (Loudness(-70.0, -70.0, 0.0, -math.inf), -16.0, 0.0, False),
        (Loudness(math.nan, -70.0, 0.0, -math.inf), -16.0, 0.0, False),
    ],
)
def test_one_gain_does_where_the_peaks_leave_room(found: Loudness, target: float, gain: float, dynamic: bool) -> None:
    how = loudness.change(found, target)
    assert (how.gain, how.dynamic) == (gain, dynamic)


def test_a_summary_that_is_not_there_is_told() -> None:
    with pytest.raises(JobFailed, match=re.escape("cannot be measured")):
        loudness.parsed("nothing of the kind")
