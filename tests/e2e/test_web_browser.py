"""The dashboard in a real browser: live while a run works, by keyboard, on 360 pixels, in the dark, read aloud."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES, CommandLine
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support import browser as browsers
from support.dashboards import HOSTILE, Dashboard, large_journal, serving

pytestmark = pytest.mark.timeout(300)

AXE = "axe-core@4.14.1"
RECIPE = """
name = "web"
[[image]]
name = "w320"
width = 320
"""
FIRST_PAINT = 500
"""Milliseconds."""
LOADS = 15
"""At most, until one is as fast: the machine may be busy with other things."""
JOBS = 100_000
TRUNCATED = 4
_LIMIT = 40
"""Seconds that a page may take to show something."""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    return browsers.from_npm(AXE, "axe.min.js", "MEDIACTL_AXE_JS", tmp_path_factory.mktemp("npm")).read_text()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browsers.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def mediactl(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Outputs of a few images with hostile names, and of some that are truncated."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "in").mkdir()
    shutil.copy(SAMPLES / "harbour.jpg", folder / "in")
    for name in HOSTILE:
        shutil.copy(os.fsencode(SAMPLES / "balloon.png"), os.fsencode(folder / "in") + b"/" + name)
    data = (SAMPLES / "truncated.jpg").read_bytes()
    for number in range(TRUNCATED):
        (folder / "in" / f"{HOSTILE[0].decode()}-{number}.jpg").write_bytes(data[: len(data) - 100 * number])
    (folder / "web.toml").write_text(RECIPE)
    command = CommandLine(folder)
    done = command("process", "in", "--out", "out", "--recipe", "web.toml")
    assert done.code == 1, done
    return command


@pytest.fixture(scope="module")
def server(mediactl: CommandLine, browser: webdriver.Chrome) -> Iterator[Dashboard]:
    """A server that permits actions, which the browser has entered by its link."""
    with serving(mediactl, "out", "--actions", enter=False) as dashboard:
        enter(browser, dashboard)
        yield dashboard


def enter(browser: webdriver.Chrome, dashboard: Dashboard) -> None:
    """Open the link, as a person does."""
    browser.get(dashboard.link)
    until(lambda: browser.title.startswith("Overview"))
    dashboard.cookie = "; ".join(f"{each['name']}={each['value']}" for each in browser.get_cookies())


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, as a person would; what it is."""
    end = time.monotonic() + _LIMIT
    while not (found := holds()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


def at(browser: webdriver.Chrome, dashboard: Dashboard, path: str) -> None:
    """Open a page and have its scripts done."""
    browser.get(f"http://127.0.0.1:{dashboard.port}{path}")


def console(browser: webdriver.Chrome) -> list[dict[str, Any]]:
    """What the console has got since it was last asked."""
    entries: list[dict[str, Any]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return entries


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console has, but for images that are not there: those that were asked for are expected to be."""
    return [each["message"] for each in console(browser) if each["level"] in ("SEVERE", "WARNING")]


def text(browser: webdriver.Chrome, selector: str) -> str:
    """The text of an element, which may be replaced at any time."""
    return str(browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector))


def number(browser: webdriver.Chrome, name: str) -> int:
    """A figure of the overview."""
    return int(text(browser, f"#n-{name}").replace(",", "") or -1)


def job_path(dashboard: Dashboard, query: str) -> str:
    """The path of the newest job of a filter."""
    page = dashboard.ask(f"/1/jobs?{query}").text
    return "/1/jobs/" + page.partition('id="job-')[2].partition('"')[0]


def paths(dashboard: Dashboard) -> list[str]:
    """Every kind of page."""
    return [
        "/1/overview", "/1/jobs", "/1/jobs?state=rejected", "/1/failures", "/1/uploads", "/1/runs", "/1/folders",
        job_path(dashboard, "state=done&kind=image"), job_path(dashboard, "state=rejected"), "/1/jobs?state=gone",
    ]  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    browser: webdriver.Chrome, server: Dashboard, axe: str, scheme: str, width: int
) -> None:
    look(browser, scheme, width)
    try:
        for path in paths(server):
            at(browser, server, path)
            until(lambda: browser.execute_script("return document.readyState === 'complete'"))
            browser.execute_script(axe)
            found = browser.execute_async_script(
                "const done = arguments[0], said = (each) => `${each.id}: ${each.nodes.map((node) => node.html)}`;"
                "axe.run().then((all) => done(all.violations.map(said)), (error) => done([`${error}`]))"
            )
            assert found == [], path
            overflow = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, (path, width, overflow)
        assert [each for each in complaints(browser) if "400 (Bad Request)" not in each] == []
    finally:
        look(browser, "light", 1200)


def look(browser: webdriver.Chrome, scheme: str, width: int) -> None:
    """Set colours and width of what is seen."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )


def test_dark_is_dark(browser: webdriver.Chrome, server: Dashboard) -> None:
    at(browser, server, "/1/overview")
    script = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    look(browser, "dark", 1200)
    dark = browser.execute_script(script)
    look(browser, "light", 1200)
    assert max(dark) < 60 and min(browser.execute_script(script)) > 200


def test_hostile_names_stay_text(browser: webdriver.Chrome, server: Dashboard) -> None:
    console(browser)
    for path in paths(server):
        at(browser, server, path)
        assert (
            browser.execute_script("return document.querySelectorAll('svg, img[src=x], [onerror], [onload]').length")
            == 0
        )
    at(browser, server, "/1/jobs?path=" + "alert")
    shown = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "td.path")]
    assert {"<img src=x onerror=alert(1)>.png", '"><svg onload=alert(1)>.png', "'-alert(1)-'.png"} <= set(shown)
    assert [each for each in complaints(browser) if "400 (Bad Request)" not in each] == []


