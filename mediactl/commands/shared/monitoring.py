"""What monitors a run: metrics, as flags and settings ask for them. Imports are lazy."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.shared.options import option
from mediactl.commands.shared.sections import NOTIFY, OUTPUT
from mediactl.commands.shared.types import Name
from mediactl.core.errors import MediactlError

if TYPE_CHECKING:
    from mediactl.core.settings import Settings
    from mediactl.model.events import Event
    from mediactl.model.figures import Build, Figures
    from mediactl.monitor.monitors import Monitor

Take = Callable[["Event"], None]


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT."""

    name = "address"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        """Return host and port."""
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        if not (colon and host and port.isdecimal() and 0 < int(port) < 65_536):
            self.fail(f"{value}: expected HOST:PORT, e.g. 127.0.0.1:9464", parameter, context)
        return host.removeprefix("[").removesuffix("]"), int(port)


TEXTFILE = option(
    OUTPUT, "--metrics-textfile", type=Name(), default=None, trusted=True, metavar="FILE",
    help="Write metrics for the textfile collector of node_exporter, every 15 s and at the end.",
)  # fmt: skip
LISTEN = option(
    OUTPUT, "--metrics-listen", type=Address(), default=None, trusted=True, metavar="HOST:PORT",
    help="Serve metrics for Prometheus, e.g. 127.0.0.1:9464.",
)  # fmt: skip

STATSD = option(
    OUTPUT, "--statsd", type=Address(), default=None, trusted=True, metavar="HOST:PORT",
    help="Send counts and timers of attempts to statsd.",
)  # fmt: skip


@contextmanager
def monitored(flags: Mapping[str, Any], settings: Settings, take: Take) -> Iterator[Take]:
    """Yield ``take``, or what also passes events to the monitors that these flags ask for."""
    found = [*_monitors(flags, settings), *_notifiers(settings)]
    if not found:
        yield take
        return
    from mediactl.model.events import RunFailed
    from mediactl.monitor.monitors import Monitors

    monitors = Monitors(found, take)
    try:
        yield monitors.take
    except MediactlError as error:
        monitors.finish(RunFailed(reason=str(error), exit_code=error.exit_code))
        raise


def _monitors(flags: Mapping[str, Any], settings: Settings) -> Iterator[Monitor]:
    if (statsd := flags.get("statsd")) is not None:
        from mediactl.monitor.statsd_sender import StatsdSender

        host, port = statsd
        yield StatsdSender(host, port)
    yield from _tracers(settings)
    path, address = flags.get("metrics_textfile"), flags.get("metrics_listen")
    if path or address:
        from mediactl.monitor.exporters import HttpServer, TextFile

        if path:
            yield TextFile(os.path.abspath(path), reader(settings.state), build)
        if address:
            host, port = address
            yield HttpServer(host, port, reader(settings.state), build)


def _tracers(settings: Settings) -> Iterator[Monitor]:
    from mediactl.monitor import tracing

    if trouble := tracing.trouble(os.environ):
        from mediactl.monitor.monitors import Unusable

        yield Unusable(tracing.NAME, trouble)
    elif settings.traceparent is not None:
        from mediactl.monitor.otel_sender import OtelSender

        yield OtelSender()


def _notifiers(settings: Settings) -> Iterator[Monitor]:
    targets = click.get_current_context().meta.get(NOTIFY, ())
    if targets:
        from mediactl.monitor.notify import Notifier
        from mediactl.ui.lines import ending, problem

        for target in targets:
            yield Notifier(target, reader(settings.state), problem, ending)


def reader(state: str) -> Callable[[], Figures]:
    """Return what reads the figures of a journal, whichever thread calls it."""
    from mediactl.jobs import report

    lock = threading.Lock()

    def read() -> Figures:
        with lock, report.read(state) as rows:
            return rows.figures(time.time())

    return read


def build() -> Build:
    """Return the versions that metrics name; "" for an ffmpeg that cannot be asked."""
    from mediactl import __version__
    from mediactl.media.ffmpeg.versions import encoder_versions
    from mediactl.model.figures import Build

    try:
        encoders = encoder_versions(os.environ.get("MEDIACTL_FFMPEG"))
    except MediactlError:
        encoders = {}
    return Build(__version__, encoders.get("ffmpeg", ""), encoders.get("image", "").removeprefix("libvips-"))
