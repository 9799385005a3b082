"""The table job kind -> function; what a worker calls for each job."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mediactl.core.errors import Interrupted, MachineBlocked, SourceChanged, SourceUnreadable
from mediactl.model.assets import Reuse
from mediactl.model.jobs import Made, MakeTask, PieceTask, ProbeTask

Report = Callable[[float], None]
"""Called with the fraction done (0 to 1) now and then; each call is a sign of life."""


def execute(kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Report) -> Made:
    """Do one job. ``token`` marks its temporary files with their owner.

    Raises RejectedInput, SourceChanged, SourceUnreadable, JobFailed or MachineBlocked; anything else is a fault of
    ours.
    """
    # Imported here: a worker that only ever does images never loads PyAV.
    from mediactl.media import probe

    if kind == "probe":
        return probe.probe(msgspec.json.decode(payload, type=ProbeTask))
    wanted: type[PieceTask | MakeTask] = PieceTask if kind == "piece" else MakeTask
    task = msgspec.json.decode(payload, type=wanted)
    try:
        if isinstance(task, PieceTask):
            from mediactl.media.video.pieces import execute as piece

            return piece(task, reuse, token, report)
        from mediactl.media.make import make

        return make(task, reuse, token, report)
    except (SourceChanged, SourceUnreadable, MachineBlocked, Interrupted):
        raise
    except Exception:
        probe.require_readable(task.source, whole=True)
        raise
