"""What another recipe means for what was made: exact in artefacts, near enough in seconds and bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mediactl.jobs.sources import Outcome
from mediactl.model.assets import Prior, PriorArtefact
from mediactl.model.media import AudioStream, Kind, MediaInfo, SubtitleStream, VideoStream
from mediactl.pipeline import impact
from mediactl.pipeline.impact import Effect
from mediactl.planning import keys
from mediactl.recipe import loader

VERSIONS = {"image": "libvips-8.18", "ffmpeg": "8.0"}
PHOTO = MediaInfo(format="jpeg", width=4000, height=3000)
FILM = MediaInfo(
    format="mp4",
    width=1920,
    height=1080,
    duration=60.0,
    video=VideoStream("h264", 1920, 1080, fps=25.0),
    audio=(AudioStream("aac", 2, 48000, language="eng"),),
    texts=(SubtitleStream("subrip", language="eng"),),
)
SONG = MediaInfo(format="mp3", duration=180.0, audio=(AudioStream("mp3", 2, 44100),))


def parse(outputs: str) -> loader.Recipe:
    """A recipe of these outputs."""
    return loader.parse('name = "mine"\n' + outputs, "mine.toml")


def widths(*wanted: int, more: str = "") -> str:
    """WebP files in these widths."""
    return "".join(f'[[image]]\nname = "w{width}"\nwidth = {width}\n{more}' for width in wanted)


def had(outputs: str, kind: Kind, info: MediaInfo, digest: str = "aa") -> list[PriorArtefact]:
    """What a source has that was made by these outputs."""
    made = keys.targets(parse(outputs), kind, info, digest, VERSIONS)
    return [
        PriorArtefact(
            each.name,
            each.role,
            each.key,
            round(each.params.expected_bytes(info, Prior())),
            getattr(each.params, "width", None),
            getattr(each.params, "height", None),
            info.duration,
        )
        for each in made
    ]


def effect(
    before: str,
    after: str,
    kind: Kind = Kind.IMAGE,
    info: MediaInfo = PHOTO,
    measured: Callable[[Kind, str, int], float | None] = lambda *like: None,
    sources: int = 3,
) -> Effect:
    """What a change means for three sources that are alike."""
    found = Effect(VERSIONS, measured)
    for number in range(sources):
        digest = f"{number:064x}"
        found.take(parse(after), Outcome(b"a", 1, kind, digest, info, had(before, kind, info, digest)))
    return found


def changes(found: Effect) -> list[tuple[str, str, int, int]]:
    """Output, change, artefacts and sources of each."""
    return [(each.output, each.change, each.artefacts, each.sources) for each in found.changes]


def test_a_new_width_is_one_artefact_for_each_photo_and_the_others_are_kept() -> None:
    found = effect(widths(320, 800), widths(320, 640, 800))
    assert changes(found) == [("image w640.webp", "new", 3, 3)]
    assert (found.kept, found.sources) == (6, 3)


def test_another_quality_is_a_change_and_an_output_left_out_is_removed() -> None:
    found = effect(widths(320, 800), widths(320, more="quality = 30\n"))
    assert changes(found) == [("image w320.webp", "changed", 3, 3), ("image w800.webp", "removed", 3, 3)]
    assert found.kept == 0
    assert found.changes[1].seconds == 0


def test_another_name_for_the_same_file_costs_nothing() -> None:
    found = effect(widths(320), widths(320).replace('"w320"', '"small"'))
    assert changes(found) == [("image small.webp", "new", 3, 3), ("image w320.webp", "removed", 3, 3)]
    assert (found.seconds, found.bytes, found.kept) == (0, 0, 0)


def test_a_width_that_small_photos_do_not_reach_is_a_link_for_them() -> None:
    small = MediaInfo(format="jpeg", width=300, height=200)
    found = effect(widths(320, 800), widths(320, 640, 800), info=small)
    assert changes(found) == [("image w640.webp", "new", 3, 3)]
    assert (found.seconds, found.bytes, found.kept) == (0, 0, 6)


def test_the_same_recipe_changes_nothing() -> None:
    found = effect(widths(320, 800), widths(320, 800))
    assert (changes(found), found.seconds, found.bytes) == ([], 0, 0)


def test_another_encoder_changes_what_it_makes() -> None:
    found = Effect({**VERSIONS, "image": "libvips-9.0"}, lambda *like: None)
    outcome = Outcome(b"a", 1, Kind.IMAGE, "aa", PHOTO, had(widths(320), Kind.IMAGE, PHOTO))
    assert found.take(parse(widths(320)), outcome)
    assert not found.take(parse('[[audio]]\nname = "a"\n'), outcome._replace(had=[]))
    assert changes(found) == [("image w320.webp", "changed", 1, 1)]


def test_a_new_condition_removes_what_it_excludes() -> None:
    found = effect(widths(320), widths(320, more='when = "width < 4000"\n') + widths(800))
    assert changes(found) == [("image w800.webp", "new", 3, 3), ("image w320.webp", "removed", 3, 3)]


FILM_OUTPUTS = '[[video]]\nname = "v"\n[[hls]]\nname = "hls"\n[[subtitles]]\nname = "s"\n[[storyboard]]\nname = "b"\n'


def test_a_rung_left_out_of_a_ladder_is_told_as_the_ladder() -> None:
    after = FILM_OUTPUTS.replace('"hls"\n', '"hls"\nheights = [1080, 720, 480]\n')
    found = effect(FILM_OUTPUTS, after, Kind.VIDEO, FILM)
    assert changes(found) == [("hls hls.m3u8", "changed", 3, 3), ("hls hls.m3u8", "removed", 6, 3)]
    assert found.seconds < 1


def test_a_ladder_left_out_is_one_line_and_its_subtitles_are_not_those_of_the_film() -> None:
    found = effect(FILM_OUTPUTS, '[[video]]\nname = "v"\n', Kind.VIDEO, FILM)
    assert changes(found) == [
        ("hls hls.m3u8", "removed", 39, 3),
        ("storyboard b.webp", "removed", 6, 3),
        ("subtitles s.vtt", "removed", 3, 3),
    ]


def test_what_two_outputs_share_is_paid_once() -> None:
    alone = effect('[[poster]]\nname = "p"\n', '[[video]]\nname = "v"\n', Kind.VIDEO, FILM)
    both = effect(
        '[[poster]]\nname = "p"\n', '[[video]]\nname = "v"\n[[hls]]\nname = "h"\nheights = [720]\n', Kind.VIDEO, FILM
    )
    assert alone.seconds < both.seconds < alone.seconds * 1.2


def test_what_was_measured_here_is_believed_and_shared_out_by_work() -> None:
    whole = effect(widths(320), widths(320, 800, 1600).replace("w320", "x"), measured=lambda *like: 5.0, sources=1)
    some = effect(widths(320, 1600), widths(320, 800, 1600), measured=lambda *like: 5.0, sources=1)
    assert whole.seconds == pytest.approx(5.0, rel=0.1)
    assert 0.5 < some.seconds < 4.9
    assert some.seconds < whole.seconds


def test_a_picture_is_guessed_from_the_one_of_its_source_that_is_nearest() -> None:
    (w320, w1600) = had(widths(320, 1600), Kind.IMAGE, PHOTO)
    busy = [w320._replace(bytes=30_000), w1600._replace(bytes=900_000)]
    (target,) = keys.targets(parse(widths(1500)), Kind.IMAGE, PHOTO, "aa", VERSIONS)
    guess = target.params.expected_bytes(PHOTO, Prior(busy))
    assert 800_000 < guess < 900_000
    (target,) = keys.targets(parse(widths(1500, more='format = "avif"\n')), Kind.IMAGE, PHOTO, "aa", VERSIONS)
    assert 0.7 * guess < target.params.expected_bytes(PHOTO, Prior(busy)) < 0.9 * guess


def test_a_film_is_guessed_from_the_one_it_replaces_else_from_another_codec() -> None:
    small = '[[video]]\nname = "small"\ncodec = "av1"\n'
    (there,) = had(small, Kind.VIDEO, FILM)
    there = there._replace(bytes=1_000_000)

    def guessed(outputs: str) -> float:
        found = Effect(VERSIONS, lambda *like: None)
        found.take(parse(outputs), Outcome(b"a", 1, Kind.VIDEO, "aa", FILM, [there]))
        return found.bytes

    assert guessed(small + 'preset = "8"\n') == pytest.approx(1_000_000)
    # Beside it, by what their codecs take.
    assert guessed(small + '[[video]]\nname = "plain"\n') == pytest.approx(1_000_000 / 0.6)
    assert guessed(small + '[[video]]\nname = "other"\ncodec = "hevc"\n') == pytest.approx(700_000 / 0.6)
    assert guessed('[[video]]\nname = "other"\ncodec = "hevc"\n') == pytest.approx(700_000)


@pytest.mark.parametrize("kind", list(Kind))
def test_whatever_a_recipe_can_make_has_a_size_and_a_time(kind: Kind) -> None:
    every = {
        Kind.IMAGE: widths(320)
        + '[[image]]\nname = "q"\nformat = "png"\nquality = "auto"\n[[animation]]\nname = "m"\n',
        Kind.VIDEO: FILM_OUTPUTS
        + '[[poster]]\nname = "p"\n[[preview]]\nname = "pv"\n[[video]]\nname = "a"\ncodec = "av1"\n'
        + '[[video]]\nname = "x"\ncodec = "hevc"\nquality = { vmaf = 90 }\n',
        Kind.AUDIO: '[[audio]]\nname = "a"\nloudness = -16\n[[waveform]]\nname = "w"\n',
    }[kind]
    info = {Kind.IMAGE: MediaInfo(format="gif", width=400, height=300, frames=9), Kind.VIDEO: FILM, Kind.AUDIO: SONG}[
        kind
    ]
    found = effect(widths(1), every, kind, info) if kind is Kind.IMAGE else effect(every, every, kind, info, sources=0)
    found.take(parse(every), Outcome(b"a", 1, kind, "aa", info, []))
    made = keys.targets(parse(every), kind, info, "aa", VERSIONS)
    assert sum(each.artefacts for each in found.changes if each.change == "new") % len(made) == 0
    for target in made:
        assert target.params.expected_seconds(info) > 0
        assert target.params.expected_bytes(info, Prior()) > 0


def test_two_recipes_are_compared_output_by_output_and_key_by_key() -> None:
    old = parse(widths(320, 800) + '[[video]]\nname = "v"\ncrf = 20\n[cutting]\npiece = 10.0\n')
    new = parse(
        widths(320, more='quality = "auto"\nanimate = false\n') + widths(640)
        + '[[video]]\nname = "v"\nquality = { vmaf = 94 }\n[[hls]]\nname = "h"\nheights = [720, 360]\n'
    )  # fmt: skip
    assert list(impact.differences(old, new)) == [
        "changed  image w320.webp: quality not given -> auto, animate true -> false",
        "removed  image w800.webp",
        "new      image w640.webp: width 640",
        "changed  video v.mp4: crf 20 -> not given, quality not given -> vmaf 94",
        "new      hls h.m3u8: heights [720, 360]",
        "changed  cutting: piece 10 -> 30",
    ]
    assert list(impact.differences(old, old)) == []
