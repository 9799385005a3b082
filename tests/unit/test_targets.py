"""What a recipe's outputs come to for one source: sizes, names, parameters and keys."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.model.assets import Target, made_by
from mediactl.model.media import AudioStream, Kind, MediaInfo, SubtitleStream, VideoStream
from mediactl.outputs import geometry
from mediactl.outputs.animation import AnimationParams
from mediactl.outputs.audio import AudioParams
from mediactl.outputs.base import P, Params
from mediactl.outputs.cutting import Cutting, piece_frames
from mediactl.outputs.encoding import EncodedParams
from mediactl.outputs.hls import AudioTrackParams, HlsOutput, MasterParams, PlaylistParams, StreamParams
from mediactl.outputs.image import ImageParams
from mediactl.outputs.storyboard import StoryboardMapParams, StoryboardParams
from mediactl.planning import jobs, keys
from mediactl.recipe import loader

VERSIONS = {"image": "libvips-8.18", "ffmpeg": "8.0"}
HLS = loader.parse('name = "mine"\n[[hls]]\nname = "hls"\n', "mine.toml")
LADDER = (1080, 720, 480, 360)


def a_film(width: int = 1920, height: int = 1080, duration: float = 600.0, **video: object) -> MediaInfo:
    """A film of 25 frames a second that can be cut."""
    frames = round(duration * 25)
    track = VideoStream("h264", width, height, fps=25.0, rate="25", even=True, frames=frames, duration=duration)
    return MediaInfo(
        format="mp4",
        width=width,
        height=height,
        duration=duration,
        video=msgspec.structs.replace(track, **video),
        audio=(AudioStream("aac", 6, 48000, language="eng"), AudioStream("aac", 2, 48000, language="Deu!")),
        texts=(
            SubtitleStream("subrip", language="eng"),
            SubtitleStream("hdmv_pgs_subtitle", text=False),
            SubtitleStream("ass"),
        ),
    )


def made(outputs: str, info: MediaInfo, kind: Kind = Kind.VIDEO, digest: str = "aa") -> tuple[Target[Params], ...]:
    """The targets of a recipe with these outputs."""
    return keys.targets(loader.parse('name = "mine"\n' + outputs, "mine.toml"), kind, info, digest, VERSIONS)


def the_only(operation: type[P], outputs: str, info: MediaInfo, kind: Kind = Kind.VIDEO) -> P:
    """The parameters of the one target of this operation."""
    (found,) = made_by(made(outputs, info, kind), operation)
    return found.params


def streams(info: MediaInfo, which: loader.Recipe = HLS) -> list[tuple[str, int, int]]:
    """Name, width and height of every rendition of a ladder."""
    found = keys.targets(which, Kind.VIDEO, info, "aa", VERSIONS)
    return [(each.name, each.params.width, each.params.height) for each in made_by(found, StreamParams)]


@pytest.mark.parametrize(
    ("size", "ladder"),
    [
        ((1920, 1080), ["1080: 1920x1080", "720: 1280x720", "480: 854x480", "360: 640x360"]),
        ((3840, 2160), ["1080: 1920x1080", "720: 1280x720", "480: 854x480", "360: 640x360"]),
        ((2160, 3840), ["1080: 1080x1920", "720: 720x1280", "480: 480x854", "360: 360x640"]),
        ((1920, 800), ["1080: 1920x800", "720: 1280x534", "480: 854x356", "360: 640x266"]),
        ((4096, 1716), ["1080: 1920x804", "720: 1280x536", "480: 854x358", "360: 640x268"]),
        ((1440, 1080), ["1080: 1440x1080", "720: 960x720", "480: 640x480", "360: 480x360"]),
        ((1080, 1080), ["1080: 1080x1080", "720: 720x720", "480: 480x480", "360: 360x360"]),
        ((1920, 1088), ["1080: 1920x1088", "720: 1270x720", "480: 848x480", "360: 636x360"]),
        ((1280, 720), ["720: 1280x720", "480: 854x480", "360: 640x360"]),
        ((1366, 768), ["720: 1280x720", "480: 854x480", "360: 640x360"]),
        ((1600, 900), ["1080: 1600x900", "720: 1280x720", "480: 854x480", "360: 640x360"]),
        ((856, 480), ["480: 856x480", "360: 640x358"]),
        ((854, 480), ["480: 854x480", "360: 640x360"]),
        ((642, 642), ["720: 642x642", "480: 480x480", "360: 360x360"]),
        ((320, 240), ["360: 320x240"]),
        ((1, 1), ["360: 2x2"]),
    ],
)
def test_a_ladder_is_chosen_as_streaming_engineers_do(size: tuple[int, int], ladder: list[str]) -> None:
    assert [f"{name[4:-4]}: {width}x{height}" for name, width, height in streams(a_film(*size))] == ladder


side = st.integers(1, 9000)
heights = st.lists(st.integers(16, 4320), min_size=1, max_size=8).map(tuple)


@REPEATABLE
@given(side, side, heights)
def test_a_ladder_never_enlarges_keeps_the_aspect_and_has_even_sides(
    width: int, height: int, wanted: tuple[int, ...]
) -> None:
    which = loader.recipe("mine", hls=(HlsOutput("hls", heights=wanted),))
    found = streams(a_film(width, height), which)
    assert found
    sizes = [(wide, high) for _, wide, high in found]
    assert len(set(sizes)) == len(sizes)
    assert sizes == sorted(sizes, reverse=True)
    for name, wide, high in found:
        assert wide % 2 == high % 2 == 0
        assert 2 <= wide <= width + 1 and 2 <= high <= height + 1
        lines = int(name.removeprefix("hls-").removesuffix(".mp4"))
        assert lines in wanted
        # Inside the 16:9 frame of so many lines, but for 1 % and a pixel.
        assert max(wide, high) <= max(2.0, lines * 16 / 9 * 1.011 + 1)
        assert min(wide, high) <= max(2.0, lines * 1.011 + 1)
        if min(wide, high) > 2:  # else the aspect cannot be kept
            assert abs(wide * height - high * width) <= width + height + 1e-6


@REPEATABLE
@given(side, side, heights)
def test_the_largest_rendition_is_not_much_smaller_than_the_film_allows(
    width: int, height: int, wanted: tuple[int, ...]
) -> None:
    own = geometry.lines_of(width, height)
    first = geometry.rungs(wanted, own)[0]
    assert first >= min(max(wanted), own / 1.2 - 1)


def test_a_ladder_has_a_playlist_for_each_track_and_the_master_last() -> None:
    found = keys.targets(HLS, Kind.VIDEO, a_film(), "aa", VERSIONS)
    assert [each.name for each in found] == [
        "hls-1080.mp4", "hls-1080.m3u8", "hls-720.mp4", "hls-720.m3u8", "hls-480.mp4", "hls-480.m3u8",
        "hls-360.mp4", "hls-360.m3u8", "hls-audio-1-eng.mp4", "hls-audio-1-eng.m3u8", "hls-audio-2-deu.mp4",
        "hls-audio-2-deu.m3u8", "hls-text-1-eng.vtt", "hls-text-1-eng.m3u8", "hls-text-3.vtt", "hls-text-3.m3u8",
        "hls.m3u8",
    ]  # fmt: skip
    named = {each.name: each for each in found}
    playlists = made_by(found, PlaylistParams)
    for each in playlists:
        assert each.params.of_key == named[each.params.of].key
    (master,) = made_by(found, MasterParams)
    assert found[-1] == master
    assert master.params.of.split(",") == [each.name for each in playlists]


@pytest.mark.parametrize(("audio", "tracks"), [("all", 2), ("first", 1), ("none", 0)])
def test_a_ladder_has_the_sound_that_is_asked_for(audio: str, tracks: int) -> None:
    found = made(f'[[hls]]\nname = "hls"\naudio = "{audio}"\nsubtitles = false\n', a_film())
    assert sum(each.role == "sound" for each in found) == tracks
    assert not any(each.role == "subtitles" for each in found)


def test_a_sound_track_that_cannot_be_decoded_is_left_out_and_the_others_keep_their_numbers() -> None:
    info = a_film()
    broken = msgspec.structs.replace(info.audio[0], playable=False)
    found = made('[[hls]]\nname = "hls"\n', msgspec.structs.replace(info, audio=(broken, info.audio[1])))
    assert [(each.name, each.params.track) for each in made_by(found, AudioTrackParams)] == [("hls-audio-2-deu.mp4", 1)]


def test_a_changed_rendition_is_told_by_the_keys_of_its_playlist_and_of_the_master() -> None:
    before = {each.name: each.key for each in made('[[hls]]\nname = "hls"\n', a_film())}
    after = {each.name: each.key for each in made('[[hls]]\nname = "hls"\nheights = [1080, 720, 480]\n', a_film())}
    assert {name for name in after if after[name] != before[name]} == {"hls.m3u8"}
    better = {each.name: each.key for each in made('[[hls]]\nname = "hls"\ncrf = 20\n', a_film())}
    changed = {name for name in better if better[name] != before[name]}
    assert changed == {"hls.m3u8"} | {f"hls-{height}.{end}" for height in LADDER for end in ("mp4", "m3u8")}


def test_a_download_and_a_rung_of_the_same_size_are_one_encoding() -> None:
    found = made('[[video]]\nname = "v720"\n[[hls]]\nname = "hls"\n', a_film())
    same = [each for each in made_by(found, EncodedParams) if each.name in ("v720.mp4", "hls-720.mp4")]
    assert len({tuple(getattr(each.params, key) for key in EncodedParams.__struct_fields__) for each in same}) == 1
    assert len({each.key for each in same}) == 2


FULL = """
[[video]]
name = "v720"
[[hls]]
name = "hls"
[[poster]]
name = "poster"
[[storyboard]]
name = "storyboard"
[[preview]]
name = "preview"
[[subtitles]]
name = "subtitles"
"""


@REPEATABLE
@given(
    side,
    side,
    st.floats(0, 40_000),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from(["", "eng", "日本", "x" * 99]),
)
def test_no_two_artefacts_of_a_film_have_one_name(
    width: int, height: int, duration: float, sounds: int, texts: int, language: str
) -> None:
    info = msgspec.structs.replace(
        a_film(width, height, duration),
        audio=(AudioStream("aac", 2, 48000, language=language),) * sounds,
        texts=(SubtitleStream("subrip", language=language),) * texts,
    )
    names = [each.name for each in made(FULL, info)]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and "/" not in name and len(name) < 100 for name in names)


@REPEATABLE
@given(st.integers(0, 30_000), st.integers(0, 30_000), st.integers(1, 200), st.integers(1, 6), st.integers(1, 200))
def test_equal_params_have_equal_keys_and_other_params_other_keys(
    one: int, two: int, frames: int, rungs: int, seconds: int
) -> None:
    assume(one != two)
    first = StreamParams(
        codec="h264", width=2 * rungs, height=2, crf=frames, preset="fast", encoder="software", maxrate=seconds,
        hdr=bool(rungs % 2), gop=2.0, piece=one, segment=6.0,
    )  # fmt: skip
    other = msgspec.structs.replace(first, piece=two)
    assert keys.key("aa", first, VERSIONS) == keys.key("aa", msgspec.structs.replace(first), VERSIONS)
    assert keys.key("aa", first, VERSIONS) != keys.key("aa", other, VERSIONS)
    assert keys.key("aa", first, VERSIONS) != keys.key("ab", first, VERSIONS)


@pytest.mark.parametrize(
    ("info", "piece"),
    [
        (a_film(duration=600.0), 750),
        (a_film(duration=119.0), 0),  # short
        (a_film(even=False), 0),  # cannot be cut exactly
        (a_film(rate=""), 0),
        (a_film(frames=None), 0),
        (a_film(frames=750), 0),  # one piece is the whole
        (a_film(frames=751), 200),  # four of about a length
        (a_film(rate="24000/1001"), 672),
        (a_film(rate="60000/1001"), 1320),
        (a_film(rate="1/4", frames=30), 0),  # slides: no frame falls into most key frame intervals
        (a_film(rate="1/600", frames=30), 0),
        (MediaInfo(format="mp3", duration=900.0), 0),
    ],
)
def test_a_film_is_cut_into_whole_key_frame_intervals_or_not_at_all(info: MediaInfo, piece: int) -> None:
    assert piece_frames(info, Cutting()) == piece
    if piece:
        assert info.video is not None
        assert piece % round(Fraction(info.video.rate) * 2) == 0


def test_cutting_decides_the_keys_of_long_films_alone() -> None:
    outputs = '[[video]]\nname = "v"\n'
    other = outputs + "[cutting]\npiece = 10.0\n"
    assert made(outputs, a_film())[0].key != made(other, a_film())[0].key
    assert made(outputs, a_film(duration=60.0)) == made(other, a_film(duration=60.0))


@REPEATABLE
@given(st.floats(0, 100_000), st.floats(0.5, 600), side, side)
def test_a_storyboard_has_at_most_200_pictures_and_reaches_the_end(
    duration: float, interval: float, width: int, height: int
) -> None:
    outputs = f'[[storyboard]]\nname = "s"\ninterval = {interval!r}\n'
    info = a_film(width, height, duration)
    sheet, named = the_only(StoryboardParams, outputs, info), the_only(StoryboardMapParams, outputs, info)
    count, step = sheet.count, sheet.interval
    assert 1 <= count <= 200
    assert step >= interval
    assert (count - 1) * step <= max(duration, 0) + 1e-3
    assert count * step >= duration - step * 1e-5
    assert sheet.columns <= count
    assert sheet.width <= min(160, width)
    assert named.of == "s.webp"
    for key in ("width", "height", "columns", "count", "interval"):
        assert getattr(named, key) == getattr(sheet, key)


def test_loudness_is_a_parameter_only_where_it_is_asked_for() -> None:
    song = MediaInfo(format="mp3", duration=180.0, audio=(AudioStream("mp3", 2, 44100),))
    (plain,) = made('[[audio]]\nname = "a"\n', song, Kind.AUDIO)
    (loud,) = made('[[audio]]\nname = "a"\nloudness = -16\n', song, Kind.AUDIO)
    assert "loudness" not in dict(plain.params.given())
    assert dict(loud.params.given())["loudness"] == -16
    assert plain.key != loud.key


@pytest.mark.parametrize(("channels", "bitrate"), [(1, 256), (2, 512), (6, 1536)])
def test_opus_is_never_asked_for_more_than_it_can(channels: int, bitrate: int) -> None:
    info = MediaInfo(format="flac", duration=180.0, audio=(AudioStream("flac", channels, 48000),))
    outputs = '[[audio]]\nname = "a"\nformat = "opus"\nbitrate = 1024\nchannels = "keep"\n'
    found = the_only(AudioParams, outputs, info, Kind.AUDIO)
    assert (found.bitrate, found.channels) == (bitrate, channels)


def test_a_condition_decides_whether_a_source_gets_an_output() -> None:
    outputs = '[[image]]\nname = "big"\nwhen = "width > 2000 and not animated"\n[[image]]\nname = "all"\n'
    for width, frames, names in ((4000, 1, ["big", "all"]), (4000, 9, ["all"]), (2000, 1, ["all"])):
        info = MediaInfo(format="png", width=width, height=100, frames=frames)
        assert [each.name.partition(".")[0] for each in made(outputs, info, Kind.IMAGE)] == names


def test_a_condition_is_no_part_of_the_key() -> None:
    photo = MediaInfo(format="png", width=4000, height=100)
    plain, asked = ('[[image]]\nname = "a"\n' + when for when in ("", 'when = "width > 2000"\n'))
    assert made(plain, photo, Kind.IMAGE) == made(asked, photo, Kind.IMAGE)


def test_a_picture_that_stands_still_gets_no_film() -> None:
    outputs = '[[image]]\nname = "a"\n[[animation]]\nname = "a"\nwidth = 101\n'
    still = MediaInfo(format="gif", width=301, height=201)
    assert [each.name for each in made(outputs, still, Kind.IMAGE)] == ["a.webp"]
    moving = msgspec.structs.replace(still, frames=20)
    assert [each.name for each in made(outputs, moving, Kind.IMAGE)] == ["a.webp", "a.mp4"]
    video = the_only(AnimationParams, outputs, moving, Kind.IMAGE)
    assert (video.width, video.height) == (100, 68)


@pytest.mark.parametrize(
    ("bound", "size"),
    [
        ("width = 75", (74, 56)),
        ("height = 75", (100, 74)),
        ("width = 75\nheight = 55", (72, 54)),
        ("width = 1", (2, 2)),
        ("width = 500", (400, 304)),  # bounded by nothing: to the nearest
    ],
)
def test_a_film_of_a_picture_is_even_and_within_what_it_may_have_at_most(bound: str, size: tuple[int, int]) -> None:
    moving = MediaInfo(format="gif", width=400, height=303, frames=20)
    video = the_only(AnimationParams, f'[[animation]]\nname = "a"\n{bound}\n', moving, Kind.IMAGE)
    assert (video.width, video.height) == size


@REPEATABLE
@given(side, side, st.integers(1, 5000), st.integers(1, 5000))
def test_a_crop_has_the_proportions_that_were_asked_for_and_never_enlarges(
    width: int, height: int, wide: int, high: int
) -> None:
    outputs = f'[[image]]\nname = "a"\nwidth = {wide}\nheight = {high}\nfit = "cover"\n'
    found = the_only(ImageParams, outputs, MediaInfo(format="png", width=width, height=height), Kind.IMAGE)
    got = found.width, found.height
    assert got[0] <= min(wide, width) and got[1] <= min(high, height)
    if min(got) > 1:
        assert abs(got[0] * high - got[1] * wide) <= (wide + high) / 2 + 1e-3


def test_the_plan_of_a_kind_changes_with_whatever_decides_its_targets() -> None:
    base = loader.parse('name = "mine"\n' + FULL + '[[audio]]\nname = "a"\n[[image]]\nname = "i"\n', "mine.toml")

    def changed(text: str) -> set[Kind]:
        other = loader.parse(text, "mine.toml")
        return {
            each for each in Kind if jobs.plan_digest(base, each, VERSIONS) != jobs.plan_digest(other, each, VERSIONS)
        }

    whole = 'name = "mine"\n' + FULL + '[[audio]]\nname = "a"\n[[image]]\nname = "i"\n'
    assert changed(whole) == set()
    assert changed(whole.replace('"v720"\n', '"v720"\nwhen = "fps > 1"\n')) == {Kind.VIDEO}
    assert changed(whole + '[[waveform]]\nname = "w"\n') == {Kind.VIDEO, Kind.AUDIO}
    assert changed(whole + '[[animation]]\nname = "m"\n') == {Kind.IMAGE}
    assert changed(whole + "[cutting]\npiece = 10.0\n") >= {Kind.VIDEO}
    assert changed(whole + "[run]\nseconds = 10.0\n") == set()
    assert changed('description = "x"\n' + whole) == set()
