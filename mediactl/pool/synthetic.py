"""Synthetic jobs without media, for benchmarks, fault tests and selftest."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

from mediactl.core.errors import JobFailed, MachineBlocked, RejectedInput
from mediactl.model.assets import Reuse

EXECUTE = "mediactl.pool.synthetic:execute"


def execute(
    kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Callable[[float], None]
) -> dict[str, object]:
    """Do what the kind says: empty, fail, reject, block, crash, exit, hang, stall, hog; sleep, cpu ({"seconds"})."""
    if kind == "empty":
        return {}
    seconds = float(json.loads(payload or b"{}").get("seconds", 0.0))
    if kind == "sleep":
        time.sleep(seconds)
    elif kind == "cpu":
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
    elif kind == "fail":
        raise JobFailed("synthetic failure")
    elif kind == "reject":
        raise RejectedInput("synthetic rejection")
    elif kind == "block":
        raise MachineBlocked("synthetic block")
    elif kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "exit":
        os._exit(3)
    elif kind == "hog":
        hoard = []
        while True:
            hoard.append(os.urandom(1 << 20) * 16)
            time.sleep(0.01)
    elif kind == "stall":
        report(0.5)
        while True:
            signal.pause()
    elif kind == "hang":
        while True:
            signal.pause()
    else:
        raise ValueError(f"no synthetic job {kind!r}")
    return {}
