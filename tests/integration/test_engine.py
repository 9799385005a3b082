"""Jobs on other machines, through each broker: the outputs, the journal and the guarantees are those of one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pyvips
from conftest import CommandLine, Result
from support.fleets import BROKERS, workers

celery = pytest.importorskip("celery")
RECIPE = 'name = "small"\n[[image]]\nname = "w50"\nwidth = 50\n'


def photos(folder: Path, number: int, *, seed: int = 0) -> None:
    """Write so many different JPEGs of 160 x 120."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in range(number):
        noise = pyvips.Image.gaussnoise(160, 120, sigma=40, mean=120, seed=seed + each)
        noise.cast("uchar").write_to_file(str(folder / f"{each}.jpg"))


def files(out: Path) -> dict[str, bytes]:
    """Return all outputs by their name."""
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in sorted(out.rglob("*"))
        if file.is_file() and not file.relative_to(out).parts[0].startswith(".mediactl")
    }


def rows(out: Path, query: str) -> list[tuple[Any, ...]]:
    """Return what a query of a journal finds."""
    with closing(sqlite3.connect(f"file:{out}/.mediactl/journal.db?mode=ro", uri=True)) as journal:
        return journal.execute(query).fetchall()


@pytest.fixture(scope="module", params=sorted(BROKERS))
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one broker of each kind."""
    run: Any = BROKERS[request.param]
    with run(tmp_path_factory.mktemp(request.param)) as url:
        yield url


def run(mediactl: CommandLine, broker: str, *arguments: str | Path) -> Result:
    """Process the sources of a test with other machines."""
    return mediactl("process", *arguments, "--broker", broker, "--cache", "none", "--json")


def test_the_outputs_are_those_of_one_machine(broker: str, mediactl: CommandLine, tmp_path: Path) -> None:
    photos(tmp_path / "in", 6)
    (tmp_path / "in" / "broken.jpg").write_bytes((tmp_path / "in" / "0.jpg").read_bytes()[:900])
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE)
    alone = mediactl("process", tmp_path / "in", "--out", tmp_path / "alone", "--recipe", recipe, "--json")
    with workers(broker, tmp_path, 1, "--slots", "1") as (worker,):
        found = run(mediactl, broker, tmp_path / "in", "--out", tmp_path / "out", "--recipe", recipe)
        assert found.code == alone.code == 1, found.err + worker.log.read_text()
        assert files(tmp_path / "out") == files(tmp_path / "alone"), found.out + found.err
        assert {key: found.summary[key] for key in ("done", "rejected", "artefacts")} == {
            "done": 6, "rejected": 1, "artefacts": 6,
        }  # fmt: skip
        # Nothing ran here, each attempt once, and each is that of a worker.
        attempts = rows(tmp_path / "out", "SELECT worker, outcome FROM attempts ORDER BY job")
        assert sorted(outcome for _, outcome in attempts) == ["done"] * 13 + ["rejected"]
        assert all(pid for pid, _ in attempts)
        assert rows(tmp_path / "out", "SELECT count(*) FROM machines") == [(1,)]  # of both lanes
        again = run(mediactl, broker, tmp_path / "in", "--out", tmp_path / "out", "--recipe", recipe)
        assert again.summary["jobs"] == 0
        assert worker.end() == 0
    assert sorted(name.name for name in (tmp_path / "out").glob(".mediactl-*")) == []
