"""What happens in a sandboxed process: sources are probed, decoded, encoded and verified by libraries and by ffmpeg.

It is given an open source and its workspace. It opens nothing else but libraries and fonts, publishes nothing, and
knows of no other source.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any

import msgspec

from mediactl.core.errors import UnexpectedError
from mediactl.core.files import shown
from mediactl.core.sandbox.channel import Channel, Closed
from mediactl.core.sandbox.workspace import Workspace
from mediactl.media import decoding, limits
from mediactl.media.decoding import (
    AFTER,
    BEFORE,
    PREFIX,
    Compare,
    Compared,
    Decoder,
    Describe,
    Done,
    EncodePiece,
    Failed,
    Finished,
    Make,
    Probe,
    Progress,
)
from mediactl.media.drafts import Drafts, Keep, Report, Request, Unfinished
from mediactl.model.assets import Operation, Target
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.base import IMAGE_MAKER

Around = Callable[[Workspace], AbstractContextManager[None]]
"""A context for each request, of a workspace."""
PROGRESS_INTERVAL = 0.1
"""Seconds between two signs of life."""


class Here:
    """A decoder in this very process, as tests and `mediactl doctor` have it."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def __call__(self, request: decoding.Request, fd: int | None, report: Report, keep: Keep) -> Any:
        """Do it."""
        return _ANSWERS[type(request)](request, fd, self.workspace, report, keep)


@contextmanager
def given(decoder: Decoder | None) -> Iterator[Decoder]:
    """Yield a decoder: the given one, or one in this process, with a workspace for the time being."""
    if decoder is not None:
        yield decoder
        return
    with tempfile.TemporaryDirectory(prefix="mediactl-") as folder:
        workspace = Workspace(os.fsencode(folder))
        try:
            yield Here(workspace)
        finally:
            workspace.close()


def serve(
    workspace: Workspace,
    channel: Channel,
    around: Around = lambda _: nullcontext(),
) -> None:
    """Answer requests until the channel is closed, each in the context ``around``."""
    os.environ["TMPDIR"] = os.fsdecode(workspace.outputs)
    tempfile.tempdir = None
    here = Here(workspace)
    try:
        while True:
            message, fds = channel.receive_with_fds()
            channel.send(decoding.encode(_answered(here, message, fds, channel, around)))
    except Closed:
        return


def _answered(
    here: Here,
    message: bytes,
    fds: list[int],
    channel: Channel,
    around: Around,
) -> Done | Failed:
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            channel.send(decoding.encode(Progress(fraction)))

    def keep(names: tuple[str, ...]) -> None:
        channel.send(decoding.encode(Finished(names)))
        channel.receive()

    request = None
    try:
        request = decoding.decode_request(message)
        with around(here.workspace):
            result = here(request, fds[0] if fds else None, report, keep)
        return Done(msgspec.Raw(decoding.encode(result)), *_cost())
    except Closed:
        raise
    except PermissionError as error:
        # All outputs are written to its own directory. A source that may not be read is for the worker to judge.
        refused = UnexpectedError(f"refused by the sandbox: {shown(str(error))}")
        return decoding.failed(error if isinstance(request, Probe) else refused, *_cost())
    except Exception as error:  # noqa: BLE001 - whatever a library raises is about this job
        return decoding.failed(error, *_cost())
    finally:
        for fd in fds:
            os.close(fd)


def _cost() -> tuple[float, int]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return cpu, 1024 * max(own.ru_maxrss, children.ru_maxrss)  # Linux counts in KiB: getrusage(2).


def _probe(request: Probe, fd: int, workspace: Workspace, report: Report, keep: Keep) -> MediaInfo:
    # Imported here and below: a process that only ever does images never loads PyAV.
    task = request.task
    if task.source.kind is Kind.IMAGE:
        from mediactl.media.image import render

        return render.probe(fd, task.source.format, task.limits, location=task.position)
    from mediactl.media.inspect import streams

    return streams.probe(fd, task.source.format, task.limits, location=task.position)


