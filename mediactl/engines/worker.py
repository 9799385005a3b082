"""``mediactl worker``: one Celery worker a lane, so that heavy jobs never occupy what takes quick ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid

import msgspec

from mediactl.core.errors import ExitCode
from mediactl.core.processes import dies_with_this_process
from mediactl.engines.host import HostSettings
from mediactl.engines.queues import lane_queue
from mediactl.model.jobs import QUICK
from mediactl.pipeline import drain

APPLICATION = "mediactl.engines.celery"
AHEAD = {QUICK: 2}
"""Lane -> deliveries a slot: short jobs wait here for their predecessor, not in the broker."""
CHECKS = 0.5
"""Seconds between two checks of whether to drain."""
EXTRA = 15.0
"""Seconds beyond the grace after which a lane's process is killed."""


def run(broker: str, prefix: str, settings: HostSettings, drain_file: str | None, drain_url: str | None) -> int:
    """Take jobs until a signal asks to stop, or the machine is being drained; return the exit code.

    The first SIGINT or SIGTERM drains, the second ends at once.
    """
    asked = _Asked()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked.take)
    draining = drain.watch(drain_file, drain_url)
    shared = msgspec.structs.replace(settings, consumers=len(settings.lanes), worker=uuid.uuid4().hex)
    lanes = [_start(broker, prefix, msgspec.structs.replace(shared, lanes=(lane,))) for lane in settings.lanes]
    while all(lane.poll() is None for lane in lanes) and not asked.count and not draining():
        asked.wait(CHECKS)
    ended_early = any(lane.poll() is not None for lane in lanes)
    for lane in lanes:
        lane.terminate()
    asked.kill_on_second(lanes)
    for lane in lanes:
        try:
            lane.wait(settings.grace + EXTRA)
        except subprocess.TimeoutExpired:
            lane.kill()
            lane.wait()
    return ExitCode.STOPPED_EARLY if ended_early else ExitCode.COMPLETE


class _Asked:
    """Signals that ask to stop."""

    def __init__(self) -> None:
        self.count = 0
        self._event = threading.Event()
        self._lanes: list[subprocess.Popen[bytes]] = []

    def take(self, _number: int, _frame: object) -> None:
        self.count += 1
        if self.count > 1:  # also of a machine that a file has drained
            for lane in self._lanes:
                lane.kill()

    def kill_on_second(self, lanes: list[subprocess.Popen[bytes]]) -> None:
        if self.count > 1:
            for lane in lanes:
                lane.kill()
        self._lanes = lanes

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)


def _start(broker: str, prefix: str, settings: HostSettings) -> subprocess.Popen[bytes]:
    (lane,) = settings.lanes
    environment = {
        **os.environ,
        "MEDIACTL_BROKER": broker,
        "MEDIACTL_QUEUE_PREFIX": prefix,
        "MEDIACTL_WORKER": msgspec.json.encode(settings).decode(),
    }
    command = [
        sys.executable, "-P", "-m", "celery", "-A", APPLICATION, "worker", "--pool", "threads",
        "--concurrency", str(settings.slots * AHEAD.get(lane, 1)), "-Q", lane_queue(prefix, lane),
        "-n", f"{lane}-{os.getpid()}@%h", "--without-gossip", "--without-mingle", "--without-heartbeat",
        "--loglevel", "WARNING",
    ]  # fmt: skip
    # In a session of its own: Ctrl-C reaches this process alone, which passes it on.
    return subprocess.Popen(
        command, env=environment, start_new_session=True, preexec_fn=dies_with_this_process(), stdin=subprocess.DEVNULL
    )
