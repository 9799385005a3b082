"""Are the outputs of done sources still there and untouched? Asked by stat, beside the scan, in a process of its own.

A run that finds nothing to do spends its time in stat calls; two processes halve it. The helper is forked before the
journal is opened, so that it shares nothing with it, and ends when its pipe does.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterable

import msgspec

from mediactl.core.errors import MachineBlocked
from mediactl.core.files import storable

Question = tuple[int, bytes, int, bytes]
"""(source id, output directory, folder_mtime_ns, msgpack of the outputs' (name, size, mtime_ns))."""

BATCH = 512
"""Questions sent together."""
_DIED = "the process that checks outputs was killed; run again"
_LENGTH = struct.Struct("!I")
_questions = msgspec.msgpack.Decoder(list[Question])
_outputs = msgspec.msgpack.Decoder(tuple[tuple[bytes, int, int], ...])
_answers = msgspec.msgpack.Decoder(list[int])


def stale(out: bytes, questions: Iterable[Question]) -> list[int]:
    """Ids of the sources of which an output is missing, was written to, or has new neighbours."""
    found: list[int] = []
    stat, decode = os.stat, _outputs.decode
    for source, directory, folder_mtime_ns, outputs in questions:
        folder = out + b"/" + directory
        try:
            if storable(stat(folder).st_mtime_ns) != folder_mtime_ns:
                found.append(source)
                continue
            for name, size, mtime_ns in decode(outputs):
                status = stat(folder + b"/" + name)
                if status.st_size != size or storable(status.st_mtime_ns) != mtime_ns:
                    found.append(source)
                    break
        except OSError:
            found.append(source)
    return found


class OutputCheck:
    """Questions in, stale sources out. Close it when done; it may be left unused at no cost."""

    def __init__(self, out: bytes) -> None:
        self._out = out
        self._pending: list[Question] = []
        self._stale: list[int] = []
        self._unanswered = 0
        self._buffer = bytearray()
        self._pipe, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            self._pipe.close()
            _serve(theirs, out)  # never returns
        theirs.close()

    def ask(self, question: Question) -> None:
        """Have one asset checked."""
        self._pending.append(question)
        if len(self._pending) >= BATCH:
            self._send()

    def stale(self) -> list[int]:
        """Return the stale sources found since the last call. Does not wait."""
        self._receive(socket.MSG_DONTWAIT)
        found, self._stale = self._stale, []
        return found

    def finish(self) -> list[int]:
        """The remaining stale sources; waits for all answers, and answers a part itself meanwhile."""
        self._stale.extend(stale(self._out, self._pending))
        self._pending.clear()
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
        body = msgspec.msgpack.encode(self._pending)
        try:
            self._pipe.sendall(_LENGTH.pack(len(body)) + body)
        except OSError:
            raise MachineBlocked(_DIED) from None
        self._unanswered += 1
        self._pending.clear()

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
            answer = msgspec.msgpack.encode(stale(out, _questions.decode(body)))
            pipe.sendall(_LENGTH.pack(len(answer)) + answer)
        status = 0
    finally:
        os._exit(status)  # not a second exit of the parent's: no handlers, no buffers
