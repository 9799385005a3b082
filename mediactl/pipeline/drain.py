"""Signals to drain: a file that appears, a URL that answers 200."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

INTERVAL = 1.0
"""Seconds between two checks of the file."""
URL_INTERVAL = 2.0
URL_TIMEOUT = 2.0
"""Seconds; clouds give notice of 30 s and more."""


def watch(file: str | None, url: str | None) -> Callable[[], bool]:
    """Return a function that says whether to drain: ``file`` has appeared, or ``url`` has answered 200.

    The URL is polled by a thread of its own, so that a slow answer delays nothing; any other status, and any error,
    means to continue.
    """
    asked = threading.Event()
    if url is not None:
        threading.Thread(target=_poll, args=(url, asked), daemon=True).start()
    next_check = 0.0

    def draining() -> bool:
        nonlocal next_check
        now = time.monotonic()
        if file is not None and now >= next_check:
            next_check = now + INTERVAL
            if os.path.exists(file):
                asked.set()
        return asked.is_set()

    return draining


def _poll(url: str, asked: threading.Event) -> None:
    import http.client  # 20 ms with urllib.request, and most runs have no URL
    import urllib.request

    while not asked.wait(URL_INTERVAL):
        try:
            with urllib.request.urlopen(url, timeout=URL_TIMEOUT) as answer:
                if answer.status == 200:
                    asked.set()
        except (OSError, ValueError, http.client.HTTPException):
            continue  # 404 is what clouds answer while there is no notice; unreachable is no notice either
