"""Credentials never show: a canary in each place that users put them into, and all that a run writes or prints."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import CommandLine
from support.servers import Server
from support.shipped import a_bucket, a_command_line, picture

CANARY = "cAnArYcReDeNtIaL0123456789"
RECIPE = 'name = "small"\n[[image]]\nname = "w50"\nwidth = 50\n'


class Watch(threading.Thread):
    """Looks at the command lines, environments and core limits of a process and its children until it is stopped."""

    def __init__(self, process: int) -> None:
        super().__init__()
        self.process = psutil.Process(process)
        self.stopped = threading.Event()
        self.lines: set[str] = set()
        self.decoders: dict[str, str] = {}
        """Environment of each worker that decodes, by command line."""
        self.cores: dict[int, str] = {}
        """The row of a process' limits about core dumps, as it was seen last, by process id."""

    def run(self) -> None:
        """Look again and again."""
        while not self.stopped.is_set():
            try:
                processes = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for child in processes:
                try:
                    line = " ".join(child.cmdline())
                    environment = Path(f"/proc/{child.pid}/environ").read_bytes().decode(errors="replace")
                    limits = Path(f"/proc/{child.pid}/limits").read_text()
                except (psutil.Error, OSError):
                    continue
                self.lines.add(line)
                if "mediactl.media" in line:
                    self.decoders[line] = environment
                self.cores[child.pid] = next(row for row in limits.splitlines() if row.startswith("Max core"))


def written(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file())


def leaks(folder: Path) -> list[Path]:
    return [path for path in written(folder) if CANARY.encode() in path.read_bytes()]


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    made = a_command_line(tmp_path)
    (tmp_path / "small.toml").write_text(RECIPE)
    for number in range(4):
        picture(tmp_path / f"in/{number}.jpg", number)
    return made


def test_credentials_of_an_upload_show_nowhere(line: CommandLine, moto_server: Server) -> None:
    bucket = a_bucket(moto_server)
    secrets = {"AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": f"token{CANARY}"}
    line.environment |= secrets
    flags = ("--recipe", "small.toml", "--log", "events.log", "--verbose", "--state", "state")
    argv = line.argv("process", "in", *bucket.to(), *flags)
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *argv], cwd=line.folder, env=line.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    watch = Watch(process.pid)
    watch.start()
    try:
        out, err = process.communicate(timeout=120)
    finally:
        watch.stopped.set()
        watch.join()
    assert process.returncode == 0, err
    assert CANARY.encode() not in out + err
    assert watch.lines and not [each for each in watch.lines if CANARY in each]
    assert watch.decoders and not [each for each in watch.decoders.values() if CANARY in each]
    assert len(watch.cores) >= 2
    assert all(row.split()[4:6] == ["0", "0"] for row in watch.cores.values()), watch.cores
    for command in (["status", "--state", "state", "--json"], ["jobs", "--state", "state"], ["config", "show"]):
        told = line(*command)
        assert CANARY not in told.out + told.err, command
    assert leaks(line.folder) == []


def test_a_refused_secret_shows_nowhere(line: CommandLine, rclone_server: Server) -> None:
    bucket = a_bucket(rclone_server)
    run = line(
        "process", "in", *bucket.to(), "--recipe", "small.toml", "--log", "events.log",
        environment={"AWS_SECRET_ACCESS_KEY": CANARY, "AWS_SESSION_TOKEN": CANARY},
    )  # fmt: skip
    assert run.code != 0
    assert CANARY not in run.out + run.err
    assert leaks(line.folder) == []


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--to", "s3://bucket/p", "--endpoint-url", f"http://user:{CANARY}@127.0.0.1:9"], {}),
        (["--to", "s3://bucket/p"], {"AWS_ENDPOINT_URL": f"http://{CANARY}@127.0.0.1:9"}),
        (["--to", f"s3://user:{CANARY}@bucket/p"], {}),
        (["--to", f"https://user:{CANARY}@127.0.0.1/p"], {}),
        ([], {"MEDIACTL_TO": f"s3://{CANARY}@bucket/p"}),
    ],
)
def test_a_login_in_an_address_is_refused_without_being_shown(
    arguments: list[str], environment: dict[str, str], line: CommandLine
) -> None:
    run = line("process", "in", "--recipe", "small.toml", "--json", *arguments, environment=environment)
    assert run.code == 2
    assert "***@" in run.err
    assert CANARY not in run.out + run.err
    assert leaks(line.folder) == []


def test_settings_are_shown_without_logins(line: CommandLine) -> None:
    (line.folder / "config" / "mediactl").mkdir(parents=True)
    (line.folder / "config" / "mediactl" / "config.toml").write_text(f'endpoint_url = "http://a:{CANARY}@b"\n')
    os.chmod(line.folder / "config" / "mediactl" / "config.toml", 0o600)
    for command in (["config", "show"], ["config", "show", "--json"]):
        shown = line(*command)
        assert "http://***@b" in shown.out, shown
        assert CANARY not in shown.out + shown.err
