"""The event socket of a run: its file, slow clients, requests, and what is left of dead runs."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from mediactl.control import address, client
from mediactl.control.server import MOST, MOST_CLIENTS, QUEUE, Server
from mediactl.core.errors import UsageError
from mediactl.core.outbox import ASSUMED, CHUNK
from mediactl.core.settings import Settings
from mediactl.model.control import AnyRequest, Bump, Pause, Resume, Snapshot
from mediactl.model.events import (
    ControlAnswer,
    Event,
    EventsMissed,
    RunSnapshot,
    RunStarted,
    ScanTrouble,
    SocketUnusable,
    Tick,
    UploadPlanned,
)
from mediactl.pipeline.run import process

RUN = "0123456789abcdef" * 2
STARTED = RunStarted(run=RUN, version="1", recipe="web", out="/out", workers=2, watching=False)


class Actions:
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[AnyRequest] = []

    def snapshot(self) -> RunSnapshot:
        """Return one of no interest."""
        return RunSnapshot(
            elapsed_s=1.0, lanes={}, running=[], workers=2, planned=False, sources=0, done=0, rejected=0,
            quarantined=0, jobs=0, artefacts=0, bytes_in=0, bytes_out=0,
        )  # fmt: skip

    def carry_out(self, request: AnyRequest) -> ControlAnswer:
        """Keep it."""
        self.asked.append(request)
        return ControlAnswer(request=str(request.__struct_config__.tag), done=True, reason="as asked")


class Served:
    """A server in a state directory, driven by the test as the supervisor's loop does."""

    def __init__(self, state: Path) -> None:
        (state / "runs").mkdir(mode=0o700, parents=True, exist_ok=True)
        self.state = state
        self.actions = Actions()
        self.server = Server(time.time)
        self.server.listen(str(state), RUN, self.actions)
        self.server.take(STARTED)

    def turn(self) -> None:
        """One turn of the loop."""
        self.server.serve()
        self.server.take(Tick(running=0))

    def connect(self) -> client.Connection:
        """Return a connection that was accepted."""
        connection = client.connect(str(self.state), None)
        self.turn()
        return connection


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server that is closed at the end."""
    found = Served(tmp_path / "state")
    yield found
    found.server.close()


def events(connection: client.Connection, until: Callable[[Event], bool]) -> list[Event]:
    """Return the events that arrive, up to one that ends it; every line must be one."""
    found: list[Event] = []
    connection._peer.settimeout(10.0)
    for line in connection.lines():
        event = client.event_of(line)
        assert event is not None, line
        found.append(event)
        if until(event):
            break
    return found


def test_the_socket_is_its_users_alone_and_goes_with_the_run(served: Served) -> None:
    file = served.state / "runs" / f"{RUN}.sock"
    mode = file.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    served.server.stop_listening()
    assert not file.exists()


@pytest.mark.parametrize("length", [60, 90, 120, 200])
def test_a_path_of_any_length_has_a_socket(length: int, tmp_path: Path) -> None:
    state = tmp_path
    while len(os.fsencode(state)) < length + len(os.fsencode(tmp_path)):
        state /= "d" * 30
    served = Served(state)
    with served.connect() as connection:
        assert [each.name for each in events(connection, lambda each: isinstance(each, RunSnapshot))] == [
            "run.started", "run.snapshot",
        ]  # fmt: skip
    served.server.close()
    assert not os.listdir(state / "runs")


def test_events_arrive_in_their_order_at_every_client(served: Served) -> None:
    with served.connect() as first, served.connect() as second:
        sent: list[Event] = [ScanTrouble(path=str(number), reason="x") for number in range(100)]
        for event in sent:
            served.server.take(event)
        served.turn()
        for connection in (first, second):
            found = events(connection, lambda each: isinstance(each, ScanTrouble) and each.path == "99")
            assert [msgspec.structs.replace(each, time=None) for each in found[2:]] == sent
            assert all(each.time is not None for each in found)


def test_a_client_that_does_not_read_misses_events_and_then_gets_a_snapshot(served: Served) -> None:
    with served.connect() as idle, served.connect() as other:
        number = 3 * QUEUE // ASSUMED  # its lines are not made: they count for so much
        begun = time.monotonic()
        other._peer.setblocking(False)
        read = 0
        for each in range(number):
            served.server.take(ScanTrouble(path=str(each), reason="y" * 200))
            if not each % 50:
                served.turn()
                try:
                    while data := other._peer.recv(1 << 20):
                        read += data.count(b'"scan.trouble"')
                except BlockingIOError:
                    pass
        assert time.monotonic() - begun < 20.0, "it is not waited for"
        assert read > 0.9 * number, "another client misses nothing for it"
        assert all(len(each.box) <= QUEUE + CHUNK for each in served.server._clients)
        served.server.take(UploadPlanned(jobs=1, bytes=1))
        found: list[Event] = []
        idle._peer.settimeout(0.2)
        while not any(isinstance(each, RunSnapshot) for each in found[2:]):
            served.turn()
            try:
                found += [event for each in idle.arrived() or [] if (event := client.event_of(each)) is not None]
            except TimeoutError:
                pass
        troubles = [int(each.path) for each in found if isinstance(each, ScanTrouble)]
        assert troubles == list(range(len(troubles))), "what comes before the gap is complete"
        (gap,) = [each for each in found if isinstance(each, EventsMissed)]
        assert len(troubles) + gap.missed == number, "the last event was kept"
        assert isinstance(found[found.index(gap) + 1], RunSnapshot)


def test_the_last_event_reaches_a_client_that_missed_those_before(served: Served) -> None:
    with served.connect() as idle:
        for each in range(8000):
            served.server.take(ScanTrouble(path=str(each), reason="y" * 200))
        served.turn()
        last = UploadPlanned(jobs=1, bytes=1)
        served.server.take(last)
        found: list[Event] = []
        reader = threading.Thread(target=lambda: found.extend(events(idle, lambda _: False)))
        reader.start()
        served.server.close()
        reader.join(20)
        assert isinstance(found[-1], UploadPlanned)
        missed = sum(each.missed for each in found if isinstance(each, EventsMissed))
        assert missed + sum(isinstance(each, ScanTrouble) for each in found) == 8000


def test_a_client_that_never_reads_holds_up_the_end_for_a_moment(served: Served) -> None:
    connections = [served.connect() for _ in range(5)]
    for each in range(8000):
        served.server.take(ScanTrouble(path=str(each), reason="y" * 200))
    begun = time.monotonic()
    served.server.close()
    assert time.monotonic() - begun < MOST + 2.0
    for connection in connections:
        connection.__exit__()


def test_requests_are_answered_to_the_client_that_asks(served: Served) -> None:
    with served.connect() as asks, served.connect() as follows:
        for request in (Pause(now=True), Resume(), Bump((1, 2))):
            asks.send(request)
            served.turn()
            found = events(asks, lambda each: isinstance(each, ControlAnswer))
            assert isinstance(found[-1], ControlAnswer) and found[-1].done
        assert served.actions.asked == [Pause(now=True), Resume(), Bump((1, 2))]
        asks.send(Snapshot())
        served.turn()
        assert isinstance(events(asks, lambda each: isinstance(each, RunSnapshot))[-1], RunSnapshot)
        served.server.take(UploadPlanned(jobs=1, bytes=1))
        served.turn()
        heard = events(follows, lambda each: isinstance(each, UploadPlanned))
        assert not [each for each in heard if isinstance(each, ControlAnswer)]


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"pause\n", b'{"request":"delete"}\n', b'{"request":"pause","now":3}\n', b"\xff\xfe\n"]
)
def test_a_malformed_request_is_answered_and_does_nothing(line: bytes, served: Served) -> None:
    with served.connect() as connection:
        connection._peer.sendall(line)
        served.turn()
        answer = events(connection, lambda each: isinstance(each, ControlAnswer))[-1]
        assert isinstance(answer, ControlAnswer) and not answer.done and "malformed" in answer.reason
        assert served.actions.asked == []


def test_a_request_without_end_disconnects(served: Served) -> None:
    with served.connect() as connection:
        connection._peer.setblocking(False)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                try:
                    connection._peer.send(b"x" * 4096)
                except BlockingIOError:
                    pass
                served.turn()
    assert served.server._clients == []


def test_a_client_of_another_user_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the file's mode lets it in, as it would on a file system without modes."""
    if os.geteuid():
        pytest.skip("only root can be another user")
    folder = tempfile.TemporaryDirectory()  # another user cannot reach those of the tests
    served = Served(Path(folder.name))
    (served.state / "runs" / f"{RUN}.sock").chmod(0o666)
    file = str(served.state / "runs" / f"{RUN}.sock")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)  # the server's user; root is let in all the same
    with client.connect(str(served.state), None) as root:
        served.turn()
        assert events(root, lambda each: isinstance(each, RunSnapshot))
    for each in (served.state / "runs", served.state):
        each.chmod(0o755)
    pid = os.fork()
    if not pid:
        try:
            os.setuid(65534)
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(file)
            os._exit(0 if peer.recv(1) == b"" else 1)
        except BaseException:  # noqa: BLE001 - the parent sees the status
            os._exit(2)
    end = time.monotonic() + 10
    while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < end:
        served.turn()
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    served.server.close()
    folder.cleanup()


