"""Command lines in processes forked from one that has imported everything: a tenth of what starting Python takes.

Each is a process of its own, with its own streams, folder, environment, arguments and exit code; the workers that it
starts are forked from it. Run as a script, this module is the server; it must not be imported by anything that it
serves.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pickle
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from support.started import Started

AT_START = ("PYTHON", "LD_PRELOAD", "LD_LIBRARY", "LC_", "LANG", "VIPS_", "G_", "GLIBC_", "MALLOC_")
"""Beginnings of variables that are read as a process starts, or a library is loaded: with others, none is forked."""
CALL = "call"
"""In place of the name of a program: the arguments are a path of imports and a pickled call."""
MESSAGE = 1 << 17
"""Bytes of arguments and environment, at most: the system's default buffer of a socket holds more."""
_ended_streams: list[Any] = []
"""What a forked process must not flush: it belongs to its parent."""


class Done(NamedTuple):
    """How a process ended, as ``subprocess`` says it."""

    code: int
    out: bytes
    err: bytes


class ForkServer:
    """The server as tests see it; started when it is needed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Return whether a process with this environment would start like the server did."""
        return _at_start(environment) == _at_start(self._environment)

    def call(self, function: Callable[..., None], *arguments: Any, timeout: float = 170) -> None:
        """Call a function of a module in a process of its own, whose workers are forked.

        Raises AssertionError where it raises anything.
        """
        done = self.called(function, *arguments, cwd=os.getcwd(), env=os.environ, timeout=timeout)
        assert done.code == 0, done.err.decode()

    def called(
        self, function: Callable[..., None], *arguments: Any, cwd: str, env: Mapping[str, str], timeout: float = 170
    ) -> Done:
        """Call it with another folder and environment; return how its process ended."""
        argv = [CALL, json.dumps(sys.path), pickle.dumps((function, arguments)).hex()]
        return self._done(argv, cwd=cwd, env=env, stdin=b"", timeout=timeout)

    def run(self, arguments: Sequence[str], *, cwd: str, env: Mapping[str, str], stdin: bytes, timeout: float) -> Done:
        """Run a command line to its end. Raises subprocess.TimeoutExpired."""
        return self._done(["-c", *arguments], cwd=cwd, env=env, stdin=stdin, timeout=timeout)

    def _done(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], stdin: bytes, timeout: float) -> Done:
        with tempfile.TemporaryFile() as fed, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            fed.write(stdin)
            fed.seek(0)
            with self._forked(argv, cwd, env, [fed.fileno(), out.fileno(), err.fileno()]) as reply:
                code = _ended(reply, timeout, argv)
            return Done(code, _read(out), _read(err))

    def start(self, arguments: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> Started:
        """Begin a command line, with pipes for its output and nothing to read."""
        from support.started import Started  # not where this module is the server

        out, out_end = os.pipe()
        err, err_end = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            return Started(self._forked(["-c", *arguments], cwd, env, [null, out_end, err_end]), out, err)
        finally:
            for fd in (null, out_end, err_end):
                os.close(fd)

    def _forked(self, argv: Sequence[str], cwd: str, env: Mapping[str, str], streams: list[int]) -> socket.socket:
        """Return where the server says the process id, and then the exit code."""
        ours, theirs = socket.socketpair()
        with theirs:
            request = json.dumps([list(argv), cwd, dict(env)]).encode()
            socket.send_fds(self._started(), [request], [*streams, theirs.fileno()])
        return ours

    def close(self) -> None:
        """End the server."""
        if self._process is not None:
            self._control.close()
            self._process.wait(60)

    def _started(self) -> socket.socket:
        with self._starting:
            if self._process is None:
                self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    self._process = subprocess.Popen(
                        [sys.executable, "-P", __file__, str(theirs.fileno())],
                        stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=self._environment,
                    )  # fmt: skip
            return self._control


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


def _ended(connection: socket.socket, timeout: float, argv: Sequence[str]) -> int:
    """Return the exit code that the server sends after the process id."""
    connection.settimeout(timeout)
    with connection.makefile("rb") as lines:
        pid = int(lines.readline())
        try:
            return int(lines.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(argv), timeout) from None


def _read(file: Any) -> bytes:
    file.seek(0)
    content: bytes = file.read()
    return content


# -- the server --------------------------------------------------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    """Fork for every request until the other end closes; returns in the forked processes alone, each set up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    request, fds, _flags, _address = socket.recv_fds(control, MESSAGE, 4)
                    if not request:
                        os._exit(0)
                    pid = os.fork()
                    if pid == 0:
                        _become(json.loads(request), fds)
                        return
                    for fd in fds[:3]:
                        os.close(fd)
                    _send(fds[3], pid)
                    pidfd = os.pidfd_open(pid)
                    running[pidfd] = (pid, fds[3])
                    selector.register(pidfd, selectors.EVENT_READ)
                else:
                    assert isinstance(key.fileobj, int)
                    selector.unregister(key.fileobj)
                    pid, reply = running.pop(key.fileobj)
                    os.close(key.fileobj)
                    _send(reply, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    os.close(reply)


def _send(fd: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(fd, b"%d\n" % number)


def _become(request: tuple[list[str], str, dict[str, str]], fds: list[int]) -> None:
    """Have this process look as if it was started with these arguments, folder, environment and streams."""
    sys.argv, cwd, environment = request
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _streams(fds[:3])
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(cwd)
    _environment(environment)


def _streams(fds: Sequence[int]) -> None:
    _ended_streams.extend((sys.stdin, sys.stdout, sys.stderr))
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


class _ForkedWorker:
    """What ``mediactl.pool.process`` needs of a ``subprocess.Popen``, forked from the supervisor."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
        start_new_session: bool,
        preexec_fn: Callable[[], None],
    ) -> None:
        assert stdin == subprocess.DEVNULL and stdout == stderr and start_new_session
        log = os.open(os.devnull, os.O_WRONLY) if stdout == subprocess.DEVNULL else stdout
        self._status: int | None = None
        with warnings.catch_warnings():
            # There is a thread more, the pulse of the supervisor's clock: it holds no lock that a worker needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            preexec_fn()
            _work(command, log, pass_fds, env)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises subprocess.TimeoutExpired."""
        if self._status is None:
            pidfd = os.pidfd_open(self.pid)
            try:
                with selectors.DefaultSelector() as selector:
                    selector.register(pidfd, selectors.EVENT_READ)
                    if not selector.select(timeout):
                        raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            finally:
                os.close(pidfd)
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it was waited for."""
        if self._status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL it, unless it was waited for."""
        self.send_signal(signal.SIGKILL)


def _work(command: Sequence[str], log: int, kept: Sequence[int], environment: Mapping[str, str]) -> NoReturn:
    """Be the worker that a command describes. Nothing of the supervisor is closed in order, least of all its journal:
    what the two share belongs to the supervisor."""
    try:
        gc.freeze()
        vars(weakref.finalize)["_registry"].clear()  # directories that the supervisor removes at its end
        _name(command)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        _streams((os.open(os.devnull, os.O_RDONLY), log, log))
        begin = 3
        for fd in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
            os.closerange(begin, fd)
            begin = fd + 1
        _environment(environment)
        _executable, _safe_path, _c, boot, *sys.argv[1:] = command
    except BaseException:  # noqa: BLE001 - whatever it is, the supervisor's frames must not see it
        traceback.print_exc()
        os._exit(1)
    _to_the_end(lambda: exec(boot, {"__name__": "__main__"}))


def _name(command: Sequence[str]) -> None:
    """Name this process by the module whose jobs it does, "upload.service": its command line is that of the server."""
    call = next((word for word in command if word.startswith("mediactl.") and ":" in word), "")
    if call:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(call.removeprefix("mediactl.").partition(":")[0])


def _to_the_end(program: Callable[[], None]) -> NoReturn:
    """Run a program, and end as an interpreter would, but for the destruction of every object: that takes 50 ms."""
    code = 1
    try:
        program()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    try:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
    finally:
        os._exit(code)


def _call() -> None:
    path, call = sys.argv[1:]
    sys.path[:] = json.loads(path)
    function, arguments = pickle.loads(bytes.fromhex(call))
    function(*arguments)


def _import_everything() -> None:
    import mediactl

    for module in pkgutil.walk_packages(mediactl.__path__, "mediactl."):
        importlib.import_module(module.name)
    from mediactl.pool import forkserver, process

    names = SimpleNamespace(Popen=_ForkedWorker, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired)
    for module_ in (forkserver, process):
        vars(module_)["subprocess"] = names
    gc.collect()
    gc.freeze()
    tasks = os.listdir("/proc/self/task")
    assert len(tasks) == 1, "libraries started threads, which are missing in forked processes"


if __name__ == "__main__":
    _import_everything()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    if sys.argv[0] == CALL:
        _to_the_end(_call)
    else:
        from mediactl.cli import main

        _to_the_end(main)
