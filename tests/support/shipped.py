"""Helpers of the tests that upload from the command line into a real store."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import pyvips
from conftest import CommandLine, Result

from mediactl.jobs.journal import FILE
from support.events import parsed
from support.servers import CREDENTIALS, Server
from support.started import Process

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

RECIPE = """
name = "small"
[[image]]
name = "w100"
width = 100
[[image]]
name = "w50"
width = 50
"""
PART = 5 << 20
"""Bytes of a part when nothing else is asked for."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Bucket(NamedTuple):
    """A bucket of a server, looked at by a client that is not ours."""

    server: Server
    name: str

    def to(self, url: str = "", prefix: str = "p") -> list[str]:
        """The flags that name it; ``url``: that of a proxy in front."""
        return ["--to", f"s3://{self.name}/{prefix}", "--endpoint-url", url or self.server.url]

    def objects(self) -> dict[str, bytes]:
        """Key -> content."""
        client = self.server.client()
        return {key: client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in self.keys()}

    def keys(self) -> list[str]:
        """All of them, the index left out."""
        return [key for key in self._keys() if "/.mediactl/index/" not in f"/{key}"]

    def index_objects(self) -> dict[str, bytes]:
        """Key -> content of the objects of the index."""
        client = self.server.client()
        names = [key for key in self._keys() if "/.mediactl/index/" in f"/{key}"]
        return {key: client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in names}

    def _keys(self) -> list[str]:
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def head(self, key: str) -> HeadObjectOutputTypeDef:
        """What is kept with an object."""
        return self.server.client().head_object(Bucket=self.name, Key=key)

    def tokens(self) -> dict[str, str]:
        """Key -> token of the upload that made it."""
        return {key: self.head(key)["Metadata"]["mediactl-token"] for key in self.keys()}

    def put(self, key: str, body: bytes) -> None:
        """Put an object that mediactl knows nothing of."""
        self.server.client().put_object(Bucket=self.name, Key=key, Body=body)

    def sha256(self, key: str) -> str:
        """Of an object's content, read piece by piece."""
        digest = hashlib.sha256()
        for piece in self.server.client().get_object(Bucket=self.name, Key=key)["Body"].iter_chunks(1 << 20):
            digest.update(piece)
        return digest.hexdigest()

    def open_uploads(self) -> list[str]:
        """Keys of the multipart uploads that are open."""
        client = self.server.client()
        try:
            found = client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        except client.exceptions.NoSuchUpload:  # what rclone answers where there is none at all
            return []
        return [upload["Key"] for upload in found]


def a_bucket(server: Server) -> Bucket:
    """A new, empty one."""
    return Bucket(server, server.new_bucket())


def port_of(server: Server) -> int:
    """Where a server listens."""
    port = urlsplit(server.url).port
    assert port
    return port


def a_command_line(folder: Path, **credentials: str) -> CommandLine:
    """One in a folder of its own, with the small recipe, these AWS variables and nothing of the user's own."""
    folder.mkdir(exist_ok=True)
    (folder / "small.toml").write_text(RECIPE)
    found = CommandLine(folder)
    for name in list(found.environment):
        if name.startswith("AWS_") or name.lower() in PROXIES:
            del found.environment[name]
    found.environment.update({**CREDENTIALS, **credentials})
    return found


def picture(path: Path | bytes, seed: int = 1, size: int = 0) -> None:
    """A small JPEG that differs by seed; behind its end so much noise that the file has ``size`` bytes."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    noise = pyvips.Image.gaussnoise(300, 200, sigma=30, mean=128, seed=seed).cast("uchar")
    body: bytes = noise.bandjoin([noise.invert(), noise]).copy(interpretation="srgb").jpegsave_buffer()
    with open(path, "wb") as file:
        file.write(body)
        while (left := size - file.tell()) > 0:  # no two parts are alike
            file.write(hashlib.shake_128(f"{seed} {left}".encode()).digest(min(left, 1 << 20)))


def sha256(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def outputs(out: Path) -> dict[str, bytes]:
    """Relative name -> content of every file, the journal left out."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".mediactl" not in path.parts
    }


def sent(result: Result | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The uploads that ended well, in their order."""
    events = result.events if isinstance(result, Result) else result
    return [event for event in events if event["event"] == "upload.done"]


def statuses(result: Result) -> set[str]:
    """How they ended."""
    return {event["status"] for event in sent(result)}


class Put(NamedTuple):
    """A part that somebody began to send."""

    number: int
    size: int


def recorded(folder: Path) -> list[Put]:
    """The parts that the journal knows to be in the store."""
    journal = folder / "derived/.mediactl" / FILE
    if not journal.exists():
        return []
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        try:
            return [Put(*row) for row in connection.execute("SELECT number, size FROM parts").fetchall()]
        except sqlite3.OperationalError:  # killed before it was made
            return []


class Run:
    """A command that runs beside the test, with NDJSON events. Not waited for, unless asked."""

    def __init__(self, mediactl: CommandLine, *arguments: str) -> None:
        self.process = mediactl.start(*arguments, "--json")
        self.events: list[dict[str, Any]] = []

    @property
    def network_worker(self) -> int:
        """Process id of the one that uploads."""
        (found,) = (
            child.pid
            for child in psutil.Process(self.process.pid).children()
            if child.name() == "upload.service" or any("mediactl.upload.service" in word for word in child.cmdline())
        )
        return found

    def until(self, name: str) -> dict[str, Any]:
        """The next event of that name."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(parsed(line))
            if self.events[-1]["event"] == name:
                return self.events[-1]
        raise AssertionError(f"ended without {name!r}: {self.process.communicate()}")

    def ended(self, limit: float = 120) -> int:
        """Read to the end; the exit code."""
        out, self.err = self.process.communicate(timeout=limit)
        for line in out.splitlines():
            try:
                self.events.append(parsed(line))
            except ValueError:
                continue  # of one that was killed the last line may be cut
        return self.process.returncode

    def kill_all(self) -> None:
        """SIGKILL the supervisor and whatever it has started, all at once."""
        with closing_family(self.process) as family:
            for each in family:
                os.kill(each, signal.SIGKILL)
        self.ended()


@contextmanager
def closing_family(process: Process) -> Iterator[list[int]]:
    """Process ids of a process that is ours and of its children, the parent stopped, so that none comes meanwhile."""
    try:
        os.kill(process.pid, signal.SIGSTOP)
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
    except (ProcessLookupError, psutil.NoSuchProcess):
        family = []
    try:
        yield family
    except ProcessLookupError:
        pass


@contextmanager
def running(mediactl: CommandLine, *arguments: str) -> Iterator[Run]:
    """A command, killed with all it has started when the test is over."""
    run = Run(mediactl, *arguments)
    with closing(run.process.stdout), closing(run.process.stderr):  # type: ignore[type-var]
        try:
            yield run
        finally:
            if run.process.poll() is None:
                run.kill_all()
