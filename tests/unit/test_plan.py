"""What is missing: targets, their keys, and when what is done stays done."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.model.assets import Artefact, OutputFile, Target, made_by
from mediactl.model.jobs import MakeTask, NewJob, Priority
from mediactl.model.media import AudioStream, Fingerprint, Kind, Limits, MediaInfo, Source, VideoStream
from mediactl.outputs import geometry, registry
from mediactl.outputs.audio import AudioOutput, AudioParams
from mediactl.outputs.base import Params
from mediactl.outputs.image import ImageParams
from mediactl.outputs.poster import PosterParams
from mediactl.outputs.video import VideoParams
from mediactl.planning import jobs
from mediactl.planning import keys as targets
from mediactl.recipe import loader

VERSIONS = {"image": "libvips-8.18", "ffmpeg": "8.0"}
WEB = loader.parse(
    """
name = "web"
[[image]]
name = "w320"
width = 320

[[image]]
name = "w800"
width = 800

[[image]]
name = "w1600"
width = 1600

[[video]]
name = "v720"
height = 720

[[poster]]
name = "poster"
width = 1280

[[audio]]
name = "audio"
format = "m4a"

[[audio]]
name = "audio"
format = "opus"
""",
    "web.toml",
)
PHOTO = MediaInfo(format="jpeg", width=4000, height=3000)
FILM = MediaInfo(
    format="mp4",
    width=1920,
    height=1080,
    duration=10.0,
    video=VideoStream("h264", 1920, 1080),
    audio=(AudioStream("aac", 2, 48000),),
)
SONG = MediaInfo(format="mp3", duration=180.0, audio=(AudioStream("mp3", 2, 44100),))


def recipe_with(*widths: int, extra: str = "") -> loader.Recipe:
    """A recipe of WebP files in these widths."""
    outputs = "".join(f'[[image]]\nname = "w{width}"\nwidth = {width}\n' for width in widths)
    return loader.parse('name = "mine"\n' + extra + outputs, "mine.toml")


def keys(which: loader.Recipe, info: MediaInfo = PHOTO, digest: str = "aa", **versions: str) -> dict[str, str]:
    """Name -> key of every target."""
    kind = Kind.VIDEO if info.video else Kind.AUDIO if info.audio else Kind.IMAGE
    return {each.name: each.key for each in targets.targets(which, kind, info, digest, {**VERSIONS, **versions})}


def a_source(**changes: object) -> Source:
    """Some photo."""
    source = Source(b"/photos", b"trip/a.jpg", b"trip/a.jpg", Fingerprint(100, 2, 3, 4), Kind.IMAGE, "jpeg")
    return msgspec.structs.replace(source, **changes)


side = st.integers(1, 20_000)


@REPEATABLE
@given(side, side, st.none() | side, st.none() | side, side)
def test_fitting_never_enlarges_never_overflows_and_keeps_the_shape(
    width: int, height: int, box_width: int | None, box_height: int | None, longest: int
) -> None:
    wide, high = geometry.fit(width, height, box_width, box_height, longest)
    assert 1 <= wide <= min(width, box_width or width, longest)
    assert 1 <= high <= min(height, box_height or height, longest)
    if min(wide, high) > 1:  # else the shape cannot be kept in whole pixels
        assert abs(wide * height - high * width) <= (width + height) / 2 + 0.001


def test_an_image_that_fits_is_left_as_large_as_it_is() -> None:
    assert geometry.fit(300, 200, 800, 600, 16_383) == (300, 200)
    assert geometry.fit(4000, 3000, 800, None, 16_383) == (800, 600)
    assert geometry.fit(4000, 3000, None, 600, 16_383) == (800, 600)
    assert geometry.fit(40_000, 10, None, None, 16_383) == (16_383, 4)
    assert geometry.fit(16_000, 1, 100, None, 16_383) == (100, 1)


@REPEATABLE
@given(st.integers(1, 8000), st.integers(1, 8000))
def test_a_film_gets_even_sides_that_are_at_most_a_pixel_larger(width: int, height: int) -> None:
    film = msgspec.structs.replace(FILM, width=width, height=height)
    (found,) = made_by(targets.targets(WEB, Kind.VIDEO, film, "aa", VERSIONS), VideoParams)
    made = found.params.width, found.params.height
    assert all(each % 2 == 0 and each >= 2 for each in made)
    assert made[0] <= width + 1
    assert made[1] <= height + 1
    assert min(made) <= 728  # 1 % above is taken as it is


SMALL = ImageParams(format="webp", width=3, height=2, quality=80, effort=4, animated=False)


def test_equal_params_have_equal_keys_in_every_run() -> None:
    assert targets.key("aa", SMALL, VERSIONS) == targets.key("aa", msgspec.structs.replace(SMALL), VERSIONS)
    # A change of this constant makes every output of every user anew.
    assert targets.key("aa", SMALL, VERSIONS) == "c7cd2575c657fd045c015435ed332ce2"


def test_a_parameter_that_has_its_default_is_no_part_of_the_key() -> None:
    assert [name for name, _ in SMALL.given()] == ["animated", "effort", "format", "height", "quality", "width"]
    cut = msgspec.structs.replace(SMALL, fit="cover", position="top")
    assert {name for name, _ in cut.given()} - {name for name, _ in SMALL.given()} == {"fit", "position"}


@pytest.mark.parametrize(
    ("digest", "params", "versions"),
    [
        ("ab", SMALL, VERSIONS),
        ("aa", PosterParams(**msgspec.structs.asdict(SMALL)), VERSIONS),
        ("aa", msgspec.structs.replace(SMALL, width=4), VERSIONS),
        ("aa", msgspec.structs.replace(SMALL, similarity=0.9), VERSIONS),
        ("aa", SMALL, {**VERSIONS, "image": "libvips-8.19"}),
    ],
)
def test_whatever_decides_the_bytes_makes_another_key(digest: str, params: Params, versions: dict[str, str]) -> None:
    assert targets.key(digest, params, versions) != targets.key("aa", SMALL, VERSIONS)


def test_an_encoder_that_has_no_part_in_it_leaves_a_key_as_it_is() -> None:
    assert keys(WEB) == keys(WEB, ffmpeg="99")
    assert keys(WEB, FILM)["v720.mp4"] == keys(WEB, FILM, image="99")["v720.mp4"]
    assert keys(WEB, FILM)["poster.webp"] != keys(WEB, FILM, image="99")["poster.webp"]
    assert keys(WEB, FILM)["poster.webp"] != keys(WEB, FILM, ffmpeg="99")["poster.webp"]


def test_adding_a_width_leaves_the_other_keys_alone() -> None:
    before, after = keys(recipe_with(320, 800)), keys(recipe_with(100, 320, 640, 800))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"w100.webp", "w640.webp"}


def test_a_small_photo_has_one_key_for_all_widths_that_it_does_not_reach() -> None:
    found = keys(WEB, msgspec.structs.replace(PHOTO, width=500, height=400))
    assert found["w800.webp"] == found["w1600.webp"] != found["w320.webp"]


def test_the_plan_of_a_kind_changes_with_its_own_outputs_and_no_others() -> None:
    song, *others = WEB.table(AudioOutput)
    louder = msgspec.structs.replace(WEB, audio=(msgspec.structs.replace(song, bitrate=256), *others))
    for kind, changes in ((Kind.IMAGE, False), (Kind.VIDEO, True), (Kind.AUDIO, True)):
        before, after = jobs.plan_digest(WEB, kind, VERSIONS), jobs.plan_digest(louder, kind, VERSIONS)
        assert (before != after) is changes, kind
        assert before.partition(":")[2] == after.partition(":")[2], "its encoders are the same"


@pytest.mark.parametrize(
    ("encoder", "touched"), [("image", {Kind.IMAGE, Kind.VIDEO}), ("ffmpeg", {Kind.VIDEO, Kind.AUDIO})]
)
def test_another_encoder_is_another_plan_for_the_kinds_that_it_makes(encoder: str, touched: set[Kind]) -> None:
    newer = {**VERSIONS, encoder: "99"}
    changed = {kind for kind in Kind if jobs.plan_digest(WEB, kind, VERSIONS) != jobs.plan_digest(WEB, kind, newer)}
    assert changed == touched
    for kind in changed:
        before, after = jobs.plan_digest(WEB, kind, VERSIONS), jobs.plan_digest(WEB, kind, newer)
        assert before.partition(":")[0] == after.partition(":")[0], "its recipe is the same"


def test_other_limits_or_another_placeholder_are_another_plan() -> None:
    plain = jobs.plan_digest(recipe_with(320), Kind.IMAGE, VERSIONS)
    for extra in ("limits.pixels = 5\n", 'placeholder = "none"\n'):
        assert jobs.plan_digest(recipe_with(320, extra=extra), Kind.IMAGE, VERSIONS) != plain


def test_a_film_container_without_a_picture_is_a_recording() -> None:
    assert targets.effective_kind(Kind.VIDEO, SONG) is Kind.AUDIO
    assert targets.effective_kind(Kind.VIDEO, FILM) is Kind.VIDEO
    assert targets.effective_kind(Kind.IMAGE, PHOTO) is Kind.IMAGE
    assert [each.role for each in targets.targets(WEB, Kind.VIDEO, SONG, "aa", VERSIONS)] == ["audio", "audio"]
    assert [each.role for each in targets.targets(WEB, Kind.VIDEO, FILM, "aa", VERSIONS)] == ["rendition", "poster"]


def test_mono_sound_stays_mono_and_takes_fewer_bits() -> None:
    mono = msgspec.structs.replace(SONG, audio=(AudioStream("mp3", 1, 44100),))
    params = [each.params for each in targets.targets(WEB, Kind.AUDIO, mono, "aa", VERSIONS)]
    assert params == [AudioParams("m4a", 80, 1, cover=True), AudioParams("opus", 60, 1, cover=True)]


def test_only_webp_keeps_an_animation() -> None:
    moving = msgspec.structs.replace(PHOTO, frames=20)
    both = loader.parse('name = "mine"\n[[image]]\nname = "a"\n[[image]]\nname = "b"\nformat = "jpeg"\n', "mine.toml")
    found = made_by(targets.targets(both, Kind.IMAGE, moving, "aa", VERSIONS), ImageParams)
    assert [each.params.animated for each in found] == [True, False]


def make(wanted: tuple[Target[Params], ...], keep: tuple[OutputFile, ...] = (), source: Source | None = None) -> NewJob:
    """The job that makes these of a photo."""
    subject = jobs.Subject(source or a_source(), "aa", PHOTO, kept=keep)
    task = jobs.make_task(subject, WEB, wanted, out=b"/out", threads=2)
    return jobs.make_job(task, 1, WEB.run, "plan", Priority.HIGH)


def test_a_job_has_one_key_for_the_same_work_whatever_is_already_there() -> None:
    wanted = targets.targets(WEB, Kind.IMAGE, PHOTO, "aa", VERSIONS)
    first = wanted[0]
    have = OutputFile(Artefact(first.name, first.role, "image/webp", 1, "sha", first.key), 5, 6)
    assert make(wanted).key == make(wanted, (have,)).key
    assert make(wanted).key != make(wanted[1:]).key
    assert make(wanted).key != make(wanted, source=a_source(fingerprint=Fingerprint(100, 2, 3, 5))).key
    assert make(wanted).key != make(wanted, source=a_source(directory=b"elsewhere")).key
    task = msgspec.json.decode(make(wanted, (have,)).payload, type=MakeTask, dec_hook=registry.decode)
    assert task.targets == wanted
    assert task.keep == (have,)


def test_outputs_that_no_target_asks_for_are_not_kept() -> None:
    wanted = targets.targets(WEB, Kind.IMAGE, PHOTO, "aa", VERSIONS)
    stray = OutputFile(Artefact("old.webp", "variant", "image/webp", 1, "sha", "another key"), 5, 6)
    assert msgspec.json.decode(make(wanted, (stray,)).payload, type=MakeTask, dec_hook=registry.decode).keep == ()


def test_more_work_is_granted_more_time() -> None:
    assert jobs.make_limit(Kind.IMAGE, PHOTO) > jobs.make_limit(Kind.IMAGE, MediaInfo(format="png", width=1, height=1))
    longer = msgspec.structs.replace(FILM, duration=7200.0)
    assert jobs.make_limit(Kind.VIDEO, longer) > 7200 > jobs.make_limit(Kind.VIDEO, FILM)
    small = jobs.probe_job(a_source(), 1, Limits(), Priority.NORMAL)
    large = jobs.probe_job(a_source(fingerprint=Fingerprint(10**10, 2, 3, 4)), 1, Limits(), Priority.NORMAL)
    assert small.time_limit < 61 < 2000 < large.time_limit
