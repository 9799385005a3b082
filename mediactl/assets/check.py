"""Are the outputs of done sources still there and untouched? Asked by stat, beside the scan, in a process of its own.

A run that finds nothing to do spends its time in stat calls; two processes halve it. The helper is forked before the
journal is opened, so that it shares nothing with it, and ends when its pipe does.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mediactl.core import system
from mediactl.core.errors import MachineBlocked
from mediactl.core.files import storable

Question = tuple[int, bytes, int, bytes]
"""(source id, name of its output directory, folder_mtime_ns, msgpack of the outputs' (name, size, mtime_ns))."""
Group = tuple[bytes, Sequence[Question]]
"""(directory that these output directories are in, relative to OUT; questions about them)."""

BATCH = 512
"""Questions sent together."""
AHEAD = 4
"""Batches sent before the helper has answered the first of them; more are answered by whoever asks, meanwhile. So many
fit into the pipe, as a rule."""
_DIED = "the process that checks outputs was killed; run again"
_LENGTH = struct.Struct("!I")
_groups = msgspec.msgpack.Decoder(list[Group])
_outputs = msgspec.msgpack.Decoder(tuple[tuple[bytes, int, int], ...])
_answers = msgspec.msgpack.Decoder(list[int])


def stale(out: bytes, groups: Iterable[Group]) -> list[int]:
    """Ids of the sources of which an output is missing, was written to, or has new neighbours."""
    found: list[int] = []
    for directory, questions in groups:
        try:
            # Names are looked up from here: the kernel takes half as long as along the whole path.
            above = os.open(os.path.join(out, directory), system.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            found.extend(source for source, *_ in questions)
            continue
        try:
            found.extend(_stale(above, questions))
        finally:
            os.close(above)
    return found


def _stale(above: int, questions: Iterable[Question]) -> Iterator[int]:
    stat, decode = os.stat, _outputs.decode
    for source, folder, folder_mtime_ns, outputs in questions:
        try:
            if storable(stat(folder, dir_fd=above).st_mtime_ns) != folder_mtime_ns:
                yield source
                continue
            for name, size, mtime_ns in decode(outputs):
                status = stat(folder + b"/" + name, dir_fd=above)
                if status.st_size != size or storable(status.st_mtime_ns) != mtime_ns:
                    yield source
                    break
        except (OSError, ValueError):  # ValueError: what the journal holds is malformed
            yield source


class OutputCheck:
    """Questions in, stale sources out. Close it when done; it may be left unused at no cost."""

    def __init__(self, out: bytes) -> None:
        self._out = out
        self._pending: list[Group] = []
        self._asked = 0
        """Questions in ``_pending``."""
        self._stale: list[int] = []
        self._unanswered = 0
        self._buffer = bytearray()
        self._pipe, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            # Neither the run's lock nor its name may outlive it in here.
            os.closerange(3, theirs.fileno())
            os.closerange(theirs.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
            _serve(theirs, out)  # never returns
        theirs.close()

    def ask(self, directory: bytes, questions: Sequence[Question]) -> None:
        """Have assets checked whose output directories are all in one, relative to OUT."""
        for start in range(0, len(questions), BATCH):
            part = questions[start : start + BATCH]
            self._pending.append((directory, part))
            self._asked += len(part)
            if self._asked >= BATCH:
                self._send()

    def stale(self) -> list[int]:
        """Return the stale sources found since the last call. Does not wait."""
        self._receive(socket.MSG_DONTWAIT)
        found, self._stale = self._stale, []
        return found

    def finish(self) -> list[int]:
        """Return the remaining stale sources; waits for all answers, and answers a part itself meanwhile."""
        self._answer()
        while self._unanswered:
            self._receive(0)
        return self.stale()

    def close(self) -> None:
        """End the helper."""
        self._pipe.close()
        os.waitpid(self._pid, 0)

    def _send(self) -> None:
        # Answers are taken before each question, so that the two never wait for one another with full pipes.
        self._receive(socket.MSG_DONTWAIT)
        if self._unanswered >= AHEAD:
            self._answer()
            return
        body = msgspec.msgpack.encode(self._pending)
        try:
            self._pipe.sendall(_LENGTH.pack(len(body)) + body)
        except OSError:
            raise MachineBlocked(_DIED) from None
        self._unanswered += 1
        self._forget()

    def _answer(self) -> None:
        self._stale.extend(stale(self._out, self._pending))
        self._forget()

    def _forget(self) -> None:
        self._pending.clear()
        self._asked = 0

    def _receive(self, flags: int) -> None:
        while self._unanswered:
            try:
                data = self._pipe.recv(1 << 16, flags)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                raise MachineBlocked(_DIED)
            self._buffer += data
            while len(self._buffer) >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer)
                if len(self._buffer) < _LENGTH.size + length:
                    break
                self._stale.extend(_answers.decode(self._buffer[_LENGTH.size : _LENGTH.size + length]))
                del self._buffer[: _LENGTH.size + length]
                self._unanswered -= 1
            if not flags:
                return


def _serve(pipe: socket.socket, out: bytes) -> None:
    status = 1
    try:
        # Terminals and systemd send them to all: the parent's to heed. Were this process stopped (SIGTSTP) while the
        # parent waits for an answer, neither would go on.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        while header := pipe.recv(_LENGTH.size, socket.MSG_WAITALL):
            body = pipe.recv(_LENGTH.unpack(header)[0], socket.MSG_WAITALL)
            answer = msgspec.msgpack.encode(stale(out, _groups.decode(body)))
            pipe.sendall(_LENGTH.pack(len(answer)) + answer)
        status = 0
    finally:
        os._exit(status)  # not a second exit of the parent's: no handlers, no buffers
