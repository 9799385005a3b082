"""The directory of a long video's pieces, as a worker has it: what is in there is provided, what was made is kept.

A file there appears by a rename, after it was verified and forced to disk: whoever finds it may use it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress

from mediactl.core import files
from mediactl.core.errors import JobFailed
from mediactl.core.sandbox.workspace import Workspace
from mediactl.media import decode, decoding, room
from mediactl.media.decoding import Decoder
from mediactl.media.drafts import Report
from mediactl.media.limits import require
from mediactl.media.opening import check_unchanged, open_source
from mediactl.model.assets import Reuse
from mediactl.model.jobs import JobResult, PieceTask
from mediactl.model.media import Limits

_PIECE = re.compile(r"-(\d{5})\.mp4$")
"""Ends the name of a piece of video (``video.pieces``)."""


class Kept:
    """One such directory."""

    def __init__(
        self, folder: bytes, limits: Limits, token: bytes, workspace: Workspace, unchanged: Callable[[], None]
    ) -> None:
        """``unchanged`` raises SourceChanged when the open video is not what it was."""
        self._folder = folder
        self._limits = limits
        self._token = token
        self._workspace = workspace
        self._unchanged = unchanged
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def provide(self, number: int | None = None) -> None:
        """Have what is kept there to be read; with a number, of the pieces of video this one alone."""
        for name in os.listdir(self._folder):
            text = os.fsdecode(name)
            piece = _PIECE.search(text)
            if not name.startswith(files.TEMPORARY) and (number is None or not piece or int(piece[1]) == number):
                self._workspace.provide(text, os.path.join(self._folder, name))

    def keep(self, names: tuple[str, ...]) -> None:
        """Keep these files of the workspace, in this order, and provide them.

        Raises SourceChanged, JobFailed, RejectedInput where there is too much, OSError.
        """
        self._unchanged()
        require(_bytes_in(self._folder), self._limits, "scratch_bytes", "bytes of pieces")
        for name in names:
            if os.path.basename(name) != name or name.startswith("."):
                raise JobFailed(f"protocol violation: a file {files.shown(name)} to keep")
            temporary = os.path.join(self._folder, files.TEMPORARY + self._token + b"-" + name.encode())
            try:
                self._workspace.take(name, temporary)
                files.fsync_file(temporary)
                os.rename(temporary, os.path.join(self._folder, name.encode()))
            finally:
                files.remove_if_there(temporary)
        files.fsync_folder(self._folder)
        for name in names:
            self._workspace.provide(name, os.path.join(self._folder, name.encode()))


def piece(
    task: PieceTask, reuse: tuple[Reuse, ...], token: bytes, report: Report, decoder: Decoder | None = None
) -> JobResult:
    """Have one piece of a video, or all of its audio, encoded in its folder.

    Raises RejectedInput, SourceChanged, JobFailed or MachineBlocked.
    """
    if _is_made(task, reuse):
        return JobResult()
    fd = open_source(task.source)
    try:
        os.makedirs(task.work, mode=0o700, exist_ok=True)
        if task.number <= 0:  # the first ones, before there are any
            room.require(task.work, task.targets, task.info)
        with decode.given(decoder) as decoder_:
            kept = Kept(task.work, task.limits, token, decoder_.workspace, lambda: check_unchanged(fd, task.source))
            kept.provide(task.number)
            decoder_(decoding.EncodePiece(task), fd, report, kept.keep)
    finally:
        os.close(fd)
    return JobResult()


def _bytes_in(folder: bytes) -> int:
    """Return the bytes of the files in a folder, without those that others remove meanwhile."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _is_made(task: PieceTask, reuse: tuple[Reuse, ...]) -> bool:
    """Whether a twin has become all that this piece would be a part of."""
    there = {other.key for other in reuse if os.path.exists(other.file)}
    return all(target.key in there for target in task.targets)
