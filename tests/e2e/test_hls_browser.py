"""A presentation in a real browser: headless Chromium with hls.js plays, switches, seeks, and shows the storyboard.

Needs chromium and chromedriver on PATH, and hls.js: MEDIACTL_HLS_JS names its file, or npm installs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import CommandLine
from selenium import webdriver
from support import browser as browsers
from support import hls_check, hls_films, web

pytestmark = pytest.mark.timeout(300)

HLS_JS = "hls.js@1.7.4"
PAGE = Path(__file__).resolve().parents[1] / "support" / "hls_page"
LENGTH = 12
"""Seconds of the film; each has a colour of its own."""
RECIPE = """
name = "ladder"
[[hls]]
name = "hls"
heights = [360, 180]
segment = 4
[[storyboard]]
name = "storyboard"
interval = 1
[cutting]
above = 4
piece = 4
"""
TEXTS = """1
00:00:03,000 --> 00:00:05,000
Guten Tag

2
00:00:08,000 --> 00:00:09,500
Bis bald
"""


class Film(NamedTuple):
    """A presentation in a folder."""

    folder: Path
    master: str
    storyboard: str


class Page:
    """The test page in the browser."""

    def __init__(self, driver: webdriver.Chrome, site: web.Web) -> None:
        self._driver = driver
        self.site = site
        driver.get(site.address + "/page/index.html")

    def do(self, call: str) -> Any:
        """Run a function of player.js to its end; its result."""
        ends = "(value) => done([value, null]), (error) => done([null, `${error}`])"
        script = f"const done = arguments[0]; (async () => {call})().then({ends});"
        value, error = self._driver.execute_async_script(script)
        assert error is None, error
        return value

    def trouble(self) -> list[str]:
        """What hls.js complained about, and the console's errors."""
        found: list[str] = self._driver.execute_script("return trouble")
        return found

    def picture(self, place: Path) -> None:
        """Save what is to be seen."""
        self._driver.save_screenshot(str(place))


