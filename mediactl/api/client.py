"""A host as its caller has it: started by exec, asked over a socket, from any thread.

Nothing of the caller's process is changed by it: no signal handler, no limit, no variable. There is one daemon thread
for each host, which receives. A host ends when its socket closes, so it outlives neither its caller nor a crash of it.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress

import msgspec

from mediactl.api import errors
from mediactl.api.messages import (
    Add,
    Begun,
    Cancel,
    Completed,
    Failed,
    Finish,
    FromHost,
    Reported,
    ToHost,
    frames_from_host,
)
from mediactl.core.errors import Interrupted, MediactlError
from mediactl.model.events import Event
from mediactl.pool.messages import frame

_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = "import sys; sys.path.append(sys.argv[1]); from mediactl.api.host import main; main(sys.argv[2:])"
"""With -P, not -m: modules must not be imported from the current directory, which may hold untrusted files."""
CHUNK = 1 << 16
ENDING = 30.0
"""Seconds that a host gets to end once its socket is closed, beyond those that running jobs get to finish."""


class Ended(Interrupted):
    """The host is gone, and with it what it was asked for."""


class Host:
    """A process that works for this one. ``idle``: seconds without anything to do after which it is ended."""

    def __init__(self, begun: Begun, idle: float | None = None) -> None:
        """Start it. Raises OSError."""
        self._idle = idle
        self._ending = begun.settings.grace + ENDING
        self._lock = threading.Lock()
        self._numbers = 0
        self._futures: dict[int, Future[Completed]] = {}
        self._open = True
        self._abandoned = False
        """Whether a source was cancelled that may be running."""
        self.events: queue.SimpleQueue[Event | MediactlError | None] = queue.SimpleQueue()
        """What the run reports, then why it failed if it did, then None."""
        self._peer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                [_python(), "-P", "-c", _BOOT, _HOME, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C at a terminal is for the caller, who stops it in order
            )
        self._send(begun)
        self._receiver = threading.Thread(target=self._receive, name="mediactl", daemon=True)
        self._receiver.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def add(self, source: Add) -> Future[Completed] | None:
        """Hand a source over, under a number of its own; None: this host takes no more."""
        future: Future[Completed] = Future()
        with self._lock:
            if not self._open:
                return None
            self._numbers += 1
            number = self._numbers
            self._futures[number] = future
            self._send(msgspec.structs.replace(source, number=number))
        future.add_done_callback(lambda done: self._cancelled(number) if done.cancelled() else None)
        return future

    def finish(self) -> None:
        """Say that no more sources come."""
        with self._lock:
            self._open = False
            self._send(Finish())

    def stop(self) -> None:
        """Have it end: at once what is made without a journal, in order what has one."""
        with self._lock:
            self._open = False
            with suppress(OSError):
                self._peer.shutdown(socket.SHUT_WR)

    def stop_if_idle(self) -> bool:
        """Have it end unless it has something to do; return whether it ends."""
        with self._lock:
            if self._futures:
                return False
        self.stop()
        return True

    def joined(self) -> None:
        """Wait until it has ended."""
        self._receiver.join()

    def wait(self) -> None:
        """Wait until it has ended, and kill it if that takes too long."""
        try:
            self._process.wait(self._ending)
        except BaseException as error:
            self._process.kill()
            self._process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise

    def reported(self) -> Iterator[Event]:
        """Yield the events of a run until it has ended. Raises MediactlError where it failed."""
        while (event := self.events.get()) is not None:
            if isinstance(event, MediactlError):
                raise event
            yield event

    def forget(self) -> None:
        """Close the copy of another process's socket that a fork has brought."""
        self._peer.close()

    # -- the thread that receives --------------------------------------------------------------------------------------

    def _receive(self) -> None:
        frames = frames_from_host()
        why: MediactlError | None = None
        while data := self._data():
            for message in frames.feed(data):
                if isinstance(message, Failed) and not message.number:
                    why = errors.named(message.error, message.reason)
                else:
                    self._take(message)
        self.stop()
        self.wait()
        self._peer.close()
        if why is None and self._process.returncode:
            why = Ended(f"the process that does the work has ended with status {self._process.returncode}")
        with self._lock:
            futures, self._futures = self._futures, {}
        for future in futures.values():
            with suppress(Exception):  # cancelled at this moment
                future.set_exception(why or Ended("the process that does the work has ended"))
        if why is not None:
            self.events.put(why)
        self.events.put(None)

    def _data(self) -> bytes:
        """Wait for bytes; b"": the host has ended, or had nothing to do for too long and is to end."""
        poll = select.poll()
        poll.register(self._peer, select.POLLIN)
        while not poll.poll(None if self._idle is None else self._idle * 1000):
            with self._lock:
                if not self._futures:
                    self._open = False
                    return b""
        try:
            return self._peer.recv(CHUNK)
        except OSError:
            return b""

    def _take(self, message: FromHost) -> None:
        if isinstance(message, Reported):
            self.events.put(message.event)
            return
        with self._lock:
            future = self._futures.pop(message.number, None)
            self._end_what_is_abandoned()
        if future is None or not future.set_running_or_notify_cancel():
            return
        if isinstance(message, Completed):
            future.set_result(message)
        else:
            future.set_exception(errors.named(message.error, message.reason))

    def _cancelled(self, number: int) -> None:
        with self._lock:
            if self._futures.pop(number, None) is not None and self._open:
                self._abandoned = True
                self._send(Cancel(number))
                self._end_what_is_abandoned()

    def _end_what_is_abandoned(self) -> None:
        """End the host when all that it may still do is of no use: the next source gets another one."""
        if self._abandoned and not self._futures and self._idle is not None:
            self._open = False
            with suppress(OSError):
                self._peer.shutdown(socket.SHUT_WR)

    def _send(self, message: ToHost) -> None:
        with suppress(OSError):  # it is gone, which the thread that receives finds out
            self._peer.sendall(frame(message))


def _python() -> str:
    """Return the interpreter: where Python is embedded (uWSGI), the program that runs is none."""
    if os.path.basename(sys.executable or "").startswith(("python", "pypy")):
        return sys.executable
    return os.path.join(sys.exec_prefix, "bin", "python3")
