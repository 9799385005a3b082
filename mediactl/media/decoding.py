"""What a worker has done in its sandboxed process, and what comes back: small frozen values, a message each.

The worker opens sources, checks, hashes and publishes files; the process that it asks reads what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import msgspec

from mediactl.core import machine
from mediactl.core.errors import (
    InternalError,
    Interrupted,
    JobFailed,
    MachineBlocked,
    MachineTrouble,
    MediactlError,
    RejectedInput,
    SourceChanged,
    SourceUnreadable,
    UnexpectedError,
    UsageError,
)
from mediactl.core.sandbox.workspace import Workspace
from mediactl.core.verdicts import judge, notes_of
from mediactl.media.drafts import Drafts, Keep, Report
from mediactl.model.jobs import MakeTask, PieceTask, ProbeTask
from mediactl.model.media import MediaInfo
from mediactl.model.verdict import Verdict
from mediactl.outputs import registry


class Probe(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What is in the open source?"""

    task: ProbeTask
    result: ClassVar[Any] = MediaInfo


class Make(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Make the missing targets of the open source, as files of the workspace."""

    task: MakeTask
    missing: tuple[str, ...]
    """Names of targets."""
    present: tuple[str, ...]
    """Names of those whose files the workspace provides."""
    result: ClassVar[Any] = Drafts


class EncodePiece(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Encode a piece of the open video."""

    task: PieceTask
    result: ClassVar[Any] = None


class Describe(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What does an image of ours look like (``document.Appearance``)?"""

    name: str
    """In the workspace."""
    format: str
    result: ClassVar[Any] = str


class Compared(msgspec.Struct, frozen=True, array_like=True):
    """How an artefact and its source look."""

    similarity: float
    """SSIM, 1.0 being equal."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the previews, in pixels."""


class Compare(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """How similar is an image of ours, which the workspace provides, to the open source at the same size?"""

    task: MakeTask
    name: str
    """Of the target."""
    side: int = 0
    """Longest side in pixels of previews of both, which are written to the workspace as BEFORE and AFTER; 0: none."""
    result: ClassVar[Any] = Compared


Request = Probe | Make | EncodePiece | Describe | Compare


class Progress(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A sign of life."""

    fraction: float


class Finished(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Files that are to be kept though the job goes on, which then finds them among those that it may read."""

    names: tuple[str, ...]


class Kept(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """They are."""


class Done(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The answer."""

    result: msgspec.Raw
    cpu: float
    """Seconds that the process and its children have taken in all."""
    peak_memory: int
    """Bytes, of the process or its largest child so far."""


class Failed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """An exception."""

    kind: str
    """Class of ``core.errors``, or OSError."""
    text: str
    cpu: float
    peak_memory: int
    errno: int = 0
    file: bytes | None = None
    notes: tuple[str, ...] = ()
    """Those of the exception and of its causes (``core.verdicts``)."""


Reply = Progress | Finished | Done | Failed

_KINDS = {
    kind.__name__: kind
    for kind in (
        InternalError, Interrupted, JobFailed, MachineBlocked, MachineTrouble, MediactlError, RejectedInput,
        SourceChanged, SourceUnreadable, UnexpectedError, UsageError,
    )
}  # fmt: skip
"""Exceptions that cross, by name; others cross as the nearest of their bases."""
_BLAMED = (SourceChanged, MachineTrouble, MachineBlocked, Interrupted)
"""Exceptions that say already who is to blame."""
_BY_VERDICT = {
    Verdict.INTERNAL: InternalError,
    Verdict.BLOCKED: MachineBlocked,
    Verdict.UNREADABLE: MachineTrouble,
}
BEFORE, AFTER = "before.webp", "after.webp"
"""Names of previews of a source and an artefact."""
PREFIX = "kept-"
"""Before the names of artefacts that the workspace provides."""
CONTINUOUS = "continuous"
"""Temporary name of a copy whose time stamps continue."""

encode = msgspec.msgpack.Encoder().encode
decode_request: Callable[[bytes], Request] = msgspec.msgpack.Decoder(Request, dec_hook=registry.decode).decode
decode_reply: Callable[[bytes], Reply] = msgspec.msgpack.Decoder(Reply).decode


class Decoder(Protocol):
    """Does such requests."""

    workspace: Workspace

    def __call__(self, request: Request, fd: int | None, report: Report, keep: Keep) -> Any:
        """Return the result, a value of ``request.result``; ``fd`` is the open source.

        Raises what making it raises, exceptions of libraries as UnexpectedError or InternalError.
        """


def refuse(names: tuple[str, ...]) -> None:
    """Keep nothing: the job has no directory for what is unfinished."""
    raise JobFailed(f"protocol violation: {len(names)} files to keep")


def decode_result(request: Request, result: msgspec.Raw) -> Any:
    """Return the result of a request. Raises ValidationError for what is none."""
    return msgspec.msgpack.decode(result, type=request.result, dec_hook=registry.decode)


def failed(error: Exception, cpu: float, peak_memory: int) -> Failed:
    """Return an exception as a value, MachineTrouble where the machine is at fault.

    What nobody expected is printed into the run's log here, where it was raised.
    """
    if isinstance(error, OSError) and error.errno is not None and type(error).__module__ == "builtins":
        file = os.fsencode(error.filename) if isinstance(error.filename, str | bytes) else None
        return Failed(OSError.__name__, error.strerror or "", cpu, peak_memory, error.errno, file)
    try:
        if not isinstance(error, _BLAMED):
            machine.require(error)
    except MachineTrouble as trouble:
        error = trouble
    if isinstance(error, MediactlError):
        kind = next(name for name in (each.__name__ for each in type(error).__mro__) if name in _KINDS)
        return Failed(kind, str(error), cpu, peak_memory, notes=notes_of(error))
    verdict, reason = judge(error)
    return Failed(_BY_VERDICT.get(verdict, UnexpectedError).__name__, reason, cpu, peak_memory)


def raised(failure: Failed) -> Exception:
    """Return the exception again."""
    if failure.kind == OSError.__name__:
        return OSError(failure.errno, failure.text, failure.file)
    error = _KINDS.get(failure.kind, UnexpectedError)(failure.text)
    for note in failure.notes:
        error.add_note(note)
    return error
