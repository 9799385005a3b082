"""The documentation site: `python -m sphinx -W -b html docs build/site`, and `-b man` for man pages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import generated
from sphinx.application import Sphinx

from mediactl import __version__

project = "mediactl"
author = "mediactl contributors"
copyright = "mediactl contributors, MIT licence"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_static"]
html_theme = "furo"
html_title = f"mediactl {release}"
html_copy_source = False
html_static_path: list[str] = []
# The README of the repository shows these, too.
html_extra_path = ["recipe.schema.json", "events.schema.json", "settings.schema.json"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
nitpicky = True
man_pages = generated.man_pages(author)


_OUTSIDE = re.compile(
    r"\[([^\]]*)\]\((?:\.\./)+(?!decisions/)(?!\w+\.md)[^)]*\)|\[([^\]]*)\]\(\.\./(?:SECURITY|README)\.md\)"
)
"""A link to a file of the repository that is no page: tests/unit/test_pages.py checks that it is there."""


def _without_links_to_the_repository(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = _OUTSIDE.sub(lambda link: link[1] or link[2], source[0])


def setup(app: Sphinx) -> None:
    """Write the generated pages, before they are read."""
    generated.write(Path(__file__).parent)
    app.connect("source-read", _without_links_to_the_repository)
