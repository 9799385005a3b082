"""A machine in trouble is never a verdict on a file: what it fails under is left for the next run, which does it."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SAMPLES, CommandLine, Result
from hypothesis import given
from hypothesis import strategies as st
from support import machines

from mediactl.core import machine
from mediactl.core.errors import JobFailed, MachineTrouble, RejectedInput
from mediactl.media import limits
from mediactl.model.media import Limits

RECIPE = """
name = "small"
[[image]]
name = "w50"
width = 50
[[audio]]
name = "a"
[[video]]
name = "v"
height = 64
preset = "ultrafast"
"""
FILES = ("chimes.wav", "harbour.jpg", "sailing.gif", "upright.mp4")
FLAGS = ("process", "in", "--recipe", "small.toml", "-j", "2", "--retry-delay", "0.05", "--json")


@pytest.fixture
def files(mediactl: CommandLine) -> Path:
    """A folder of one file of each kind, that everybody may write to."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    folder = mediactl.folder / "in"
    folder.mkdir()
    for name in FILES:
        shutil.copy(SAMPLES / name, folder)
    mediactl.folder.chmod(0o777)
    return folder


def blames_no_file(result: Result) -> bool:
    """Whether a run under a machine in trouble ended as promised: 75, one line each, no file rejected; or all done."""
    if result.code == 0:
        return bool(result.summary["done"] == len(FILES))
    if result.events and result.events[-1]["event"] == "summary":
        summary = result.summary
        assert (summary["rejected"], summary["quarantined"], summary["internal_errors"]) == (0, 0, 0), result
        named = {event["path"] for event in result.events if event["event"] in ("job.unreadable", "scan.trouble")}
        assert named or [event for event in result.events if event["event"] == "run.stopped"], result
    else:
        assert result.err.count("\n") == 1, result.err
    return result.code == 75


@pytest.mark.parametrize("processes", [2, 5, 8, 12])
def test_a_machine_out_of_threads_rejects_no_file(mediactl: CommandLine, files: Path, processes: int) -> None:
    before = [*machines.as_nobody(), *machines.limited(f"--nproc={processes}")]
    result = machines.run(mediactl, before, *FLAGS)
    assert blames_no_file(result), result
    if processes == 12:
        shutil.rmtree(mediactl.environment["MEDIACTL_CACHE"], ignore_errors=True)  # root may not write to it, nor would
        again = machines.run(mediactl, machines.as_nobody(), *FLAGS)
        assert (again.code, again.summary["done"] + again.summary["up_to_date"]) == (0, len(FILES)), again


@pytest.mark.parametrize("number", [12, *range(15, 26)])
def test_a_machine_out_of_open_files_rejects_no_file(mediactl: CommandLine, files: Path, number: int) -> None:
    result = machines.run(mediactl, machines.limited(f"--nofile={number}"), *FLAGS)
    assert blames_no_file(result), result


@pytest.mark.parametrize("megabytes", [180, 320, 480])
def test_a_machine_out_of_memory_rejects_no_file(mediactl: CommandLine, files: Path, megabytes: int) -> None:
    result = machines.run(mediactl, machines.limited(f"--as={megabytes << 20}"), *FLAGS)
    assert blames_no_file(result), result
    again = mediactl(*FLAGS)
    assert (again.code, again.summary["done"] + again.summary["up_to_date"]) == (0, len(FILES)), again


@pytest.mark.parametrize(
    ("calls", "error", "when"),
    [("read", "EIO", "2+"), ("read,pread64", "ENOLINK", "1+")],
)
def test_a_source_whose_system_calls_fail_is_left_for_the_next_run(
    mediactl: CommandLine, files: Path, calls: str, error: str, when: str
) -> None:
    for name in FILES:
        if name != "harbour.jpg":
            (files / name).unlink()
    result = machines.run(mediactl, machines.failing(files / "harbour.jpg", calls, error, when), *FLAGS)
    summary = result.summary
    assert (result.code, summary["rejected"], summary["quarantined"], summary["unfinished"]) == (75, 0, 0, 1), result
    assert [event["path"] for event in result.events if event["event"] == "job.unreadable"] == ["harbour.jpg"]
    again = mediactl(*FLAGS)
    assert (again.code, again.summary["done"]) == (0, 1), again