@pytest.fixture(scope="module")
def hls_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hls.js as one file."""
    return browsers.from_npm(HLS_JS, "dist/hls.js", "MEDIACTL_HLS_JS", tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A film of eight colours, two sizes, two sounds, subtitles and a storyboard."""
    return processed(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium; nothing of it is left behind."""
    with browsers.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, film: Film, hls_js: Path) -> Iterator[Page]:
    """The page, not yet with a film."""
    with web.serving({"/page/": PAGE, "/hls.js": hls_js, "/media/": film.folder}) as site:
        yield Page(browser, site)


def processed(folder: Path) -> Film:
    """The film as `mediactl process` makes it from a Matroska file, in pieces."""
    colours = ":".join(f"{name}='40+175*mod(floor(T/{2**bit})\\,2)'" for bit, name in enumerate("rgb"))
    source = f"color=s=4x4:r=24:d={LENGTH},format=gbrp,geq={colours},scale=640:360:flags=neighbor,setsar=1"
    tags = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
    (folder / "in").mkdir()
    (folder / "texts.srt").write_text(TEXTS)
    for pitch in (880, 440):
        hls_films.sound(folder / f"{pitch}.m4a", seconds=LENGTH, pitch=pitch)
    hls_films.run(
        "-f", "lavfi", "-i", source, "-i", folder / "880.m4a", "-i", folder / "440.m4a", "-i", folder / "texts.srt",
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-c:a", "copy", "-c:s", "srt",
        "-vf", f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{tags}", *hls_films.ENCODERS["h264"],
        "-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng", "-metadata:s:s:0", "language=ger",
        folder / "in" / "film.mkv",
    )  # fmt: skip
    (folder / "recipe.toml").write_text(RECIPE)
    mediactl = CommandLine(folder)
    done = mediactl("process", "in", "--out", "out", "--recipe", "recipe.toml", "--json")
    assert done.code == 0, done
    place = next((folder / "out").rglob("hls.m3u8")).parent
    return Film(place, "hls.m3u8", "storyboard.vtt")


def shown_at(seconds: float) -> list[int]:
    """The colour of the film at a time."""
    return [40 + 175 * (int(seconds / 2**bit) % 2) for bit in range(3)]


def near(one: list[float], other: list[float] | list[int], most: float = 12.0) -> bool:
    """Whether two colours look the same."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= most


def opened(page: Page, film: Film) -> dict[str, Any]:
    """Open the film at its largest rendition."""
    found: dict[str, Any] = page.do(f"open('/media/{film.master}', 'best')")
    return found


def test_the_presentation_is_valid(film: Film) -> None:
    tracks = hls_check.presentation(film.folder / film.master)
    assert [each.frames for uri, each in tracks.items() if "audio" not in uri] == [24 * LENGTH] * 2
    assert len(tracks) == 4


def test_the_film_plays_to_its_end(page: Page, film: Film) -> None:
    found = opened(page, film)
    assert abs(found["duration"] - LENGTH) < 0.05
    assert found["size"] == [640, 360]
    assert sorted(level[1] for level in found["levels"]) == [180, 360]
    assert {level[4] for level in found["levels"]} == {24}
    assert [language for _, language in found["sounds"]] == ["de", "en"]
    assert [language for _, language in found["texts"]] == ["de"]
    end = page.do("playToTheEnd(4)")
    assert abs(end["time"] - LENGTH) < 0.05
    assert end["frames"] > 0 and end["corrupted"] == 0
    assert page.trouble() == []
    media = [each for each in page.site.asked if each.path.endswith(".mp4")]
    assert media and {each.status for each in media} == {206}, "a file was asked for as a whole"


def test_sound_and_picture_begin_and_end_together(page: Page, film: Film) -> None:
    opened(page, film)
    ranges = page.do("buffered()")
    pieces, start, end = ranges["video"]
    assert (pieces, start) == (1, 0) and abs(end - LENGTH) < 0.001
    pieces, start, end = ranges["audio"]
    assert (pieces, start) == (1, 0)
    assert abs(end - LENGTH) < 0.002, "the sound is late or early"


def test_renditions_are_switched_while_it_plays(page: Page, film: Film) -> None:
    opened(page, film)
    page.do("play(0.5)")
    assert page.do("switchTo(180)") == [360, 180]
    assert page.do("switchTo(360)") == [180, 360]
    assert page.trouble() == []


def test_a_seek_shows_that_moment_and_the_storyboard_shows_the_same(page: Page, film: Film, tmp_path: Path) -> None:
    opened(page, film)
    cues = page.do(f"storyboard('/media/{film.storyboard}')")
    assert cues[0][0] == 0 and abs(cues[-1][1] - LENGTH) < 0.05
    seen = set()
    for seconds in (10.5, 1.5, 6.5, 3.5):
        assert abs(page.do(f"seek({seconds})") - seconds) < 0.05
        frame, picture = page.do("colour()"), page.do(f"thumbnail({seconds})")
        assert near(frame, shown_at(seconds)), f"{frame} at {seconds}"
        assert near(picture, frame), f"{picture} beside {frame} at {seconds}"
        seen.add(tuple(shown_at(seconds)))
    assert len(seen) == 4
    page.picture(Path(os.environ.get("MEDIACTL_SCREENSHOT") or tmp_path / "page.png"))
    assert page.trouble() == []


def test_another_language_is_switched_to(page: Page, film: Film) -> None:
    opened(page, film)
    page.do("play(0.3)")
    assert page.do("switchSound(1)") == [1, "en"]
    page.do("play(1)")
    assert page.trouble() == []


def test_subtitles_are_shown_at_their_time(page: Page, film: Film) -> None:
    opened(page, film)
    assert page.do("showTexts()") == [[3, 5, "Guten Tag"], [8, 9.5, "Bis bald"]]
    page.do("seek(4)")
    assert page.do("said()") == "Guten Tag"
    page.do("seek(6)")
    assert page.do("said()") == ""
    assert page.trouble() == []
