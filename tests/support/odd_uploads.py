"""A service of the network lane whose jobs do what a test wants, in the guise of uploads; run by real workers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mediactl.core.errors import (
    ExitCode,
    Interrupted,
    JobFailed,
    LaneClosed,
    MachineBlocked,
    MediactlError,
    RejectedInput,
    SourceChanged,
)
from mediactl.jobs.journal import FILE
from mediactl.model.jobs import NewJob
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import (
    Begun,
    Change,
    Created,
    Location,
    PartsSent,
    Sent,
    SentPart,
    SentStatus,
    Settled,
    UploadState,
    UploadStatus,
    UploadTask,
)
from mediactl.model.verdict import Verdict
from support.journals import new_job

CALL = "support.odd_uploads:service"
LOCATION = Location("bucket", "", "http://127.0.0.1:1")
COUNT = 8
"""Parts that an object has."""
MARK = Fingerprint(COUNT, 0, 0, 0)


class Refused(LaneClosed):
    """It is the user's fault."""

    verdict = Verdict.REFUSED
    exit_code = ExitCode.USAGE


ERRORS: dict[str, type[Exception]] = {
    "rejected": RejectedInput, "failed": JobFailed, "changed": SourceChanged, "interrupted": Interrupted,
    "refused": Refused, "away": LaneClosed, "blocked": MachineBlocked, "ours": ZeroDivisionError,
    "mediactl": MediactlError,
}  # fmt: skip


def upload(name: str | int, **what: Any) -> NewJob:
    """A job for the service; the fields of it may be given with an underscore in front."""
    fields = {key[1:]: what.pop(key) for key in list(what) if key.startswith("_")}
    file = json.dumps({"name": str(name), **what}, default=str).encode()
    payload = msgspec.json.encode(UploadTask(file, MARK, LOCATION, str(name)))
    return new_job(name, kind="upload", lane="network", payload=payload, time_limit=3600.0, **fields)


def service(options: str) -> Service:
    """The service of a process."""
    return Service(**json.loads(options))


class Service:
    """Runs the jobs."""

    def __init__(self, threads: int = 16) -> None:
        self.threads = threads
        self._ended: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._together = threading.Condition()
        self._here = 0
        self._left = threading.Event()

    def run(
        self,
        kind: str,
        payload: bytes,
        state: bytes,
        keep: Callable[[bytes], None],
        report: Callable[[int, float], None],
    ) -> Sent:
        """Do what the task says, in this order:

        {"kept": n, "parts": n, "journal": folder, "report": bytes, "log": file, "together": n, "after": name, "lock":
        file, "left": true, "last": true, "once": file, "raise": name}: be sure that so many parts are remembered; keep
        so many, each of them on disk before the next; tell bytes; append the name to a file; wait until so many run at
        once; until another has ended; until nobody else has the lock; until the lane is left; keep one part more; do
        the rest once only; raise.
        """
        task = msgspec.json.decode(payload, type=UploadTask)
        what = json.loads(task.file)
        remembered = msgspec.json.decode(state, type=UploadState) if state else UploadState()
        assert len(remembered.parts) == what.get("kept", len(remembered.parts)), remembered
        self._keep(task, what, remembered, keep)
        if "report" in what:
            report(what["report"], 0.5)
        if "log" in what:
            with open(what["log"], "a") as file:
                file.write(f"{what['name']}\n")
        if "together" in what:
            self._meet(what["together"])
        if "after" in what:
            self._ended[what["after"]].wait()
        if "lock" in what:
            with open(what["lock"]) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
        if "left" in what:
            self._left.wait()
        if "last" in what:
            keep(msgspec.msgpack.encode(PartsSent((SentPart(COUNT, 1, 0, "last"),))))
        self._ended[what["name"]].set()
        if "raise" in what and not ("once" in what and Path(what["once"]).exists()):
            if "once" in what:
                Path(what["once"]).touch()
            raise ERRORS[what["raise"]](f"{what['name']} was told to")
        report(0, 1.0)
        done = Settled(UploadStatus.DONE, "token", "etag", MARK)
        return Sent(SentStatus.SENT, done, COUNT, "etag", what.get("report", 0))

    def drain(self, seconds: float) -> None:
        """Let those end that wait for it."""
        self._left.set()

    def _meet(self, count: int) -> None:
        with self._together:
            self._here += 1
            self._together.notify_all()
            self._together.wait_for(lambda: self._here >= count)

    def _keep(self, task: UploadTask, what: dict[str, Any], state: UploadState, keep: Callable[[bytes], None]) -> None:
        wanted = what.get("parts", 0)
        if wanted and state.status is UploadStatus.PLANNED:
            changes: list[Change] = [Begun("token", 1, MARK, "", "", "", None), Created("id")]
            for change in changes:
                keep(msgspec.msgpack.encode(change))
        for number in range(len(state.parts) + 1, wanted + 1):
            keep(msgspec.msgpack.encode(PartsSent((SentPart(number, 1, 0, what["name"]),))))
            if "journal" in what and (found := _on_disk(what["journal"], task.key)) != number:
                raise AssertionError(f"{found} parts are on disk after {number} were kept")


def _on_disk(folder: str, key: str) -> int:
    """Parts of an object that another process sees now."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/{FILE}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM parts JOIN uploads ON uploads.id = parts.upload WHERE key = ?", (key,)
        ).fetchone()
    return int(count)