def _describe(request: Describe, fd: None, workspace: Workspace, report: Report, keep: Keep) -> str:
    from mediactl.media.image import render

    return render.placeholder_at(os.path.join(workspace.inputs, request.name.encode()), request.format)


def _compare(request: Compare, fd: int, workspace: Workspace, report: Report, keep: Keep) -> Compared:
    from mediactl.media.image import compare

    file = os.path.join(workspace.inputs, (PREFIX + request.name).encode())
    previews = workspace.temporary(BEFORE), workspace.temporary(AFTER)
    with limits.bounded_files(request.task.limits):
        return Compared(*compare.compared(fd, request.task, request.name, file, request.side, previews))


def _piece(request: EncodePiece, fd: int, workspace: Workspace, report: Report, keep: Keep) -> None:
    from mediactl.media.video import pieces

    with limits.bounded_files(request.task.limits):
        pieces.encode_one(fd, request.task, Unfinished(workspace.inputs, workspace.temporary, keep), report)


def _make(request: Make, fd: int, workspace: Workspace, report: Report, keep: Keep) -> Drafts:
    """Have the missing targets made, those with the same maker in one call: an image is decoded once for all sizes, a
    video once for all renditions.

    Makers without a missing target are called as well, for every run reports what the asset as a whole lost.
    """
    task, missing = request.task, set(request.missing)
    makers: dict[str, list[Target[Operation]]] = {target.params.maker: [] for target in task.targets}
    if task.source.kind is Kind.IMAGE:
        makers.setdefault(IMAGE_MAKER, [])  # what the image looks like comes from there, too
    for target in task.targets:
        if target.name in missing:
            makers[target.params.maker].append(target)
    made = partial(_made, fd, makers, frozenset(request.present), workspace, report, keep)
    with limits.bounded_files(task.limits):
        if not (missing and task.info.discontinuities):
            return made(fd, task)
        from mediactl.media import timestamps

        with timestamps.continuous(fd, task, workspace.temporary(decoding.CONTINUOUS)) as (media, continuous):
            return made(media, continuous)


def _made(
    original: int,
    makers: dict[str, list[Target[Operation]]],
    present: frozenset[str],
    workspace: Workspace,
    report: Report,
    keep: Keep,
    media: int,
    task: MakeTask,
) -> Drafts:
    """Have each maker make its targets from ``media``, which is the source (``original``) or a copy of it."""
    work = {maker: sum(each.params.expected_seconds(task.info) for each in makers[maker]) for maker in makers}
    made, done = Drafts(()), 0.0
    for maker, group in makers.items():
        share = work[maker] / (sum(work.values()) or 1.0)
        request = Request(
            media,
            task,
            tuple(group),
            workspace.temporary,
            present=lambda name: (
                os.path.join(workspace.inputs, PREFIX.encode() + name.encode()) if name in present else None
            ),
            report=partial(_part, report, done, share),
            original=original,
            unfinished=Unfinished(workspace.inputs, workspace.temporary, keep) if task.work else None,
        )
        drafts = _maker(maker)(request)
        made = Drafts(
            (*made.files, *drafts.files),
            made.placeholder or drafts.placeholder,
            (*made.warnings, *drafts.warnings),
            (*made.left_out, *drafts.left_out),
        )
        done += share
    return made


def _maker(name: str) -> Callable[[Request], Drafts]:
    """Return the function "module:function"."""
    module, _, function = name.partition(":")
    found: Callable[[Request], Drafts] = getattr(import_module(module), function)
    return found


def _part(report: Report, done: float, share: float, fraction: float) -> None:
    report(done + share * fraction)


_ANSWERS: dict[type, Callable[..., Any]] = {
    Probe: _probe, Make: _make, EncodePiece: _piece, Describe: _describe, Compare: _compare,
}  # fmt: skip
