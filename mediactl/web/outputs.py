"""The output directories that are shown: their journals, and the files in them that the journals name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from mediactl.core import system
from mediactl.core.files import shown
from mediactl.core.filesystem.beneath import open_beneath
from mediactl.jobs import report
from mediactl.jobs.journal import FILE
from mediactl.jobs.listing.pages import Derived
from mediactl.jobs.report import Report

INLINE = ("image/", "video/", "audio/", "text/vtt", "application/vnd.apple.mpegurl")
"""Beginnings of media types that a browser shows; anything else is downloaded."""
ACTIVE = ("image/svg+xml",)
"""Those of them that can hold scripts."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; sandbox"
"""A file that is opened on its own runs nothing, whatever is in it."""
NOT_THERE = "Not found.\n"


class Output:
    """An output directory and its journal."""

    def __init__(self, number: int, out: bytes, state: str) -> None:
        self.number, self.out, self.state = number, out, state
        self.name = shown(os.path.basename(out) or out)
        self.path = shown(out)
        self.base = f"/{number}"
        """What the paths of its pages begin with."""

    @contextmanager
    def reading(self) -> Iterator[Report]:
        """Yield the journal as it is now. Raises MediactlError where it cannot be read."""
        with report.read(self.state, untouched=True) as rows:
            yield rows

    def version(self) -> tuple[object, ...]:
        """Return what differs once a transaction was committed: time and size of the journal's files."""
        return tuple(map(_mark, (os.path.join(self.state, FILE), os.path.join(self.state, FILE + "-wal"))))


def _mark(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class OpenedFile(FileResponse):
    """A response with an open file, whatever is at its path by now; closes it."""

    def __init__(self, fd: int, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(system.path_of(fd), headers=headers, media_type=media_type, stat_result=os.fstat(fd))
        self._fd = fd

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or the ranges that were asked for."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._fd)


def response_with(output: Output, derived: Derived | None) -> Response:
    """Return the response with a derived file, which no link may replace."""
    if derived is None:
        return PlainTextResponse(NOT_THERE, 404)
    try:
        fd = open_beneath(output.out, derived.path, links=False)
    except OSError:
        return PlainTextResponse(NOT_THERE, 404)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return PlainTextResponse(NOT_THERE, 404)
    inline = derived.media_type.startswith(INLINE) and derived.media_type not in ACTIVE
    return OpenedFile(
        fd,
        derived.media_type if inline else "application/octet-stream",
        {
            "content-security-policy": POLICY,
            "content-disposition": "inline" if inline else "attachment",
            "cache-control": "private, no-cache",
        },
    )
