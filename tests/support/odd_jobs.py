"""Jobs that misbehave in ways that ``pool.synthetic`` does not know; run by real workers."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from mediactl.model.assets import Reuse
from mediactl.pool import synthetic
from mediactl.pool import worker as this_worker

EXECUTE = "support.odd_jobs:execute"


def execute(
    kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Callable[[float], None]
) -> dict[str, Any]:
    """Do what the payload says, in this order; other kinds are synthetic's.

    {"note": file, "report": true, "child": file, "deaf": true, "seconds": some, "chatter": true, "wait": fifo,
    "once": file, "forbidden": file, "garble": true, "echo": anything}: append start and end to a file; tell progress;
    leave a process behind, its id in the file; hear no alarm; sleep; tell progress without end, as fast as it can; wait
    until the FIFO was written to; hang unless this file is there, and make it; raise PermissionError; write nonsense
    into the pipe; give back.
    """
    if kind != "odd":
        return synthetic.execute(kind, payload, reuse, token, report)
    what = json.loads(payload)
    started = time.monotonic_ns()
    if "child" in what:
        child = os.fork()
        while not child:
            signal.pause()
        with open(what["child"], "a") as file:
            print(os.getpid(), child, file=file)
    if "forbidden" in what:
        raise PermissionError(errno.EACCES, "Permission denied", what["forbidden"])
    if "report" in what:
        report(0.5)
    if "deaf" in what:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(what.get("seconds", 0.0))
    if "chatter" in what:
        this_worker.PROGRESS_INTERVAL = 0.0
        while True:
            report(0.5)
    if "wait" in what:
        with open(what["wait"], "rb") as fifo:
            fifo.read()
    if "once" in what and not os.path.exists(what["once"]):
        with open(what["once"], "x"):
            pass
        signal.pause()
    if "garble" in what:
        os.write(int(sys.argv[3]), b"\xff" * 100)
    if "note" in what:
        with open(what["note"], "a") as file:
            print(what.get("name"), started, time.monotonic_ns(), file=file)
    return {"echo": what.get("echo")}