def test_the_overview_is_live_while_a_run_works(
    browser: webdriver.Chrome, server: Dashboard, mediactl: CommandLine
) -> None:
    at(browser, server, "/1/overview")
    browser.execute_script("window.same = true")
    before = number(browser, "done")
    more = mediactl.folder / "more"
    more.mkdir()
    for each in range(6):
        shutil.copy(SAMPLES / "balloon.png", more / f"{each}.png")
    run = mediactl.start("process", "more", "--out", "out", "--recipe", "web.toml", "--quiet")
    try:
        until(lambda: number(browser, "done") == before + 12)
    finally:
        run.communicate(timeout=60)
    assert run.returncode == 0
    assert browser.execute_script("return window.same"), "the page was loaded again"
    until(lambda: "done" in text(browser, "#chart-text"))
    assert browser.execute_script("return document.querySelector('#chart canvas').width") > 200


def test_live_updates_can_be_paused(browser: webdriver.Chrome, server: Dashboard) -> None:
    at(browser, server, "/1/overview")
    button = browser.find_element(By.ID, "updates")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    browser.execute_script("document.getElementById('n-done').textContent = '7'; updateSoon(); update()")
    assert number(browser, "done") == 7
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    until(lambda: number(browser, "done") != 7)


def test_a_list_is_filtered_by_keyboard_and_its_address_says_how(browser: webdriver.Chrome, server: Dashboard) -> None:
    at(browser, server, "/1/jobs")
    state = browser.find_element(By.NAME, "state")
    state.send_keys("rejected")
    state.send_keys(Keys.ENTER)
    browser.find_element(By.NAME, "path").send_keys("onerror", Keys.ENTER)
    until(lambda: "path=onerror" in browser.current_url)
    assert "state=rejected" in browser.current_url
    states = {each.text for each in browser.find_elements(By.CSS_SELECTOR, "td .state")}
    assert states == {"rejected"}
    until(lambda: text(browser, "#count") == str(TRUNCATED))
    focused = []
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    for _ in range(12):
        focused.append(
            browser.switch_to.active_element.get_attribute("href") or browser.switch_to.active_element.tag_name
        )
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert focused[0].endswith("#content"), "the first stop skips the navigation"
    assert sum("/1/" in each for each in focused) >= 6


