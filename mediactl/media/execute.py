"""The table job kind -> function; what a worker calls for each job."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mediactl.model import Made, MakeTask, PieceTask, ProbeTask, Reuse

Report = Callable[[float], None]
"""Called with the fraction done (0 to 1) now and then; each call is a sign of life."""


def execute(kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Report) -> Made:
    """Do one job. ``token`` marks its temporary files with their owner.

    Raises RejectedInput, SourceChanged, JobFailed or MachineBlocked; anything else is a fault of ours.
    """
    # Imported here: a worker that only ever does images never loads PyAV.
    if kind == "probe":
        from mediactl.media.probe import probe

        return probe(msgspec.json.decode(payload, type=ProbeTask))
    if kind == "piece":
        from mediactl.media.pieces import execute as piece

        return piece(msgspec.json.decode(payload, type=PieceTask), reuse, token, report)
    from mediactl.media.make import make

    return make(msgspec.json.decode(payload, type=MakeTask), reuse, token, report)
