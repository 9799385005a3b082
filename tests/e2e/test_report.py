"""The report of a run in a real browser with the network cut off: no request, no error, images complete.

Needs chromium and chromedriver on PATH. MEDIACTL_SCREENSHOT names a file for the screenshot of docs/reports.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from conftest import CORPUS, CommandLine
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from mediactl.report import data, page

pytestmark = pytest.mark.timeout(300)

HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}\x1b[31m\u202egpj.png"
RECIPE = 'name = "mine"\n[[image]]\nname = "w300"\nwidth = 300\nquality = {}\n'
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--window-size=1200,900", "--force-color-profile=srgb", "--hide-scrollbars",
    "--proxy-server=http://127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Two runs: the second completes an image that the first rejected, and rejects another; one has a hostile name."""
    mediactl = CommandLine(tmp_path_factory.mktemp("report"))
    folder = mediactl.folder / "in"
    folder.mkdir()
    for number, name in enumerate(("one.png", HOSTILE)):
        pixels = np.random.default_rng(number).integers(0, 255, (300, 400, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    Image.linear_gradient("L").save(folder / "even.png")
    (folder / "repaired.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (mediactl.folder / "mine.toml").write_text(RECIPE.format(60))
    assert mediactl("process", "in", "--recipe", "mine.toml", "--report-blob", "first.blob").code == 1
    Image.linear_gradient("L").save(folder / "repaired.png")
    (folder / f"b{HOSTILE}").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (mediactl.folder / "mine.toml").write_text(RECIPE.format(20))
    done = mediactl("process", "in", "--recipe", "mine.toml", "--report", "report.html", "--report-blob", "second.blob")
    assert (done.code, done.err) == (1, "")
    return mediactl


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium without a network, which logs every request; nothing of it is left behind."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no chromium and chromedriver on PATH (Debian: chromium, chromium-driver)")
    options = Options()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = Service(chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    family = [psutil.Process(service.process.pid)]
    family += family[0].children(recursive=True)
    try:
        yield driver
    finally:
        driver.quit()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            process.kill()


def opened(browser: webdriver.Chrome, file: Path) -> int:
    """Open a report; it must ask for nothing, report no error, and have all its images. Return how many these are."""
    log: Callable[[str], list[dict[str, Any]]] = browser.get_log
    log("performance")
    browser.get(file.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in log("performance")]
    asked = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert log("browser") == []
    found: list[list[Any]] = browser.execute_script(
        "return [...document.images].map(each => [each.complete, each.naturalWidth, each.width])"
    )
    assert all(complete and natural > 0 and width > 0 for complete, natural, width in found)
    return len(found)


def text_of(browser: webdriver.Chrome) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def test_it_shows_the_run_without_a_request(browser: webdriver.Chrome, processed: CommandLine) -> None:
    assert opened(browser, processed.folder / "report.html") == 2 * 4
    text = text_of(browser)
    for heading in ("Rejected and quarantined", "Before and after", "Time per operation", "Since the run before"):
        assert heading in text
    assert "completed by this one:" in text and "repaired.png" in text
    assert "{{7*7}}" in text and "\\x1b[31m\\u202egpj.png" in text
    assert browser.execute_script("return document.querySelectorAll('[onerror],script').length") == 0
    captions = [each.text for each in browser.find_elements(By.TAG_NAME, "figcaption")]
    similarities = [float(found[1]) for each in captions if (found := re.search(r"SSIM ([\d.]+)", each))]
    assert len(similarities) == 4 and similarities == sorted(similarities)
    assert captions[-1].startswith(("even.png", "repaired.png"))
    assert "4 pairs of 4 images" in text


def test_the_slider_works_without_scripts(browser: webdriver.Chrome, processed: CommandLine) -> None:
    opened(browser, processed.folder / "report.html")
    figure = browser.find_element(By.TAG_NAME, "figure")
    above = figure.find_element(By.CLASS_NAME, "above")
    whole = figure.find_element(By.CLASS_NAME, "pair").size["width"]
    before = above.size
    assert abs(before["width"] - whole / 2) < 3
    corner = ActionChains(browser).move_to_element_with_offset(above, before["width"] / 2 - 5, before["height"] / 2 - 5)
    corner.click_and_hold().move_by_offset(60, 0).release().perform()
    assert abs(above.size["width"] - before["width"] - 60) < 8
    for name, width in (("whole", whole), ("none", 0)):
        figure.find_element(By.CLASS_NAME, name).click()
        assert abs(above.size["width"] - width) < 3


def test_a_report_can_be_written_later_and_shards_are_merged(browser: webdriver.Chrome, processed: CommandLine) -> None:
    assert processed("report", "--html", "later.html").out == "later.html\n"
    assert opened(browser, processed.folder / "later.html") == 8
    run = json.loads(processed("runs", "--json").out.splitlines()[-1])["run"]
    assert processed("report", "--run", run[:10], "--html", "first.html").code == 0
    assert "There was none" in (processed.folder / "first.html").read_text()
    merged = processed("report", "merge", "first.blob", "second.blob", "--html", "merged.html")
    assert (merged.code, merged.out) == (0, "merged.html\n")
    assert opened(browser, processed.folder / "merged.html") == 2 * (3 + 4)
    one, two = (data.decode((processed.folder / name).read_bytes(), name) for name in ("first.blob", "second.blob"))
    both = data.merged([one, two])
    assert both.operations["probe"].attempts == one.operations["probe"].attempts + two.operations["probe"].attempts
    assert both.operations["image"].figures.max == max(
        one.operations["image"].figures.max, two.operations["image"].figures.max
    )
    assert len(both.problems) == 2
    for name, content in (("none.blob", None), ("text.blob", b"text"), ("report.html", None)):
        if content:
            (processed.folder / name).write_bytes(content)
        refused = processed("report", "merge", name, "--html", "x.html")
        assert (refused.code, (processed.folder / "x.html").exists()) == (2, False)
        assert name in refused.err
    assert processed("report", "--run", "no such run").code == 2
    refused = processed("process", "in", "--recipe", "mine.toml", "--report", "no/such/directory/r.html")
    assert (refused.code, refused.out) == (2, "")


def test_a_page_has_at_most_20_megabytes_and_200_pairs() -> None:
    image = os.urandom(90_000)
    one = data.Pair("a.jpg", "w.webp", 0.9, 10, 5, 512, 300, image, image)
    pairs = [msgspec.structs.replace(one, path=f"{number}.jpg", similarity=number / 1000) for number in range(500)]
    whole = data.Data(1, (), 500, 500, 1, 1, (), {}, data.ordered(reversed(pairs)))
    assert [each.path for each in whole.pairs] == [f"{number}.jpg" for number in range(200)]
    content = page.html(whole).encode()
    assert 15_000_000 < len(content) <= page.LARGEST
    assert "more did not fit" in content.decode()
    grown = msgspec.structs.replace(one, path="grown.jpg", similarity=0.999, bytes_after=11)
    warned = msgspec.structs.replace(one, path="warned.jpg", similarity=0.99, warnings=("lost",))
    assert [each.path for each in data.ordered([*pairs, grown, warned])][:2] == ["warned.jpg", "grown.jpg"]


@pytest.mark.sweep
def test_the_corpus_has_a_report(browser: webdriver.Chrome, mediactl: CommandLine) -> None:
    photos = CORPUS / "photos"
    if not photos.is_dir():
        pytest.skip("no corpus: MEDIACTL_CORPUS names none")
    done = mediactl("process", str(photos), "--recipe", "web", "--report", "report.html", limit=900)
    assert done.code in (0, 1), done.err
    file = mediactl.folder / "report.html"
    print(f"{opened(browser, file)} images, {file.stat().st_size:,} bytes")
    assert file.stat().st_size <= page.LARGEST
    if named := os.environ.get("MEDIACTL_SCREENSHOT"):
        browser.save_screenshot(named)
