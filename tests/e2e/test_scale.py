"""`mediactl scale` as its users run it: the number first, JSON, and an HTTP endpoint as KEDA asks it."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import CommandLine
from prometheus_client.parser import text_string_to_metric_families
from support.journals import claim, new_job, opened, put

from mediactl.model.fleet import Heartbeat
from mediactl.model.jobs import HEAVY

ROOT = Path(__file__).resolve().parents[2]
GOAL = ("scale", "--drain-in", "10m", "--slots", "4")


@pytest.fixture
def journal(mediactl: CommandLine) -> Path:
    """A journal with 20 min of pending video, a running job of one of two machines."""
    folder = mediactl.folder / "derived" / ".mediactl"
    with opened(folder, time.time) as found:
        put(found, *(new_job(number, kind="video", size=3_000_000, lane=HEAVY) for number in range(9)))
        (running,) = claim(found, 1)
        with found.transaction():
            found.machines.beat(
                Heartbeat(
                    machine=name, host=name, pid=1, version="1", slots={"heavy": 4}, started_at=1.0, sent_at=1.0,
                    running=jobs,
                )
                for name, jobs in (("a", (running.id,)), ("b", ()))
            )  # fmt: skip
    return folder


def test_the_number_is_the_first_line_and_the_reason_is_marked(mediactl: CommandLine, journal: Path) -> None:
    first, *rows = mediactl(*GOAL).out.splitlines()
    assert first == "3", "nine jobs of 1,000 s, of which each counts as ten minutes, by 4 slots"
    assert [row for row in rows if row.startswith("*")] == [rows[0]]
    assert rows[0].split()[1:3] == ["work", "3"]
    found = json.loads(mediactl(*GOAL, "--json", "--max", "2", "--schedule", "daily 00:00-23:59 UTC = 1").out)
    assert (found["wanted"], found["reason"], found["work"], found["at_work"]) == (2, "max", 3, 1)
    assert (found["live"], found["running_jobs"], found["pending_jobs"]) == (2, 1, 8)
    assert found["pending_seconds"] == pytest.approx(8 * 600.0)
    assert found["usual_rate"] is None


def test_what_is_invalid_is_reported_in_a_line(mediactl: CommandLine) -> None:
    for arguments, why in (
        (GOAL, "no journal in"),
        ((*GOAL, "--min", "3", "--max", "2"), "--max 2: below --min 3"),
        ((*GOAL, "--schedule", "mon 8-9 = 1"), "expected FROM-TO"),
        (("scale",), "--slots"),
    ):
        done = mediactl(*arguments)
        assert (done.code, done.out) == (2, "") and why in done.err and done.err.count("\n") == 1, done.err


@pytest.fixture
def url(mediactl: CommandLine, journal: Path) -> Iterator[str]:
    """Of a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = mediactl.start(*GOAL, "--listen", f"127.0.0.1:{port}")
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"listening  http://127.0.0.1:%d/\n" % port
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def located_by_keda() -> str:
    """Return the field that the manifest of KEDA's scaler reads."""
    scaled = yaml.safe_load((ROOT / "packaging/kubernetes/keda.yaml").read_text())
    return str(scaled["spec"]["triggers"][0]["metadata"]["valueLocation"])


def test_an_endpoint_answers_with_the_number_of_the_moment(url: str, journal: Path) -> None:
    with urllib.request.urlopen(f"{url}/", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert json.load(answer)[located_by_keda()] == 3
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        (family,) = text_string_to_metric_families(answer.read().decode())
    assert [(sample.name, sample.value) for sample in family.samples] == [("mediactl_machines_wanted", 3.0)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/etc/passwd", timeout=10)
    assert refused.value.code == 404
