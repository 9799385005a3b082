"""Markup: what a page needs of an asset, and only that."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec

from mediactl.assets import markup
from mediactl.model.assets import Artefact
from mediactl.model.media import MediaInfo, SubtitleStream

PHOTO = MediaInfo("jpeg", width=3000, height=2000)
TYPES = {"webp": "image/webp", "avif": "image/avif", "jpg": "image/jpeg", "png": "image/png", "mp4": "video/mp4"}


def made(
    name: str, width: int = 0, height: int = 0, role: str = "variant", key: str = "", seconds: float = 0
) -> Artefact:
    media_type = TYPES.get(name.rpartition(".")[2], "text/vtt")
    return Artefact(name, role, media_type, 1, "0", key or name, width or None, height or None, seconds or None)


class Tags(HTMLParser):
    """The opening tags of some markup, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    return Tags(text).found


def test_a_srcset_has_each_width_once_by_width() -> None:
    variants = [made("w800.webp", 800, 533), made("w320.webp", 320, 213), made("again.webp", 320, 213)]
    assert markup.srcset(variants, PHOTO) == "w320.webp 320w, w800.webp 800w"


def test_several_formats_have_no_srcset_but_a_source_each_the_smallest_first() -> None:
    variants = [
        made(f"w{w}.{kind}", w, round(w * 2 / 3)) for kind in ("jpg", "webp", "png", "avif") for w in (300, 900)
    ]
    assert markup.srcset(variants, PHOTO) == ""
    found = tags(markup.picture(variants, PHOTO, "#102030"))
    assert [tag for tag, _ in found] == ["picture", "source", "source", "img"]
    assert [each.get("type") for _, each in found] == [None, "image/avif", "image/webp", None]
    assert found[1][1]["srcset"] == "w300.avif 300w, w900.avif 900w"
    assert found[3][1] == {
        "src": "w900.jpg", "srcset": "w300.jpg 300w, w900.jpg 900w", "sizes": "100vw", "width": "900", "height": "600",
        "alt": "", "loading": "lazy", "decoding": "async", "style": "background:#102030",
    }  # fmt: skip


def test_a_format_with_large_variants_alone_is_no_source_for_every_screen() -> None:
    webp, large = made("w800.webp", 800, 533), made("large.avif", 2880, 1920)
    assert [tag for tag, _ in tags(markup.picture([webp, large], PHOTO, ""))] == ["picture", "img"]
    # Whatever the fallback is: a phone that reads WebP is better off with the small one.
    found = tags(markup.picture([webp, large, made("all.jpg", 3000, 2000)], PHOTO, ""))
    assert [each.get("type") for _, each in found] == [None, "image/webp", None]
    nearly = made("w900.avif", 900, 600)
    found = tags(markup.picture([webp, nearly, large], PHOTO, ""))
    assert found[1][1]["srcset"] == "w900.avif 900w, large.avif 2880w"


def test_stills_stand_not_beside_what_moves() -> None:
    info = MediaInfo("gif", 900, 600, frames=12)
    moving = [made("w300.webp", 300, 200, seconds=1.2), made("w900.webp", 900, 600, seconds=1.2)]
    stills = [made("w300.avif", 300, 200), made("still.webp", 600, 400), made("w300.jpg", 300, 200)]
    assert markup.srcset([*stills, *moving], info) == "w300.webp 300w, w900.webp 900w"
    found = tags(markup.picture([*stills, *moving], info, ""))
    assert [tag for tag, _ in found] == ["picture", "img"]
    assert found[1][1]["srcset"] == "w300.webp 300w, w900.webp 900w"
    assert "w300.avif" in markup.picture(stills, info, "")


def test_one_format_needs_no_source() -> None:
    found = tags(markup.picture([made("w320.webp", 320, 213)], PHOTO, ""))
    assert [tag for tag, _ in found] == ["picture", "img"]
    assert "style" not in found[1][1]


def test_a_picture_with_holes_falls_back_to_png_and_has_no_background() -> None:
    variants = [made("a.jpg", 300, 200), made("a.png", 300, 200), made("a.webp", 300, 200)]
    found = tags(markup.picture(variants, MediaInfo("png", 3000, 2000, alpha=True), "#102030"))
    assert found[-1][1]["src"] == "a.png"
    assert "style" not in found[-1][1]


def test_what_is_cropped_is_no_other_width_of_the_same_picture() -> None:
    whole, square = made("w800.webp", 800, 533), made("square.webp", 200, 200)
    assert markup.srcset([whole, square], PHOTO) == "w800.webp 800w"
    assert "square" not in markup.picture([whole, square], PHOTO, "")
    larger = made("large.webp", 400, 400)
    assert markup.srcset([square, larger], PHOTO) == "square.webp 200w, large.webp 400w"


