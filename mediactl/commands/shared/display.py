"""What a run prints: events as NDJSON, a live view on terminals, plain lines elsewhere. Imports are lazy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from mediactl.commands.shared import ci
from mediactl.core.errors import UsageError
from mediactl.core.files import shown

if TYPE_CHECKING:
    from mediactl.model.events import Event

Take = Callable[["Event"], None]


@contextmanager
def display(flags: Mapping[str, Any]) -> Iterator[Take]:
    """Yield what draws the events of a run as these flags ask for. Raises UsageError."""
    with ExitStack() as stack:
        log = flags["log"]
        file = None if log is None else stack.enter_context(_opened(log))
        take = _json(stack) if flags["as_json"] else _text(flags, stack)
        yield ci.beside(take if file is None else _both(take, file, stack), flags, stack)


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "ab")
    except OSError as error:
        raise UsageError(f"--log {shown(path)}: cannot be written: {error.strerror}") from None


def _both(take: Take, file: BinaryIO, stack: ExitStack) -> Take:
    log = _ndjson(file, stack)

    def take_both(event: Event) -> None:
        log(event)
        take(event)

    return take_both


def _json(stack: ExitStack) -> Take:
    return _ndjson(sys.stdout.buffer, stack)


def _ndjson(file: BinaryIO, stack: ExitStack) -> Take:
    from mediactl.ui.ndjson import NdJson

    out = NdJson(file, time.time)
    stack.callback(out.close)
    return out.take


def _text(flags: Mapping[str, Any], stack: ExitStack) -> Take:
    quiet, verbose = flags["quiet"], flags["verbose"]
    if not quiet and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console

        from mediactl.pool.clock import LivedClock
        from mediactl.ui.live import LiveView

        # XTERM_VERSION, STY: xterm and screen cut lines off where other terminals wrap them.
        reflows = not {"XTERM_VERSION", "STY"} & os.environ.keys()
        # COLUMNS and LINES may be exported, and do not change with the window.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        console = Console(highlight=False, _environ=environment)
        view = LiveView(console, LivedClock(), verbose=verbose, reflows=reflows)
        stack.callback(view.close)
        return view.take
    from mediactl.ui.lines import Lines

    stamp = _time if _timed(flags["log_format"]) else None
    return Lines(sys.stdout, time.monotonic, quiet=quiet, verbose=verbose, stamp=stamp).take


def _timed(log_format: str) -> bool:
    """Return whether lines begin with the time: where neither a person watches them come nor journald adds it."""
    if log_format != "auto":
        return log_format == "time"
    return not sys.stdout.isatty() and not _is_journal(sys.stdout.fileno(), os.environ.get("JOURNAL_STREAM", ""))


def _is_journal(file: int, journal_stream: str) -> bool:
    """Return whether a file is the stream to journald, "DEVICE:INODE" (systemd.exec(5))."""
    status = os.fstat(file)
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


def _time() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
