"""Workers are forked by a process that has imported what they need; where it fails, they are started without it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from support import odd_jobs
from support.pools import PATHS

from mediactl.core.settings import Settings
from mediactl.pipeline.workers import PRELOADED, fork_server
from mediactl.pool.forkserver import ForkServer
from mediactl.pool.messages import Hello, frames_from_worker
from mediactl.pool.process import Worker, worker_environment

ENVIRONMENT = worker_environment({**os.environ, "PYTHONPATH": PATHS, "AWS_SECRET_ACCESS_KEY": "canary"})


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """One that has imported what the workers of a run need."""
    with closing(ForkServer(PRELOADED, ENVIRONMENT)) as server:
        server._patience = 60.0  # a busy machine
        yield server


def greeted(worker: Worker) -> None:
    """Wait for its Hello."""
    worker.pipe.setblocking(True)
    messages = list(frames_from_worker().feed(worker.pipe.recv(1 << 16)))
    assert [type(message) for message in messages] == [Hello]
    worker.pipe.setblocking(False)


def forked(server: ForkServer, folder: Path) -> Worker:
    """Start a worker, and wait until it is there."""
    with open(folder / "log", "ab") as log:
        worker = Worker(odd_jobs.EXECUTE, "token", ENVIRONMENT, log.fileno(), forks=server)
    greeted(worker)
    return worker


def test_a_forked_worker_is_as_one_that_was_started(server: ForkServer, tmp_path: Path) -> None:
    first, second = forked(server, tmp_path), forked(server, tmp_path)
    parent = psutil.Process(first.pid).parent()
    assert parent is not None and parent.pid != os.getpid(), "it was forked"
    assert parent.num_threads() == 1, "locks that other threads held would stay locked in what it forks"
    for worker in (first, second):
        assert os.getpgid(worker.pid) == os.getsid(worker.pid) == worker.pid
        files = {os.path.realpath(each) for each in Path(f"/proc/{worker.pid}/fd").iterdir()}
        assert files == {os.path.realpath(f"/proc/{worker.pid}/fd/{worker_pipe(worker)}"), "/dev/null",
                         str(tmp_path / "log")}  # fmt: skip
        assert b"canary" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
    first.close(30)
    assert first._process.wait() == 0
    second.kill()
    assert second.bury() == "its worker was killed by SIGKILL"
    assert not psutil.pid_exists(first.pid) and not psutil.pid_exists(second.pid), "both were reaped"


def worker_pipe(worker: Worker) -> int:
    """Its descriptor of the pipe, the only socket that it has."""
    links = {int(each.name): os.readlink(each) for each in Path(f"/proc/{worker.pid}/fd").iterdir()}
    (found,) = (number for number, link in links.items() if link.startswith("socket:"))
    return found


def test_without_its_process_workers_die_and_the_next_are_started(tmp_path: Path) -> None:
    with closing(ForkServer((), ENVIRONMENT)) as server:
        server._patience = 60.0
        worker = forked(server, tmp_path)
        parent = psutil.Process(worker.pid).parent()
        assert parent is not None
        parent.kill()
        worker.pipe.setblocking(True)
        assert worker.pipe.recv(1) == b"", "it died as well"
        assert worker.bury() == "its worker was killed by SIGKILL"
        another = forked(server, tmp_path)
        assert psutil.Process(another.pid).ppid() == os.getpid()
        another.close(30)


@pytest.mark.parametrize("modules", [("no_such_module",), ("mediactl.pool.clock", "mediactl.no_such_module")])
def test_what_cannot_import_is_not_used(modules: tuple[str, ...], tmp_path: Path) -> None:
    with closing(ForkServer(modules, ENVIRONMENT)) as server:
        server._patience = 60.0
        worker = forked(server, tmp_path)
        assert psutil.Process(worker.pid).ppid() == os.getpid()
        worker.close(30)


def test_nobody_waits_long_for_its_imports(tmp_path: Path) -> None:
    """Stopped before it has imported anything, it is left out; and used once it is ready."""
    with closing(ForkServer((), ENVIRONMENT)) as server:
        server.start()
        server.send_signal(signal.SIGSTOP)
        server._patience = 0.0
        worker = forked(server, tmp_path)
        assert psutil.Process(worker.pid).ppid() == os.getpid()
        worker.close(30)
        server.send_signal(signal.SIGCONT)
        server._patience = 60.0
        worker = forked(server, tmp_path)
        assert psutil.Process(worker.pid).ppid() != os.getpid()
        worker.close(30)


def test_it_dies_with_the_supervisor() -> None:
    program = (
        "import sys; from mediactl.pool.forkserver import ForkServer; import os\n"
        "server = ForkServer((), dict(os.environ)); server._patience = 60.0; server.start(); server._is_ready()\n"
        "print(server._process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as owner:
        assert owner.stdout is not None
        pidfd = os.pidfd_open(int(owner.stdout.readline()))
        owner.kill()
        assert select.select([pidfd], [], [], 30)[0]
        os.close(pidfd)


def test_settings_without_a_journal_start_it_at_once(tmp_path: Path) -> None:
    wanted = Settings(sources=(), out=os.fsencode(tmp_path), state=str(tmp_path), environment=ENVIRONMENT)
    with closing(fork_server(wanted)) as server:
        assert server._process is not None
    (tmp_path / "journal.db").touch()
    with closing(fork_server(wanted)) as server:
        assert server._process is None