def test_the_divider_shows_more_of_either_side(browser: webdriver.Chrome, server: Dashboard) -> None:
    at(browser, server, job_path(server, "state=done&kind=image&path=harbour"))
    loaded = "return [...document.querySelectorAll('.compare img')].map((each) => each.complete && each.naturalWidth)"
    until(lambda: all(browser.execute_script(loaded)))
    assert len(browser.execute_script(loaded)) == 2 and browser.execute_script(loaded)[1] == 320
    clip = "return getComputedStyle(document.querySelector('.after')).clipPath"
    assert "50%" in browser.execute_script(clip)
    boxes = (
        "return [...document.querySelectorAll('.compare img')].map((e) => JSON.stringify(e.getBoundingClientRect()))"
    )
    before, after = browser.execute_script(boxes)
    assert before == after, "one does not cover the other"
    divider = browser.find_element(By.CSS_SELECTOR, ".compare input")
    divider.send_keys(Keys.HOME)
    assert "0%" in browser.execute_script(clip)
    divider.send_keys(Keys.ARROW_RIGHT)
    assert "1%" in browser.execute_script(clip)


def test_a_group_of_failures_is_retried(browser: webdriver.Chrome, server: Dashboard, mediactl: CommandLine) -> None:
    at(browser, server, "/1/failures")
    button = browser.find_element(By.ID, "retry-1")
    assert button.text == f"Retry these {TRUNCATED}"
    button.send_keys(Keys.ENTER)
    until(lambda: "changed=" in browser.current_url)
    assert f"{TRUNCATED} jobs changed" in browser.find_element(By.CSS_SELECTOR, ".notice").text
    assert len(mediactl("jobs", "--only", "ready", "-o", "out", "--json").out.splitlines()) == TRUNCATED


def test_a_page_of_another_origin_gets_nothing(browser: webdriver.Chrome, server: Dashboard, tmp_path: Path) -> None:
    from support import web

    (tmp_path / "index.html").write_text(
        f"""<!doctype html><title>other</title>
        <form method="post" action="http://127.0.0.1:{server.port}/1/failures/retry">
        <button id="forged">x</button></form>
        <img id="image" src="http://127.0.0.1:{server.port}/static/icon.svg">"""
    )
    with web.serving({"/": tmp_path}) as site:
        browser.get(f"{site.address}/index.html")  # another port of the same host: cookies are sent there
        until(lambda: browser.execute_script("return document.getElementById('image').complete"))
        assert browser.execute_script("return document.getElementById('image').naturalWidth") == 0
        fetched = browser.execute_async_script(
            "const [address, done] = arguments;"
            "fetch(address, {credentials: 'include'}).then(() => done('read'), () => done('refused'))",
            f"http://127.0.0.1:{server.port}/1/jobs",
        )
        assert fetched == "refused"
        browser.find_element(By.ID, "forged").click()
        until(lambda: "Only pages of this server" in browser.page_source)
    console(browser)


def test_the_first_paint_is_fast_with_many_jobs(browser: webdriver.Chrome, tmp_path: Path) -> None:
    out = tmp_path / "out"
    large_journal(out / ".mediactl", JOBS)
    with serving(CommandLine(tmp_path), "out", enter=False) as dashboard:
        enter(browser, dashboard)
        assert number(browser, "done") + number(browser, "ready") + number(browser, "rejected") == JOBS
        script = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        for path in ("/1/overview", "/1/jobs", "/1/jobs?state=rejected&path=*7.jpg", "/1/failures", "/1/runs"):
            paints: list[float] = []
            while len(paints) < LOADS and min(paints, default=FIRST_PAINT) >= FIRST_PAINT:
                at(browser, dashboard, path)
                paints.append(until(lambda: browser.execute_script(script)))
            print(f"{path}: first contentful paint after {min(paints):.0f} ms (of {[round(each) for each in paints]})")
            assert min(paints) < FIRST_PAINT, (path, paints)


def test_when_the_output_directory_goes_the_page_says_so(browser: webdriver.Chrome, tmp_path: Path) -> None:
    large_journal(tmp_path / "out" / ".mediactl", 100)
    with serving(CommandLine(tmp_path), "out", enter=False) as dashboard:
        enter(browser, dashboard)
        (tmp_path / "out").rename(tmp_path / "gone")
        until(lambda: "no journal" in text(browser, "#live"))
        (tmp_path / "gone").rename(tmp_path / "out")
        until(lambda: number(browser, "done") == 90)
    until(lambda: "Not connected" in text(browser, "#connection"))
