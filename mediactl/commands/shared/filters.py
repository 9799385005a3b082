"""Options that select jobs by what they are: ``jobs``, ``retry``, ``cancel``, ``bump``. Imports are lazy."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.shared.options import apply_options
from mediactl.commands.shared.types import Duration, Path

if TYPE_CHECKING:
    from mediactl.jobs.report import Filter

STATES = ("ready", "running", "done", "rejected", "quarantined", "cancelled")
KINDS = ("probe", "image", "video", "audio", "piece", "upload")

FILTER_OPTIONS = [
    click.option("--only", type=click.Choice(STATES), default=None, help="Only jobs in this state."),
    click.option("--reason", default=None, metavar="GLOB", help="Only jobs with such a reason, e.g. '*timed out*'."),
    click.option("--kind", type=click.Choice(KINDS), default=None, help="Only jobs of this kind."),
    click.option("--path", type=Path(), default=None, metavar="GLOB",
                 help="Only jobs of such sources, e.g. 'trip/*'; * matches / as well."),
    click.option("--since", type=Duration(), default=None, metavar="TIME",
                 help="Only jobs that were enqueued, or attempted, within this time, e.g. 24h."),
]  # fmt: skip


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select jobs."""
    return apply_options(FILTER_OPTIONS)(function)


def selected(state: str | None, flags: dict[str, Any], *default: str) -> tuple[str | None, Filter | None]:
    """Return the journal's directory as typed, and the filter that the flags ask for; None: none of them is given.

    ``default`` are the states where none is named. A state may be given as ``--state``, too, which is the directory
    everywhere: it is one unless there is such a directory.
    """
    only = flags["only"]
    if only is None and state in STATES and not os.path.exists(state):
        state, only = None, state
    if all(flags[name] is None for name in ("reason", "kind", "path", "since")) and only is None:
        return state, None
    import time

    from mediactl.jobs.report import Filter

    since = None if flags["since"] is None else time.time() - flags["since"]
    states = (only,) if only else default or None
    return state, Filter(states, flags["reason"], flags["kind"], flags["path"], since)
