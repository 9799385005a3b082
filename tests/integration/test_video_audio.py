"""The audio of videos: every stream whole, from 0, in its own file; mixed down without clipping; damage is reported."""

from __future__ import annotations

import math
import os
import subprocess
from array import array
from itertools import pairwise
from pathlib import Path

import av
import msgspec
import pytest
from support.films import inspected, make

from mediactl.media.audio import mixdown
from mediactl.media.audio.mixdown import AudioRequest
from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import streams
from mediactl.model.assets import Target
from mediactl.model.media import Limits
from mediactl.outputs.hls import AudioTrackParams
from mediactl.outputs.video import VideoParams

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=2")


def encoded(path: Path, *wanted: AudioRequest) -> tuple[list[Path], list[str]]:
    """The sounds of a film, and the warnings about them."""
    folder = path.parent / f"out of {path.name}"
    folder.mkdir()
    places = {each: os.fsencode(folder / f".mediactl-{number}.m4a") for number, each in enumerate(wanted)}
    with path.open("rb") as file:
        found = streams.inspect(file.fileno(), path.suffix[1:], Limits())
        complaints = mixdown.encode_audio(
            file.fileno(),
            found,
            wanted,
            places,
            threads=1,
            limits=Limits(),
            folder=os.fsencode(folder),
            report=lambda _: None,
        )
        warnings = mixdown.checked(found, wanted, places, Limits(), complaints, file.fileno())
    assert len(list(folder.iterdir())) == len(wanted)
    return [Path(os.fsdecode(place)) for place in places.values()], warnings


