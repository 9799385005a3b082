"""mediactl watch, as its users run it: what comes into the folder is made, whatever happens to it on the way."""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvips
from conftest import CommandLine
from support.events import parsed

RECIPE = """
name = "tiny"
[[image]]
name = "w10"
width = 10
"""
LIMIT = 60.0
"""Seconds after which what is waited for will not come."""


def picture(path: Path, seed: int = 1) -> Path:
    """A tiny PNG that differs by seed, written in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = pyvips.Image.gaussnoise(24, 16, sigma=30, mean=128, seed=seed).cast("uchar")
    path.write_bytes(noise.bandjoin([noise.invert(), noise]).copy(interpretation="srgb").pngsave_buffer())
    return path


class Running:
    """A watch in a process of its own, and the events that it has told so far."""

    def __init__(self, mediactl: CommandLine, *arguments: str) -> None:
        self.folder = mediactl.folder
        self.process = mediactl.start("watch", "in", "--recipe", "tiny.toml", "--json", "--settle", "0.3", *arguments)
        self.events: list[dict[str, Any]] = []
        self._seen = 0
        self._buffer = b""

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next event, after the last one that was waited for, for which this is true."""
        deadline = time.monotonic() + LIMIT
        while True:
            while self._seen < len(self.events):
                event = self.events[self._seen]
                self._seen += 1
                if wanted(event):
                    return event
            assert self.read(deadline - time.monotonic()), (self.events[-20:], self.process.poll())

    def read(self, timeout: float) -> bool:
        """Take in what is told within so many seconds; False when that is nothing."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], max(0.0, timeout))[0]:
            return False
        data = os.read(fd, 1 << 20)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self.events += map(parsed, lines)
        return bool(data)

    def done(self, *paths: str) -> None:
        """Wait until all these are done."""
        left = set(paths)

        def last(event: dict[str, Any]) -> bool:
            if event["event"] == "job.done" and "made" in event:
                left.discard(event["path"])
            return not left

        self.until(last)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, dict[str, Any]]:
        """Ask it to end: its exit code and summary."""
        self.process.send_signal(number)
        summary = self.until(lambda event: event["event"] == "summary")
        parts = ("up_to_date", "done", "rejected", "quarantined", "unfinished")
        assert summary["sources"] == sum(summary[part] for part in parts), summary
        code = self.process.wait(LIMIT)
        assert code == summary["exit_code"]
        return code, summary

    def named(self, name: str) -> list[dict[str, Any]]:
        """What was told so far of one kind."""
        return [event for event in self.events if event["event"] == name]


@pytest.fixture
def folder(mediactl: CommandLine) -> Path:
    """SOURCE, empty, and a recipe."""
    (mediactl.folder / "tiny.toml").write_text(RECIPE)
    (mediactl.folder / "in").mkdir()
    return mediactl.folder / "in"


@pytest.fixture
def watch(mediactl: CommandLine, folder: Path) -> Iterator[Callable[..., Running]]:
    """Starts watches that have seen what was there, and leaves none behind."""
    started: list[Running] = []

    def start(*arguments: str, survey: bool = True) -> Running:
        started.append(Running(mediactl, *arguments))
        if survey:
            started[-1].until(lambda event: event["event"] == "plan")
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


def test_what_is_there_is_made_and_then_what_comes_and_it_ends_with_0(
    mediactl: CommandLine, folder: Path, watch: Callable[..., Running]
) -> None:
    picture(folder / "there.png", 1)
    (folder / "notes.txt").write_text("no media")
    running = watch(survey=False)
    assert running.until(lambda event: event["event"] == "run.started")["watching"] is True
    running.done("there.png")
    picture(folder / "new.png", 2)
    picture(folder / "deep/er/new.png", 3)
    (folder / "bad.jpg").write_text("text")
    running.done("new.png", "deep/er/new.png")
    if not running.named("job.rejected"):
        running.until(lambda event: event["event"] == "job.rejected")
    code, summary = running.stop()
    assert (code, summary["done"], summary["rejected"], summary["unfinished"]) == (0, 3, 1, 0)
    assert not running.named("run.stopped")
    assert (mediactl.folder / "derived/deep/er/new.png/w10.webp").exists()
    again = watch()
    assert again.named("plan")[0]["up_to_date"] == 3
    code, summary = again.stop(signal.SIGINT)
    assert (code, summary["jobs"], summary["up_to_date"], summary["rejected"], summary["ignored"]) == (0, 0, 3, 1, 1)


def test_a_file_that_grows_is_taken_when_it_is_still(folder: Path, watch: Callable[..., Running]) -> None:
    content = picture(folder.parent / "whole.png").read_bytes()
    running = watch()
    with (folder / "slow.png").open("wb", buffering=0) as file:
        for byte in content[:40]:
            file.write(bytes([byte]))
            running.read(0.05)
        file.write(content[40:])
        ended = time.time()
    planned = running.until(lambda event: event["event"] == "source.planned")
    assert 0.25 < planned["time"] - ended < 2.0
    assert planned["bytes"] == len(content)
    running.done("slow.png")
    assert [event["path"] for event in running.named("source.planned")] == ["slow.png"]
    assert running.stop()[0] == 0


def test_downloads_under_a_hidden_or_other_name_are_taken_when_they_are_renamed(
    folder: Path, watch: Callable[..., Running]
) -> None:
    running = watch()
    picture(folder / ".a.png.Xy12", 1).rename(folder / "a.png")
    picture(folder / "b.png", 2)
    running.done("a.png", "b.png")
    (folder / "b.png").rename(folder / "c.png")
    running.done("c.png")
    assert running.stop()[1]["done"] == 3


def test_folders_that_are_moved_in_or_renamed_are_found_with_all_that_lies_in_them(
    folder: Path, watch: Callable[..., Running]
) -> None:
    running = watch()
    for number in range(5):
        picture(folder.parent / f"outside/{number}/a.png", number)
        picture(folder.parent / f"outside/{number}/.hidden/b.png", number)
    (folder.parent / "outside").rename(folder / "moved")
    running.done(*(f"moved/{number}/a.png" for number in range(5)))
    (folder / "moved").rename(folder / "again")
    running.done(*(f"again/{number}/a.png" for number in range(5)))
    picture(folder / "again/3/late.png", 9)
    running.done("again/3/late.png")
    assert running.stop()[1]["done"] == 11


def test_files_that_are_deleted_at_once_or_while_they_wait_do_no_harm(
    folder: Path, watch: Callable[..., Running]
) -> None:
    running = watch("--jobs", "1")
    for number in range(50):
        picture(folder / f"{number}.png", number).unlink()
    for number in range(50):
        picture(folder / f"wait/{number}.png", number)
    running.until(lambda event: event["event"] == "source.planned")
    shutil.rmtree(folder / "wait")
    picture(folder / "last.png", 99)
    running.done("last.png")
    code, summary = running.stop()
    assert code == 0
    assert summary["rejected"] == summary["quarantined"] == 0
    assert summary["done"] + len(running.named("job.cancelled")) == summary["sources"]


def test_a_file_that_is_written_again_is_made_again(
    mediactl: CommandLine, folder: Path, watch: Callable[..., Running]
) -> None:
    running = watch()
    output = mediactl.folder / "derived/a.png/w10.webp"
    picture(folder / "a.png", 1)
    running.done("a.png")
    first = output.read_bytes()
    picture(folder / "a.png", 2)
    running.done("a.png")
    second = output.read_bytes()
    assert second != first
    code, summary = running.stop()
    assert (code, summary["sources"], summary["done"], summary["artefacts"]) == (0, 1, 1, 2)
    picture(folder / "b.png", 2)
    assert mediactl("process", "in", "--recipe", "tiny.toml").code == 0
    assert (mediactl.folder / "derived/b.png/w10.webp").read_bytes() == second


def test_outputs_inside_the_source_are_never_taken_nor_what_links_lead_to(
    folder: Path, watch: Callable[..., Running]
) -> None:
    outside = picture(folder.parent / "outside/o.png", 7)
    picture(folder / "real/r.png", 8)
    running = watch("--out", "in/derived", "--state", "state")
    running.done("real/r.png")
    (folder / "link").symlink_to(outside.parent)
    (folder / "link.png").symlink_to(outside)
    (folder / "inner").symlink_to("real")
    picture(outside.parent / "later.png", 9)
    picture(folder / "real/later.png", 10)
    picture(folder / "a.png", 1)
    running.done("a.png", "real/later.png")
    picture(folder / "b.png", 2)
    running.done("b.png")
    code, summary = running.stop()
    assert (code, summary["sources"], summary["ignored"]) == (0, 4, 0)


def test_links_are_followed_when_asked_for_each_folder_by_one_name(folder: Path, watch: Callable[..., Running]) -> None:
    picture(folder.parent / "outside/o.png", 1)
    (folder / "link").symlink_to(folder.parent / "outside")
    (folder / "real").mkdir()
    (folder / "second").symlink_to("real")
    running = watch("--follow-symlinks")
    running.done("link/o.png")
    picture(folder.parent / "outside/late.png", 2)
    picture(folder / "real/a.png", 3)
    running.done("link/late.png", "real/a.png")
    assert running.stop()[1]["sources"] == 3


def test_new_files_overtake_a_backfill_that_waits(folder: Path, watch: Callable[..., Running]) -> None:
    for number in range(200):
        picture(folder / f"old/{number:03}.png", number)
    running = watch("--jobs", "1")
    done: list[str] = []

    def count(event: dict[str, Any]) -> bool:
        if event["event"] != "job.done" or "made" not in event:
            return False
        done.append(event["path"])
        return len(done) == 201 or event["path"] == "new.png"

    picture(folder / "new.png", 1000)
    running.until(count)
    assert len(done) < 175, f"it had to wait for {len(done)} others"
    running.until(count)
    assert len(done) == len(set(done)) == 201
    assert running.stop()[1]["done"] == 201


def test_stopped_in_the_middle_it_says_75_and_the_next_process_finishes(
    mediactl: CommandLine, folder: Path, watch: Callable[..., Running]
) -> None:
    for number in range(150):
        picture(folder / f"{number}.png", number)
    running = watch("--jobs", "1")
    running.until(lambda event: event["event"] == "job.done" and "made" in event)
    code, summary = running.stop()
    assert code == 75
    assert summary["unfinished"] > 0
    assert running.named("run.stopped")
    after = mediactl("process", "in", "--recipe", "tiny.toml", "--json")
    assert (after.code, after.summary["sources"], after.summary["unfinished"]) == (0, 150, 0)


def test_a_time_limit_and_a_drain_file_end_it_as_a_signal_does(
    mediactl: CommandLine, folder: Path, watch: Callable[..., Running]
) -> None:
    ended = mediactl("watch", "in", "--recipe", "tiny.toml", "--json", "--max-duration", "1.5")
    assert (ended.code, ended.summary["sources"]) == (0, 0)
    running = watch("--drain-file", "leave")
    (mediactl.folder / "leave").touch()
    running.until(lambda event: event["event"] == "summary")
    assert running.process.wait(LIMIT) == 0


def test_a_source_folder_that_disappears_is_told_and_watched_again_when_it_is_back(
    folder: Path, watch: Callable[..., Running]
) -> None:
    running = watch()
    picture(folder / "a.png", 1)
    running.done("a.png")
    shutil.rmtree(folder)
    assert "removed or unmounted" in running.until(lambda event: event["event"] == "watch.trouble")["reason"]
    picture(folder / "b.png", 2)
    running.until(lambda event: event["event"] == "watch.resumed")
    running.done("b.png")
    picture(folder / "c.png", 3)
    running.done("c.png")
    assert running.stop()[1]["done"] == 3


@pytest.mark.parametrize("number", [1000, pytest.param(10_000, marks=pytest.mark.sweep)])
def test_a_burst_ends_with_every_file_in_a_final_state(
    folder: Path, watch: Callable[..., Running], number: int
) -> None:
    running = watch()
    content = [picture(folder.parent / f"{each}.png", each).read_bytes() for each in range(10)]

    def burst() -> None:
        for each in range(number):
            name = folder / f"{each % 7}" / f"{each}.{'png' if each % 10 == 0 else 'txt'}"
            name.parent.mkdir(exist_ok=True)
            name.write_bytes(content[each // 10 % 10] if each % 10 == 0 else b"text %d" % each)

    writer = threading.Thread(target=burst)
    writer.start()
    found: Counter[str] = Counter()

    def all_final(event: dict[str, Any]) -> bool:
        if event["event"] == "source.ignored" or (event["event"] == "job.done" and "made" in event):
            found[event["path"]] += 1
        return len(found) == number

    running.until(all_final)
    writer.join()
    code, summary = running.stop()
    assert (code, summary["done"], summary["ignored"]) == (0, number // 10, number - number // 10)
    assert set(found.values()) == {1}


def test_what_the_kernel_could_not_tell_is_found_by_looking_again(folder: Path, watch: Callable[..., Running]) -> None:
    """Its queue holds 16384 changes; a process that is stopped takes none of them out."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        events = int(file.read())
    if events > 40_000:
        pytest.skip("the kernel's queue is too long to be filled here")
    running = watch()
    running.process.send_signal(signal.SIGSTOP)
    for number in range(events // 4 + 200):
        (folder / f"{number}.txt").write_text("text")
    picture(folder / "last.png")
    running.process.send_signal(signal.SIGCONT)
    running.done("last.png")
    assert running.stop()[0] == 0


def test_names_that_are_no_text_are_found_too(folder: Path, watch: Callable[..., Running]) -> None:
    running = watch()
    plain = picture(folder.parent / "plain.png")
    os.rename(os.fsencode(plain), os.fsencode(folder) + b"/caf\xe9.png")
    running.done("caf\\xe9.png")
    picture(folder / "after.png", 2)
    running.done("after.png")
    assert running.stop()[1]["done"] == 2


def test_polling_finds_what_comes_and_what_grows(folder: Path, watch: Callable[..., Running]) -> None:
    picture(folder / "there.png", 1)
    running = watch("--poll", "0.2")
    running.done("there.png")
    picture(folder / "deep/new.png", 2)
    running.done("deep/new.png")
    picture(folder / "deep/new.png", 3)
    running.done("deep/new.png")
    code, summary = running.stop()
    assert (code, summary["sources"], summary["done"]) == (0, 2, 2)


@pytest.mark.parametrize(
    ("limit", "number", "late"),
    [("max_inotify_watches", 3, False), ("max_inotify_watches", 3, True), ("max_inotify_instances", 0, False)],
)
def test_at_the_limits_of_inotify_it_says_so_once_and_looks_at_everything_instead(
    mediactl: CommandLine, folder: Path, limit: str, number: int, late: bool
) -> None:
    few = ["unshare", "-Ur", "sh", "-c", f'echo {number} > /proc/sys/user/{limit} && exec "$@"', "sh"]
    if subprocess.run([*few, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    command = mediactl.argv("watch", "in", "--recipe", "tiny.toml", "--settle", "0.3", "--rescan", "1")

    def folders() -> None:
        for each in range(12):
            (folder / str(each)).mkdir()

    if not late:
        folders()
    running = subprocess.Popen(
        [*few, *command], cwd=mediactl.folder, env=mediactl.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        told = list(itertools.takewhile(lambda line: not line.startswith("watching"), running.stdout))
        if late:
            folders()
            told += itertools.takewhile(lambda line: "limit" not in line, running.stdout)
            told.append("walking all of it every 1 s")
        picture(folder / "11/a.png")
        told += itertools.takewhile(lambda line: not line.startswith("done"), running.stdout)
        running.terminate()
        told += running.stdout
        assert running.wait(LIMIT) == 0
        assert len([line for line in told if "walking all of it every 1 s" in line]) == 1
    finally:
        running.kill()
        running.communicate()


def test_only_folders_outside_the_outputs_can_be_watched(mediactl: CommandLine, folder: Path) -> None:
    for argument in ("nowhere", "tiny.toml"):
        refused = mediactl("watch", argument)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "only folders can be watched" in refused.err
    assert "inside the output directory" in mediactl("watch", "in", "--out", ".").err


def test_two_sources_that_would_meet_are_told_and_the_watch_goes_on(
    mediactl: CommandLine, folder: Path, watch: Callable[..., Running]
) -> None:
    (mediactl.folder / "two").mkdir()
    running = watch("two")
    picture(folder / "a.png", 1)
    running.done("a.png")
    picture(mediactl.folder / "two/a.png", 2)
    assert "--keep-root" in running.until(lambda event: event["event"] == "scan.trouble")["reason"]
    picture(mediactl.folder / "two/b.png", 3)
    running.done("b.png")
    assert running.stop()[0] == 0


def test_in_a_pipe_it_says_little(mediactl: CommandLine, folder: Path) -> None:
    for number in range(20):
        picture(folder / f"{number}.png", number)
    ended = mediactl("watch", "in", "--recipe", "tiny.toml", "--max-duration", "6", "--settle", "0.2")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].startswith("mediactl ")
    assert lines[1].startswith("watching: ")
    assert lines[2].startswith("done: ")
    assert "more: 20 files made" in lines[2]
    assert len(lines) == 4
