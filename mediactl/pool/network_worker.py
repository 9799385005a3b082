"""A worker process of a lane whose jobs wait for the network: many at once, each in a thread of its own.

As many threads serve the queue as requests may be in flight: with more, each small object would wait for its turn, and
wake another thread at its end. The thread of a job with notes mostly waits, so another one takes its place meanwhile.

Started as ``worker`` is, with the arguments CALL FD TOKEN PARENT OPTIONS; CALL names a function that makes the
``Service`` from OPTIONS. State that a job needs kept goes to the supervisor as a note.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from mediactl.model.jobs import Usage
from mediactl.model.verdict import Verdict
from mediactl.pool.messages import (
    Answer,
    Drain,
    FromWorker,
    Hello,
    Note,
    Noted,
    Progress,
    Run,
    frame,
    frames_to_worker,
)
from mediactl.pool.worker import PROGRESS_INTERVAL, judge, named, peak_memory, settle_in

TOGETHER = 0.005
"""Seconds in which answers are collected: each message wakes the supervisor, which commits what it brought."""
Keep = Callable[[bytes], None]
"""Returns when these bytes are in the journal."""
Report = Callable[[int, float], None]
"""(bytes sent since the last call, fraction of the job that is done)."""


class Service(Protocol):
    """Runs the jobs."""

    threads: int
    """Jobs at once; besides as many that have notes, for those mostly wait."""

    def run(self, kind: str, payload: bytes, state: bytes, keep: Keep, report: Report) -> Any:
        """Do a job; called from many threads. Returns what msgpack can hold, raises as ``worker.Call`` does."""

    def drain(self, seconds: float) -> None:
        """Make every ``run`` end within so many seconds."""


def main(arguments: list[str]) -> None:
    """Serve the pipe until it closes."""
    call_name, fd, _token, parent, options = arguments
    settle_in(int(parent))
    service: Service = named(call_name)(options)
    with socket.socket(fileno=int(fd)) as pipe:
        _Desk(pipe, service).serve()


class _Desk:
    """The pipe, shared by the threads: one sends at a time, one reads."""

    def __init__(self, pipe: socket.socket, service: Service) -> None:
        self._pipe = pipe
        self._service = service
        self._sending = threading.Lock()
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._noted: dict[int, threading.Event] = {}
        self._replaced = 0
        """Threads of jobs with notes, in the place of which others serve the queue."""
        self._numbers = iter(range(1, 1 << 62))

    def serve(self) -> None:
        """Read until the other end closes; the threads die with the process, for a socket may hang."""
        for _ in range(self._service.threads):
            self._start()
        threading.Thread(target=self._report, daemon=True).start()
        self._send(Hello())
        frames = frames_to_worker()
        while data := self._pipe.recv(1 << 20):
            for message in frames.feed(data):
                if isinstance(message, Run):
                    self._runs.put(message)
                elif isinstance(message, Noted):
                    self._noted.pop(message.number).set()
                elif isinstance(message, Drain):
                    threading.Thread(target=self._service.drain, args=(message.seconds,), daemon=True).start()

    def _send(self, message: FromWorker) -> None:
        with self._sending:
            self._pipe.sendall(frame(message))

    def _start(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        """Do jobs, until another thread has begun to do so instead."""
        encode = msgspec.msgpack.Encoder().encode
        replaced = False
        while not replaced:
            run = self._runs.get()
            answer, replaced = self._do(run, encode)
            self._answers.put(answer)
        with self._sending:
            self._replaced -= 1

    def _report(self) -> None:
        """Send answers, those of ``TOGETHER`` seconds at once."""
        while True:
            answers = [self._answers.get()]
            time.sleep(TOGETHER)
            while not self._answers.empty():
                answers.append(self._answers.get())
            with self._sending:
                self._pipe.sendall(b"".join(map(frame, answers)))

    def _do(self, run: Run, encode: Callable[[Any], bytes]) -> tuple[Answer, bool]:
        """Return the answer to a run, and whether this thread was replaced meanwhile."""
        account = _Account(run, self._send)
        started, cpu = time.perf_counter(), time.thread_time()
        verdict, reason, result = Verdict.DONE, "", b""
        replaced = False

        def keep(body: bytes) -> None:
            nonlocal replaced
            replaced = replaced or self._replace()
            self._keep(run, body)

        try:
            result = encode(self._service.run(run.kind, run.payload, run.state, keep, account.report))
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its verdict, never the worker's end
            verdict, reason = judge(error)
        usage = Usage(time.perf_counter() - started, time.thread_time() - cpu, peak_memory(), account.sent)
        return Answer(run.job, run.attempt, verdict, reason, result, usage), replaced

    def _replace(self) -> bool:
        """Start another thread for the queue, unless there are enough of them."""
        with self._sending:
            if self._replaced >= self._service.threads:
                return False
            self._replaced += 1
        self._start()
        return True

    def _keep(self, run: Run, body: bytes) -> None:
        with self._sending:
            number = next(self._numbers)
            noted = self._noted[number] = threading.Event()
            self._pipe.sendall(frame(Note(run.job, run.attempt, number, body)))
        noted.wait()


class _Account:
    """Bytes that one attempt has sent, and when they were last reported."""

    def __init__(self, run: Run, send: Callable[[Progress], None]) -> None:
        self.sent = 0
        self._run = run
        self._send = send
        self._reported = 0.0
        self._lock = threading.Lock()

    def report(self, sent: int, fraction: float) -> None:
        """Count, and report at intervals; not the end, which the answer reports."""
        with self._lock:
            self.sent += sent
            now = time.monotonic()
            if fraction >= 1.0 or now - self._reported < PROGRESS_INTERVAL:
                return
            self._reported = now
        self._send(Progress(self._run.job, self._run.attempt, fraction, self.sent))
