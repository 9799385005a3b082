"""A terminal to run programs in, and what is on its screen."""

from __future__ import annotations

import fcntl
import math
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

PATIENCE = 60.0
"""Seconds to wait for something on the screen."""


class Screen:
    """The screen of an emulated terminal; ``history`` has the lines that have scrolled off."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, output: bytes) -> None:
        """Show what a program writes."""
        self._stream.feed(output)

    @property
    def lines(self) -> list[str]:
        """All lines that are not empty, those that have scrolled off first."""
        columns = self._screen.columns
        above = ["".join(line[x].data for x in range(columns)) for line in self._screen.history.top]
        return [line.rstrip() for line in [*above, *self._screen.display] if line.strip()]

    @property
    def text(self) -> str:
        """All of them."""
        return "\n".join(self.lines)

    def resize(self, columns: int, rows: int, *, reflow: bool = True) -> None:
        """Change the size; ``reflow``: wrap lines that are too long, as most terminals do, instead of cutting them."""
        lines = [line.rstrip() for line in self._screen.display[: self._screen.cursor.y]]
        self._screen.resize(rows, columns)
        if reflow:
            parts = [
                line[columns * each : columns * (each + 1)]
                for line in lines
                for each in range(max(1, math.ceil(len(line) / columns)))
            ]
            self._screen.reset()
            self.feed("".join(f"{part}\r\n" for part in parts).encode())


class Terminal(Screen):
    """A program in a pseudo-terminal, in a session of its own, and its screen."""

    def __init__(self, argv: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int = 80) -> None:
        super().__init__(columns)
        pid, self._master = pty.fork()
        if not pid:
            os.chdir(folder)
            os.execvpe(argv[0], list(argv), {**environment, "TERM": "xterm-256color"})
        self.pid = pid
        self._size(columns, 24)
        self._status: int | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)

    def until(self, reached: Callable[[str], object], patience: float = PATIENCE) -> str:
        """Show what is written until the text on the screen satisfies a condition; return the text."""
        end = time.monotonic() + patience
        while not reached(self.text):
            assert self._show(end - time.monotonic()), f"not reached:\n{self.text}"
        return self.text

    def ended(self) -> int:
        """Show the rest; return the exit code."""
        while self._show(PATIENCE):
            pass
        self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def type(self, text: str) -> None:
        """Type on its keyboard; Ctrl-C is "\\x03", Ctrl-Z "\\x1a"."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int, *, reflow: bool = True) -> None:
        """Change the size of the window."""
        super().resize(columns, rows, reflow=reflow)
        self._size(columns, rows)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _show(self, patience: float) -> bool:
        """Show what is written next; return whether there was something."""
        if not select.select([self._master], [], [], max(0.0, patience))[0]:
            return False
        try:
            output = os.read(self._master, 1 << 16)
        except OSError:  # EIO: nobody has it open any more
            return False
        self.feed(output)
        return bool(output)
