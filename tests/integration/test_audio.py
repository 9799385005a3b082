"""Audio in, verified AAC and Opus out: duration, channels, tags, damage, and malicious sources."""

from __future__ import annotations

import io
import os
import re
import subprocess
import wave
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import pytest
from av.stream import Disposition
from PIL import Image
from support.films import inspected, make

from mediactl.core.errors import RejectedInput
from mediactl.core.files import fingerprint
from mediactl.media.audio import render as audio
from mediactl.media.drafts import Drafts, Request, Temporary
from mediactl.media.ffmpeg import binary
from mediactl.media.inspect import streams
from mediactl.media.inspect.containers import isobmff
from mediactl.model.assets import Operation, Target
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, Limits, MediaInfo, Source
from mediactl.outputs.audio import AudioParams

TONE = ("-f", "lavfi", "-i", "sine=440:d=1.5:r=44100")


class Rendered(NamedTuple):
    """What became of a recording."""

    info: MediaInfo
    drafts: Drafts
    files: tuple[Path, ...]


def target(format: str, channels: int = 2) -> Target[AudioParams]:
    return Target(f"audio.{format}", "audio", AudioParams(format, 96, channels, cover=False), format)


def render(path: Path, *targets: Target[Operation], folder: Path | None = None) -> Rendered:
    """Probe and render a recording as ``make`` does; without targets, both formats, in stereo at most."""
    folder = folder or path.parent / f"out of {path.name}"
    fd = os.open(path, os.O_RDONLY)
    try:
        info = streams.probe(fd, path.suffix[1:], Limits())
        channels = min(2, info.audio[0].channels)
        targets = targets or (target("m4a", channels), target("opus", channels))
        place = os.fsencode(path.name)
        mark = fingerprint(os.fstat(fd))
        source = Source(os.fsencode(path.parent), place, place, mark, Kind.AUDIO, path.suffix[1:])
        task = MakeTask(source, "digest", info, targets, (), os.fsencode(folder), "test", Limits(), threads=1)
        folder.mkdir(parents=True, exist_ok=True)
        temporary: Temporary = lambda name: os.fsencode(folder / f".mediactl-t-{name}")  # noqa: E731
        drafts = audio.render(Request(fd, task, targets, temporary, lambda _: None, lambda _: None))
        return Rendered(info, drafts, tuple(Path(os.fsdecode(draft.file)) for draft in drafts.files))
    finally:
        os.close(fd)


def decoded_length(path: Path) -> float:
    """Seconds of sound that come out of a decoder, whatever any header says."""
    length = 0.0
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            with suppress(av.InvalidDataError):  # As players do: the next packet may be better.
                length += sum(frame.samples / frame.sample_rate for frame in packet.decode())
    return length


