"""Gaps and overlaps of audio time stamps: filled with silence or cut off, never played slower or faster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import tones
from support.films import inspected, make

from mediactl.media.audio import mixdown
from mediactl.media.audio.mixdown import AudioRequest
from mediactl.media.inspect import streams
from mediactl.model.media import Limits

VIDEO = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=8")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
SHIFTS = [(1.2, 0.008), (2.7, 0.058), (4.2, -0.015), (5.7, 0.13), (6.8, -0.011)]
"""(second of the source, by how many seconds what follows is late)"""


def encoded(path: Path) -> tuple[Path, list[str]]:
    """Return the audio of a video as it is muxed into its renditions, and the warnings about it."""
    target = path.with_suffix(".out.m4a")
    with path.open("rb") as file:
        found = streams.inspect(file.fileno(), path.suffix[1:], Limits())
        assert found.audio
        request = AudioRequest(found.audio.ordinal, 128, 1)
        paths = {request: os.fsencode(target)}
        mixdown.encode_audio(
            file.fileno(), found, [request], paths, threads=1, limits=Limits(), folder=os.fsencode(path.parent),
            report=lambda _: None,
        )  # fmt: skip
        warnings = mixdown.checked(found, [request], paths, Limits())
    return target, warnings


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mkv", "aac"), ("mp4", "aac"), ("ts", "mp2"), ("mkv", "libopus"), ("mkv", "pcm_s16le")]
)
def test_every_click_stays_at_its_time_and_the_tone_at_its_pitch(suffix: str, codec: str, tmp_path: Path) -> None:
    audio = ("-f", "lavfi", "-i", tones.CLICKS.format(seconds=8), "-c:a", codec, "-ac", "1")
    whole = make(tmp_path / f"whole.{suffix}", *VIDEO, *audio, *H264)
    source = tones.shifted(whole, tmp_path / f"a.{suffix}", SHIFTS)
    assert inspected(whole).info.audio[0].gap_threshold == 0.0
    assert inspected(source).info.audio[0].gap_threshold == 0.005
    made, warnings = encoded(source)
    found = tones.samples(made)
    # Where the clicks of the whole file are, which may begin late, after the encoder's priming.
    offsets = [sum(by for since, by in SHIFTS if number + 0.5 >= since) for number in range(8)]
    expected = [click + offset for click, offset in zip(tones.clicks(tones.samples(whole)), offsets, strict=True)]
    assert tones.clicks(found) == pytest.approx(expected, abs=0.005)
    for second in (0.6, 1.6, 2.8, 3.6, 4.5, 5.9, 7.0):
        assert tones.tone(found, second, second + 0.7) == pytest.approx(660, abs=1), second
    assert warnings == []


@pytest.mark.parametrize("jitter", [0.004, 0.008, 0.02])
def test_jitter_is_neither_filled_nor_cut_off(jitter: float, tmp_path: Path) -> None:
    audio = ("-f", "lavfi", "-i", "sine=660:d=6:r=48000", "-c:a", "aac", "-b:a", "128k")
    whole = make(tmp_path / "whole.mkv", *audio)
    # Every fifth packet is late, or early.
    shifts = [(5 * number * 0.0213, jitter * (-1) ** number) for number in range(3, 55)]
    source = tones.shifted(whole, tmp_path / "a.mkv", [*shifts, *((at + 0.0214, -by) for at, by in shifts)])
    threshold = inspected(source).info.audio[0].gap_threshold
    assert 2 * jitter < threshold < 0.1 or (jitter < 0.005 and threshold in (0.0, pytest.approx(0.01, abs=0.002)))
    made, _ = encoded(source)
    found = tones.samples(made)
    for second in range(1, 6):
        # A click in a tone has all frequencies: what is beside the tone stays quiet.
        assert tones.tone(found, second, second + 0.9) == pytest.approx(660, abs=0.5)
        assert tones.beside(found, 660, second + 0.1, second + 0.85) < -40


def test_vorbis_whose_stamps_waver_at_its_block_changes_is_left_alone(tmp_path: Path) -> None:
    audio = ("-f", "lavfi", "-i", tones.CLICKS.format(seconds=6), "-c:a", "libvorbis", "-q:a", "8")
    source = make(tmp_path / "a.ogg", *audio)
    made, _ = encoded(source)
    found = tones.samples(made)
    assert tones.clicks(found) == pytest.approx([number + 0.5 for number in range(6)], abs=0.003)
    for second in range(5):
        assert tones.beside(found, 660, second + 0.6, second + 1.4) < -40


@pytest.mark.parametrize("frames", ["2", "0"])
def test_the_priming_of_an_encoder_is_no_sound_at_the_start(frames: str, tmp_path: Path) -> None:
    # Without an edit list, the first packet is at 0, and a gap comes behind it: as long as B-frames reorder.
    audio = ("-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,1),0.05),0.5*sin(2*PI*1000*t),0)':s=48000:d=4")
    fragments = ("-movflags", "+empty_moov+frag_keyframe+default_base_moof", "-bf", frames)
    source = make(tmp_path / "a.mp4", *VIDEO, *audio, *H264, *fragments, "-c:a", "aac", "-b:a", "128k")
    info = inspected(source).info
    first = info.audio[0].first_gap
    assert first == pytest.approx(0.1787 if frames == "2" else 0.0, abs=0.001)
    assert info.video and info.video.start == pytest.approx(0.2 if first else 0.0, abs=0.01)
    made, _ = encoded(source)
    starts = tones.clicks(tones.samples(made), 0.05)
    assert starts == pytest.approx([info.video.start + number for number in range(4)], abs=0.03)
