"""Peaks of recordings: as many points as asked for, the right heights at the right times, JSON and PNG."""

from __future__ import annotations

import json
import wave
from array import array
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.films import make
from test_audio import render
from test_audio import target as sound_target

from mediactl.model.assets import Target
from mediactl.outputs.waveform import WaveformParams


def target(format: str, points: int, height: int = 0) -> Target[WaveformParams]:
    return Target(f"peaks.{format}", "waveform", WaveformParams(format, points, height or None), format)


def peaks(path: Path, points: int) -> dict[str, Any]:
    """The JSON of a recording."""
    made = render(path, target("json", points))
    assert [draft.media_type for draft in made.drafts.files] == ["application/json"]
    found: dict[str, Any] = json.loads(made.files[0].read_bytes())
    return found


def test_json_is_in_audiowaveforms_format(tmp_path: Path) -> None:
    found = peaks(make(tmp_path / "a.wav", "-f", "lavfi", "-i", "sine=440:d=2:r=44100"), 100)
    assert {**found, "data": []} == {
        "version": 2,
        "channels": 1,
        "sample_rate": 44_100,
        "samples_per_pixel": 882,
        "bits": 8,
        "length": 100,
        "data": [],
    }
    # A sine at an eighth of full scale.
    assert len(found["data"]) == 200
    assert set(found["data"][::2]) <= {-15, -16}
    assert set(found["data"][1::2]) <= {15, 16}


def test_peaks_are_those_that_are_found_sample_by_sample(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "anoisesrc=d=1:r=8000:c=pink:seed=7", "-ac", "1")
    with wave.open(str(source)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    found = peaks(source, 50)
    size = found["samples_per_pixel"]
    parts = [samples[first : first + size] for first in range(0, len(samples), size)]
    assert found["data"] == [int(value / 256) for part in parts for value in (min(part), max(part))]


def test_parts_longer_than_a_block_are_put_together(tmp_path: Path) -> None:
    # 20 s in 10 points: 2 s or 88,200 samples each, more than ffmpeg is given at once. One click in the seventh part.
    sound = "aevalsrc='if(between(t,13,13.01),-0.5,0)':d=20:s=44100"
    found = peaks(make(tmp_path / "a.wav", "-f", "lavfi", "-i", sound), 10)
    assert found["length"] == 10
    assert found["samples_per_pixel"] == 88_200
    assert found["data"] == [0] * 12 + [-64, 0] + [0] * 6


def test_channels_are_mixed(tmp_path: Path) -> None:
    left_only = "aevalsrc='0.5*sin(880*PI*t)|0:c=stereo:d=1:s=48000'"
    found = peaks(make(tmp_path / "a.wav", "-f", "lavfi", "-i", left_only), 20)
    assert max(found["data"]) == pytest.approx(32, abs=1)


def test_a_clip_of_fewer_samples_than_points_is_drawn_all_the_same(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "sine=440:d=0.01:r=8000")
    made = render(source, target("json", 1_000), target("png", 1_000, 50))
    assert json.loads(made.files[0].read_bytes())["length"] == 80
    with Image.open(made.files[1]) as picture:
        assert picture.size == (1_000, 50)


def test_a_png_shows_sound_where_it_is_and_a_line_where_it_is_not(tmp_path: Path) -> None:
    sound = "aevalsrc='if(lt(t,1),0.9*sin(880*PI*t),0)':d=2:s=48000"
    made = render(make(tmp_path / "a.wav", "-f", "lavfi", "-i", sound), target("png", 200, 61))
    (draft,) = made.drafts.files
    assert (draft.media_type, draft.width, draft.height) == ("image/png", 200, 61)
    with Image.open(made.files[0]) as picture:
        assert picture.mode == "RGBA"
        alpha = picture.getchannel("A")
        heights = [sum(alpha.getpixel((x, y)) == 255 for y in range(61)) for x in range(200)]
        assert all(alpha.getpixel((x, 30)) == 255 for x in range(200))
    assert all(50 <= height <= 57 for height in heights[:98])
    assert set(heights[102:]) == {1}


def test_sound_files_and_waveforms_come_out_of_one_run(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "sine=440:d=1.5:r=44100")
    folder = tmp_path / "out"
    made = render(source, target("json", 100), sound_target("m4a", 1), target("png", 100, 20), folder=folder)
    assert [draft.target.role for draft in made.drafts.files] == ["waveform", "audio", "waveform"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(file.name for file in made.files)


def test_equal_work_gives_equal_bytes(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp3", "-f", "lavfi", "-i", "anoisesrc=d=1:seed=3")
    both = target("json", 100), target("png", 100, 20)
    first, second = render(source, *both, folder=tmp_path / "1"), render(source, *both, folder=tmp_path / "2")
    assert [file.read_bytes() for file in first.files] == [file.read_bytes() for file in second.files]


def test_real_recordings_have_peaks(corpus: Path, tmp_path: Path) -> None:
    for path in sorted((corpus / "audio").iterdir()):
        made = render(path, target("json", 500), target("png", 500, 64), folder=tmp_path / path.name)
        found = json.loads(made.files[0].read_bytes())
        assert 450 <= found["length"] <= 500, path.name
        length = found["length"] * found["samples_per_pixel"] / found["sample_rate"]
        assert length == pytest.approx(made.info.duration, abs=0.05), path.name