def decoded(path: Path) -> tuple[str, int, int]:
    """(codec, channels, samples a second)."""
    with av.open(str(path)) as container:
        context = container.streams.audio[0].codec_context
        return context.name, context.channels, context.sample_rate


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", ()),
        ("a.flac", ()),
        ("a.mp3", ()),
        ("without-header.mp3", ("-write_xing", "0", "-id3v2_version", "0")),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.opus", ()),
        ("a.m4a", ()),
        ("a.aac", ()),
        ("a.aiff", ()),
        ("a.mka", ("-c:a", "ac3")),
    ],
)
def test_a_recording_lasts_as_long_as_before(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    source = make(tmp_path / name, *TONE, *options)
    made = render(source)
    length = decoded_length(source)
    assert made.info.duration == pytest.approx(length, abs=0.05)
    assert made.drafts.warnings == ()
    for draft, file in zip(made.drafts.files, made.files, strict=True):
        assert draft.duration == pytest.approx(length, abs=0.05)
        # What a player leaves out at both ends, PyAV does too, but for the padding of the last frame.
        assert decoded_length(file) == pytest.approx(length, abs=0.05)


def test_codecs_channels_and_media_types_are_those_asked_for(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", *TONE, "-ac", "2")
    made = render(source, target("m4a", 2), target("opus", 1))
    assert [decoded(file) for file in made.files] == [("aac", 2, 44_100), ("opus", 1, 48_000)]
    assert [draft.media_type for draft in made.drafts.files] == ["audio/mp4", "audio/ogg; codecs=opus"]
    with made.files[0].open("rb") as file:
        assert isobmff.is_faststart(file.fileno())


def test_six_channels_and_high_rates_become_stereo_that_every_browser_plays(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "sine=440:d=1:r=96000", "-ac", "6", "-c:a", "pcm_f32le")
    made = render(source)
    assert [decoded(file) for file in made.files] == [("aac", 2, 48_000), ("opus", 2, 48_000)]


def test_sound_without_known_channels_is_refused_with_their_number(tmp_path: Path) -> None:
    source = tmp_path / "many.wav"
    with wave.open(str(source), "wb") as file:
        file.setparams((11, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(11 * 2 * 8000))
    with pytest.raises(RejectedInput, match="has 11 audio channels"):
        render(source)


def test_a_gap_becomes_silence(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mka", *TONE, "-af", "aselect='lt(t,0.4)+gt(t,1.1)'", "-c:a", "libvorbis")
    for file in render(source).files:
        assert decoded_length(file) == pytest.approx(1.5, abs=0.05)


def test_tags_are_kept_and_nothing_in_them_is_an_option(tmp_path: Path) -> None:
    source = make(
        tmp_path / "a.mp3",
        *TONE,
        *("-metadata", "title=-i /etc/passwd", "-metadata", "artist=Ä=b;c\nd", "-metadata", "album=%03d"),
        *("-metadata", "date=2024", "-metadata", "track=3/9", "-metadata", "comment=48.1372 11.5756"),
    )
    made = render(source)
    wanted = {"title": "-i /etc/passwd", "artist": "Ä=b;c d", "album": "%03d", "date": "2024", "track": "3/9"}
    assert made.info.tags == wanted
    for file in made.files:
        with av.open(str(file)) as container:
            found = {**container.metadata, **container.streams.audio[0].metadata}
        assert wanted.items() <= {key.lower(): value for key, value in found.items()}.items()
        assert b"48.1372" not in file.read_bytes()


def test_cover_art_is_no_film_and_is_left_out_with_a_word(tmp_path: Path) -> None:
    cover = make(tmp_path / "cover.png", "-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1")
    source = make(
        tmp_path / "a.mp3", *TONE, "-i", str(cover), "-map", "0", "-map", "1", "-disposition:v", "attached_pic"
    )
    made = render(source)
    assert made.info.video is None
    assert made.drafts.warnings == ("left out: the cover art",)


def test_equal_work_gives_equal_bytes(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", *TONE)
    first, second = render(source, folder=tmp_path / "1").files, render(source, folder=tmp_path / "2").files
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff", "a.mka", "a.m4a"])
def test_a_recording_that_was_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    whole = make(tmp_path / name, *TONE)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(RejectedInput, match=r"broken after \d\.\d s|is truncated"):
        render(whole)


@pytest.mark.parametrize("content", [b"", b"no sound at all\n" * 100, b"RIFF\0\0\0\0WAVEfmt ", bytes(5000)])
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(content)
    with pytest.raises(RejectedInput):
        render(source)


def test_a_recording_without_a_single_sample_is_refused(tmp_path: Path) -> None:
    whole = make(tmp_path / "a.wav", *TONE)
    header = bytearray(whole.read_bytes()[:44])
    whole.write_bytes(header)
    with pytest.raises(RejectedInput):
        render(whole)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", ["a.wav", "a.aiff"])
def test_a_recording_of_less_than_a_sample_is_refused(name: str, size: int, tmp_path: Path) -> None:
    whole = make(tmp_path / name, "-f", "lavfi", "-i", "anoisesrc=d=0.01:r=8000", "-bitexact")
    content = whole.read_bytes()
    data = content.find(b"data") + 8 if name == "a.wav" else content.find(b"SSND") + 16
    whole.write_bytes(content[: data + size])
    with pytest.raises(RejectedInput):
        render(whole)


@pytest.mark.parametrize("rate", [60_000_000, 2**30, 2**31 - 1])
def test_an_absurd_sample_rate_is_refused(rate: int, tmp_path: Path) -> None:
    """ffmpeg ends with 234 for it, or its filters take gigabytes."""
    whole = make(tmp_path / "a.wav", "-f", "lavfi", "-i", "anoisesrc=d=1:r=8000", "-bitexact")
    content = whole.read_bytes()
    header = content[:24] + rate.to_bytes(4, "little") + (2 * rate % 2**32).to_bytes(4, "little") + content[32:44]
    whole.write_bytes(header.replace(len(content[44:]).to_bytes(4, "little"), (4 << 20).to_bytes(4, "little")))
    with whole.open("ab") as file:
        file.write(content[44:] * 263)
    with pytest.raises(RejectedInput, match="sample rate|duration of zero"):
        render(whole)


def test_a_playlist_that_calls_itself_a_recording_is_refused(tmp_path: Path) -> None:
    canary = make(tmp_path / "canary.mp3", *TONE)
    source = tmp_path / "list.mp3"
    source.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n")
    with pytest.raises(RejectedInput):
        render(source, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["-i %03d.mp3", "pipe:0.mp3", "a\nb.mp3"])
def test_no_name_is_parsed(name: str, tmp_path: Path) -> None:
    source = make(tmp_path / "plain.mp3", *TONE).rename(tmp_path / name)
    folder = tmp_path / "out" / name
    assert len(render(source, folder=folder).files) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out"])
    assert len(list(folder.iterdir())) == 2


def test_real_recordings_come_out_whole(corpus: Path, tmp_path: Path) -> None:
    for path in sorted((corpus / "audio").iterdir()):
        made = render(path, folder=tmp_path / path.name)
        length = decoded_length(path)
        assert made.info.duration == pytest.approx(length, abs=0.05), path.name
        for draft, file in zip(made.drafts.files, made.files, strict=True):
            assert draft.duration == pytest.approx(length, abs=0.05), path.name
            assert decoded_length(file) == pytest.approx(length, abs=0.05), path.name


def kept(path: Path, **params: Any) -> Target[AudioParams]:
    """A target of this name with other parameters."""
    base = target(path.suffix[1:])
    return Target(path.name, base.role, msgspec.structs.replace(base.params, **params), path.name)


def with_cover(folder: Path, name: str, *options: str, size: str = "64x48", cover: str = "cover.png") -> Path:
    """A recording with a red cover."""
    picture = make(folder / cover, "-f", "lavfi", "-i", f"color=red:s={size}", "-frames:v", "1")
    attached = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    return make(folder / name, *TONE, "-i", str(picture), *attached, *options)


def cover_of(path: Path) -> Image.Image:
    """The picture that a sound file holds, as players find it."""
    with av.open(str(path)) as container:
        (stream,) = [each for each in container.streams.video if each.disposition & Disposition.attached_pic]
        (packet,) = [packet for packet in container.demux(stream) if packet.size]
    return Image.open(io.BytesIO(bytes(packet)))


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp3", ("-id3v2_version", "3")), ("a.flac", ()), ("a.m4a", ("-c:a", "aac"))],
)
def test_cover_art_is_kept(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    source = with_cover(tmp_path, name, *options)
    made = render(source, kept(Path("x.m4a"), channels=1, cover=True), kept(Path("x.opus"), channels=1, cover=True))
    assert made.info.video is None
    assert made.drafts.warnings == ()
    for file in made.files:
        picture = cover_of(file)
        assert (picture.format, picture.size) == ("JPEG", (64, 48))
        red, green, blue = picture.convert("RGB").getpixel((30, 20))  # type: ignore[misc]
        assert red > 240
        assert max(green, blue) < 15
        assert decoded_length(file) == pytest.approx(1.5, abs=0.02)
    assert len(list(made.files[0].parent.iterdir())) == 2


def test_a_large_cover_is_made_smaller_and_loses_its_place(tmp_path: Path) -> None:
    with Image.new("RGB", (1600, 1200), "red") as image:
        exif = image.getexif()
        exif.get_ifd(0x8825)[1] = "N48.1372"
        exif[0x010F] = "SECRETCAMERA"
        image.save(tmp_path / "cover.jpg", exif=exif)
    attached = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    source = make(tmp_path / "a.mp3", *TONE, "-i", str(tmp_path / "cover.jpg"), *attached)
    assert b"SECRETCAMERA" in source.read_bytes()
    made = render(source, kept(Path("x.m4a"), channels=1, cover=True), kept(Path("x.opus"), channels=1, cover=True))
    for file in made.files:
        picture = cover_of(file)
        assert picture.size == (1000, 750)
        assert not picture.getexif()
        assert b"SECRETCAMERA" not in file.read_bytes()


def test_a_cover_that_is_no_picture_is_left_out_with_a_word(tmp_path: Path) -> None:
    source = with_cover(tmp_path, "a.mp3", size="640x480")
    content = source.read_bytes()
    place = content.index(b"IDAT")
    source.write_bytes(content[: place + 8] + b"\xff" * 40 + content[place + 48 :])
    made = render(source, kept(Path("x.m4a"), channels=1, cover=True))
    assert made.drafts.warnings == ("left out: the cover art, which cannot be decoded",)


def test_chapters_are_kept(tmp_path: Path) -> None:
    chapters = tmp_path / "chapters"
    chapters.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=700\ntitle=Eins\\=1\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=700\nEND=1500\ntitle=Zwei ä\n"
    )
    source = make(tmp_path / "a.m4a", *TONE, "-i", str(chapters), "-map_chapters", "1")
    made = render(source, kept(Path("x.m4a"), channels=1), kept(Path("x.opus"), channels=1))
    wanted = [(0.0, "Eins=1"), (0.7, "Zwei ä")]
    assert [(each.start, each.title) for each in made.info.chapters] == wanted
    assert inspected(source).data_count == 0  # The text track that MP4 has chapters in is kept as chapters.
    assert made.drafts.warnings == ()
    for file in made.files:
        with av.open(str(file)) as container:
            found = container.chapters()
        starts = [float(each["start"] * (each["time_base"] or 0)) for each in found]
        assert list(zip(starts, [each["metadata"].get("title") for each in found], strict=True)) == wanted, file


def test_a_click_stays_at_its_time(tmp_path: Path) -> None:
    click = "aevalsrc=if(between(t\\,1\\,1.002)\\,0.9\\,0):d=2:s=48000"
    source = make(tmp_path / "a.flac", "-f", "lavfi", "-i", click)
    for file in render(source).files:
        command = [binary.find(), "-v", "error", "-i", str(file), "-ar", "48000", "-f", "s16le", "-"]
        samples = array("h", subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
        assert len(samples) / 48_000 == pytest.approx(2.0, abs=0.02)
        loudest = max(range(len(samples)), key=lambda place: abs(samples[place]))
        assert loudest / 48_000 == pytest.approx(1.001, abs=0.003)


@pytest.mark.parametrize(
    ("sound", "warning"),
    [
        ("anullsrc=d=2:r=48000", "the audio is silent throughout"),
        ("sine=440:d=2:r=48000,volume=30dB", r"the audio clips: [\d]+ samples at full scale"),
        ("aevalsrc='if(lt(t,8),0.3*sin(880*PI*t),0)':d=30:s=8000", "the audio is silent from 8 s on, of 30 s"),
    ],
)
def test_silence_and_clipping_are_told(sound: str, warning: str, tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", sound, "-c:a", "pcm_s16le")
    (told,) = render(source, target("m4a", 1)).drafts.warnings
    assert re.fullmatch(warning, told)


def test_floating_point_sound_over_full_scale_is_told(tmp_path: Path) -> None:
    sound = "aevalsrc=2*sin(880*PI*t):d=1:s=48000"
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", sound, "-c:a", "pcm_f32le")
    assert render(source, target("m4a", 1)).drafts.warnings == (
        "the audio exceeds full scale by 6.0 dB, its level is kept: players may clip it",
    )


def test_full_scale_alone_is_not_clipping(tmp_path: Path) -> None:
    sound = "aevalsrc=if(between(t\\,1\\,1.0001)\\,1\\,0.3*sin(880*PI*t)):d=2:s=48000"
    source = make(tmp_path / "a.wav", "-f", "lavfi", "-i", sound, "-c:a", "pcm_s16le")
    assert render(source, target("m4a", 1)).drafts.warnings == ()


@pytest.mark.parametrize("format", ["m4a", "opus"])
def test_a_recording_that_changes_its_channels_stays_in_time(format: str, tmp_path: Path) -> None:
    plain = ("-write_xing", "0", "-id3v2_version", "0", "-c:a", "libmp3lame")
    parts = [
        make(tmp_path / "1.mp3", "-f", "lavfi", "-i", "sine=440:d=3:r=48000", "-ac", "2", *plain),
        make(tmp_path / "2.mp3", "-f", "lavfi", "-i", "sine=880:d=3:r=44100", "-ac", "1", *plain),
    ]
    source = tmp_path / "a.mp3"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    made = render(source, target(format, 2))
    assert "the audio changes its channels or its sample rate: it was made uniform" in made.drafts.warnings
    assert decoded_length(made.files[0]) == pytest.approx(6.1, abs=0.15)
