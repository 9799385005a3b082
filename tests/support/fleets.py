"""Brokers of every kind for the tests, and workers: RabbitMQ as Debian has it, SQS as moto does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.brokers import redis
from support.servers import KEY, SECRET, moto, running

RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Not the one in the PATH, which changes the user."""


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """Run a RabbitMQ, without epmd, which would stay; its URL."""
    if not os.path.exists(RABBITMQ):
        pytest.skip("rabbitmq-server is not installed")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_MNESIA_BASE": f"{folder}/db",
        "RABBITMQ_LOG_BASE": f"{folder}/log.d",
        "RABBITMQ_PID_FILE": f"{folder}/pid",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": f"{folder}/none",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
    }

    def command(port: int) -> list[str]:
        erlang = (
            f"-start_epmd false -erl_epmd_port {port + 20_000 if port < 45_000 else port - 20_000}"
            " -kernel inet_dist_use_interface {127,0,0,1}"
        )
        return [
            "env", f"RABBITMQ_NODE_PORT={port}", f"RABBITMQ_NODENAME=mediactl{port}@localhost",
            f"RABBITMQ_DIST_PORT={port + 10_000 if port < 55_000 else port - 10_000}",
            f"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS={erlang}", RABBITMQ,
        ]  # fmt: skip

    with running(command, folder, environment) as port:
        try:
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            _kill_beam(folder)


def _kill_beam(folder: Path) -> None:
    """Kill the process that the script has started, should it not have become it."""
    try:
        pid = int((folder / "pid").read_text())
        os.kill(pid, 9)
    except (OSError, ValueError):
        pass


@contextmanager
def sqs(folder: Path) -> Iterator[str]:
    """Run moto as SQS; its URL."""
    with contextmanager(moto)(folder) as server:
        yield server.url.replace("http://", f"sqs://{KEY}:{SECRET}@")


BROKERS: dict[str, Callable[[Path], object]] = {"redis": redis}


class Worker:
    """A ``mediactl worker`` that runs beside the test."""

    def __init__(self, broker: str, folder: Path, *options: str, **environment: str) -> None:
        self.log = folder / f"worker-{len(list(folder.glob('worker-*')))}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("mediactl")), "worker", "--broker", broker, "--cache", "none",
                    *options,
                ],
                stdout=log, stderr=log, cwd=folder, start_new_session=True,
                env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1", **environment},
            )  # fmt: skip

    def end(self) -> int:
        """Drain it; its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        """Kill it; its lanes die with it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def workers(broker: str, folder: Path, number: int, *options: str, **environment: str) -> Iterator[list[Worker]]:
    """Run so many workers."""
    found = [Worker(broker, folder, *options, **environment) for _ in range(number)]
    try:
        yield found
    finally:
        for each in found:
            if each.process.poll() is None:
                each.kill()
