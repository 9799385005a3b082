"""Metrics of runs as their users ask for them: a command, a file for node_exporter, a server that is scraped."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from conftest import CommandLine
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support.receivers import receiver

RECIPE = 'name = "tiny"\n[[image]]\nname = "w10"\nwidth = 10\n'
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples_of(text: str) -> Samples:
    """(name, labels) -> value, by the parser of its format."""
    parse = openmetrics.text_string_to_metric_families if text.endswith("# EOF\n") else text_string_to_metric_families
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def counters(samples: Samples) -> Samples:
    """Those that must never fall."""
    return {each: value for each, value in samples.items() if each[0].endswith(("_total", "_bucket", "_sum", "_count"))}


@pytest.fixture
def sources(mediactl: CommandLine, stills: Path) -> Path:
    """SOURCE with one image, two files that are none, and the rest of the images beside it."""
    (mediactl.folder / "tiny.toml").write_text(RECIPE)
    folder = mediactl.folder / "in"
    folder.mkdir()
    for name in ("balloon.png", "truncated.jpg"):
        shutil.move(stills / name, folder / name)
    return folder


def test_three_runs_and_a_prune(mediactl: CommandLine, sources: Path, stills: Path) -> None:
    file, seen = mediactl.folder / "mediactl.prom", []
    for name in ("", "harbour.jpg", "pines.jpg"):
        if name:
            shutil.move(stills / name, sources / name)
        done = mediactl("process", "in", "--recipe", "tiny.toml", "--metrics-textfile", "mediactl.prom", "--json")
        assert done.code in (0, 1), done
        found = mediactl("metrics")
        assert (found.code, found.err) == (0, "")
        now = samples_of(found.out)
        written = samples_of(file.read_text())
        assert counters(written).items() <= now.items(), "the file has what the journal has at the end of the run"
        seen.append(now)
    (sources / "balloon.png").unlink()
    assert mediactl("prune", "--yes").code == 0
    seen.append(samples_of(mediactl("metrics").out))
    for before, after in itertools.pairwise(seen):
        assert all(after[each] >= value for each, value in counters(before).items())
    assert not list(mediactl.folder.glob("mediactl.prom.*")), "no temporary file is left"
    last = seen[-1]
    events = mediactl("runs", "--json").out.splitlines()
    assert sum(json.loads(each)["done"] for each in events) == 3
    assert last["mediactl_artefacts_total", (("role", "variant"),)] == 3
    assert last["mediactl_attempts_total", (("operation", "image"), ("outcome", "done"))] == 3
    rejected = sum(value for each, value in last.items() if ("outcome", "rejected") in each[1])
    assert rejected == 1
    size = sum(os.stat(each).st_size for each in (mediactl.folder / "derived").glob("*/w10*"))
    assert 0 < size <= last["mediactl_bytes_total", (("direction", "out"),)]
    info = next(dict(labels) for name, labels in last if name == "mediactl_build_info")
    assert info["version"] and info["ffmpeg"] and info["libvips"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "mediactl-test", folder], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting a small file system needs root")
    (folder / "ballast").write_bytes(b"0" * 4096)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_for_the_file_is_one_line(mediactl: CommandLine, sources: Path, small_disk: Path) -> None:
    file = small_disk / "mediactl.prom"
    done = mediactl("process", "in", "--recipe", "tiny.toml", "--metrics-textfile", file)
    assert done.code == 1, done
    lines = [line for line in (done.out + done.err).splitlines() if line.startswith("--metrics")]
    assert lines == [f"--metrics-textfile {file}: cannot be written: No space left on device; the run goes on"]
    assert os.listdir(small_disk) == ["ballast"]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_watch_is_scraped_while_it_works(mediactl: CommandLine, sources: Path, stills: Path) -> None:
    port = free_port()
    command = ("watch", "in", "--recipe", "tiny.toml", "--settle", "0.3", "--json")
    watch = mediactl.start(*command, "--metrics-listen", f"127.0.0.1:{port}")
    assert watch.stdout is not None
    try:
        for line in watch.stdout:
            if json.loads(line)["event"] == "plan":
                break
        first = scraped(port)
        assert first["mediactl_workers", (("state", "busy"),)] + first["mediactl_workers", (("state", "idle"),)] > 0
        shutil.move(stills / "pines.jpg", sources / "pines.jpg")
        for line in watch.stdout:
            if (event := json.loads(line))["event"] == "job.done" and event.get("path") == "pines.jpg":
                break
        second = scraped(port)
        assert all(second[each] >= value for each, value in counters(first).items())
        done = ("mediactl_attempts_total", (("operation", "image"), ("outcome", "done")))
        assert second[done] >= 1
        checked = mediactl("check", "--fresh", "26h", "--failed", "9:")
        assert checked.code == 0, checked
        other = mediactl("watch", "in", "--metrics-listen", "nowhere")
        assert (other.code, "expected HOST:PORT" in other.err) == (2, True)
        watch.send_signal(signal.SIGTERM)
        rest = watch.communicate(timeout=60)[0]
        assert json.loads(rest.splitlines()[-1])["exit_code"] == watch.returncode == 0
    finally:
        watch.kill()
        watch.communicate()


def scraped(port: int) -> Samples:
    """What Prometheus would read."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        return samples_of(answer.read().decode())


