"""Where a supervisor's media jobs run: in worker processes of this machine (``scheduler``), or on other machines."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from mediactl.model.fleet import Heartbeat
from mediactl.pool.contract import Assignment, Busy, Ended, Room
from mediactl.pool.messages import Answer
from mediactl.pool.process import Worker


class RemoteProgress(msgspec.Struct, frozen=True):
    """How far a job on another machine is."""

    job: int
    attempt: int
    fraction: float


class MediaLanes(Protocol):
    """What takes the jobs of the lanes quick and heavy. ``now`` is the time in seconds, by the supervisor's clock."""

    @property
    def workers(self) -> dict[socket.socket, Worker]:
        """The processes of this machine, by their pipe."""

    @property
    def waiting(self) -> Mapping[str, list[Assignment]]:
        """By lane, what no process was given yet."""

    def room(self, now: float) -> Room:
        """Return how many more jobs can be taken."""

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Take these."""

    def hand_out(self, now: float) -> set[Worker]:
        """Give waiting jobs to processes; return those that got any."""

    def answered(self, worker: Worker, assignment: Assignment, answer: Answer) -> None:
        """Update predictions, and whether a process has to be replaced."""

    def held_up(self, now: float) -> list[Worker]:
        """Return the processes whose job holds up others behind it."""

    def spare(self) -> list[Worker]:
        """Return idle processes to be ended."""

    def overrunning(self, now: float) -> list[tuple[Assignment, float]]:
        """Return quick jobs that turn out to be long, with the seconds for which they have been running."""

    def idle(self) -> bool:
        """Return whether a job that came now could begin at once."""

    def busy(self) -> int:
        """Return the number of running jobs."""

    def numbers(self) -> dict[str, tuple[int, int]]:
        """Return how many jobs are running and queued, by lane."""


class RemoteLanes(MediaLanes, Protocol):
    """The same on other machines: what ends there is collected."""

    @property
    def wakeup(self) -> socket.socket:
        """Readable when there is something to collect."""

    def collect(self, now: float) -> tuple[list[Ended], list[RemoteProgress]]:
        """Return the attempts that ended since the last call, and progress of others."""

    def give_back(self, reason: str) -> list[Ended]:
        """Return all that is running, as interrupted."""

    def heartbeats(self) -> list[Heartbeat]:
        """Return what the journal keeps of those machines."""

    def withdraw(self, reason: str) -> list[Ended]:
        """Return what no machine has taken yet, as interrupted."""

    def running(self, now: float) -> list[Busy]:
        """Return what is running where."""
