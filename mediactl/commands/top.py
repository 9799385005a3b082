"""``mediactl top``: the live view of a run, from any terminal. Imports are lazy, as in ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from mediactl.commands.shared.options import journal_options, option, state_folder
from mediactl.commands.shared.sections import LOOK, OUTPUT, Command
from mediactl.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mediactl.control.client import Connection
    from mediactl.ui.top import Act, Depth, Top

ASKING = 0.5
"""Seconds between two questions to the run how it stands."""
COUNTING = 2.0
"""Seconds between two looks into the journal, at least; at most a twentieth of the time is spent on them."""


@click.command(
    cls=Command,
    section=LOOK,
    order=1,
    examples=("top", "top -o /srv/derived"),
    exits=(
        (0, "Left with q, or the run has ended."),
        (2, "Invalid command line, no terminal, or no run is active."),
        (75, "The run was killed before its end."),
    ),
)
@option(OUTPUT, "--run", default=None, setting=False, metavar="ID", help="The run to show, where several are active.")
@journal_options
def top(run: str | None, out: bytes, state: str | None) -> int:
    """Show an active run live, and steer it.

    Lanes, pending jobs and the age of the oldest, workers and how far they are, rate, time left, and failures.

    Keys: q quits, p pauses or resumes, P suspends running jobs as well, / filters by a part of the path, b bumps the
    pending jobs that match the filter.
    """
    from mediactl.control import client

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top: requires a terminal; use `mediactl status`, or `mediactl events --follow`")
    folder = state_folder(out, state)
    with client.connect(folder, run) as connection:
        return _show(connection, folder)


def _show(connection: Connection, state: str) -> int:
    """Draw, and take keys, until the run or its viewer leaves."""
    import os

    from rich.console import Console
    from rich.live import Live

    from mediactl.ui.top import Top

    view = Top()
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    console = Console(highlight=False, _environ=environment)
    with _single_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        for _ in _turns(view, connection, state):
            live.update(view.draw(console.height), refresh=True)
    if line := view.end():
        click.echo(line)
    elif not view.left:
        click.echo(f"run {connection.run[:8]} ended without a summary: it was killed, or has failed")
    return ExitCode.COMPLETE if view.left or view.summary else ExitCode.STOPPED_EARLY


def _turns(view: Top, connection: Connection, state: str) -> Iterator[None]:
    """Yield whenever something may have changed, until the run or its viewer leaves."""
    import os
    import select
    import time

    from mediactl.control.client import Unanswered, event_of
    from mediactl.model.control import Snapshot

    keys = sys.stdin.fileno()
    next_question = next_count = 0.0
    while view.summary is None and not view.left:
        ready, _, _ = select.select([keys, connection], [], [], ASKING / 2)
        if connection in ready:
            lines = connection.arrived()
            if lines is None:
                return
            for line in lines:
                if (event := event_of(line)) is not None:
                    view.take(event)
        if keys in ready:
            for key in os.read(keys, 1024).decode("utf-8", "replace"):
                if (act := view.press(key)) is not None:
                    _act(act, view, connection, state)
        now = time.monotonic()
        if now >= next_question:
            next_question = now + ASKING
            with suppress(Unanswered):  # it has just ended: what it sent last is still to be read
                connection.send(Snapshot())
        if now >= next_count:
            view.depths = _depths(state)
            next_count = now + max(COUNTING, 20 * (time.monotonic() - now))
        yield


def _act(act: Act, view: Top, connection: Connection, state: str) -> None:
    """Do what a key asks for."""
    from mediactl.model.control import MOST_JOBS, Bump, Pause, Resume, Snapshot
    from mediactl.ui.top import Act

    match act:
        case Act.QUIT:
            view.left = True
        case Act.PAUSE | Act.SUSPEND:
            connection.send(Pause(now=act is Act.SUSPEND))
        case Act.RESUME:
            connection.send(Resume())
        case Act.COUNT:
            view.ask(len(_matching(view, state)))
        case Act.BUMP:
            jobs = _matching(view, state)
            for first in range(0, len(jobs), MOST_JOBS):
                connection.send(Bump(tuple(jobs[first : first + MOST_JOBS])))
    connection.send(Snapshot())


def _matching(view: Top, state: str) -> list[int]:
    """Return the pending jobs whose source matches the filter."""
    from mediactl.core.files import shown
    from mediactl.jobs import report

    with report.read(state) as rows:
        return [job.id for job in rows.listed("ready", -1) if job.path is not None and view.matches(shown(job.path))]


def _depths(state: str) -> list[Depth]:
    """Return the pending jobs by lane and priority, the most urgent first."""
    import time

    from mediactl.jobs import report
    from mediactl.jobs.priority import SLACK
    from mediactl.model.jobs import Priority
    from mediactl.ui.top import Depth

    now = time.time()
    with report.read(state) as rows:
        return [
            Depth(
                row.lane, Priority(row.priority).name.lower(), row.depth, max(0.0, now - row.oldest),
                SLACK[Priority(row.priority)],
            )
            for row in rows.queue()
        ]  # fmt: skip


@contextmanager
def _single_keys() -> Iterator[None]:
    """Have keys arrive one by one and unseen; the terminal is as before after the block, however it ends."""
    import signal
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    ended = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    suspended = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        tty.setcbreak(sys.stdin)
        attributes = termios.tcgetattr(sys.stdin)
        attributes[3] &= ~termios.ISIG  # Ctrl-C is a key: q
        termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, ended)
        signal.signal(signal.SIGTSTP, suspended)
