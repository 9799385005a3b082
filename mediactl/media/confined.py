"""The decoder that workers use: a sandboxed process, which is asked over a channel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mediactl.core.errors import MediactlError
from mediactl.core.sandbox import layers
from mediactl.core.sandbox.channel import Channel, Closed
from mediactl.core.sandbox.mode import Mode
from mediactl.core.sandbox.policy import Access
from mediactl.core.sandbox.process import SandboxedProcess, end_like
from mediactl.core.sandbox.workspace import Workspace
from mediactl.media import decode, decoding
from mediactl.media.decoding import Done, Failed, Finished, Kept, Progress, Request
from mediactl.media.drafts import Keep, Report
from mediactl.media.ffmpeg import binary


class Confined:
    """One process at a time, with a workspace of its own in OUT."""

    def __init__(
        self,
        out: bytes,
        mode: Mode,
        serve: Callable[[Workspace, Channel], None] = decode.serve,
        readable: tuple[bytes, ...] = (),
    ) -> None:
        """Start it; it will ``serve``, and may read directories beyond its own. Raises OSError."""
        self._serve, self._readable = serve, readable
        self.workspace = Workspace(out)
        self._mode = mode
        self._cost = (0.0, 0)
        self._process: SandboxedProcess | None = self._started()

    def _started(self) -> SandboxedProcess:
        access = Access(
            writable=(self.workspace.outputs,),
            readable=(self.workspace.inputs, *self._readable),
            programs=_programs(),
        )
        return SandboxedProcess(partial(self._serve, self.workspace), partial(_confine, access, self._mode))

    def __call__(self, request: Request, fd: int | None, report: Report, keep: Keep) -> Any:
        """Do it there. A job that is cut short, by its time limit, ends the process; if that dies, this one does."""
        if self._process is None:
            self._process = self._started()
        try:
            return self._asked(self._process, request, fd, report, keep)
        except Closed:
            end_like(self._process.reaped())

    def _asked(self, process: SandboxedProcess, request: Request, fd: int | None, report: Report, keep: Keep) -> Any:
        over = False
        try:
            process.channel.send(decoding.encode(request), () if fd is None else (fd,))
            while True:
                reply = decoding.decode_reply(process.channel.receive())
                if isinstance(reply, Progress):
                    report(reply.fraction)
                elif isinstance(reply, Finished):
                    keep(reply.names)
                    process.channel.send(decoding.encode(Kept()))
                else:
                    break
            over = True
        except Closed:
            over = True
            raise
        finally:
            if not over:
                self._cut_short(process)
        return self._result(request, reply)

    def _result(self, request: Request, reply: Done | Failed) -> Any:
        self._cost = (reply.cpu, reply.peak_memory)
        if isinstance(reply, Failed):
            raise decoding.raised(reply)
        return decoding.decode_result(request, reply.result)

    def _cut_short(self, process: SandboxedProcess) -> None:
        self._process, self._cost = None, (0.0, 0)
        process.kill()

    def cost(self) -> tuple[float, int]:
        """Return CPU seconds of the process that is alive, and its peak memory in bytes, as of its last answer."""
        return self._cost

    def close(self) -> None:
        """End it, and remove its workspace."""
        if self._process is not None:
            self._process.kill()
        self.workspace.close()


def _confine(access: Access, mode: Mode) -> None:
    if mode is not Mode.OFF:
        layers.confine(access)


def _programs() -> tuple[str, ...]:
    try:
        return (binary.find(),)
    except MediactlError:
        return ()  # jobs that need it say so
