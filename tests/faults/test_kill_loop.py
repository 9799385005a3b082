"""``selftest --kill``: kill -9 of whatever runs, over images, a video in pieces, audio and uploads; nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from support.servers import Server
from support.shipped import Bucket, a_bucket, a_command_line

from mediactl.admin import kill_loop
from mediactl.commands.selftest import selftest
from mediactl.model.events import Invariants, SelftestKilled

SEED = 20_261_126


@pytest.fixture
def bucket(ministack_server: Server) -> Bucket:
    """An empty one."""
    return a_bucket(ministack_server)


def killed(folder: Path, bucket: Bucket, kills: int, seed: int, limit: float) -> Counter[str]:
    """Kill so many times; return what was killed how often."""
    line = a_command_line(folder, AWS_ENDPOINT_URL=bucket.server.url)
    options = ["--rounds", str(kills), "--seed", str(seed), "--to", f"s3://{bucket.name}/p", "--json"]
    run = line("selftest", "--kill", *options, environment={"TMPDIR": str(folder)}, limit=limit)
    print(run.out)
    found = json.loads(run.out)
    assert found["invariants"]["violated"] == []
    assert run.code == 0, run
    assert (found["event"], found["seed"], sum(found["kills"].values())) == ("selftest.killed", seed, kills)
    assert found["invariants"]["checked"] >= 2
    assert bucket.open_uploads() == []
    assert any(key.endswith("/0.jpg/original.jpg") for key in bucket.objects())
    return Counter(found["kills"])


@pytest.mark.long
def test_a_few_kills_violate_nothing(tmp_path: Path, bucket: Bucket) -> None:
    killed(tmp_path / "line", bucket, 4, SEED, 170)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(10))
def test_a_thousand_kills_violate_nothing(tmp_path: Path, bucket: Bucket, part: int) -> None:
    kills = killed(tmp_path / "line", bucket, 100, SEED + part, 3500)
    assert {"process", "watch", "worker", "ffmpeg", "network worker"} <= kills.keys()


def test_violations_are_printed_and_end_with_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    violated = Invariants(1000, ["state: a.jpg: b; c"])
    result = SelftestKilled(kills={"ffmpeg": 1, "worker": 1200}, runs=900, seconds=61.4, invariants=violated, seed=3)
    assert kill_loop.lines(result) == [
        "1,201 kills in 900 runs, 61 s: 1 ffmpeg, 1,200 worker",
        "1,000 checks of the invariants, 1 violated",
        "state: a.jpg: b; c",
    ]
    monkeypatch.setattr(kill_loop, "run", lambda *_: result)
    assert selftest.main(["--kill"], standalone_mode=False) == 70
    assert capsys.readouterr().out.splitlines() == kill_loop.lines(result)
