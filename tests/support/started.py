"""A command line that was forked and goes on beside the test."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, Any, TypeAlias


class Started:
    """What tests use of a ``subprocess.Popen`` with pipes for its output, of a process that another one reaps."""

    def __init__(self, reply: socket.socket, stdout: int, stderr: int) -> None:
        """``reply`` has the lines of its process id and, once it has ended, of its exit code."""
        self._reply = reply
        # Without a buffer: what has not been read must be left in the socket, which is waited for.
        self._lines = reply.makefile("rb", buffering=0)
        self.pid = int(self._lines.readline())
        self.returncode: int | Any = None
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")
        self.stderr: IO[bytes] | None = os.fdopen(stderr, "rb")

    def poll(self) -> int | None:
        """Return the exit code if it has ended."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("mediactl", timeout or 0.0)
        return code

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._reply], [], [], timeout)[0]:
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._reply.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM it."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Read its output to the end, and wait for its own. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        said = [b"", b""]

        def read(number: int, stream: IO[bytes] | None) -> None:
            if stream is not None and not stream.closed:
                with stream:
                    said[number] = stream.read()

        def left() -> float | None:
            return None if deadline is None else max(0.0, deadline - time.monotonic())

        threads = [
            threading.Thread(target=read, args=each, daemon=True) for each in enumerate((self.stdout, self.stderr))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(left())
        if any(thread.is_alive() for thread in threads):
            raise subprocess.TimeoutExpired("mediactl", timeout or 0.0)
        self.wait(left())
        return said[0], said[1]


Process: TypeAlias = Started | subprocess.Popen[bytes]
"""What is started, forked or not."""
