"""Jobs without media, for benchmarks, tests of faults, and a look at a new machine."""

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
        raise JobFailed("was made to fail")
    elif kind == "reject":
        raise RejectedInput("was made to be rejected")
    elif kind == "block":
        raise MachineBlocked("was made to block")
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
