"""A process that has imported what workers need, and forks them: milliseconds each, where imports take 0.25 s of CPU.

It is started by exec, with the environment of workers, so that nothing of the supervisor (credentials, the journal)
is in the memory of what it forks; and it has one thread. Started before the supervisor imports its own modules, it
does so beside it. Where it is missing, workers are started without it.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from mediactl.core.processes import die_with, dies_with_this_process

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = "import sys; sys.path.append(sys.argv[1]); from mediactl.pool.forkserver import main; main(sys.argv[2:])"
"""As ``process`` starts a worker."""
READY_LIMIT = 2.0
"""Seconds that the first worker waits for its imports, which take 0.2 s; then workers are started without it."""
ANSWER_LIMIT = 30.0
"""Seconds for an answer, which takes milliseconds; then it is killed, and its workers with it."""
_READY = b"ready"
_MESSAGE = 1 << 12
"""Bytes of a request, at most: the name of a function and a token."""


class Forked:
    """A worker forked by a ``ForkServer``, with what the pool uses of a ``subprocess.Popen``."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._pidfd = os.pidfd_open(pid)
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, that of SIGKILL where nobody knows it. Raises subprocess.TimeoutExpired."""
        if self._code is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            os.close(self._pidfd)
            self._code = self._server.exit_code(self.pid)
        return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self._code is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)


class ForkServer:
    """The process as its owner sees it; started when it is first needed, or with ``start``."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        """``modules`` are those that it imports."""
        self._modules = modules
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._usable = hasattr(os, "pidfd_open")
        self._ready = False
        self._patience = READY_LIMIT

    def start(self) -> None:
        """Start it; does not wait for its imports."""
        if self._process is not None or not self._usable:
            return
        try:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._control.settimeout(ANSWER_LIMIT)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _BOOT, _HERE, str(theirs.fileno()), str(os.getpid()), *self._modules],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env=self._environment,
                    start_new_session=True,
                    preexec_fn=dies_with_this_process(),
                )
        except OSError:  # too many processes or open files: starting a worker will say so
            self._usable = False

    def fork(self, call: str, token: str, pipe: int, log: int) -> Forked | None:
        """Return a worker (``worker.main``) at the other end of ``pipe``; None where this process cannot be used."""
        self.start()
        if not self._is_ready() or self._control is None:
            return None
        try:
            socket.send_fds(self._control, [f"{call} {token}".encode()], [pipe, log])
            pid = int(self._control.recv(_MESSAGE))
            return Forked(self, pid) if pid else None
        except (OSError, ValueError):
            self._give_up()
            return None

    def exit_code(self, pid: int) -> int:
        """Return the exit code of a worker that has ended."""
        try:
            assert self._control is not None
            self._control.send(str(pid).encode())
            return int(self._control.recv(_MESSAGE))
        except (OSError, ValueError):  # it ended itself, and with it all its workers
            self._give_up()
            return -signal.SIGKILL

    def send_signal(self, number: int) -> None:
        """Send a signal to it alone; its workers are process groups of their own."""
        if self._process is not None:
            self._process.send_signal(number)

    def close(self) -> None:
        """End it, whatever it does; all its workers have to be gone."""
        self._give_up()
        if self._control is not None:
            self._control.close()

    def _is_ready(self) -> bool:
        """Return whether it can fork; the first call waits for its imports, a while."""
        if self._usable and not self._ready and self._control is not None:
            limit, self._patience = self._patience, 0.0
            if select.select([self._control], [], [], limit)[0]:
                self._ready = self._usable = self._control.recv(_MESSAGE) == _READY
        return self._ready and self._usable

    def _give_up(self) -> None:
        """Be sure that no worker comes from it any more, not even one that was asked for."""
        self._usable = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()


# -- the process itself ------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> NoReturn:
    """Serve with the arguments FD PARENT MODULE...; a request with descriptors forks, others ask for an exit code."""
    from mediactl.pool import worker

    fd, parent, *modules = arguments
    worker.settle_in(int(parent))
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is here already is never collected, and its pages stay shared
    control = socket.socket(fileno=int(fd))
    control.send(_READY)
    while True:
        request, fds, _flags, _address = socket.recv_fds(control, _MESSAGE, 2)
        if not request:
            os._exit(0)  # without destroying every object, which takes 50 ms
        if not fds:
            _, status = os.waitpid(int(request), 0)
            control.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        try:
            pid = _forked(control, request.decode().split(" "), fds)
        except OSError:
            pid = 0  # too many processes or open files: starting one will say so
        for each in fds:
            os.close(each)
        control.send(str(pid).encode())


def _forked(control: socket.socket, words: list[str], fds: list[int]) -> int:
    """Return the process id of a new worker, which dies with this process: before anybody who knows it may stop it."""
    server = os.getpid()
    tie = die_with(server)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            pid = os.fork()
            if pid == 0:
                tie()
                for each in (ours, theirs, control):
                    each.close()
                _work(words, fds, server)
        ours.recv(1)  # the end of theirs
    return pid


def _work(words: list[str], fds: list[int], server: int) -> NoReturn:
    """Be a worker."""
    from mediactl.pool import worker

    code = 1
    try:
        call, token = words
        pipe, log = fds
        os.setsid()
        for number in (1, 2):
            os.dup2(log, number)
        os.close(log)
        worker.main([call, str(pipe), token, str(server)])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, the server's loop must not see it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
