"""The HTML file of a report: one page that asks nothing of anybody, with its images in it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import jinja2

from mediactl.admin.stats import Figures
from mediactl.report.data import Data, Operation, Pair
from mediactl.ui.lines import count, duration, size

LARGEST = 20_000_000
"""Bytes of a page: as many of its images are left out as are beyond that."""
_TEXT = 1_500_000
"""Bytes of it that are kept for all but images."""
_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")


def html(data: Data) -> str:
    """Return the page of a report."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(size=size, duration=duration, moment=_moment, data_uri=_data_uri, share=_share)
    shown = tuple(_fitting(data.pairs))
    return environment.get_template("report.html.j2").render(
        data=data,
        pairs=shown,
        left_out=len(data.pairs) - len(shown),
        totals=_totals(data),
        operations=list(_operations(data)),
        count=count,
    )


def write(data: Data, file: str) -> None:
    """Write the page of a report, whole or not at all. Raises OSError."""
    publish(html(data).encode("utf-8", "backslashreplace"), file)


def publish(content: bytes, file: str) -> None:
    """Write a file under a temporary name beside it, then rename it. Raises OSError."""
    temporary = f"{file}.{os.getpid()}.part"
    try:
        with open(temporary, "wb") as part:
            part.write(content)
        os.replace(temporary, file)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _fitting(pairs: tuple[Pair, ...]) -> Iterator[Pair]:
    """Yield the first pairs that the page has room for."""
    room = LARGEST - _TEXT
    for pair in pairs:
        room -= (len(pair.before) + len(pair.after)) * 4 // 3 + 2_000
        if room < 0:
            return
        yield pair


def _totals(data: Data) -> dict[str, str]:
    """Return the numbers at the top, by what they count."""
    runs = data.runs
    exits = ", ".join(dict.fromkeys("killed" if run.exit_code is None else str(run.exit_code) for run in runs))
    return {
        "sources done": f"{sum(run.done for run in runs):,}",
        "rejected": f"{sum(run.rejected for run in runs):,}",
        "quarantined": f"{sum(run.quarantined for run in runs):,}",
        "unfinished": f"{sum(run.unfinished for run in runs):,}",
        "files": f"{data.artefacts:,}",
        "bytes": f"{size(data.bytes_in)} → {size(data.bytes_out)}",
        "duration": duration(max((run.seconds for run in runs), default=0.0)),
        "exit code": exits,
    }


def _operations(data: Data) -> Iterator[tuple[str, Operation, Figures, Figures | None]]:
    """Yield name, numbers and percentiles of each operation, and the percentiles of the run before."""
    before = data.before[0].operations if len(data.before) == 1 else {}
    for name, operation in sorted(data.operations.items(), key=lambda item: -item[1].cpu):
        yield name, operation, operation.figures, before[name].figures if name in before else None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _data_uri(content: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"


def _share(after: float, before: float) -> str:
    """Return how many per cent of the one the other is."""
    return f"{100 * after / before:.0f} %" if before else "-"
