"""The process that does the work of a caller: made assets, a run, or a library.

Started by exec with the arguments FD PARENT (see ``client``), the latter being a process id. It ends when the caller
closes its end of the socket, or is gone.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from io import BytesIO
from tempfile import TemporaryDirectory

import msgspec

from mediactl.api import errors
from mediactl.api.connection import Connection
from mediactl.api.messages import Failed, LibraryBegun, MakeBegun, ProcessBegun, Reported
from mediactl.core import machine
from mediactl.core.errors import ExitCode, InternalError, Interrupted, MachineBlocked, MediactlError
from mediactl.core.processes import dump_no_core
from mediactl.core.sandbox import workspace
from mediactl.core.settings import Settings
from mediactl.model.events import Event, JobDone, Suspending, Tick, UploadDone


def main(arguments: list[str]) -> None:
    """Serve the caller at the other end of a socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's, and this process is in a session of its own
    dump_no_core()
    fd, parent = map(int, arguments)
    with closing(Connection(socket.socket(fileno=fd), parent)) as connection:
        begun = connection.begun()
        if begun is None:
            return
        settings = begun.settings_in(dict(os.environ))
        serve: Callable[[Settings, Connection], None] = _SERVED[type(begun)]
        try:
            serve(settings, connection)
        except MediactlError as error:
            connection.send(Failed(0, errors.name_of(error), str(error)))
        except Exception as error:
            trouble = machine.blocked(error)
            name = MachineBlocked.__name__ if trouble else InternalError.__name__
            connection.send(Failed(0, name, trouble or f"{type(error).__name__}: {' '.join(str(error).split())}"))
            if not trouble:
                raise


def make(settings: Settings, connection: Connection) -> None:
    """Make assets without a journal until the caller is gone."""
    from mediactl.api.orders import Gone, Orders
    from mediactl.pipeline.pool_run import worker_log
    from mediactl.pipeline.run import check_sandbox, make_out
    from mediactl.pipeline.workers import EXECUTE, PRELOADED, environment_of
    from mediactl.pool.forkserver import ForkServer
    from mediactl.pool.process import network_environment
    from mediactl.pool.supervisor import Supervisor

    check_sandbox(settings.sandbox)
    token = f"make{secrets.token_hex(12)}"
    with ExitStack() as stack:
        if is_scratch := not settings.out:
            out = os.fsencode(stack.enter_context(TemporaryDirectory(prefix="mediactl-", ignore_cleanup_errors=True)))
            settings = msgspec.structs.replace(settings, out=out, state=os.path.join(os.fsdecode(out), ".mediactl"))
        make_out(settings.out)
        forks = stack.enter_context(closing(ForkServer(PRELOADED, environment_of(settings))))
        forks.start()
        log = stack.enter_context(worker_log(settings.state, token))
        workspace.sweep(settings.out)  # of hosts that were killed
        stack.callback(workspace.sweep, settings.out)
        orders = stack.enter_context(closing(Orders(settings, connection, settings.environment, is_scratch=is_scratch)))
        pool = Supervisor(
            EXECUTE, orders, workers=settings.jobs, token=token, environment=environment_of(settings),
            network_environment=network_environment(settings.environment), log=log, grace=settings.grace,
            memory=settings.memory, forks=forks,
        )  # fmt: skip
        try:
            stopped = pool.run()
        except Gone:
            return
        except MediactlError as error:
            orders.end(error)
            return
        orders.end(MachineBlocked(pool.blocked_by) if pool.blocked_by else Interrupted(f"stopped: {stopped.value}"))


def process(settings: Settings, connection: Connection) -> None:
    """Process sources, reporting each event; the summary is the last one. The run is drained once the caller stops."""
    from mediactl.pipeline.run import process as run
    from mediactl.pipeline.workers import fork_server

    def emit(event: Event) -> None:
        connection.received()
        if connection.closed:
            raise BrokenPipeError("the caller has stopped the run")
        if isinstance(event, Tick | Suspending):
            connection.flush()
        else:
            connection.send(Reported(event))  # type: ignore[arg-type]

    with closing(fork_server(settings)) as forks:
        summary = run(settings, emit, BytesIO, forks)
    if connection.closed:
        connection.closed = False  # the caller still reads how it ended
        connection.send(Reported(summary))


def library(settings: Settings, connection: Connection) -> None:
    """Process what the caller adds until it closes the library; drain the run where it is gone instead."""
    from mediactl.api.feed import Feed
    from mediactl.pipeline.run import process as run
    from mediactl.pipeline.workers import fork_server

    feed = Feed(settings, connection)

    def emit(event: Event) -> None:
        feed.note(event)
        if isinstance(event, Tick | JobDone | UploadDone):
            feed.report()
        if connection.closed and not feed.finished:
            raise BrokenPipeError("the caller has stopped the run")
        if isinstance(event, Tick | Suspending):
            connection.flush()
        else:
            connection.send(Reported(event))  # type: ignore[arg-type]

    with closing(fork_server(settings)) as forks:
        run(settings, emit, BytesIO, forks, feed)


_SERVED = {MakeBegun: make, ProcessBegun: process, LibraryBegun: library}


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.exit(ExitCode.COMPLETE)
