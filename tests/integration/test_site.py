"""The documentation site is built with warnings as errors, without network, and so are the man pages."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest
from conftest import ROOT

pytest.importorskip("furo")
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def build(builder: str, out: Path) -> None:
    """Build the site; whatever is not right is an error."""
    flags = ["-q", "-W", "--keep-going", "-d", str(out.parent / "trees"), "-b", builder]
    command = [sys.executable, "-m", "sphinx", *flags, str(ROOT / "docs"), str(out)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


class Page(HTMLParser):
    """Links, images and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        found = dict(attrs)
        self.anchors.add(found.get("id") or "")
        name = {"a": "href", "img": "src", "link": "href", "script": "src"}.get(tag)
        if name and (target := found.get(name)):
            self.links.append(target)


def test_the_site_has_no_broken_link_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    build("html", site)
    pages = {file.resolve(): Page(file.read_text()) for file in site.rglob("*.html")}
    assert len(pages) > 60
    broken = []
    for file, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if urlsplit(target).scheme:
                continue
            there = (file.parent / target.partition("?")[0]).resolve() if target else file
            if not there.exists() or (anchor and there in pages and anchor not in pages[there].anchors):
                broken.append(f"{file.relative_to(site)}: {link}")
    assert broken == []
    assert not [link for page in pages.values() for link in page.links if link.startswith("//")]

    build("man", tmp_path / "man")
    manual = tmp_path / "man"
    assert ".SH" in next(manual.rglob("mediactl-process.1")).read_text()
    assert {"mediactl.1", "mediactl-recipes.5", "mediactl.toml.5"} <= {file.name for file in manual.rglob("*.[15]")}
