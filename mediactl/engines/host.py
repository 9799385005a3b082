"""A machine as the tasks of a Celery worker see it: what it can run, the pools that run it, and its end."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec
from celery import Celery

from mediactl import __version__
from mediactl.core.sandbox.mode import Mode
from mediactl.core.settings import cache_folder
from mediactl.engines.compatibility import other_schema, unsuitable
from mediactl.engines.local_pool import LocalPool
from mediactl.engines.messages import SCHEMA, HandedBack, Machine, Redelivered, RemoteJob
from mediactl.engines.reporter import INTERVAL, Reporter
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.pool.limits import available_cores, available_memory
from mediactl.pool.process import worker_environment

HAND_BACK = 0.5
"""Seconds after which a job is handed back, so that one that no machine can run does not circulate at full speed."""
IDLE = 60.0
"""Seconds after its last job that the pool of a run is kept."""


class Envelope(msgspec.Struct, frozen=True):
    """What a message has in every schema."""

    schema: int
    version: str
    outcomes: str
    token: str
    job: int
    attempt: int


class HostSettings(msgspec.Struct, frozen=True):
    """What one worker was asked for."""

    lanes: tuple[str, ...]
    slots: int
    grace: float = 25.0
    """Seconds."""
    sandbox: str = Mode.AUTO.value
    cache: str | None = None
    interval: float = INTERVAL
    consumers: int = 1
    """Processes of the machine that take jobs, which share its memory."""
    worker: str = ""
    """Names the worker that started them."""


_settings = msgspec.json.Decoder(HostSettings)
_envelope = msgspec.json.Decoder(Envelope)
_job = msgspec.json.Decoder(RemoteJob)


def settings_from(environment: Mapping[str, str]) -> HostSettings:
    """Return the settings that MEDIACTL_WORKER holds as JSON, or those by default."""
    text = environment.get("MEDIACTL_WORKER")
    return _settings.decode(text) if text else HostSettings(("quick", "heavy"), available_cores())


class Host:
    """Runs deliveries in pools, one for each run that has jobs here."""

    def __init__(self, app: Celery, prefix: str, settings: HostSettings) -> None:
        self._settings = settings
        self._id = uuid.uuid4().hex
        self._pools: dict[tuple[str, bytes, bool], LocalPool] = {}
        self._lock = threading.Lock()
        self._draining = self._gone = False
        self._reporter = Reporter(app, prefix, self.describe, settings.interval)
        self._reporter.start()
        self._stop = threading.Event()

    def describe(self) -> Machine:
        """Return what this machine is."""
        slots = 0 if self._gone or self._draining else self._settings.slots
        return Machine(
            id=self._id, host=socket.gethostname(), pid=os.getpid(), version=__version__, schema=SCHEMA,
            slots=dict.fromkeys(self._settings.lanes, slots), interval=self._settings.interval,
            draining=self._draining, worker=self._settings.worker,
        )  # fmt: skip

    def run(self, message: dict[str, Any], *, redelivered: bool) -> None:
        """Run one delivery to its end, and return once its outcome has reached the broker."""
        body = msgspec.json.encode(message)
        envelope = _envelope.decode(body)
        if envelope.schema != SCHEMA:
            self._hand_back(envelope, other_schema(envelope.schema, envelope.version))
            return
        try:
            self._run(_job.decode(body), envelope, redelivered=redelivered)
        except Exception as error:  # noqa: BLE001 - this machine's: a job's errors are outcomes
            self._hand_back(envelope, " ".join(f"its jobs cannot run: {error}".split()))

    def _run(self, job: RemoteJob, envelope: Envelope, *, redelivered: bool) -> None:
        if reason := unsuitable(job, self._encoders):
            self._hand_back(envelope, reason)
        elif redelivered:
            # Whoever had it may run on, or it may have ended that machine: the run decides.
            self._reporter.note(job.outcomes, Redelivered(job.token, job.job, job.attempt)).result()
        else:
            self._ended(job)

    def _ended(self, job: RemoteJob) -> None:
        while True:
            ended = self._pool(job).submit(job)
            if ended is not None:
                ended.result()
                return

    def _hand_back(self, envelope: Envelope, reason: str) -> None:
        self._stop.wait(HAND_BACK)
        note = HandedBack(envelope.token, envelope.job, envelope.attempt, reason)
        self._reporter.note(envelope.outcomes, note).result()

    def drain(self) -> None:
        """Take no more jobs, and end the running ones within their grace."""
        self._draining = True
        self._stop.set()
        self._reporter.soon()
        with self._lock:
            for pool in self._pools.values():
                pool.drain()

    def close(self) -> None:
        """End, once nothing runs any more."""
        self._draining = self._gone = True
        with self._lock:
            for pool in self._pools.values():
                pool.close()
        self._reporter.close()

    @cached_property
    def _encoders(self) -> dict[str, str]:
        return encoder_versions(os.environ.get("MEDIACTL_FFMPEG"))

    def _pool(self, job: RemoteJob) -> LocalPool:
        name = (job.token, job.out, job.follow_symlinks)
        with self._lock:
            for each, pool in list(self._pools.items()):
                idle = pool.idle_since
                if pool.over or (each != name and idle is not None and time.monotonic() - idle > IDLE):
                    pool.close()
                    del self._pools[each]
            if name not in self._pools:
                memory = available_memory() * 3 // 4 // self._settings.consumers
                self._pools[name] = LocalPool(
                    job.token, job.outcomes, self._reporter, self._environment(job),
                    slots=self._settings.slots, memory=memory, grace=self._settings.grace,
                )  # fmt: skip
                if self._draining:
                    self._pools[name].drain()
            return self._pools[name]

    def _environment(self, job: RemoteJob) -> dict[str, str]:
        cache = cache_folder(self._settings.cache, os.environ)
        return {
            **worker_environment(os.environ),
            "MEDIACTL_CACHE": "none" if cache is None else os.fsdecode(cache),
            "MEDIACTL_FOLLOW_SYMLINKS": "1" if job.follow_symlinks else "",
            "MEDIACTL_OUT": os.fsdecode(job.out),
            "MEDIACTL_SANDBOX": self._settings.sandbox,
        }