def samples(path: Path, rate: int = 48_000) -> list[array[float]]:
    """What players hear: each channel's samples, by ffmpeg, so that edit lists are followed."""
    with av.open(str(path)) as container:
        channels = container.streams.audio[0].codec_context.channels
    command = [binary.find(), "-v", "error", "-i", str(path), "-map", "0:a:0", "-ar", str(rate), "-f", "f32le", "-"]
    whole = array("f", subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return [whole[channel::channels] for channel in range(channels)]


def level(part: array[float]) -> float:
    """Root mean square."""
    return math.sqrt(sum(value * value for value in part) / max(1, len(part)))


def test_every_track_becomes_a_file_of_its_own_with_its_language(tmp_path: Path) -> None:
    film = make(
        tmp_path / "a.mkv",
        *PICTURE,
        *("-f", "lavfi", "-i", "sine=440:d=2:r=48000", "-f", "lavfi", "-i", "sine=1760:d=2:r=44100"),
        *("-map", "0", "-map", "1", "-map", "2", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"),
        *("-c:v", "libx264", "-c:a", "libvorbis", "-ac", "2"),
    )
    files, warnings = encoded(film, AudioRequest(0, 96, 2), AudioRequest(1, 96, 2), AudioRequest(1, 64, 1))
    assert warnings == []
    assert [inspected(file).info.audio[0].language for file in files] == ["eng", "deu", "deu"]
    assert [len(samples(file)) for file in files] == [2, 2, 1]
    for file, frequency in zip(files, (440, 1760, 1760), strict=True):
        channel = samples(file)[0]
        assert len(channel) / 48_000 == pytest.approx(2.0, abs=0.025)
        crossings = sum(before < 0 <= after for before, after in pairwise(channel))
        assert crossings / 2 == pytest.approx(frequency, rel=0.02)


def test_a_click_stays_at_its_time(tmp_path: Path) -> None:
    click = "aevalsrc=if(between(t\\,1\\,1.002)\\,0.9\\,0):d=2:s=48000"
    film = make(tmp_path / "a.mkv", *PICTURE, "-f", "lavfi", "-i", click, "-c:v", "libx264", "-c:a", "flac")
    (file,), _ = encoded(film, AudioRequest(0, 128, 1))
    channel = samples(file)[0]
    loudest = max(range(len(channel)), key=lambda place: abs(channel[place]))
    assert loudest / 48_000 == pytest.approx(1.001, abs=0.003)


def test_a_sound_that_begins_late_and_ends_early_is_silence_there(tmp_path: Path) -> None:
    film = make(
        tmp_path / "a.mkv",
        *PICTURE,
        *("-itsoffset", "0.5", "-f", "lavfi", "-i", "sine=440:d=0.7:r=48000", "-c:v", "libx264", "-c:a", "flac"),
    )
    (file,), warnings = encoded(film, AudioRequest(0, 128, 1))
    channel = samples(file)[0]
    assert warnings == []
    assert len(channel) / 48_000 == pytest.approx(2.0, abs=0.025)
    assert level(channel[: int(0.45 * 48_000)]) < 1e-4
    assert level(channel[int(0.55 * 48_000) : int(1.15 * 48_000)]) == pytest.approx(0.088, rel=0.05)
    assert level(channel[int(1.3 * 48_000) :]) < 1e-4


def test_six_channels_are_mixed_down_without_clipping(tmp_path: Path) -> None:
    film = make(
        tmp_path / "a.mkv",
        *PICTURE,
        *(
            "-f",
            "lavfi",
            "-i",
            "aevalsrc='0.9*sin(880*PI*t)|0|0.9*sin(880*PI*t)|0|0.9*sin(880*PI*t)|0:c=5.1:d=2:s=48000'",
        ),
        *("-c:v", "libx264", "-c:a", "pcm_f32le"),
    )
    (file,), _ = encoded(film, AudioRequest(0, 192, 2))
    # Without the ends, where a sound that begins at once makes every lossy encoder overshoot.
    left, right = (channel[9_600:-9_600] for channel in samples(file))
    assert max(abs(value) for value in left) < 0.95
    # Left, centre and surround add up to 0.9 at the left; at the right the centre alone is heard.
    assert level(left) == pytest.approx(0.9 * math.sqrt(0.5), rel=0.03)
    assert level(right) / level(left) == pytest.approx(0.7071 / (1 + 2 * 0.7071), rel=0.05)


@pytest.mark.parametrize("whole", [1.0, 3.0])
def test_a_sound_that_breaks_off_is_silent_from_there_on_and_told(whole: float, tmp_path: Path) -> None:
    film = make(
        tmp_path / "a.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=6", "-f", "lavfi", "-i", "sine=440:d=6:r=44100"),
        *("-c:v", "libx264", "-c:a", "libmp3lame", "-movflags", "+faststart"),
    )
    content = bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        for packet in container.demux(audio=0):
            if packet.pts and packet.pos and packet.time_base and float(packet.pts * packet.time_base) > whole:
                content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    film.write_bytes(content)
    (file,), warnings = encoded(film, AudioRequest(0, 96, 1))
    assert any(f"the audio is broken after {whole:.0f}." in warning for warning in warnings), warnings
    channel = samples(file)[0]
    assert len(channel) / 48_000 == pytest.approx(6.0, abs=0.03)
    assert level(channel[: int((whole - 0.1) * 48_000)]) > 0.05
    assert level(channel[4 * 48_000 :]) < 1e-3


@pytest.mark.parametrize("late", [0.0, 0.4])
def test_a_sound_that_changes_its_channels_stays_in_time(late: float, tmp_path: Path) -> None:
    parts = []
    for number, (tone, rate, channels) in enumerate([(440, 48_000, "2"), (880, 44_100, "1")]):
        picture = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=3", "-itsoffset", str(0 if number else late))
        sound = ("-f", "lavfi", "-i", f"sine={tone}:d={3 if number else 3 - late}:r={rate}")
        place = ("-output_ts_offset", str(3 * number))
        parts.append(
            make(tmp_path / f"{number}.ts", *picture, *sound, "-c:v", "libx264", "-c:a", "mp2", "-ac", channels, *place)
        )
    film = tmp_path / "a.ts"
    film.write_bytes(b"".join(part.read_bytes() for part in parts))
    files, warnings = encoded(film, AudioRequest(0, 128, 2), AudioRequest(0, 64, 1))
    assert "the audio changes its channels or its sample rate: it was made uniform" in warnings
    for file in files:
        channel = samples(file)[0]
        assert len(channel) / 48_000 == pytest.approx(6.0, abs=0.15)
        for first, frequency in ((0.6, 440), (2.0, 440), (3.5, 880), (5.0, 880)):
            part = channel[int(first * 48_000) : int((first + 0.5) * 48_000)]
            assert sum(before < 0 <= after for before, after in pairwise(part)) * 2 == pytest.approx(frequency, abs=6)
        if late:
            assert level(channel[: int(0.25 * 48_000)]) < 1e-3


def test_targets_that_hold_the_same_sound_share_it(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", *PICTURE, "-f", "lavfi", "-i", "sine=440:d=2", "-ac", "2", "-c:v", "libx264")
    found = inspected(film)
    params = VideoParams(
        codec="h264", width=64, height=64, crf=23, preset="veryfast", encoder="software", maxrate=500, hdr=False,
        gop=2.0, piece=0, sound=True, audio_bitrate=128,
    )  # fmt: skip
    mp4 = Target("a.mp4", "rendition", params, "1")
    track = Target("b.mp4", "sound", AudioTrackParams(0, 128, 2, 6.0), "2")
    silent = Target("c.mp4", "rendition", msgspec.structs.replace(params, sound=False), "3")
    assert mixdown.requests(found, [mp4, track, silent]) == (AudioRequest(0, 128, 2),)


def test_real_films_keep_every_sound(corpus: Path, tmp_path: Path) -> None:
    told = {}
    for path in sorted((corpus / "videos").iterdir()):
        found = inspected(path)
        copy = tmp_path / path.name
        copy.symlink_to(path)
        if not found.audios or found.info.duration is None or found.info.duration > 60:
            continue
        (file,), warnings = encoded(
            copy, AudioRequest(found.audios[0].ordinal, 128, min(2, found.info.audio[0].channels))
        )
        assert found.video
        end = max(found.audios[0].end, found.video.end)
        rate = inspected(file).info.audio[0].sample_rate
        assert len(samples(file, rate)[0]) / rate == pytest.approx(end, abs=0.03), path.name
        told[path.name] = warnings
    for name in ("cockatoo.mp4", "flower.mp4"):
        assert told.pop(name) == ["the audio is silent throughout"]
    assert {name: [each for each in several if "full scale" not in each] for name, several in told.items()} == {
        name: [] for name in told
    }
