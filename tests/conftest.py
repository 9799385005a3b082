"""Shared by all tests: where the corpus is, and a command line that runs as a user's would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.events import check, parsed
from support.forkserver import AT_START, ForkServer
from support.started import Process

pytest_plugins = ["support.servers"]

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("MEDIACTL_CORPUS", ROOT.parent / "shared" / "media"))
CASES = Path(os.environ.get("MEDIACTL_CASES", ROOT.parent / "shared" / "cases"))
SAMPLES = ROOT / "samples"

if sys.dont_write_bytecode and sys.pycache_prefix is None:
    # No bytecode is wanted beside the sources, so it is kept elsewhere: the tests start thousands of processes, and
    # half of what a start takes would be the compiler.
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers() -> int | None:
    """Two more than there are cores: many tests wait for a disk, a store or a clock."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return len(os.sched_getaffinity(0)) + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin the share of each worker with some of the long tests, so that none of them is what is left at the end."""
    workers: int = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    shares = [[*long[number::workers]] for number in range(workers)]
    for share in shares:
        share += islice(others, len(items) // workers - len(share))
    items[:] = [*chain.from_iterable(shares), *others]


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The NDJSON lines of standard output."""
        return [parsed(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        """The last event."""
        last = self.events[-1]
        assert last["event"] == "summary", self
        return last


ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("MEDIACTL_")},
    "PYTHONPATH": str(ROOT),
}
"""What command lines are given of the environment."""
_SERVER = ForkServer(ENVIRONMENT)


def _environment() -> dict[str, str]:
    """Return the environment of this test, without what libraries read at their start unless it was there in the
    beginning: modules that were imported since set such variables (VIPS_CONCURRENCY), which no user has.
    """
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("MEDIACTL_") and (key in ENVIRONMENT or not key.startswith(AT_START))
    }


class CommandLine:
    """Runs mediactl in a folder, in a process of its own, with an environment of its own.

    They are forked by one of ``servers``, if one has the environment; others, and those whose ``argv`` is started,
    begin with a new interpreter, as a user's do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = [_SERVER]
        self.environment = {
            **_environment(),
            "MEDIACTL_CACHE": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "MEDIACTL_DEBUG": "1",
            "MEDIACTL_LOG_FORMAT": "plain",
            "PYTHONPATH": str(ROOT),
        }

    def argv(self, *arguments: str | bytes | os.PathLike[str]) -> list[str | bytes | os.PathLike[str]]:
        """The whole command."""
        return [sys.executable, "-P", "-c", "from mediactl.cli import main; main()", *arguments]

    def __call__(
        self,
        *arguments: str | bytes | os.PathLike[str],
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        limit: float = 170,
    ) -> Result:
        """Run to the end, which must come within ``limit`` seconds. Every event that it prints must be valid."""
        code, out, err = self._run(arguments, stdin, {**self.environment, **(environment or {})}, limit)
        for line in out.splitlines():
            if line.startswith(b'{"event":'):
                check(line)
        return Result(code, out.decode(), err.decode())

    def _run(
        self,
        arguments: tuple[str | bytes | os.PathLike[str], ...],
        stdin: bytes,
        environment: Mapping[str, str],
        limit: float,
    ) -> tuple[int, bytes, bytes]:
        for server in self.servers:
            if server.serves(environment):
                words = [os.fsdecode(each) for each in arguments]
                return server.run(words, cwd=str(self.folder), env=environment, stdin=stdin, timeout=limit)
        done = subprocess.run(
            self.argv(*arguments), cwd=self.folder, input=stdin, capture_output=True, env=environment, timeout=limit
        )
        return done.returncode, done.stdout, done.stderr

    def start(self, *arguments: str | bytes | os.PathLike[str]) -> Process:
        """Start it, with pipes for its output."""
        for server in self.servers:
            if server.serves(self.environment):
                words = [os.fsdecode(each) for each in arguments]
                return server.start(words, cwd=str(self.folder), env=self.environment)
        return subprocess.Popen(
            self.argv(*arguments),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )


def pytest_unconfigure() -> None:
    """End what command lines were forked from."""
    _SERVER.close()


@pytest.fixture(scope="session")
def fork_server() -> ForkServer:
    """What command lines are forked from; it calls functions, too."""
    return _SERVER


@pytest.fixture
def mediactl(tmp_path: Path) -> CommandLine:
    """The command line, in an empty folder."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real media; tests that want it are skipped where it is not."""
    if not (CORPUS / "photos").is_dir():
        pytest.skip(f"no corpus of real media at {CORPUS} (MEDIACTL_CORPUS)")
    return CORPUS


@pytest.fixture(scope="session")
def samples() -> Path:
    """The files that come with the project."""
    return SAMPLES


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """Those of them that are quickly done: some pictures, and two that are none."""
    folder = tmp_path / "stills"
    folder.mkdir()
    for name in ("balloon.png", "harbour.jpg", "pines.jpg", "notes.jpg", "truncated.jpg"):
        shutil.copy(SAMPLES / name, folder)
    return folder
