"""Process the cases once, and find what became of each source."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

from support.cases import measure

FINAL = ("done", "rejected", "quarantined")
HEAD = 'name = "cases"\n'
TABLES = """
[[image]]
name = "full"
format = "png"
effort = 1
[[video]]
name = "video"
height = 1080
preset = "ultrafast"
[[poster]]
name = "poster"
format = "png"
effort = 1
[[storyboard]]
name = "storyboard"
[[subtitles]]
name = "subtitles"
[[audio]]
name = "audio"
format = "m4a"
loudness = -16
[[audio]]
name = "keep"
format = "opus"
channels = "keep"
[[waveform]]
name = "waveform"
"""
"""Outputs of the light form: each fault of a kind shows in one of them."""
MORE = """
[[animation]]
name = "animation"
[[hls]]
name = "hls"
heights = [1080]
preset = "ultrafast"
[[preview]]
name = "preview"
[[audio]]
name = "audio"
format = "opus"
loudness = -16
[[audio]]
name = "keep"
format = "m4a"
channels = "keep"
"""
"""What the full form has beyond that."""
LIGHT, FULL = HEAD + TABLES, HEAD + TABLES + MORE


class Outcome:
    """What became of one source, its outputs measured when asked for."""

    def __init__(self, path: str, out: Path, others: dict[str, Outcome]) -> None:
        self.path = path
        self.others = others
        """All outcomes of the run, by path."""
        self.folder = out / path
        self.state = "left out"
        """One of FINAL, "ignored", "left out" or "not read"."""
        self.reason = ""
        self.warnings: list[str] = []
        self.retries = 0

    def file(self, name: str) -> Path:
        """Return the path of an artefact."""
        return self.folder / name

    @cached_property
    def asset(self) -> dict[str, Any]:
        """What asset.json says; empty where there is none."""
        file = self.file("asset.json")
        return json.loads(file.read_text()) if file.exists() else {}

    @property
    def reported(self) -> list[str]:
        """Everything that was reported of the source, sizes of images left out."""
        said = [*self.warnings, *self.asset.get("warnings", []), *self.asset.get("metadata", {}).get("warnings", [])]
        ours = ("is not smaller than the original", "encoded in one piece")
        return [each for each in dict.fromkeys(said) if not any(word in each for word in ours)]

    @cached_property
    def image(self) -> measure.Pixels:
        """Pixels of the image variant, or of the poster of a video."""
        return measure.picture(self.file("full.png" if self.file("full.png").exists() else "poster.png"))

    @cached_property
    def video(self) -> measure.Video:
        """The decoded video of video.mp4."""
        return measure.video(self.file("video.mp4"))

    @cached_property
    def sounds(self) -> dict[str, measure.Sound]:
        """Every audio stream that was made: of video.mp4, of HLS, of the audio files."""
        found = {}
        names = ("video.mp4", "audio.m4a", "audio.opus", "keep.m4a", "keep.opus")
        for file in [*map(self.file, names), *sorted(self.folder.glob("hls-audio-*.mp4"))]:
            if file.exists() and measure.has(file, "audio"):
                found[file.name] = measure.sound(file)
        return found

    def forget(self) -> None:
        """Drop what was decoded."""
        for name in ("image", "video", "sounds"):
            self.__dict__.pop(name, None)


def process(command: list[str], sources: Path, work: Path, recipe: str, *options: str) -> dict[str, Outcome]:
    """Run mediactl over a folder, and return the outcome of each source by its path."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "cases.toml").write_text(recipe)
    out = work / "out"
    argv = [*command, "process", str(sources), "--recipe", str(work / "cases.toml"), "--out", str(out), "--json"]
    environment = {**os.environ, "MEDIACTL_CACHE": str(work / "cache"), "XDG_CONFIG_HOME": str(work / "config")}
    done = subprocess.run([*argv, *options], capture_output=True, text=True, env=environment, check=False)
    (work / "events.jsonl").write_text(done.stdout)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-2000:]}")
    return outcomes(done.stdout, out)


def outcomes(events: str, out: Path) -> dict[str, Outcome]:
    """Read the events of a run."""
    found: dict[str, Outcome] = {}
    for line in events.splitlines():
        event = json.loads(line)
        if "path" not in event:
            continue
        outcome = found.setdefault(event["path"], Outcome(event["path"], out, found))
        name, _, what = event["event"].partition(".")
        if name == "job" and what in FINAL and event["kind"] != "piece":
            outcome.state = what
            outcome.reason = event.get("reason", "")
            outcome.warnings += event.get("warnings", [])
        elif what == "retried" or what == "retry":
            outcome.retries += 1
        elif event["event"] in ("source.ignored", "scan.trouble"):
            outcome.state = "ignored" if name == "source" else "not read"
            outcome.reason = event["reason"]
    return found
