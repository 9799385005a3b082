"""Seconds that a process lived through: what limits of time are measured in."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GAP = 1.0
"""Seconds between two readings above which the process was not running: stopped, frozen, or on a machine that slept."""
PULSE = 0.2
"""Seconds between two readings by the pulse."""


class LivedClock:
    """A monotonic clock that stands still while its process is stopped; it has to be read within ``pulse``."""

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._last = read()
        self._skipped = 0.0
        self._lock = threading.RLock()

    def __call__(self) -> float:
        """Return the time in seconds, from a start of no meaning."""
        with self._lock:
            now = self._read()
            if now - self._last > GAP:
                self._skipped += now - self._last
            self._last = now
            return now - self._skipped

    @contextmanager
    def pulse(self) -> Iterator[None]:
        """Have a thread read it inside the block, whatever else the process does."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(PULSE):
                self()

        thread = threading.Thread(target=beat, daemon=True)
        self()
        # It takes no signals: they are to interrupt what the main thread waits for.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            yield
        finally:
            over.set()
            thread.join()
