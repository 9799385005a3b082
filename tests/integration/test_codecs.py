"""Which encoder is taken, and the CRF that a quality needs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.films import make
from test_encoding import LIMITS, encoded, inspected, moving

from mediactl.media.ffmpeg import binary, codecs
from mediactl.media.ffmpeg.codecs import Coder
from mediactl.media.video import vmaf
from mediactl.media.video.encode import Stream, resolved


def test_the_probe_is_real() -> None:
    assert codecs.works(Coder("libx264"))
    assert codecs.works(Coder("libx265"))
    assert codecs.works(Coder("libsvtav1"))
    assert not codecs.works(Coder("no_such_encoder"))


@pytest.mark.skipif(os.path.exists("/dev/nvidia0") or os.path.exists("/dev/dri"), reason="there is hardware here")
@pytest.mark.parametrize("kind", codecs.HARDWARE)
def test_hardware_that_is_not_there_is_told_and_software_taken(kind: str) -> None:
    coder, note = codecs.chosen("h264", kind)
    assert coder == Coder("libx264")
    assert note == f"{kind} does not work here for h264: it was encoded in software"


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is hardware here")
def test_an_encoder_in_ffmpegs_list_may_still_not_work() -> None:
    if "h264_nvenc" not in binary.encoders():
        pytest.skip("this ffmpeg was built without NVENC")
    assert not codecs.works(Coder("h264_nvenc", "nvenc"))


@pytest.mark.skipif(os.path.exists("/dev/nvidia0") or os.path.exists("/dev/dri"), reason="there is hardware here")
def test_a_film_for_missing_hardware_is_encoded_all_the_same_with_a_note(tmp_path: Path) -> None:
    film = moving(tmp_path / "film.mp4", "25", 1, "-c:v", "libx264")
    streams = [Stream("h264", 160, 120, crf=23, encoder=kind) for kind in ("nvenc", "auto", "software")]
    places = [tmp_path / f"{stream.encoder}.mp4" for stream in streams]
    done = encoded(film, inspected(film), streams, places)
    assert done.frames == (25, 25, 25)
    assert done.notes == (
        "nvenc does not work here for h264: it was encoded in software",
        "no hardware encoder works here for h264: it was encoded in software",
    )
    assert len({place.read_bytes() for place in places}) == 1


def measured(first: Path, second: Path) -> float:
    """VMAF of a film against another of the same size."""
    log = second.with_suffix(".json")
    command = [binary.find(), "-nostdin", "-loglevel", "error", "-i", str(second), "-i", str(first)]
    command += ["-lavfi", f"libvmaf=log_fmt=json:log_path={log}:n_threads=2", "-f", "null", "-"]
    subprocess.run(command, check=True, timeout=100)
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


@pytest.fixture(scope="session")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds that are hard to encode."""
    place = tmp_path_factory.mktemp("noisy") / "noisy.mp4"
    noise = "testsrc2=s=240x180:r=25:d=2,noise=alls=20:allf=t:all_seed=7,format=yuv420p"
    return make(place, "-f", "lavfi", "-i", noise, "-c:v", "libx264", "-qp", "4", "-preset", "ultrafast")


def choice(film: Path, stream: Stream) -> vmaf.Choice:
    fd = os.open(film, os.O_RDONLY)
    try:
        return vmaf.crf_for(fd, inspected(film), stream, threads=2, limits=LIMITS, folder=os.fsencode(film.parent))
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("codec", "preset", "wanted"), [("h264", "veryfast", 94.0), ("h264", "veryfast", 80.0), ("av1", "12", 92.0)]
)
def test_the_crf_that_is_found_reaches_the_quality_wanted(
    noisy: Path, codec: str, preset: str, wanted: float, tmp_path: Path
) -> None:
    stream = Stream(codec, 240, 180, vmaf=wanted, preset=preset)
    found = choice(noisy, stream)
    assert found.note == ""
    place = tmp_path / "made.mp4"
    encoded(noisy, inspected(noisy), [resolved(stream, found.crf)], [place])
    assert measured(noisy, place) == pytest.approx(wanted, abs=1.5)
    assert [path.name for path in noisy.parent.iterdir()] == [noisy.name]


def test_the_search_gives_the_same_answer_again(noisy: Path) -> None:
    stream = Stream("h264", 160, 120, vmaf=88, preset="ultrafast")
    assert choice(noisy, stream) == choice(noisy, stream)


def test_a_quality_out_of_reach_is_told(noisy: Path) -> None:
    found = choice(noisy, Stream("h264", 240, 180, vmaf=97, preset="ultrafast", maxrate=100))
    assert found.note.startswith("VMAF 97 is not reached: ")
    assert found.vmaf < 90
