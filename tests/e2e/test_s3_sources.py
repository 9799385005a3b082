"""``mediactl process s3://...``: objects as sources, whatever they are called, killed in the middle or not."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine, Result
from support.invariants import assert_holds
from support.proxy import Request, proxied
from support.servers import Server
from support.shipped import Bucket, a_bucket, a_command_line, outputs, picture, port_of, running

from mediactl.jobs.journal import FILE
from mediactl.model.media import Fingerprint, Kind, Source
from mediactl.pipeline.fetching.scratch import name_of

pytestmark = pytest.mark.timeout(300)

NUMBER = int(os.environ.get("MEDIACTL_OBJECTS", "60"))
"""Objects of the run that is killed."""
ROOM = 12
"""Objects that its scratch has room for."""


@pytest.fixture
def mediactl(tmp_path: Path) -> CommandLine:
    """The command line with the servers' credentials."""
    return a_command_line(tmp_path)


@pytest.fixture
def bucket(ministack_server: Server) -> Bucket:
    """An empty bucket."""
    return a_bucket(ministack_server)


def process(mediactl: CommandLine, bucket: Bucket, prefix: str, *more: str, **options: Any) -> Result:
    """Process what is below a prefix."""
    url = f"s3://{bucket.name}/{prefix}"
    return mediactl("process", url, "--recipe", "small.toml", "--json", "--endpoint-url", bucket.server.url, *more,
                    **options)  # fmt: skip


def named(run: Result, event: str) -> list[dict[str, Any]]:
    """The events of a name."""
    return [each for each in run.events if each["event"] == event]


def scratch(mediactl: CommandLine) -> list[Path]:
    """What is on disk of objects."""
    return [path for path in (mediactl.folder / "derived/.mediactl/scratch").rglob("*") if path.is_file()]


def fill(bucket: Bucket, folder: Path, keys: dict[str, int]) -> None:
    """Put a photo at each of these keys, by seed."""
    for key, seed in keys.items():
        file = folder / f"photos/{seed}.jpg"
        if not file.exists():
            picture(file, seed)
        bucket.put(key, file.read_bytes())


def test_objects_are_what_files_of_a_directory_are(mediactl: CommandLine, bucket: Bucket, samples: Path) -> None:
    """The same outputs to the byte, nothing is fetched a second time, and nothing stays on disk of it."""
    folder = mediactl.folder
    keys = {"in/a.jpg": 1, "in/b/c.jpg": 2, "in/b/noext": 3, "in/b/same.jpg": 1}
    fill(bucket, folder, keys)
    bucket.put("in/chimes.wav", (samples / "chimes.wav").read_bytes())
    bucket.put("in/b/text.txt", b"some text" * 10_000)
    bucket.put("in/b/broken.jpg", b"\xff\xd8\xff\xe0 nothing")
    bucket.put("in/empty.jpg", b"")
    bucket.put("in/.hidden/x.jpg", b"x")
    bucket.put("elsewhere/x.jpg", b"x")
    run = process(mediactl, bucket, "in")

    assert run.code == 1, run.out + run.err  # the broken one
    for key, seed in keys.items():
        os.makedirs((folder / "local" / key).parent, exist_ok=True)
        shutil.copy(folder / f"photos/{seed}.jpg", folder / "local" / key)
    local = mediactl("process", "local/in", "-o", "local-out", "--recipe", "small.toml")
    assert local.code == 0, local.err
    assert outputs(folder / "derived") == outputs(folder / "local-out")
    assert len(named(run, "job.fetched")) == 5
    assert {each["path"] for each in named(run, "source.ignored")} == {"chimes.wav", "b/text.txt", "empty.jpg"}
    assert scratch(mediactl) == []
    assert_holds(folder / "derived")
    again = process(mediactl, bucket, "in")
    assert (again.code, named(again, "job.fetched"), named(again, "source.planned")) == (0, [], [])
    fill(bucket, folder, {"in/a.jpg": 9})
    os.unlink(folder / "derived/b/c.jpg/w50.webp")
    third = process(mediactl, bucket, "in")
    assert third.code == 0, third.err
    assert sorted(each["path"] for each in named(third, "job.fetched")) == ["a.jpg", "b/c.jpg"]
    assert {each["path"]: each["reason"] for each in named(third, "source.planned")} == {
        "a.jpg": "changed", "b/c.jpg": "missing output",
    }  # fmt: skip


def test_any_key_has_outputs_of_its_own_inside_the_output_directory(mediactl: CommandLine, bucket: Bucket) -> None:
    names = [
        "../up.jpg",
        "/abs.jpg",
        "a//b.jpg",
        "./c.jpg",
        "x\x07y\n.jpg",
        "é" * 140 + ".jpg",
        "%%2E.jpg",
        "sp ace+&?#.jpg",
    ]
    fill(bucket, mediactl.folder, {f"in/{name}": seed for seed, name in enumerate(names, 1)})
    run = process(mediactl, bucket, "in/")
    assert run.code == 0, run.out + run.err
    made = [path.parent for path in (mediactl.folder / "derived").rglob("asset.json")]
    assert len(made) == len(names)
    assert not (mediactl.folder / "up.jpg").exists()
    assert named(run, "summary")[0]["done"] == len(names)
    assert process(mediactl, bucket, "in/").code == 0


