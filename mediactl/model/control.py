"""What a client asks of a run through its event socket: one line of JSON each, tagged by ``request``.

Every request is answered by a ``control.answer`` event, to that client alone; ``snapshot`` by a ``run.snapshot``.
"""

from __future__ import annotations

import msgspec

from mediactl.model.jobs import Priority

MOST_JOBS = 1000
"""Jobs that one request may name."""


class Request(msgspec.Struct, frozen=True, tag_field="request"):
    """Something that is asked of a run."""


class Snapshot(Request, frozen=True, tag="snapshot"):
    """Report how the run stands."""


class Pause(Request, frozen=True, tag="pause"):
    """Start no more jobs."""

    now: bool = False
    """Suspend running jobs, too."""


class Resume(Request, frozen=True, tag="resume"):
    """Start jobs again, and continue those that were suspended."""


class Bump(Request, frozen=True, tag="bump"):
    """Give pending jobs another priority."""

    jobs: tuple[int, ...]
    """Their row numbers in the journal; others than pending ones stay as they are."""
    priority: Priority = Priority.URGENT


AnyRequest = Snapshot | Pause | Resume | Bump
