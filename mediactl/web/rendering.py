"""Templates: values to HTML. Every value is escaped, and names are made visible first (``core.files.shown``)."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from mediactl import __version__
from mediactl.admin.runs import moment as local_time
from mediactl.admin.status import named
from mediactl.core.files import shown
from mediactl.model.jobs import Priority
from mediactl.ui.lines import count, duration, remaining, size
from mediactl.web import query
from mediactl.web.pages import SPANS, moment

_HERE = os.path.dirname(os.path.abspath(__file__))
STATIC = os.path.join(_HERE, "static")
"""Style sheet, scripts, and the libraries that are vendored with their licences."""


def page(template: str, values: dict[str, Any], code: int) -> Response:
    """Return the page of a template."""
    return HTMLResponse(_environment.get_template(f"{template}.html").render(values), code)


def _priority(number: int) -> str:
    return Priority(number).name.lower()


def _path(path: bytes | None) -> str:
    return "no source" if path is None else shown(path)


_environment = Environment(
    loader=FileSystemLoader(os.path.join(_HERE, "templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    shown=_path, priority=_priority, duration=duration, remaining=remaining, size=size, local_time=local_time,
    moment=moment, named=named, url=lambda name: quote(name, safe=""),
)  # fmt: skip
_environment.globals.update(
    version=__version__, plural=count, kinds=query.KINDS, lanes=query.LANES, spans=tuple(SPANS),
    states=("ready", "running", "done", "rejected", "quarantined", "cancelled"),
)  # fmt: skip