def test_sides_that_were_rounded_are_the_same_picture() -> None:
    info = MediaInfo("jpeg", width=4001, height=37)
    variants = [made("w100.webp", 100, 1), made("w2000.webp", 2000, 18)]
    assert markup.srcset(variants, info) == "w100.webp 100w, w2000.webp 2000w"


def test_names_are_quoted_in_urls_and_escaped_in_attributes() -> None:
    odd = made('a "b" & <c>.webp', 320, 213)
    text = markup.picture([odd], PHOTO, "")
    assert tags(text)[1][1]["src"] == "a%20%22b%22%20%26%20%3Cc%3E.webp"
    assert "<c>" not in text
    film = [made("v720.mp4", 1280, 720, "rendition"), made("subs-1-eng.vtt", role="subtitles")]
    info = MediaInfo("mp4", 1280, 720, texts=(SubtitleStream("mov_text", "eng", 'He said "<b>"'),))
    text = markup.video(film, info)
    assert "<b>" not in text
    assert tags(text)[-1][1]["label"] == 'He said "<b>"'


def test_a_film_has_hls_before_its_mp4s_poster_subtitles_once_and_storyboard() -> None:
    artefacts = [
        made("v480.mp4", 854, 480, "rendition"),
        made("v1080.mp4", 1920, 1080, "rendition"),
        made("hls-1080.mp4", 1920, 1080, "stream"),
        made("hls-text-1-eng.vtt", role="subtitles", key="one"),
        made("hls.m3u8", role="master"),
        made("subs-1-eng.vtt", role="subtitles", key="one"),
        made("subs-2.vtt", role="subtitles", key="two"),
        made("poster.webp", 1280, 720, "poster"),
        made("storyboard.webp", 1600, 900, "storyboard"),
        made("storyboard.vtt", role="storyboard-map"),
    ]
    info = MediaInfo(
        "mkv", 1920, 1080, texts=(SubtitleStream("subrip", "eng"), SubtitleStream("subrip", "", "Director"))
    )
    found = tags(markup.video(artefacts, info))
    assert found[0] == (
        "video",
        {"controls": None, "playsinline": None, "preload": "metadata", "width": "1920", "height": "1080",
         "poster": "poster.webp"},
    )  # fmt: skip
    assert [each["src"] for tag, each in found if tag == "source"] == ["hls.m3u8", "v1080.mp4", "v480.mp4"]
    assert found[1][1]["type"] == "application/vnd.apple.mpegurl"
    assert [each for tag, each in found if tag == "track"] == [
        {"kind": "subtitles", "src": "hls-text-1-eng.vtt", "srclang": "en", "label": "en"},
        {"kind": "subtitles", "src": "subs-2.vtt", "srclang": "und", "label": "Director"},
        {"kind": "metadata", "src": "storyboard.vtt", "label": "thumbnails"},
    ]
    assert markup.picture(artefacts, info, "#000000") == ""


def test_of_equally_large_films_the_smaller_file_is_first_with_its_codecs() -> None:
    plain, small, better = (
        msgspec.structs.replace(made(name, *size, "rendition"), bytes=bytes_, media_type=f'video/mp4; codecs="{codec}"')
        for name, size, bytes_, codec in (
            ("v720.mp4", (1280, 720), 9_000, "avc1.64001f,mp4a.40.2"),
            ("v480.mp4", (854, 480), 3_000, "avc1.64001e,mp4a.40.2"),
            ("v720-av1.mp4", (1280, 720), 5_000, "av01.0.05M.08,mp4a.40.2"),
        )
    )
    found = tags(markup.video([plain, small, better], MediaInfo("mp4", 1280, 720)))[1:]
    assert [each["src"] for _, each in found] == ["v720-av1.mp4", "v720.mp4", "v480.mp4"]
    assert found[0][1]["type"] == 'video/mp4; codecs="av01.0.05M.08,mp4a.40.2"'


def test_a_moving_picture_is_a_silent_loop() -> None:
    artefacts = [made("w320.webp", 320, 213), made("loop.mp4", 320, 214, "animation")]
    ((tag, attributes), source) = tags(markup.video(artefacts, PHOTO))
    assert tag == "video"
    assert set(attributes) == {"autoplay", "loop", "muted", "playsinline", "width", "height"}
    assert source == ("source", {"src": "loop.mp4", "type": "video/mp4"})


def test_sound_has_no_markup() -> None:
    audio = [made("audio.m4a", role="audio")]
    info = MediaInfo("wav")
    assert (markup.srcset(audio, info), markup.picture(audio, info, ""), markup.video(audio, info)) == ("", "", "")
