"""The table job kind -> function; what a worker calls for each job."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Self

import msgspec

from mediactl.core import machine
from mediactl.core.errors import Interrupted, MachineBlocked, MachineTrouble, SourceChanged, SourceUnreadable
from mediactl.core.sandbox import workspace
from mediactl.core.sandbox.mode import Mode
from mediactl.media import make, opening, probe, unfinished
from mediactl.media.confined import Confined
from mediactl.media.decoding import Decoder
from mediactl.media.drafts import Report
from mediactl.model.assets import Reuse
from mediactl.model.jobs import JobResult, MakeTask, PieceTask, ProbeTask
from mediactl.outputs import registry

OUT, SANDBOX = "MEDIACTL_OUT", "MEDIACTL_SANDBOX"
"""Variables of a worker's environment: OUT, and whether sources are decoded in a sandbox (``Mode``)."""


class Execution:
    """Does the jobs of a worker, sources being decoded in a sandboxed process that lives as long as the worker."""

    def __init__(self) -> None:
        """Start that process; this one has one thread as yet."""
        self._out, self._mode = os.fsencode(os.environ[OUT]), Mode(os.environ[SANDBOX])
        self._decoder: Confined | None = None
        workspace.sweep(self._out)
        registry.operations()  # both sides need them
        with suppress(OSError):  # the first job raises it again
            self._started()

    def _started(self) -> Confined:
        if self._decoder is None:
            self._decoder = Confined(self._out, self._mode)
        return self._decoder

    def __call__(self, kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Report) -> JobResult:
        """Do one job; see ``execute``."""
        decoder = self._started()
        try:
            return execute(kind, payload, reuse, token, report, decoder)
        finally:
            decoder.workspace.clear()

    def cost(self) -> tuple[float, int]:
        """Return CPU seconds and peak memory in bytes that were taken in the sandboxed process."""
        return (0.0, 0) if self._decoder is None else self._decoder.cost()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        if self._decoder is not None:
            self._decoder.close()


def execute(
    kind: str,
    payload: bytes,
    reuse: tuple[Reuse, ...],
    token: bytes,
    report: Report,
    decoder: Decoder | None = None,
) -> JobResult:
    """Do one job. ``token`` marks its temporary files with their owner; without ``decoder`` it is all done here.

    Raises RejectedInput, SourceChanged, MachineTrouble, JobFailed or MachineBlocked; anything else is an
    internal error.
    """
    try:
        return _execute(kind, payload, reuse, token, report, decoder)
    except (SourceChanged, MachineTrouble, MachineBlocked, Interrupted):
        raise
    except Exception as error:
        machine.require(error)
        raise


def _execute(
    kind: str, payload: bytes, reuse: tuple[Reuse, ...], token: bytes, report: Report, decoder: Decoder | None
) -> JobResult:
    if kind == "probe":
        return probe.probe(msgspec.json.decode(payload, type=ProbeTask), decoder)
    wanted: type[PieceTask | MakeTask] = PieceTask if kind == "piece" else MakeTask
    task = msgspec.json.decode(payload, type=wanted, dec_hook=registry.decode)
    try:
        if isinstance(task, PieceTask):
            return unfinished.piece(task, reuse, token, report, decoder)
        return make.make(task, reuse, token, report, decoder)
    except (SourceChanged, SourceUnreadable, MachineBlocked, Interrupted):
        raise
    except Exception:
        opening.require_readable(task.source, whole=True)
        raise
