"""Durations are those of the samples, whatever headers and time stamps say; only what misses data is truncated."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import timed, tones
from support.films import inspected, make
from support.timestamps import joined_ts, movie_scale, with_cue_messages, with_durations, with_late_fragments

from mediactl.core.errors import RejectedInput
from mediactl.media.audio import mixdown
from mediactl.media.audio.mixdown import AudioRequest
from mediactl.media.inspect import streams
from mediactl.media.inspect.streams import Streams
from mediactl.media.inspect.timing import timeline
from mediactl.media.stills import frames, poster, preview
from mediactl.media.stills.samples import Samples
from mediactl.media.stills.source import open_video
from mediactl.model.media import Limits

VIDEO = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=3")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2", "-b_strategy", "0")
GENERATED = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HOUR = 3600.0


def tone(frequency: int, seconds: float = 3, rate: int = 48_000) -> tuple[str, ...]:
    """A sine wave."""
    return ("-f", "lavfi", "-i", f"sine={frequency}:d={seconds}:r={rate}")


def of(content: bytes, path: Path) -> Streams:
    """What is in a file of this content."""
    path.write_bytes(content)
    return inspected(path)


def heard(found: Streams, path: Path) -> Path:
    """The audio of a video as it is muxed into its renditions."""
    target = path.with_suffix(".out.m4a")
    assert found.audio
    request = AudioRequest(found.audio.ordinal, 128, 1)
    with path.open("rb") as file:
        mixdown.encode_audio(
            file.fileno(), found, [request], {request: os.fsencode(target)}, threads=1, limits=Limits(),
            folder=os.fsencode(path.parent), report=lambda _: None,
        )  # fmt: skip
    return target


@pytest.fixture
def mp4(tmp_path: Path) -> bytes:
    """3 s of video and audio, with edit lists."""
    return make(tmp_path / "base.mp4", *VIDEO, *tone(440), *H264, "-c:a", "aac").read_bytes()


@given(kind=st.sampled_from([b"mdhd", b"mvhd", b"tkhd"]), duration=st.integers(0, (1 << 32) - 1))
@GENERATED
def test_no_header_of_an_mp4_changes_its_duration(kind: bytes, duration: int, mp4: bytes, tmp_path: Path) -> None:
    found = of(with_durations(mp4, kind, duration), tmp_path / "a.mp4")
    assert found.info.duration == pytest.approx(3.0, abs=0.05)
    assert found.video and found.video.end == pytest.approx(3.0, abs=0.05)
    assert found.audio and found.audio.end == pytest.approx(3.0, abs=0.05)
    assert found.info.video and found.info.video.frames == 75


@given(seconds=st.floats(0.5, 40_000))
@GENERATED
def test_an_edit_list_shortens_an_mp4_and_never_lengthens_it(seconds: float, mp4: bytes, tmp_path: Path) -> None:
    found = of(with_durations(mp4, b"elst", round(seconds * movie_scale(mp4))), tmp_path / "a.mp4")
    assert found.info.duration == pytest.approx(min(seconds, 3.0), abs=0.1)


@pytest.mark.parametrize("claimed", [1, 3_000, 48_000])
def test_audio_is_not_cut_where_a_header_ends_it(claimed: int, mp4: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    made = heard(of(with_durations(mp4, b"mdhd", claimed), path), path)
    found = tones.samples(made)
    assert len(found) / tones.RATE == pytest.approx(3.0, abs=0.03)
    assert tones.tone(found, 2.0, 2.9) == pytest.approx(440, abs=1)


@pytest.fixture
def ts(tmp_path: Path) -> tuple[bytes, bytes]:
    """Two transport streams of 3 s, of different tones."""
    made = [
        make(tmp_path / f"{each}.ts", *VIDEO, *tone(each), *H264, "-c:a", "mp2", "-muxdelay", "0").read_bytes()
        for each in (440, 660)
    ]
    return made[0], made[1]


def jumps() -> st.SearchStrategy[float]:
    """Seconds by which a clock is off from one part of a recording to the next: beyond what is a pause, or back."""
    return st.one_of(st.floats(15.0, 26 * HOUR), st.floats(-20 * HOUR, -4.0))


@given(offsets=st.lists(jumps(), min_size=1, max_size=3), first=st.floats(0, 26.5 * HOUR))
@GENERATED
def test_a_clock_that_changes_does_not_change_the_duration(
    offsets: list[float], first: float, ts: tuple[bytes, bytes], tmp_path: Path
) -> None:
    clock, parts = first, [(ts[0], first)]
    for number, offset in enumerate(offsets, 1):
        clock += 3.0 + offset
        parts.append((ts[number % 2], clock))
    content = joined_ts([(part, round(second * 90_000)) for part, second in parts])
    found = of(content, tmp_path / "a.ts")
    seconds = 3.0 * len(parts)
    assert found.info.duration == pytest.approx(seconds, abs=0.06 * len(parts))
    assert found.audio and found.audio.end == pytest.approx(seconds, abs=0.06 * len(parts))
    assert found.info.video and found.info.video.frames == 75 * len(parts)
    assert found.info.discontinuities
    assert any("time stamps jump" in warning for warning in found.info.warnings)


@pytest.mark.parametrize("offset", [-3.0, -2 * HOUR, 20.0, 10 * HOUR])
def test_what_comes_after_a_change_of_the_clock_is_heard(
    offset: float, ts: tuple[bytes, bytes], tmp_path: Path
) -> None:
    path, base = tmp_path / "a.ts", 5 * HOUR
    content = joined_ts([(ts[0], round(base * 90_000)), (ts[1], round((base + 3.0 + offset) * 90_000))])
    found = tones.samples(heard(of(content, path), path))
    assert len(found) / tones.RATE == pytest.approx(6.0, abs=0.1)
    assert tones.tone(found, 1.0, 2.7) == pytest.approx(440, abs=2)
    assert tones.tone(found, 3.5, 5.7) == pytest.approx(660, abs=2)


@pytest.mark.parametrize("second", [0.5, 2.0])
def test_a_clock_that_wraps_is_no_jump(second: float, ts: tuple[bytes, bytes], tmp_path: Path) -> None:
    found = of(joined_ts([(ts[0], (1 << 33) - round(second * 90_000))]), tmp_path / "a.ts")
    assert found.info.duration == pytest.approx(3.0, abs=0.05)
    assert found.info.discontinuities == ()


@pytest.mark.parametrize("codec", ["mp2", "aac", "ac3"])
def test_cue_messages_before_the_first_frame_do_not_lengthen_a_transport_stream(codec: str, tmp_path: Path) -> None:
    path = make(tmp_path / "a.ts", *VIDEO, *tone(440), *H264, "-c:a", codec)
    found = of(with_cue_messages(path.read_bytes()), path)
    assert found.data_count == 1
    assert found.info.duration == pytest.approx(3.0, abs=0.06)
    assert found.info.video and found.info.video.start == pytest.approx(0.0, abs=0.05)
    audio = tones.samples(heard(found, path))
    assert len(audio) / tones.RATE == pytest.approx(3.0, abs=0.06)
    assert tones.tone(audio, 0.1, 0.9) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("seconds", [2, 3])
def test_streams_that_begin_in_the_middle_of_a_transport_stream_are_reported(seconds: int, tmp_path: Path) -> None:
    video, codecs = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d={}"), (*H264, "-c:a", "mp2")
    parts = [
        make(tmp_path / "part.ts", *video[:3], video[3].format(each), *tone(440, each), *codecs, *pids).read_bytes()
        for each, pids in ((3, ()), (seconds, ("-mpegts_start_pid", "512", "-mpegts_pmt_start_pid", "4352")))
    ]
    found = of(b"".join(parts), tmp_path / "a.ts")
    assert found.info.duration == pytest.approx(3.0, abs=0.05)
    assert any("of streams that begin there, is left out" in warning for warning in found.info.warnings)
    assert of(parts[0], tmp_path / "a.ts").info.warnings == ()


@given(first=st.integers(1, 4), late=st.floats(12.0, 40 * HOUR))
@GENERATED
def test_fragments_that_come_late_do_not_lengthen_an_mp4(first: int, late: float, tmp_path: Path) -> None:
    base = make(
        tmp_path / "base.mp4", *VIDEO, *tone(440), *H264, "-c:a", "aac",
        "-movflags", "empty_moov+default_base_moof+delay_moov", "-frag_duration", "500000",
    )  # fmt: skip
    found = of(with_late_fragments(base.read_bytes(), 2, first, round(late * 48_000)), tmp_path / "a.mp4")
    assert found.info.duration == pytest.approx(3.0, abs=0.1)
    assert [each.jump for each in found.info.discontinuities] == [pytest.approx(late, abs=0.1)]
    assert found.input_options["dts_error_threshold"] < late


@pytest.mark.parametrize("late", [30.0, 600.0, 26 * HOUR])
def test_fragments_that_come_late_are_heard_in_time(late: float, tmp_path: Path) -> None:
    base = make(
        tmp_path / "base.mp4", *VIDEO, *tone(440), *H264, "-c:a", "aac",
        "-movflags", "empty_moov+default_base_moof+delay_moov", "-frag_duration", "500000",
    )  # fmt: skip
    path = tmp_path / "a.mp4"
    found = of(with_late_fragments(base.read_bytes(), 2, 3, round(late * 48_000)), path)
    audio = tones.samples(heard(found, path))
    assert len(audio) / tones.RATE == pytest.approx(3.0, abs=0.1)
    assert tones.tone(audio, 1.8, 2.8) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("codec", ["libvorbis", "libopus", "flac"])
@pytest.mark.parametrize("seconds", [(2, 1), (1, 1, 2)])
def test_links_of_an_ogg_file_add_up(codec: str, seconds: tuple[int, ...], tmp_path: Path) -> None:
    links = [make(tmp_path / "link.ogg", *tone(440, each), "-c:a", codec).read_bytes() for each in seconds]
    found = of(b"".join(links), tmp_path / "a.ogg")
    assert found.info.duration == pytest.approx(sum(seconds), abs=0.05 * len(seconds))


@pytest.mark.parametrize(
    ("codecs", "rates", "channels"),
    [
        (("libvorbis", "libvorbis"), (48_000, 32_000), (1, 1)),
        (("libvorbis", "libvorbis"), (48_000, 48_000), (1, 2)),
        (("libopus", "libopus"), (48_000, 48_000), (2, 1)),
        (("flac", "flac"), (48_000, 44_100), (1, 1)),
        (("libvorbis", "libopus"), (48_000, 48_000), (1, 1)),
    ],
)
def test_links_of_an_ogg_file_that_differ_add_up_as_well(
    codecs: tuple[str, str], rates: tuple[int, int], channels: tuple[int, int], tmp_path: Path
) -> None:
    links = [
        make(tmp_path / "link.ogg", *tone(440, 1, rate), "-c:a", codec, "-ac", str(count)).read_bytes()
        for codec, rate, count in zip(codecs, rates, channels, strict=True)
    ]
    found = of(b"".join(links), tmp_path / "a.ogg")
    assert found.info.duration == pytest.approx(2.0, abs=0.1)
    assert any("differ in codec, channels or sample rate" in warning for warning in found.info.warnings)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts", "flv"])
@pytest.mark.parametrize("late", ["video", "audio"])
def test_a_stream_that_begins_late_is_found(suffix: str, late: str, tmp_path: Path) -> None:
    video, audio = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=50:d={}"), ("-f", "lavfi", "-i", "sine=440:d={}:r=48000")
    early, after = (audio, video) if late == "video" else (video, audio)
    early, after = ((*each[:3], each[3].format(seconds)) for each, seconds in ((early, 27), (after, 2)))
    codecs = ("-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100") if suffix == "flv" else (*H264, "-c:a", "aac")
    path = make(tmp_path / f"a.{suffix}", *early, "-itsoffset", "25", *after, *codecs)
    found = inspected(path)
    assert found.video and found.info.video and found.audio
    assert found.info.duration == pytest.approx(27, abs=0.1)
    assert found.info.discontinuities == ()
    if late == "video":
        assert found.info.video.start == pytest.approx(25, abs=0.1)
        assert found.info.video.frames == 100


def test_a_stream_without_a_single_packet_stays_absent(tmp_path: Path) -> None:
    none = ("-filter:a", "atrim=end=0")
    found = inspected(make(tmp_path / "a.mkv", *VIDEO, *tone(440), *H264, "-c:a", "pcm_s16le", *none))
    assert found.video and found.audio is None
    assert [stream.playable for stream in found.info.audio] == [False]
    assert found.info.duration == pytest.approx(3.0, abs=0.05)


RAW = [
    ("a.ac3", "ac3", 44_100), ("a.eac3", "eac3", 44_100), ("a.eac3", "eac3", 32_000), ("a.aac", "aac", 48_000),
    ("a.mp3", "libmp3lame", 44_100), ("a.mp2", "mp2", 48_000), ("a.wma", "wmav2", 44_100),
]  # fmt: skip


@pytest.mark.parametrize(("name", "codec", "rate"), RAW)
@pytest.mark.parametrize("seconds", [0.7, 3.3])
def test_audio_without_an_index_lasts_as_long_as_its_packets(
    name: str, codec: str, rate: int, seconds: float, tmp_path: Path
) -> None:
    options = ("-write_xing", "0") if codec == "libmp3lame" else ()
    path = make(tmp_path / name, *tone(440, seconds, rate), "-c:a", codec, *options)
    with av.open(str(path)) as container:
        packets = sum(float(each.duration * each.time_base) for each in container.demux() if each.duration)
    rounded = 0.05 if name == "a.wma" else 0.005
    assert inspected(path).info.duration == pytest.approx(packets, abs=rounded)
    padded = bytes(5_000) + path.read_bytes() if name == "a.mp3" else path.read_bytes()
    assert of(padded, path).info.duration == pytest.approx(packets, abs=rounded)


def claiming(name: str, patch: Callable[[bytearray], None], tmp_path: Path, *options: str) -> Streams:
    """What is in a whole file of 3 s whose header was patched."""
    content = bytearray(make(tmp_path / name, *VIDEO, *tone(440), *options).read_bytes())
    patch(content)
    return of(bytes(content), tmp_path / name)


@pytest.mark.parametrize("factor", [0.3, 1.1, 5.0])
def test_a_header_of_matroska_is_a_hint(factor: float, tmp_path: Path) -> None:
    def patch(content: bytearray) -> None:
        at = content.index(b"\x44\x89\x88") + 3
        content[at : at + 8] = struct.pack(">d", struct.unpack(">d", content[at : at + 8])[0] * factor)

    found = claiming("a.mkv", patch, tmp_path, *H264)
    assert found.info.duration == pytest.approx(3.0, abs=0.05)
    assert bool(found.info.warnings) == (factor > 1)


@pytest.mark.parametrize("factor", [0.3, 1.1, 5.0])
def test_a_header_of_flv_is_a_hint(factor: float, tmp_path: Path) -> None:
    def patch(content: bytearray) -> None:
        at = content.index(b"\0\x08duration\0") + 11
        content[at : at + 8] = struct.pack(">d", 3.0 * factor)

    found = claiming("a.flv", patch, tmp_path, *H264, "-c:a", "aac")
    assert found.info.duration == pytest.approx(3.0, abs=0.06)


@pytest.mark.parametrize("codec", ["copy", "flv"])
@pytest.mark.parametrize("last", [1_500, 9_000])
def test_a_last_frame_that_lasts_is_not_missing_in_flv(codec: str, last: int, tmp_path: Path) -> None:
    source = timed.write(tmp_path / "a.mkv", range(0, 1000, 40), last, options={"bf": "0"})
    options = ("-c:v", codec, "-fps_mode", "passthrough") if codec != "copy" else ("-c", "copy")
    path = make(tmp_path / "a.flv", "-i", str(source), *options)
    content = path.read_bytes()
    unsized = content.replace(b"\0\x08filesize", b"\0\x08unknown_")  # As other programs write it.
    assert len(timed.shown(path)) == 25
    for whole in (content, unsized):
        found = of(whole, path)
        assert found.info.duration == pytest.approx(1.0, abs=0.05)
        assert any("its content ends after" in warning for warning in found.info.warnings)
    with pytest.raises(RejectedInput, match="the end of the file is missing"):
        of(unsized[:-30], path)


@pytest.mark.parametrize("more", [2_000, 5_000])
def test_a_size_that_asf_declares_may_be_off_a_little(more: int, tmp_path: Path) -> None:
    def patch(content: bytearray) -> None:
        at = content.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 40
        content[at : at + 8] = struct.pack("<Q", len(content) + more)

    found = claiming("a.wmv", patch, tmp_path, "-c:v", "wmv2", "-b:v", "2M", "-c:a", "wmav2")
    assert found.info.duration == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("name", ["a.flv", "a.wmv", "a.mkv", "a.mp3", "a.avi"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_file_whose_end_is_missing_is_refused(name: str, share: float, tmp_path: Path) -> None:
    video = () if name == "a.mp3" else VIDEO
    content = make(tmp_path / name, *video, *tone(440)).read_bytes()
    with pytest.raises(RejectedInput, match="the end of the file is missing"):
        of(content[: int(len(content) * share)], tmp_path / name)


@pytest.mark.parametrize("name", ["a.avi", "a.wav", "a.aiff"])
@pytest.mark.parametrize("lost", [1.0, 0.5])
def test_what_is_missing_behind_the_media_is_not_missed(name: str, lost: float, tmp_path: Path) -> None:
    video = VIDEO if name == "a.avi" else ()
    content = make(tmp_path / name, *video, *tone(440)).read_bytes()
    index = bytes(len(content) - content.rindex(b"idx1") if video else 5_000)
    if not video:  # A chunk of tags, then.
        order: Literal["little", "big"] = "little" if name == "a.wav" else "big"
        size = len(content) + 8 + len(index) - 8
        content = content[:4] + size.to_bytes(4, order) + content[8:] + b"junk" + len(index).to_bytes(4, order) + index
    path = tmp_path / name
    found = of(content[: len(content) - int(len(index) * lost)], path)
    assert found.info.duration == pytest.approx(3.0, abs=0.05)
    assert found.info.warnings == ()
    with pytest.raises(RejectedInput, match="the end of the file is missing"):
        of(content[: int((len(content) - len(index)) * 0.9)], path)


def test_time_stamps_beyond_the_limit_are_named(mp4: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    make(path, *tone(440, 1), "-itsoffset", "100", *VIDEO, *H264)
    with path.open("rb") as file, pytest.raises(RejectedInput, match=r"time stamps .* limit of 50 s"):
        streams.inspect(file.fileno(), "mkv", Limits(duration=50))


@pytest.mark.parametrize("negative", [-1, -512, -1_024])
def test_a_negative_duration_of_a_packet_is_not_read_unsigned(negative: int, tmp_path: Path) -> None:
    path = make(tmp_path / "a.flac", *tone(440, 1))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        track = timeline.Track(stream, container.format.name)
        reader = timeline.Reader(timeline.OwnClocks(), 0.0, 0.0, HOUR)
        for packet in container.demux(stream):
            if packet.pts is not None and packet.pts + (packet.duration or 0) >= 48_000:
                packet.duration = negative % (1 << 32)
            reader.add(track, packet)
    assert track.end == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("seconds", [2, 27])
def test_stills_of_a_video_that_begins_late_are_of_its_frames(suffix: str, seconds: int, tmp_path: Path) -> None:
    video = ("-itsoffset", "25", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=2")
    path = make(tmp_path / f"a.{suffix}", *tone(440, seconds), *video, *H264, "-c:a", "aac")
    found = inspected(path)
    assert found.video
    with path.open("rb") as file:
        source = open_video(file.fileno(), found, found.video, Limits(), 1, os.fsencode(tmp_path))
        sampled = Samples(source, os.fsencode(tmp_path / "sampled"))
        chosen = poster.best(source, sampled)
        assert chosen
        time, key = chosen
        [still] = frames.moment(source, time, [(64, 64)], os.fsencode(tmp_path / "still"), key=key)
        begins = preview.moments(source, 1.0, sampled)
    assert 25 <= time <= 27.1
    assert Path(os.fsdecode(still)).stat().st_size
    assert all(25 <= begin <= 26.1 for begin in begins)


@pytest.mark.parametrize("total", [(1 << 36) - 1, 1 << 35, 480_000])
@pytest.mark.parametrize("behind", [b"", b"TAG" + bytes(125), bytes(300)])
def test_flac_of_whole_frames_is_complete_whatever_its_header_claims(total: int, behind: bytes, tmp_path: Path) -> None:
    content = bytearray(make(tmp_path / "a.flac", *tone(440)).read_bytes())
    at = content.index(b"fLaC") + 8 + 13  # 36 bits of STREAMINFO, the first four in the lower half of a byte.
    content[at : at + 5] = bytes([content[at] & 0xF0 | total >> 32]) + (total & 0xFFFFFFFF).to_bytes(4)
    found = of(bytes(content) + behind, tmp_path / "b.flac")
    assert found.info.duration == pytest.approx(3.0, abs=0.05)
    assert any("its header claims" in each for each in found.info.warnings)
    for share in (0.3, 0.5, 0.95):
        with pytest.raises(RejectedInput, match="the end of the file is missing"):
            of(bytes(content)[: int(len(content) * share)] + behind, tmp_path / "c.flac")
