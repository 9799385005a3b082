"""Videos in, verified MP4s and posters out: geometry, time, streams, damage, and malicious sources."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import psutil
import pytest
from PIL import ImageStat
from support.films import make
from support.gab2 import with_gab2

from mediactl.core.errors import JobFailed, MachineBlocked, RejectedInput, UsageError
from mediactl.core.files import fingerprint
from mediactl.media.drafts import Drafts, Request, Temporary
from mediactl.media.ffmpeg import binary, command, process
from mediactl.media.ffmpeg.bundled import series
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.media.inspect import streams
from mediactl.media.inspect.containers import isobmff
from mediactl.media.video import render as video
from mediactl.model.assets import Operation, Target
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, Limits, MediaInfo, Source, VideoStream
from mediactl.outputs.poster import PosterParams
from mediactl.outputs.video import VideoParams

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=1")
TONE = ("-f", "lavfi", "-i", "sine=440:d=1")
QUICK = ("-c:v", "libx264", "-preset", "ultrafast")
SHORT_FILMS = (
    "hlg10-color-test.mp4",
    "sample_with_srt.mkv",
    "sample_empty_track.mp4",
    "bbb_642x642_768kbps_30fps_vp9.webm",
    "sample_without_stss.mp4",
)


class Rendered(NamedTuple):
    """What became of a film."""

    info: MediaInfo
    drafts: Drafts
    film: Path
    reports: list[float]

    def container(self) -> av.container.InputContainer:
        """The rendition, opened."""
        return av.open(str(self.film), "r")


def clip(path: Path, *arguments: str) -> Path:
    """A clip of one second with sound, H.264 and AAC unless said otherwise."""
    return make(path, *PICTURE, *TONE, *QUICK, *arguments)


def film_target(width: int, height: int, *, audio: bool = True, name: str = "v.mp4") -> Target[VideoParams]:
    params = VideoParams(
        codec="h264", width=width, height=height, crf=23, preset="veryfast", encoder="software", maxrate=0, hdr=False,
        gop=2.0, piece=0, sound=audio, audio_bitrate=64,
    )  # fmt: skip
    return Target(name, "rendition", params, name)


def poster_target(width: int, height: int) -> Target[PosterParams]:
    params = PosterParams(format="webp", width=width, height=height, quality=80, effort=0, animated=False)
    return Target("poster.webp", "poster", params, "poster")


def render(
    path: Path, *targets: Target[Operation], folder: Path | None = None, limits: Limits | None = None
) -> Rendered:
    """Probe and render a film as ``make`` does; without targets, one rendition at the film's own (even) size."""
    limits, folder = limits or Limits(), folder or path.parent / f"out of {path.name}"
    fd = os.open(path, os.O_RDONLY)
    try:
        info = streams.probe(fd, path.suffix[1:], limits)
        if not targets and info.width and info.height:
            targets = (film_target(info.width // 2 * 2, info.height // 2 * 2, audio=bool(info.audio)),)
        mark = fingerprint(os.fstat(fd))
        place = os.fsencode(path.name)
        source = Source(os.fsencode(path.parent), place, place, mark, Kind.VIDEO, path.suffix[1:])
        task = MakeTask(source, "digest", info, targets, (), os.fsencode(folder), "test", limits, threads=2)
        folder.mkdir(exist_ok=True)
        reports: list[float] = []
        temporary: Temporary = lambda name: os.fsencode(folder / f".mediactl-t-{name}")  # noqa: E731
        drafts = video.render(Request(fd, task, targets, temporary, lambda name: None, reports.append))
        return Rendered(info, drafts, Path(os.fsdecode(drafts.files[0].file)), reports)
    finally:
        os.close(fd)


def frame_times(container: av.container.InputContainer) -> list[float]:
    return [frame.time for frame in container.decode(video=0)]


def brightness(path: Path, box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> tuple[float, ...]:
    """Mean red, green and blue of a part (fractions: left, top, right, bottom) of a picture or a film's first frame."""
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0)).to_image()  # type: ignore[no-untyped-call]
    left, top, right, bottom = box
    part = picture.crop(
        (left * picture.width, top * picture.height, right * picture.width, bottom * picture.height)
    )  # fmt: skip
    return tuple(ImageStat.Stat(part).mean)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of 160x120 at 25 frames a second, with sound."""
    return clip(tmp_path_factory.mktemp("plain") / "plain.mp4")


def test_a_film_becomes_an_mp4_that_plays_while_it_loads(plain: Path, tmp_path: Path) -> None:
    made = render(plain, film_target(128, 96), poster_target(160, 120), folder=tmp_path)
    with made.container() as container, made.film.open("rb") as file:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.codec_context.name, picture.width, picture.height, picture.pix_fmt) == (
            "h264", 128, 96, "yuv420p",
        )  # fmt: skip
        assert picture.profile == "High"
        assert sound.codec_context.name == "aac"
        assert isobmff.is_faststart(file.fileno())
        assert len(frame_times(container)) == 25
    draft, poster = made.drafts.files
    assert (draft.width, draft.height) == (128, 96)
    assert draft.media_type == 'video/mp4; codecs="avc1.64000a,mp4a.40.2"'
    assert draft.duration == pytest.approx(1.0, abs=0.05)
    assert (poster.width, poster.height) == (160, 120)
    assert made.drafts.placeholder
    assert made.drafts.warnings == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mediactl-t-poster.webp", ".mediactl-t-v.mp4"]


def test_progress_rises_to_the_end(plain: Path, tmp_path: Path) -> None:
    reports = render(plain, folder=tmp_path).reports
    assert reports == sorted(reports)
    assert reports[-1] == 1.0


def test_equal_work_gives_equal_bytes(plain: Path, tmp_path: Path) -> None:
    both = [render(plain, film_target(160, 120), poster_target(160, 120), folder=tmp_path / each) for each in "ab"]
    for first, second in zip(both[0].drafts.files, both[1].drafts.files, strict=True):
        assert Path(os.fsdecode(first.file)).read_bytes() == Path(os.fsdecode(second.file)).read_bytes()


def test_a_poster_is_the_same_whether_or_not_a_rendition_is_made_with_it(plain: Path, tmp_path: Path) -> None:
    alone = render(plain, poster_target(160, 120), folder=tmp_path / "alone").drafts.files[0]
    beside = render(plain, film_target(96, 64), poster_target(160, 120), folder=tmp_path / "beside").drafts.files[1]
    assert Path(os.fsdecode(alone.file)).read_bytes() == Path(os.fsdecode(beside.file)).read_bytes()


def test_several_renditions_are_made_in_one_run(plain: Path, tmp_path: Path) -> None:
    targets = film_target(160, 120, name="large.mp4"), film_target(80, 60, name="small.mp4", audio=False)
    large, small = render(plain, *targets, folder=tmp_path).drafts.files
    assert (large.width, small.width) == (160, 80)
    with av.open(os.fsdecode(small.file)) as container:
        assert not container.streams.audio


@pytest.mark.parametrize(("turn", "corner"), [(0, "left"), (90, "top"), (180, "right"), (270, "bottom")])
def test_a_rotated_film_is_turned_upright(turn: int, corner: str, tmp_path: Path) -> None:
    left_red = "color=red:s=80x96:r=25:d=0.2[a];color=blue:s=80x96:r=25:d=0.2[b];[a][b]hstack"
    flat = make(tmp_path / "flat.mp4", "-f", "lavfi", "-i", left_red, *QUICK, "-pix_fmt", "yuv420p")
    # ffmpeg counts counter-clockwise, players and we clockwise.
    turned = make(tmp_path / "turned.mp4", "-display_rotation", str(-turn), "-i", str(flat), "-c", "copy")
    made = render(turned)
    assert made.info.video
    assert made.info.video.rotation == turn
    assert (made.info.width, made.info.height) == ((160, 96) if turn in (0, 180) else (96, 160))
    boxes = {"left": (0, 0, 0.4, 1), "top": (0, 0, 1, 0.4), "right": (0.6, 0, 1, 1), "bottom": (0, 0.6, 1, 1)}
    red, _, blue = brightness(made.film, boxes[corner])
    assert (red > 200, blue < 50) == (True, True)
    assert tracks_of(made.film).rotation == 0


def tracks_of(path: Path) -> VideoStream:
    with path.open("rb") as file:
        info = streams.probe(file.fileno(), "mp4", Limits())
    assert info.video
    return info.video


def test_an_anamorphic_film_gets_square_pixels(tmp_path: Path) -> None:
    squeezed = clip(tmp_path / "squeezed.mp4", "-vf", "setsar=2/1")
    made = render(squeezed)
    assert (made.info.width, made.info.height) == (320, 120)
    with made.container() as container:
        assert container.streams.video[0].sample_aspect_ratio == 1


def test_odd_sizes_become_even(tmp_path: Path) -> None:
    odd = clip(tmp_path / "odd.mkv", "-vf", "format=yuv444p,crop=151:111")
    made = render(odd)
    assert (made.info.width, made.info.height) == (151, 111)
    assert (made.drafts.files[0].width, made.drafts.files[0].height) == (150, 110)


def test_a_silent_film_stays_silent(tmp_path: Path) -> None:
    made = render(make(tmp_path / "silent.mp4", *PICTURE, *QUICK))
    with made.container() as container:
        assert not container.streams.audio
    assert made.drafts.warnings == ()


def test_a_film_without_pictures_is_refused_with_that_reason(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="no video stream"):
        render(make(tmp_path / "sound.mp4", *TONE), film_target(160, 120))


def test_variable_frame_rates_stay_variable(tmp_path: Path) -> None:
    uneven = "select='not(mod(n,7))+not(mod(n,5))'"
    source = make(tmp_path / "vfr.mkv", *PICTURE, "-vf", uneven, "-fps_mode", "vfr", *QUICK)
    made = render(source)
    with av.open(str(source)) as before, made.container() as after:
        assert frame_times(after) == pytest.approx(frame_times(before), abs=0.001)


def test_an_edit_list_is_obeyed(plain: Path, tmp_path: Path) -> None:
    # The copy has to begin at the key frame before; an edit list hides what comes before 0.4 s.
    cut = make(tmp_path / "cut.mp4", "-ss", "0.4", "-i", str(plain), "-c", "copy")
    made = render(cut)
    assert made.info.duration == pytest.approx(0.6, abs=0.05)
    assert made.drafts.files[0].duration == pytest.approx(0.6, abs=0.05)
    with made.container() as container:
        assert len(frame_times(container)) == 15


def test_sound_that_begins_late_keeps_its_place(tmp_path: Path) -> None:
    late = make(tmp_path / "late.mkv", *PICTURE, "-itsoffset", "0.5", *TONE, *QUICK)
    made = render(late)
    with made.container() as container:
        first = next(frame for frame in container.decode(audio=0) if max(array("f", bytes(frame.planes[0]))) > 0.01)
    assert first.time == pytest.approx(0.5, abs=0.05)


def test_tracks_that_are_left_out_are_named(plain: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    many = make(
        tmp_path / "many.mkv",
        *("-i", str(plain), "-i", str(words), "-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", "1"),
        *("-c:v", "copy", "-c:a", "copy", "-c:s", "srt", "-metadata:s:a:1", "language=fra"),
    )
    made = render(many)
    assert made.info.subtitles == ("subrip",)
    assert [track.language for track in made.info.audio][1] == "fra"
    assert made.drafts.warnings == ("left out: 1 audio stream, 1 subtitle stream",)
    with made.container() as container:
        assert len(container.streams.audio) == 1


def test_a_place_never_reaches_an_output(tmp_path: Path) -> None:
    place = "+48.1372+011.5756/"
    told = clip(
        tmp_path / "told.mov",
        *("-metadata", "title=Munich", "-metadata", f"location={place}", "-metadata", "make=Acme"),
        *("-metadata", f"com.apple.quicktime.location.ISO6709={place}", "-movflags", "use_metadata_tags"),
    )
    assert place.encode() in told.read_bytes()
    made = render(told, film_target(160, 120), poster_target(160, 120))
    assert made.info.tags["title"] == "Munich"
    assert made.info.tags["make"] == "Acme"
    assert "48.1" not in str(made.info)
    for draft in made.drafts.files:
        content = Path(os.fsdecode(draft.file)).read_bytes()
        assert not [word for word in (b"\xa9xyz", b"location", b"48.1372", b"Munich", b"loci") if word in content]


def test_high_dynamic_range_becomes_standard_range(tmp_path: Path) -> None:
    tags = "setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"
    # PQ code 0.5 is about 92 cd/m²: a light grey; shown without mapping it is a dull middle grey.
    grey = ("-f", "lavfi", "-i", f"color=0x808080:s=160x120:r=25:d=0.2,format=yuv420p10le,{tags}")
    made = render(make(tmp_path / "hdr.mp4", *grey, *QUICK))
    assert made.info.video
    assert made.info.video.transfer == "smpte2084"
    assert made.drafts.warnings == ("high dynamic range (PQ) was mapped to standard range",)
    with made.container() as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.color_trc, frame.color_primaries, frame.colorspace) == ("yuv420p", 1, 1, 1)
    assert min(brightness(made.film)) > 150


def test_untagged_high_definition_is_tagged_before_it_gets_small(tmp_path: Path) -> None:
    source = make(tmp_path / "hd.mp4", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=0.1", *QUICK)
    made = render(source, film_target(160, 90))
    with made.container() as container:
        frame = next(container.decode(video=0))
        assert (frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range) == (1, 1, 1, 1)


def test_a_poster_is_not_black_when_the_film_begins_so(tmp_path: Path) -> None:
    black = "color=black:s=160x120:r=25:d=2[a];testsrc2=s=160x120:r=25:d=1[b];[a][b]concat"
    made = render(make(tmp_path / "fade.mp4", "-f", "lavfi", "-i", black, *QUICK), poster_target(160, 120))
    assert max(brightness(made.film)) > 60


@pytest.mark.parametrize("length", ["0.04", "3"])
def test_a_film_that_is_black_or_of_one_frame_gets_a_poster(length: str, tmp_path: Path) -> None:
    black = make(tmp_path / "black.mp4", "-f", "lavfi", "-i", f"color=black:s=160x120:r=25:d={length}", *QUICK)
    made = render(black, film_target(160, 120), poster_target(160, 120))
    assert [draft.target.operation for draft in made.drafts.files] == ["video", "poster"]
    assert made.drafts.files[0].duration == pytest.approx(float(length), abs=0.05)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("front.mp4", ("-movflags", "+faststart"), r"broken after 0\.\d s of 1\.0 s: the end of the file is missing"),
        ("end.mp4", (), r"the index \(moov\) is missing"),
        ("cluster.mkv", (), r"broken after 0\.\d s of 1\.0 s: the end of the file is missing"),
        ("riff.avi", ("-c:v", "mpeg4", "-c:a", "mp3"), "the end of the file is missing"),
    ],
)
def test_a_film_that_was_cut_off_is_refused(name: str, options: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    whole = clip(tmp_path / name, *options)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(RejectedInput, match=reason):
        render(whole, film_target(160, 120))


def test_a_film_whose_second_half_is_garbage_is_never_half_done(tmp_path: Path) -> None:
    whole = make(tmp_path / "holed.mp4", *PICTURE, *QUICK, "-g", "1", "-movflags", "+faststart")
    content = bytearray(whole.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    whole.write_bytes(content)
    with pytest.raises(RejectedInput, match=r"the video is broken after 0\.\d s of 1\.0 s|cannot be decoded"):
        render(whole, film_target(160, 120))


def test_limits_are_checked_before_anything_is_decoded(plain: Path) -> None:
    with pytest.raises(RejectedInput, match=r"limits\.duration"):
        render(plain, limits=Limits(duration=0.5))
    with pytest.raises(RejectedInput, match=r"limits\.pixels"):
        render(plain, limits=Limits(pixels=1000))


@pytest.fixture
def canary(plain: Path, tmp_path: Path) -> Path:
    """A film that must not be opened."""
    path = tmp_path / "canary.mp4"
    path.write_bytes(plain.read_bytes())
    return path


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{canary}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"'
        ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" minBufferTime="PT1S"><Period><AdaptationSet'
        ' mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>file://{canary}</BaseURL><SegmentBase/>'
        "</Representation></AdaptationSet></Period></MPD>\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["hls", "ffconcat", "dash", "sdp"],
)
def test_a_playlist_that_calls_itself_a_film_is_refused(playlist: str, canary: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "list.mp4", tmp_path / "out"
    source.write_text(playlist.format(canary=canary))
    with pytest.raises(RejectedInput, match="not a supported video or audio file"):
        render(source, film_target(160, 120), folder=out)
    # And should probing ever let one pass, the binary does not open it either.
    out.mkdir(exist_ok=True)
    with pytest.raises(JobFailed):
        run_ffmpeg(source, out, lambda _: None)
    assert not [path for path in out.iterdir() if path.stat().st_size]


def run_ffmpeg(source: Path, folder: Path, report: Callable[[float], None]) -> None:
    """The bare run of the binary, without probing first."""
    with source.open("rb") as file:
        fd = file.fileno()
        node = command.output([command.source(fd, 1)], os.fsencode(folder / "v.mp4"), "mp4", Limits())
        argv = command.arguments(node, threads=1)
        process.run(argv, input_fd=fd, folder=os.fsencode(folder), expected=1.0, rate=None, report=report)


def test_a_playlist_hidden_in_the_subtitles_of_an_avi_is_not_followed(canary: Path, tmp_path: Path) -> None:
    bare = make(tmp_path / "bare.avi", *PICTURE, "-c:v", "mpeg4")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n".encode()
    source = tmp_path / "subtitles.avi"
    source.write_bytes(with_gab2(bare.read_bytes(), playlist))
    with av.open(str(source)) as container:
        assert [stream.type for stream in container.streams] == ["video", "subtitle"]
    made = render(source)
    # The canary is one second long and has sound.
    assert made.info.audio == ()
    with made.container() as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("name", ["-i %03d.mp4", "file:x.mp4", "a\nb'c\".mp4", "concat:a|b.mp4", "ü [red].mp4"])
def test_no_name_is_parsed(name: str, plain: Path, tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_bytes(plain.read_bytes())
    folder = tmp_path / "out" / name
    folder.parent.mkdir()
    made = render(source, film_target(160, 120), poster_target(160, 120), folder=folder)
    assert len(made.drafts.files) == 2
    assert sorted(path.name for path in folder.iterdir()) == [".mediactl-t-poster.webp", ".mediactl-t-v.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out"])


def test_ffmpeg_dies_with_its_worker(plain: Path, tmp_path: Path) -> None:
    source = tmp_path / "plain.mp4"
    source.write_bytes(plain.read_bytes())
    program = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from tests.integration.test_videos import film_target, render\n"
        "render(Path(sys.argv[1]), film_target(3840, 2880))  # takes seconds\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", program, str(source), str(ROOT), str(ROOT / "tests")], cwd=ROOT)
    try:
        child = wait_for_child(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    finally:
        worker.kill()
        worker.wait()


def wait_for_child(pid: int) -> psutil.Process:
    """The ffmpeg that a process has started, once it is encoding."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in psutil.Process(pid).children():
            if child.name().startswith("ffmpeg") and child.cpu_times().user > 0:
                return child
        time.sleep(0.02)
    raise AssertionError("ffmpeg did not start")


def test_a_worker_that_stops_in_the_middle_leaves_no_ffmpeg_behind(plain: Path, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(_: float) -> None:
        raise StopError

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(StopError):
        run_ffmpeg(plain, tmp_path, stop)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.mark.parametrize(
    ("status", "error"), [(228, MachineBlocked), (134, MachineBlocked), (183, RejectedInput), (1, JobFailed)]
)
def test_exit_codes_tell_whose_fault_it_is(
    status: int, error: type[Exception], plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "fake ffmpeg"
    fake.write_text(
        f"#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' x >&2\necho >&2\necho the reason >&2\nexit {status}\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv(binary.VARIABLE, str(fake))
    with pytest.raises(error) as caught:
        render(plain, film_target(160, 120), folder=tmp_path / "out")
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, process.FfmpegFailed):
        assert str(caught.value) == "ffmpeg failed with exit code 1: the reason"
        assert caught.value.command.startswith(f"'{fake}' -nostdin")
        assert len(caught.value.stderr) < 9_000


def test_ffmpeg_gets_no_environment_that_changes_what_it_does(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFREPORT", f"file={tmp_path / 'report'}")
    monkeypatch.setenv("AV_LOG_FORCE_COLOR", "1")
    render(plain, folder=tmp_path / "out")
    assert not (tmp_path / "report").exists()


def test_a_missing_binary_or_encoder_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an executable file; correct or unset MEDIACTL_FFMPEG"):
        binary.find(str(tmp_path / "none"))
    binary.check({"libx264", "aac", "libopus", "png"})
    with pytest.raises(UsageError, match="has no encoder no-such-encoder; "):
        binary.check({"aac", "no-such-encoder"})


def test_versions_are_series_and_the_name_of_the_bundled_binary_tells_the_truth() -> None:
    assert [series(word) for word in ("n9.0.2-17-g2a571b6068", "v9.0.2", "10.1.1", "N-1-gabc")] == [
        "9.0", "9.0", "10.1", "N-1-gabc",
    ]  # fmt: skip
    assert encoder_versions()["ffmpeg"] == binary.version(binary.find())
    assert encoder_versions(binary.find()) == encoder_versions()


@pytest.mark.parametrize("name", SHORT_FILMS)
def test_real_films_come_out_whole(name: str, corpus: Path, tmp_path: Path) -> None:
    check_real_film(corpus / "videos" / name, tmp_path)


@pytest.mark.sweep
def test_every_real_film_comes_out_whole(corpus: Path, tmp_path: Path) -> None:
    for path in sorted((corpus / "videos").iterdir()):
        check_real_film(path, tmp_path / path.name)


def check_real_film(path: Path, folder: Path) -> None:
    with path.open("rb") as file:
        info = streams.probe(file.fileno(), path.suffix[1:], Limits())
    assert info.video
    scale = 120 / min(info.video.width, info.video.height)
    width, height = (max(2, round(side * scale / 2) * 2) for side in (info.video.width, info.video.height))
    made = render(path, film_target(width, height, audio=bool(info.audio)), poster_target(width, height), folder=folder)
    frame = 1 / (info.video.fps or 25)
    assert made.drafts.files[0].duration == pytest.approx(info.duration, abs=max(0.05, frame) + 0.001)
    with made.container() as container:
        assert len(container.streams.audio) == bool(info.audio)
    content = made.film.read_bytes()
    assert not [word for word in (b"\xa9xyz", b"location", b"mdcv", b"clli", b"dvvC") if word in content]


@pytest.mark.parametrize(
    "name", ["read_passwd.avi", "read_shadow.avi", "read_passwd_bypass.mp4", "read_shadow_bypass.mp4"]
)
def test_disguised_playlists_from_the_wild_are_refused(name: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(RejectedInput):
        render(corpus / "hostile" / name, film_target(160, 120), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
