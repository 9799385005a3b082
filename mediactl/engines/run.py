"""A run whose media jobs are done by other machines: what connects it to its broker."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mediactl import __version__
from mediactl.core.settings import Settings
from mediactl.engines.fleet import Fleet
from mediactl.engines.messages import RemoteJob
from mediactl.engines.queues import application
from mediactl.engines.traffic import Traffic
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.model.events import Event
from mediactl.pool.contract import Assignment

JOURNAL_ID = "queue.id"
"""File beside the journal: names its queue of outcomes, in every run."""


class Engine:
    """A broker, and the prefix of its queues."""

    def __init__(self, broker: str, prefix: str) -> None:
        self._broker = broker
        self._prefix = prefix

    @contextmanager
    def connected(self, settings: Settings, run: str, report: Callable[[Event], None]) -> Iterator[Fleet]:
        """Publish the jobs of a run while inside the block."""
        traffic = Traffic(application(self._broker, self._prefix), self._prefix, journal_id(settings.state))
        encoders = encoder_versions(settings.environment.get("MEDIACTL_FFMPEG"))

        def describe(assignment: Assignment) -> RemoteJob:
            return RemoteJob(
                version=__version__, encoders=encoders, outcomes=traffic.outcomes, token=run, out=settings.out,
                follow_symlinks=settings.follow_symlinks, job=assignment.job, attempt=assignment.attempt,
                kind=assignment.kind, payload=assignment.payload.decode(), reuse=assignment.reuse,
                lane=assignment.lane, cores=assignment.cores, time_limit=assignment.time_limit,
                stall_limit=assignment.stall_limit, memory_limit=assignment.memory_limit, memory=assignment.memory,
                alone=assignment.alone, due=assignment.due, expected=assignment.expected,
            )  # fmt: skip

        traffic.start()
        try:
            yield Fleet(traffic, run, describe, settings.limits, report)
        finally:
            traffic.close()


def journal_id(state: str) -> str:
    """Return the name of a journal, which it keeps as long as it is there."""
    path = os.path.join(state, JOURNAL_ID)
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        name = uuid.uuid4().hex
        with open(path, "x", encoding="ascii") as file:
            file.write(name)
        return name
