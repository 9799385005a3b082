"""A fault of ours, or of a library that is another than expected, is no verdict on anybody's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import ROOT, CommandLine, Result
from test_process import picture

SMALL = """
name = "small"
[[image]]
name = "w50"
width = 50
[[waveform]]
name = "wave"
format = "json"
"""
FAULT = """
import sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "av":
            import importlib.machinery, importlib.util

            spec = importlib.machinery.PathFinder.find_spec(name, path)
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                whole = module.open

                def opened(file, mode=None, format=None, options=None):
                    return whole(file, mode, format, options)

                def another(*arguments, **named):
                    return opened(*arguments, **named, container_options={})

                module.open = another

            spec.loader.exec_module = exec_module
            return spec
        return None


sys.meta_path.insert(0, Finder())
"""
"""As a sitecustomize.py: PyAV with an ``open`` that refuses an argument, as that of a newer release may."""


@pytest.fixture
def inbox(mediactl: CommandLine, samples: Path) -> CommandLine:
    """A photo and a recording to process, and a folder with the fault."""
    picture(mediactl.folder / "in/a.jpg")
    (mediactl.folder / "in/b.wav").write_bytes((samples / "chimes.wav").read_bytes())
    (mediactl.folder / "small.toml").write_text(SMALL)
    (mediactl.folder / "site").mkdir()
    (mediactl.folder / "site/sitecustomize.py").write_text(FAULT)
    return mediactl


def process(mediactl: CommandLine, *more: str, broken: bool) -> Result:
    """One run, with the fault or without."""
    paths = os.pathsep.join([str(mediactl.folder / "site"), str(ROOT)] if broken else [str(ROOT)])
    arguments = ("process", "in", "--recipe", "small.toml", "--retry-delay", "0.1", *more)
    return mediactl(*arguments, environment={"PYTHONPATH": paths})


def test_an_internal_error_leaves_its_source_to_the_next_run_and_the_others_are_done(inbox: CommandLine) -> None:
    run = process(inbox, "--json", broken=True)
    assert run.code == run.summary["exit_code"] == 70, run
    names = [event["event"] for event in run.events if event.get("path") == "b.wav"]
    assert names == ["source.planned", "job.retry", "job.retry", "job.internal_error"]
    assert (run.summary["done"], run.summary["unfinished"], run.summary["quarantined"]) == (1, 1, 0)
    assert run.summary["internal_errors"] == 1
    told = run.summary["internal_error"]
    assert told.startswith("internal error: TypeError: ") and "(demux.py:" in told
    assert (inbox.folder / "derived/a.jpg/asset.json").exists()
    assert "the next run retries its source" in inbox("why", "b.wav").out

    again = process(inbox, "--json", broken=True)  # not mended: no different
    assert (again.code, again.summary["unfinished"]) == (70, 1)

    mended = process(inbox, "--json", broken=False)
    assert mended.code == 0, mended
    assert (mended.summary["done"], mended.summary["up_to_date"]) == (1, 1)
    assert (inbox.folder / "derived/b.wav/asset.json").exists()


def test_the_last_lines_name_the_internal_error(inbox: CommandLine) -> None:
    run = process(inbox, broken=True)
    assert run.code == 70
    *_, unfinished, fault, advice = run.out.splitlines()
    assert "1 source done" in unfinished and "1 unfinished" in unfinished
    assert fault.startswith("internal error: TypeError: ") and fault.endswith(")")
    assert "mediactl doctor" in advice


def test_doctor_names_the_fault(inbox: CommandLine) -> None:
    paths = os.pathsep.join([str(inbox.folder / "site"), str(ROOT)])
    run = inbox("doctor", environment={"PYTHONPATH": paths})
    assert run.code == 1
    lines = {line.split()[1]: line for line in run.out.splitlines()}
    assert lines["image"].startswith("ok")
    for name in ("video", "audio"):
        assert lines[name].startswith("BAD") and "TypeError" in lines[name] and "PyAV" in lines[name]
