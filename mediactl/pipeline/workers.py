"""What the workers of a run call, and the process that forks them."""

from __future__ import annotations

import os

from mediactl.core.processes import dump_no_core
from mediactl.core.settings import Settings
from mediactl.pool.forkserver import ForkServer
from mediactl.pool.process import worker_environment

EXECUTE = "mediactl.media.execute:Execution"
"""What workers make one of, and call for each job."""
PRELOADED = ("mediactl.media.execute", "mediactl.media.probe", "mediactl.media.make", "mediactl.media.image.render")
"""What every worker needs for images, and little more than for videos; PyAV is left to those that need it."""
_JOURNAL = "journal.db"


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment of the workers of a run."""
    return {**worker_environment(settings.environment), **settings.for_workers()}


def fork_server(settings: Settings) -> ForkServer:
    """Return the process that forks the workers of a run.

    Where there is no journal there is work for sure: then it is started now, beside everything else that begins.
    """
    dump_no_core()
    server = ForkServer(PRELOADED, environment_of(settings))
    if not os.path.exists(os.path.join(settings.state, _JOURNAL)):
        server.start()
    return server
