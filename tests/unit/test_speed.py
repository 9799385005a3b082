"""``--speed``: encoder settings that the recipe leaves open, and with them the keys of what they encode."""

from __future__ import annotations

import pytest

from mediactl.core.settings import Settings
from mediactl.model.media import AudioStream, Kind, MediaInfo, VideoStream
from mediactl.model.speed import BALANCED, SPEEDS, Speed
from mediactl.outputs.encoding import DEFAULT_PRESET, PRESETS, SPEED_PACE
from mediactl.outputs.image import DEFAULT_EFFORT, SPEED_EFFORT
from mediactl.outputs.video import VideoOutput
from mediactl.pipeline.planner import Planner
from mediactl.planning import keys
from mediactl.recipe import loader
from mediactl.recipe.loader import Recipe

VERSIONS = {"image": "libvips-8.18", "ffmpeg": "8.0"}
SOUND = (AudioStream("aac", 2, 48_000),)
INFO = {
    Kind.IMAGE: MediaInfo(format="jpeg", width=4000, height=3000),
    Kind.VIDEO: MediaInfo(
        format="mp4", width=1920, height=1080, duration=10.0, video=VideoStream("h264", 1920, 1080), audio=SOUND
    ),
    Kind.AUDIO: MediaInfo(format="mp3", duration=180.0, audio=SOUND),
}
GIVEN = """
name = "given"
[[image]]
name = "w1"
effort = 5
[[video]]
name = "v"
preset = "medium"
"""


def keys_of(recipe: Recipe, kind: Kind) -> dict[str, str]:
    """Name -> key of what a recipe derives."""
    return {each.name: each.key for each in keys.targets(recipe, kind, INFO[kind], "f" * 64, VERSIONS)}


@pytest.mark.parametrize("name", loader.builtin_names())
def test_a_balanced_recipe_is_the_recipe_itself(name: str) -> None:
    recipe = loader.load(name)
    assert recipe.at_speed(BALANCED) == recipe
    assert recipe.at_speed(BALANCED).digest() == recipe.digest()


def test_what_is_encoded_has_another_key_at_each_speed_and_all_else_keeps_its_own() -> None:
    recipe = loader.load("web")
    found = {speed: recipe.at_speed(speed) for speed in SPEEDS}
    assert len({each.digest() for each in found.values()}) == len(SPEEDS)
    encoded = {
        Kind.IMAGE: {"w320.webp", "w800.webp", "w1600.webp"},
        Kind.VIDEO: {
            "v720.mp4", "poster.webp", "hls.m3u8",
            *(f"hls-{lines}.{end}" for lines in (1080, 720, 480, 360) for end in ("mp4", "m3u8")),
        },
        Kind.AUDIO: set(),
    }  # fmt: skip
    for kind, names in encoded.items():
        by_speed = [keys_of(each, kind) for each in found.values()]
        changed = {name for name in by_speed[0] if len({each[name] for each in by_speed}) > 1}
        assert changed == names, kind
        for name in names:
            assert len({each[name] for each in by_speed}) == len(SPEEDS), name


@pytest.mark.parametrize("speed", SPEEDS)
def test_what_a_recipe_sets_itself_stays(speed: Speed) -> None:
    recipe = loader.parse(GIVEN, "given.toml")
    assert recipe.at_speed(speed) == recipe


def test_presets_and_efforts_exist_and_are_ordered() -> None:
    speeds: tuple[Speed, ...] = ("fast", BALANCED, "small")
    for codec, known in PRESETS.items():
        chosen = [SPEED_PACE.get(speed, {}).get(codec) for speed in speeds]
        places = [known.index(each.preset if each else DEFAULT_PRESET[codec]) for each in chosen]
        assert places == sorted(places, reverse=codec == "av1"), codec
        assert places[-1] != places[1], codec
    for format, usual in DEFAULT_EFFORT.items():
        efforts = [SPEED_EFFORT["fast"][format], usual, SPEED_EFFORT["small"][format]]
        assert efforts == sorted(efforts), format
        assert 0 <= efforts[0] <= efforts[-1] <= 10


@pytest.mark.parametrize("line", ["crf = 20", "quality = { vmaf = 90 }"])
def test_a_quality_that_a_recipe_sets_stays_and_the_preset_changes(line: str) -> None:
    [small] = loader.parse(f'name = "r"\n[[video]]\nname = "v"\n{line}', "r.toml").at_speed("small").outputs(Kind.VIDEO)
    [usual] = loader.parse(f'name = "r"\n[[video]]\nname = "v"\n{line}', "r.toml").outputs(Kind.VIDEO)
    assert isinstance(small, VideoOutput)
    assert isinstance(usual, VideoOutput)
    assert (small.crf, small.quality) == (usual.crf, usual.quality)
    assert small.preset == SPEED_PACE["small"]["h264"].preset


def test_recipes_of_manifest_rows_are_made_at_the_speed_of_the_run() -> None:
    settings = Settings(sources=(), out=b"/out", state="/out/.mediactl", speed="small")
    planner = Planner(settings, loader.load("web"), VERSIONS, journal=None)  # type: ignore[arg-type]
    assert planner.named("archive") == loader.load("archive")  # which says both itself
    assert planner.named("thumbnails") == loader.load("thumbnails").at_speed("small")
    assert planner.named("thumbnails") != loader.load("thumbnails")