def test_a_source_that_cannot_be_opened_for_want_of_descriptors_is_not_rejected(files: Path) -> None:
    code = """
import os, resource, sys
from mediactl.core.errors import SourceUnreadable
from mediactl.core.files import fingerprint
from mediactl.media.opening import open_source
from mediactl.model.media import Kind, Source
root, name = map(os.fsencode, sys.argv[1:])
source = Source(root, name, name, fingerprint(os.stat(os.path.join(root, name))), Kind.IMAGE, "jpeg")
os.close(open_source(source))
taken = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
for left in (1, 0):
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        [os.close(taken.pop()) for _ in range(left)]  # one is for the directory above it
    try:
        open_source(source)
    except SourceUnreadable as error:
        print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", code, str(files), "harbour.jpg"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["cannot be read: Too many open files"] * 2, done


@given(number=st.sampled_from(sorted(machine.PASSING)), hidden=st.integers(0, 4), cause=st.booleans())
def test_an_error_of_the_machine_is_found_behind_whatever_was_raised_from_it(
    number: int, hidden: int, cause: bool
) -> None:
    error: Exception = OSError(number, os.strerror(number))
    for _ in range(hidden):
        outer = RejectedInput("is truncated or damaged")
        outer.__cause__, outer.__context__ = (error, None) if cause else (None, error)
        outer.__suppress_context__ = True
        error = outer
    with pytest.raises(MachineTrouble, match="the machine failed"):
        machine.require(error)


def test_an_error_that_is_raised_from_itself_has_an_end() -> None:
    """`raise found(error) from error`, where what was found is the error itself."""
    error = JobFailed("ffmpeg failed")
    error.__cause__ = error
    machine.require(error)
    with pytest.raises(JobFailed), limits.bounded_files(Limits()):
        raise error
    too_large = JobFailed("ffmpeg failed")
    too_large.__cause__ = OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    with pytest.raises(RejectedInput, match="limits.output_bytes"), limits.bounded_files(Limits()):
        raise too_large


def test_a_file_is_to_blame_for_other_errors() -> None:
    for error in (RejectedInput("is damaged"), JobFailed("ffmpeg failed"), MemoryError(), ValueError("no such thing")):
        machine.require(error)
    for number in (errno.ENOENT, errno.EACCES, errno.EINVAL, errno.ENOSPC):
        machine.require(OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [(resource.RLIMIT_NOFILE, 12, "almost no file can be opened"), (resource.RLIMIT_AS, 200 << 20, "")],
)
def test_what_is_short_is_named(limit: int, value: int, said: str) -> None:
    code = (
        "import resource; from mediactl.core import machine;"
        f" resource.setrlimit({limit}, ({value}, {value})); print(machine.shortage())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    assert said in done.stdout
    assert not machine.shortage()


@pytest.mark.parametrize("above", [False, True], ids=["the directory", "the one above it"])
def test_one_output_directory_of_another_user_costs_that_source_alone(
    mediactl: CommandLine, files: Path, above: bool
) -> None:
    nobody = machines.as_nobody()
    (files / "below").mkdir()
    shutil.copy(SAMPLES / "harbour.jpg", files / "below")
    foreign = mediactl.folder / ("derived/below" if above else "derived/below/harbour.jpg")
    assert machines.run(mediactl, nobody, "process", "in/sailing.gif", "--recipe", "small.toml").code == 0
    foreign.mkdir(parents=True)
    result = machines.run(mediactl, nobody, *FLAGS)
    assert (result.code, result.summary["done"], result.summary["unfinished"]) == (2, len(FILES) - 1, 1), result
    (left,) = [event for event in result.events if event["event"] == "job.unreadable"]
    assert left["path"] == "below/harbour.jpg"
    assert str(mediactl.folder / "derived/below/harbour.jpg") in left["reason"]
    for path in (mediactl.folder / "derived/below", foreign):
        os.chown(path, machines.NOBODY, machines.NOBODY)
    again = machines.run(mediactl, nobody, *FLAGS)
    assert (again.code, again.summary["done"]) == (0, 1), again
