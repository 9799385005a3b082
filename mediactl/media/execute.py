"""The table job kind -> function; what a worker calls for each job."""

from __future__ import annotations

import msgspec

from mediactl.core import machine
from mediactl.core.errors import Interrupted, MachineBlocked, MachineTrouble, SourceChanged
from mediactl.media import limits, opening
from mediactl.media.drafts import Report
from mediactl.model.assets import Reuse
from mediactl.model.jobs import JobResult, MakeTask, PieceTask, ProbeTask
from mediactl.outputs import registry


def execute(kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Report) -> JobResult:
    """Do one job. ``token`` marks its temporary files with their owner.

    Raises RejectedInput, SourceChanged, MachineTrouble, JobFailed or MachineBlocked; anything else is an
    internal error.
    """
    try:
        return _execute(kind, payload, reuse, token, report)
    except (SourceChanged, MachineTrouble, MachineBlocked, Interrupted):
        raise
    except Exception as error:
        machine.require(error)
        raise


def _execute(kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Report) -> JobResult:
    # Imported here: a worker that only ever does images never loads PyAV.
    if kind == "probe":
        from mediactl.media.probe import probe

        return probe(msgspec.json.decode(payload, type=ProbeTask))
    wanted: type[PieceTask | MakeTask] = PieceTask if kind == "piece" else MakeTask
    task = msgspec.json.decode(payload, type=wanted, dec_hook=registry.decode)
    try:
        with limits.bounded_files(task.limits):
            if isinstance(task, PieceTask):
                from mediactl.media.video.pieces import execute as piece

                return piece(task, reuse, token, report)
            from mediactl.media.make import make

            return make(task, reuse, token, report)
    except (SourceChanged, MachineTrouble, MachineBlocked, Interrupted):
        raise
    except Exception:
        opening.require_readable(task.source, whole=True)
        raise
