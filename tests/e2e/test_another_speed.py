"""``--speed`` on the command line: outputs are rebuilt at another speed, and stay at the same one."""

from __future__ import annotations

import json
from pathlib import Path

import pyvips
from conftest import CommandLine

RECIPE = 'name = "one"\n[[image]]\nname = "w"\nformat = "png"\n[[image]]\nname = "x"\nformat = "png"\neffort = 4\n'


def test_another_speed_rebuilds_what_the_recipe_leaves_open(mediactl: CommandLine) -> None:
    folder: Path = mediactl.folder
    (folder / "r.toml").write_text(RECIPE)
    (folder / "in").mkdir()
    noise = pyvips.Image.gaussnoise(160, 120, sigma=30, mean=128, seed=1).gaussblur(2).cast("uchar")
    noise.bandjoin([noise, noise]).copy(interpretation="srgb").jpegsave(str(folder / "in" / "a.jpg"))

    def run(*speed: str) -> tuple[int, dict[str, bytes]]:
        events = mediactl("process", "in", "--recipe", "r.toml", "--json", *speed).out.splitlines()
        files = {path.name: path.read_bytes() for path in (folder / "derived" / "a.jpg").glob("*.png")}
        return json.loads(events[-1])["jobs"], files

    _, usual = run()
    assert run("--speed", "balanced") == (0, usual)
    jobs, fast = run("--speed", "fast")
    assert jobs == 1
    assert fast["x.png"] == usual["x.png"]
    assert fast["w.png"] != usual["w.png"]
    assert (
        pyvips.Image.new_from_buffer(fast["w.png"], "").write_to_memory()
        == pyvips.Image.new_from_buffer(usual["w.png"], "").write_to_memory()
    )
    assert run("--speed", "fast") == (0, fast)
    _, small = run("--speed", "small")
    assert len(small["w.png"]) < len(fast["w.png"])
