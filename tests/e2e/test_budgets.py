"""``[[budget]]``: files over budget are named by every run, which exits with 1; nothing is built again for a budget."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import CommandLine, Result
from PIL import Image

RECIPE = """
name = "mine"
[[image]]
name = "w64"
width = 64
quality = {quality}
[[image]]
name = "card"
width = 40
height = 40
fit = "cover"
quality = 90
"""
SEED = 7


def budget(output: str, **limits: object) -> str:
    values = "".join(f"{key} = {value!r}\n".replace("'", '"') for key, value in limits.items())
    return f'[[budget]]\noutput = "{output}"\n{values}'


def noise(folder: Path, *names: str, side: int = 128) -> None:
    """Write images that compress badly, with fixed seeds."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(SEED + number).integers(0, 255, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)


def recipe(mediactl: CommandLine, *budgets: str, quality: int = 80) -> None:
    (mediactl.folder / "mine.toml").write_text(RECIPE.format(quality=quality) + "".join(budgets))


def process(mediactl: CommandLine, *more: str) -> Result:
    return mediactl("process", "in", "--recipe", "mine.toml", *more)


def ssim(one: Any, other: Any) -> float:
    """Return the mean SSIM of 8 x 8 windows every 4 pixels, by numpy alone."""
    found = []
    for y in range(0, one.shape[0] - 7, 4):
        for x in range(0, one.shape[1] - 7, 4):
            a, b = (each[y : y + 8, x : x + 8].astype(float) for each in (one, other))
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            found.append(
                (2 * a.mean() * b.mean() + c1) * (2 * covariance + c2)
                / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (a.var() + b.var() + c2))
            )  # fmt: skip
    return float(np.mean(found))


def test_a_broken_budget_is_named_and_exits_1_until_it_is_kept(mediactl: CommandLine) -> None:
    noise(mediactl.folder / "in", "a.png", "b.png")
    recipe(mediactl)
    assert process(mediactl).code == 0
    before = {path: path.read_bytes() for path in (mediactl.folder / "derived").rglob("*.*") if path.is_file()
              and ".mediactl" not in path.parts}  # fmt: skip
    size = (mediactl.folder / "derived" / "a.png" / "w64.webp").stat().st_size
    recipe(mediactl, budget("image.w64", bytes="2 kB"))
    junit = mediactl.folder / "junit.xml"
    broken = process(mediactl, "--json", "--junit", str(junit))
    found = [event for event in broken.events if event["event"] == "budget.broken"]
    assert (broken.code, broken.summary["jobs"], broken.summary["over_budget"]) == (1, 0, 2)
    assert {key: found[0][key] for key in ("path", "output", "file", "bytes", "bytes_allowed")} == {
        "path": "a.png", "output": "image.w64", "file": "w64.webp", "bytes": size, "bytes_allowed": 2000
    }  # fmt: skip
    assert len(ElementTree.parse(junit).findall(".//failure")) == 2
    line = f"over budget: a.png: w64.webp: {size:,} bytes, image.w64 allows 2,000"
    for flags in ((), ("--quiet",)):
        assert line in process(mediactl, *flags).out.splitlines()
    recipe(mediactl, budget("image.w64", bytes=size * 2))
    full = mediactl("process", "in", "--recipe", "mine.toml", "--junit", "/dev/full", "--github", "--json",
                    environment={"GITHUB_STEP_SUMMARY": "/dev/full"})  # fmt: skip
    assert (full.code, full.summary["exit_code"]) == (0, 0)
    said = [line for line in full.err.splitlines() if not line.startswith("::")]
    assert said == [
        "mediactl: GITHUB_STEP_SUMMARY /dev/full: cannot be written: No space left on device",
        "mediactl: --junit /dev/full: cannot be written: No space left on device",
    ]
    assert mediactl("process", "in", "--recipe", "mine.toml", "--junit", "no/such/file").code == 2
    for path, content in before.items():
        assert path.read_bytes() == content


def test_similarity_is_measured_on_the_output(mediactl: CommandLine) -> None:
    noise(mediactl.folder / "in", "a.png", side=64)
    recipe(mediactl, quality=20)
    assert process(mediactl).code == 0
    recipe(mediactl, budget("image.w64", similarity=0.97), quality=20)
    broken = process(mediactl, "--json")
    (found,) = [event for event in broken.events if event["event"] == "budget.broken"]
    assert (broken.code, broken.summary["artefacts"]) == (1, 0)
    made = Image.open(io.BytesIO((mediactl.folder / "derived" / "a.png" / "w64.webp").read_bytes())).convert("L")
    whole = Image.open(mediactl.folder / "in" / "a.png").convert("L")
    assert found["similarity"] == pytest.approx(ssim(np.asarray(whole), np.asarray(made)), abs=0.01)
    assert found["similarity_required"] == 0.97
    again = process(mediactl, "--json")
    assert (again.code, again.summary["jobs"]) == (1, 0)
    (same,) = [event for event in again.events if event["event"] == "budget.broken"]
    assert same["similarity"] == found["similarity"]
    recipe(mediactl, budget("image.w64", similarity=0.1), budget("image.card", similarity=0.5), quality=20)
    assert process(mediactl).code == 0


def test_a_watch_reports_each_asset_once_and_exits_with_1(mediactl: CommandLine) -> None:
    noise(mediactl.folder / "in", "a.png", "b.png")
    recipe(mediactl)
    assert process(mediactl).code == 0
    recipe(mediactl, budget("image.w64", bytes="2 kB"))
    watch = mediactl.start("watch", "in", "--recipe", "mine.toml", "--settle", "0.1", "--json")
    found: list[dict[str, Any]] = []
    assert watch.stdout is not None
    try:
        for line in watch.stdout:
            found.append(json.loads(line))
            if found[-1]["event"] == "plan":
                noise(mediactl.folder / "new", "c.png", side=96)
                (mediactl.folder / "new" / "c.png").rename(mediactl.folder / "in" / "c.png")
            if found[-1]["event"] == "budget.broken":
                assert found[-1]["path"] == "c.png", "the one that was settled, while the watch goes on"
                break
        watch.send_signal(signal.SIGTERM)
        found += map(json.loads, watch.communicate(timeout=60)[0].splitlines())
    finally:
        watch.kill()
        watch.communicate()
    broken = [event for event in found if event["event"] == "budget.broken"]
    assert [each["path"] for each in broken] == ["c.png", "a.png", "b.png"], "and at the end those that were there"
    size = (mediactl.folder / "derived" / "c.png" / "w64.webp").stat().st_size
    assert broken[0]["bytes"] == size > 2000
    assert (found[-1]["over_budget"], found[-1]["exit_code"], watch.returncode) == (3, 1, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            budget("image.w65", bytes=2000),
            "budget[0].output: no output is called 'image.w65'; did you mean 'image.w64'?",
        ),
        (budget("image.w64"), "budget[0].output: 'image.w64': no limit; add bytes or similarity"),
        (budget("image.w64", bytes="many"), "budget[0].bytes: many: expected a size, e.g. 512M or 6G"),
        (budget("poster.p", similarity=0.9), "budget[0].similarity: 'poster.p' cannot be compared with its source;"),
        (budget("image.w64", byte=3), "unknown key 'byte'; did you mean 'bytes'?"),
    ],
)
def test_an_invalid_budget_is_named(mediactl: CommandLine, wrong: str, message: str) -> None:
    recipe(mediactl, wrong + '[[poster]]\nname = "p"\n')
    result = mediactl("recipe", "check", "mine.toml")
    assert result.code == 2
    assert message in result.err