class Counted:
    """A proxy that counts what was read of each object."""

    def __init__(self) -> None:
        self.gets: Counter[str] = Counter()

    def __call__(self, request: Request) -> None:
        if request.method == "GET" and "/in/" in request.path:
            self.gets[request.path] += 1


def test_nothing_is_fetched_twice_of_what_was_fetched_before_a_kill(mediactl: CommandLine, bucket: Bucket) -> None:
    """Killed in the middle: those that were on disk, or done, are not asked for again."""
    folder = mediactl.folder
    fill(bucket, folder, {f"in/{number % 10}/{number}.jpg": number % 7 for number in range(NUMBER)})
    size = max(path.stat().st_size for path in (folder / "photos").iterdir())
    counted = Counted()
    with proxied(port_of(bucket.server), counted) as proxy:
        url = proxy.url
        arguments = ["process", f"s3://{bucket.name}/in", "--recipe", "small.toml", "--endpoint-url", url,
                     "--scratch", str(ROOM * size)]  # fmt: skip
        with running(mediactl, *arguments) as run:
            done = largest = 0
            while done < NUMBER // 3:
                run.until("job.done")
                done += 1
                largest = max(largest, sum(path.stat().st_size for path in _existing(scratch(mediactl))))
            run.kill_all()
        complete = {path.name for path in scratch(mediactl) if not path.name.endswith(".part")}
        before = Counter(counted.gets)
        with closing(sqlite3.connect(folder / "derived/.mediactl" / FILE)) as journal:
            done_fetches = """SELECT s.path FROM jobs AS j JOIN sources AS s ON s.id = j.source
                WHERE j.kind = 'fetch' AND j.state = 'done'"""
            fetched = {path.decode() for (path,) in journal.execute(done_fetches)}
        again = mediactl(*arguments, "--json")
    assert again.code == 0, again.err
    assert 0 < largest <= ROOM * size
    assert len(fetched) >= NUMBER // 3
    twice = {path.partition("/in/")[2] for path, number in counted.gets.items() if number > before[path] > 0}
    assert twice.isdisjoint(fetched)
    assert {_stem(bucket, path) for path in twice}.isdisjoint(name.partition("-")[0] for name in complete)
    assert max(counted.gets.values()) <= 2
    assert len(counted.gets) == NUMBER
    print(f"{len(fetched)} fetched and {len(complete)} on disk at the kill; {len(twice)} asked for again;",
          f"{largest} of {ROOM * size} bytes of scratch")  # fmt: skip
    assert len(list((folder / "derived").rglob("asset.json"))) == NUMBER
    assert scratch(mediactl) == []
    assert_holds(folder / "derived")


def _stem(bucket: Bucket, path: str) -> str:
    """What the name of the file begins with that an object is fetched into."""
    source = Source(f"s3://{bucket.name}/in".encode(), path.encode(), b"", Fingerprint(0, 0, 0, 0), Kind.IMAGE, "")
    return name_of(source).decode().partition("-")[0]


def _existing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


def test_bad_credentials_and_buckets_end_a_run_with_one_line(mediactl: CommandLine, bucket: Bucket) -> None:
    for url, endpoint in ((f"s3://{bucket.name}-no/x", bucket.server.url), ("s3://", bucket.server.url)):
        run = mediactl("process", url, "--endpoint-url", endpoint)
        assert (run.code, len(run.err.strip().splitlines())) == (2, 1), run.err
    nothing = process(mediactl, bucket, "nothing")
    assert (nothing.code, "no such object" in nothing.err) == (2, True)
    assert process(mediactl, bucket, "nothing/").code == 0
    fill(bucket, mediactl.folder, {"in/a.jpg": 1})
    inside = process(mediactl, bucket, "in/sub/", "--to", f"s3://{bucket.name}/in")
    assert (inside.code, "inside --to" in inside.err) == (2, True)
    watched = mediactl("watch", f"s3://{bucket.name}/in")
    assert (watched.code, "only folders can be watched" in watched.err) == (2, True)


def test_outputs_go_back_into_the_bucket_and_are_no_sources(mediactl: CommandLine, bucket: Bucket) -> None:
    fill(bucket, mediactl.folder, {"in/a.jpg": 1, "in/b.jpg": 2})
    to = ["--to", f"s3://{bucket.name}/in/derived"]
    run = process(mediactl, bucket, "in", *to)
    assert run.code == 0, run.out + run.err
    made = outputs(mediactl.folder / "derived")
    there = bucket.objects()
    assert {key.removeprefix("in/derived/"): body for key, body in there.items() if "derived" in key} == made
    again = process(mediactl, bucket, "in", *to)
    assert (again.code, named(again, "source.planned")) == (0, [])
    assert named(again, "summary")[0]["left_out"] == {"output directory": 1}