def test_there_are_only_so_many_clients(served: Served) -> None:
    connections = [served.connect() for _ in range(MOST_CLIENTS + 3)]
    assert len(served.server._clients) == MOST_CLIENTS
    assert connections[-1].arrived() is None
    for connection in connections:
        connection.__exit__()
    served.turn()
    with served.connect() as another:
        assert events(another, lambda each: isinstance(each, RunSnapshot))


def test_sockets_of_dead_runs_are_swept_and_those_of_live_ones_stay(tmp_path: Path) -> None:
    served = Served(tmp_path)
    dead = tmp_path / "runs" / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    (tmp_path / "runs" / "other.txt").touch()
    with client.connect(str(tmp_path), None) as connection:
        assert connection.run == RUN, "a dead run's socket is passed over"
    address.sweep(str(tmp_path), lambda run: run == RUN)
    assert sorted(os.listdir(tmp_path / "runs")) == [f"{RUN}.sock", "other.txt"]
    served.server.close()
    with pytest.raises(UsageError, match="no run is active"):
        client.connect(str(tmp_path), None)


def test_of_several_runs_one_has_to_be_named(tmp_path: Path) -> None:
    served = Served(tmp_path)
    other = Server(time.time)
    other.listen(str(tmp_path), "f" * 32, Actions())
    with pytest.raises(UsageError, match="2 runs are active: .*; name one with --run"):
        client.connect(str(tmp_path), None)
    with client.connect(str(tmp_path), "0123") as connection:
        assert connection.run == RUN
    with pytest.raises(UsageError, match="--run 77: no such run is active"):
        client.connect(str(tmp_path), "77")
    other.close()
    served.server.close()


def test_a_directory_that_takes_no_socket_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Server(time.time).listen(str(tmp_path / "none"), RUN, Actions())


def test_a_run_without_a_socket_reports_it_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(socket.socket, "listen", unsupported)
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"
    settings = Settings(sources=(os.fsencode(tmp_path / "in"),), out=os.fsencode(out), state=str(out / ".mediactl"))
    found: list[Event] = []
    assert process(settings, found.append, io.BytesIO).exit_code == 0
    assert [each for each in found if isinstance(each, SocketUnusable)] == [
        SocketUnusable(reason="Operation not supported")
    ]
    assert not address.runs_with_sockets(settings.state), "nothing is left of it"
