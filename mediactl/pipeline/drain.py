"""Signs that this machine is to be left: a file that appears, an address that answers 200."""

from __future__ import annotations

import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

INTERVAL = 1.0
"""Seconds between two looks at the file."""
URL_INTERVAL = 2.0
URL_TIMEOUT = 2.0
"""Seconds; clouds give notice of 30 s and more."""


def watch(file: str | None, url: str | None) -> Callable[[], bool]:
    """A question to be asked often: has ``file`` appeared, or has ``url`` answered 200?

    The address is asked by a thread of its own, so that a slow answer holds nothing up; whatever is no 200, an error
    included, means stay.
    """
    asked = threading.Event()
    if url is not None:
        threading.Thread(target=_poll, args=(url, asked), daemon=True).start()
    next_look = 0.0

    def leave() -> bool:
        nonlocal next_look
        now = time.monotonic()
        if file is not None and now >= next_look:
            next_look = now + INTERVAL
            if os.path.exists(file):
                asked.set()
        return asked.is_set()

    return leave


def _poll(url: str, asked: threading.Event) -> None:
    while not asked.wait(URL_INTERVAL):
        try:
            with urllib.request.urlopen(url, timeout=URL_TIMEOUT) as answer:
                if answer.status == 200:
                    asked.set()
        except (OSError, ValueError, http.client.HTTPException):
            continue  # 404 is what clouds answer while there is no notice; unreachable is no notice either
