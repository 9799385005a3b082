"""What workers have printed about an attempt: the last lines of ffmpeg, in the log of the run (``pool.worker``)."""

from __future__ import annotations

import os
import re

from mediactl.core import verdicts
from mediactl.pipeline.recovery import LOGS

LONGEST = 4 << 20
"""Bytes of a log that are searched, from its end."""
_RUN = re.compile(r"[0-9a-f]{32}")


def about(state: str, run: str, job: int, attempt: int) -> str:
    """Return what was noted of an attempt of a job; "" where nothing was, or the log is gone."""
    if not _RUN.fullmatch(run):
        return ""
    try:
        fd = os.open(os.path.join(state, LOGS, f"{run}.log"), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(fd, "rb") as file:
        file.seek(max(0, os.fstat(fd).st_size - LONGEST))
        text = file.read(LONGEST).decode("utf-8", "replace")
    return verdicts.noted_in(text, job, attempt)