def test_a_port_that_is_taken_is_one_line(mediactl: CommandLine, sources: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        watch = mediactl.start(
            "watch", "in", "--recipe", "tiny.toml", "--json", "--metrics-listen", f"127.0.0.1:{port}"
        )
        assert watch.stdout is not None
        troubles = []
        try:
            for line in watch.stdout:
                event = json.loads(line)
                if event["event"] == "monitor.trouble":
                    troubles.append((event["monitor"], event["reason"]))
                if event["event"] == "plan":
                    break
            watch.send_signal(signal.SIGTERM)
            watch.communicate(timeout=60)
            assert watch.returncode in (0, 75), "75: an image was not done"
        finally:
            watch.kill()
            watch.communicate()
    assert troubles == [(f"--metrics-listen 127.0.0.1:{port}", "cannot listen: Address already in use")]


BARE = {"PATH": "/usr/bin:/bin", "LOGNAME": "root", "SHELL": "/bin/sh"}
"""What cron gives a job of its environment (crontab(5)), with HOME; no locale, no terminal."""


def checked(mediactl: CommandLine, *arguments: str) -> tuple[int, str]:
    """Exit code and line of ``check`` in cron's environment; nothing else is printed."""
    environment = {**BARE, "HOME": str(mediactl.folder), "PYTHONPATH": mediactl.environment["PYTHONPATH"]}
    done = subprocess.run(
        mediactl.argv("check", *arguments), cwd="/", env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.count("\n") == 1 and done.stderr == "", done
    return done.returncode, done.stdout.rstrip("\n")


def test_check_from_cron(mediactl: CommandLine, sources: Path) -> None:
    out = str(mediactl.folder / "derived")
    assert checked(mediactl, "-o", out) == (
        3,
        f"MEDIACTL UNKNOWN - no journal in {out}/.mediactl; name the output folder with --out,"
        " or process something first",
    )
    assert mediactl("process", "in", "--recipe", "tiny.toml").code == 1
    code, line = checked(mediactl, "-o", out)
    assert (code, line) == (0, "MEDIACTL OK - nothing pending | pending=0;;;0 quarantined=0;0;;0")
    code, line = checked(mediactl, "-o", out, "--fresh", "26h")
    assert (code, line.partition(" | ")[0]) == (2, "MEDIACTL CRITICAL - no run has succeeded")
    assert mediactl("process", "in", "--recipe", "tiny.toml").code == 0
    assert checked(mediactl, "-o", out, "--fresh", "26h")[0] == 0
    for wrong, text in (
        (("--depth", "10"), "mediactl check: --depth: 10: expected W:C, e.g. 100:1000"),
        (("--age", "slow=1:2"), "mediactl check: --age: slow=1:2: expected LANE=W:C, LANE one of quick, heavy,"),
        (("--fresh", "soon"), "mediactl check: --fresh: "),
        (("--wrong",), "mediactl check: no such option: --wrong"),
    ):
        code, line = checked(mediactl, "-o", out, *wrong)
        assert (code, line.startswith(f"MEDIACTL UNKNOWN - {text}")) == (3, True), line


def test_check_knows_nothing_where_settings_or_the_journal_cannot_be_read(mediactl: CommandLine) -> None:
    out = mediactl.folder / "derived"
    (mediactl.folder / "in").mkdir()
    assert mediactl("process", "in").code == 0
    settings = mediactl.folder / "settings.toml"
    for text, wrong in (("recipes = 3", "unknown key 'recipes'"), ("=", "")):
        settings.write_text(text)
        found = mediactl("--config", settings, "check", "-o", out)
        assert (found.code, found.err, found.out.count("\n")) == (3, "", 1), found
        assert found.out.startswith(f"MEDIACTL UNKNOWN - {settings}") and wrong in found.out
        assert mediactl("--config", settings, "status", "-o", out).code == 2
    journal = out / ".mediactl" / "journal.db"
    holder = apsw.Connection(str(journal))
    holder.pragma("journal_mode", "delete")
    holder.execute("BEGIN EXCLUSIVE")
    found = mediactl("check", "-o", out)
    assert (found.code, found.err, found.out.count("\n")) == (3, "", 1), found
    assert found.out.startswith("MEDIACTL UNKNOWN - ") and "locked" in found.out
    holder.execute("ROLLBACK")
    holder.pragma("user_version", 999)
    holder.close()
    found = mediactl("check", "-o", out)
    assert (found.code, found.err) == (3, "")
    assert "newer mediactl" in found.out


def test_notifications_are_those_of_trusted_settings(mediactl: CommandLine, sources: Path) -> None:
    with receiver() as got:
        table = f'[[notify]]\nurl = "{got.url}/hidden"\nsecret = "whsec_c2VjcmV0"\non = ["start", "finish"]\n'
        (mediactl.folder / "mediactl.toml").write_text(table)
        refused = mediactl("process", "in", "--recipe", "tiny.toml")
        assert (refused.code, refused.err) == (
            2,
            "mediactl: mediactl.toml: key 'notify' is not allowed in this file, because it may have come with the"
            " sources; use ~/.config/mediactl/config.toml or --config\n",
        )
        (mediactl.folder / "mediactl.toml").rename(mediactl.folder / "mine.toml")
        done = mediactl("--config", "mine.toml", "process", "in", "--recipe", "tiny.toml", "--log", "log")
        assert done.code == 1, done
        settings = mediactl("--config", "mine.toml", "config", "show")
    found = [json.loads(each.body) for each in got.got]
    assert [each["type"] for each in found] == ["mediactl.start", "mediactl.fail"]
    (run,) = map(json.loads, mediactl("runs", "--json").out.splitlines())
    assert (found[0]["data"]["run"], found[1]["data"]["exit_code"]) == (run["run"], run["exit_code"])
    assert found[1]["data"]["rejected"] == 1 and "truncated.jpg" in found[1]["text"]
    printed = done.out + done.err + (mediactl.folder / "log").read_text() + settings.out
    assert "hidden" not in printed and "c2VjcmV0" not in printed


def test_statsd_gets_what_the_journal_has(mediactl: CommandLine, sources: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        done = mediactl("process", "in", "--recipe", "tiny.toml", "--json", "--statsd", address)
        assert done.code == 1, done
        assert not any(event["event"].startswith("attempt") for event in done.events), "they are never on the wire"
        got: Counter[str] = Counter()
        listener.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                for line in listener.recv(1 << 16).decode().split("\n"):
                    name, _, value = line.partition(":")
                    assert re.fullmatch(r"\d+\|c|[\d.]+\|ms", value)
                    got[name] += int(value.removesuffix("|c")) if value.endswith("c") else 1
    attempts: Counter[str] = Counter()
    for (metric, labels), number in samples_of(mediactl("metrics").out).items():
        if metric == "mediactl_attempts_total":
            operation, result = dict(labels)["operation"], "success" if ("outcome", "done") in labels else "failure"
            attempts[f"mediactl.{operation}.{result}"] += int(number)
            attempts[f"mediactl.{operation}.sent"] += int(number)
            attempts[f"mediactl.{operation}.time"] += int(number)
    assert got == attempts
    assert got["mediactl.image.success"] == 1


def test_a_statsd_host_that_does_not_resolve_is_one_line(mediactl: CommandLine, sources: Path) -> None:
    done = mediactl("process", "in", "--recipe", "tiny.toml", "--statsd", "statsd.invalid:8125")
    lines = [line for line in (done.out + done.err).splitlines() if line.startswith("--statsd")]
    assert (done.code, len(lines)) == (1, 1), done
    assert lines[0].startswith("--statsd statsd.invalid:8125: ") and lines[0].endswith("; the run goes on")
