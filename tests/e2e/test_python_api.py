"""The Python API in the processes of its callers: threads, event loops, forks, and those that are killed."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from conftest import ROOT, CommandLine
from PIL import Image
from support import films
from support.servers import Answering, Reply, Server

import mediactl
from mediactl.api import folder_lock
from mediactl.core.sandbox import workspace

SMALL = """
name = "small"
[[image]]
name = "w100"
width = 100
[[image]]
name = "w50"
width = 50
"""
T = TypeVar("T")
SLOW = """
name = "slow"
[[video]]
name = "v"
height = 720
preset = "veryslow"
"""
INVALID: dict[str, list[object]] = {
    "speed": ["turbo", None],
    "jobs": [-1, 0, "2", True],
    "memory": [0, 1.5],
    "attempts": ["3", 0, None],
    "retry_delay": [-1.0, float("nan"), float("inf")],
    "sandbox": ["foo", True],
    "if_exists": ["overwrite"],
    "tags": [{"a": 1}, "a=b"],
    "region": [b"eu", "\udcff"],
    "grace": [float("inf")],
    "strict": [1],
    "recipe": [b"caf\xe9.toml"],
}
"""Values that options cannot have."""
PATIENCE = 30.0
"""Seconds in which what is waited for must be so."""


def photo(path: Path, colour: tuple[int, int, int] = (10, 200, 30)) -> Path:
    """A small JPEG of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (160, 120), colour).save(path)
    return path


def until(reached: Callable[[], T]) -> T:
    """Wait until something is so, and return it."""
    end = time.monotonic() + PATIENCE
    while not (found := reached()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with recipes, and one output directory for most of the tests: its host is started once."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "small.toml").write_text(SMALL)
    (folder / "slow.toml").write_text(SLOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


def made(space: Path, source: Path, **options: object) -> mediactl.Asset:
    """Make a source with the small recipe."""
    return mediactl.make(source, space / "small.toml", out=space / "out", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clip(space: Path) -> Path:
    """A video that takes many seconds to encode."""
    return films.make(space / "clip.mp4", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=40",
                      "-c:v", "libx264", "-preset", "ultrafast")  # fmt: skip


def test_what_is_made_is_what_the_command_makes(space: Path, mediactl: CommandLine) -> None:
    source = photo(space / "one" / "red.jpg", (200, 10, 10))
    asset = made(space, source)
    mediactl("process", str(source), "--recipe", str(space / "small.toml"), "--out", "derived")
    for name in ("w50.webp", "w100.webp", "asset.json"):
        assert Path(asset.folder, name).read_bytes() == (mediactl.folder / "derived" / "red.jpg" / name).read_bytes()
    with Image.open(asset.file("w100.webp")) as image:
        pixel = image.convert("RGB").getpixel((50, 30))
        assert image.size == (100, 75) and isinstance(pixel, tuple)
        assert abs(pixel[0] - 200) < 6 and pixel[1] < 20
    assert json.loads(Path(asset.folder, "asset.json").read_text()) == asset.to_dict()
    assert (asset.kind, asset.width, asset.height, asset.recipe) == ("image", 160, 120, "small")
    assert 'src="https://cdn/red.jpg/w100.webp"' in asset.picture("https://cdn/red.jpg", alt="red")


def test_what_is_there_is_reused_and_what_is_lost_is_made_again(space: Path) -> None:
    source = photo(space / "again.jpg")
    first = made(space, source)
    marks = {name: os.stat(first.file(name)).st_mtime_ns for name in ("w50.webp", "w100.webp")}
    Path(first.file("w50.webp")).write_bytes(b"damaged")
    Path(first.file("w100.webp")).touch()
    marks["w100.webp"] = os.stat(first.file("w100.webp")).st_ino
    assert made(space, source) == first
    assert Path(first.file("w50.webp")).read_bytes()[:4] == b"RIFF"
    assert os.stat(first.file("w100.webp")).st_ino == marks["w100.webp"], "what was whole was encoded again"
    photo(source, (10, 10, 240))
    changed = made(space, source)
    assert changed.digest != first.digest
    with Image.open(changed.file("w50.webp")) as image:
        pixel = image.convert("RGB").getpixel((20, 20))
        assert isinstance(pixel, tuple) and pixel[2] > 200


def test_names_keep_sources_of_one_name_apart(space: Path) -> None:
    one, two = photo(space / "a" / "x.jpg", (250, 0, 0)), photo(space / "b" / "x.jpg", (0, 0, 250))
    first, second = made(space, one, name="a/x.jpg"), made(space, two, name="b/x.jpg")
    assert (first.folder, second.folder) == (str(space / "out/a/x.jpg"), str(space / "out/b/x.jpg"))
    for name in ("/x", "../x", ".hidden", "a//b"):
        with pytest.raises(mediactl.UsageError, match="relative path"):
            made(space, one, name=name)


def test_each_way_to_fail_has_an_error_of_its_own(space: Path, samples: Path) -> None:
    with pytest.raises(mediactl.RejectedInput, match=r"truncated.jpg: is truncated"):
        made(space, samples / "truncated.jpg")
    with pytest.raises(mediactl.RejectedInput, match="makes nothing of it"):
        made(space, samples / "chimes.wav")
    with pytest.raises(mediactl.UsageError, match=r"gone.jpg: no such file"):
        made(space, space / "gone.jpg")
    with pytest.raises(mediactl.UsageError, match="no such recipe; did you mean .web."):
        mediactl.make(samples / "pines.jpg", "wep", out=space / "out")
    with pytest.raises(mediactl.UsageError, match="unknown priority"):
        made(space, samples / "pines.jpg", priority="asap")
    for name, values in INVALID.items():
        for value in values:
            with pytest.raises(mediactl.UsageError, match=name):
                mediactl.make(samples / "pines.jpg", out=space / "out", to="s3://b", **{name: value})  # type: ignore[arg-type]
    with pytest.raises(mediactl.UsageError, match="include: expected several"):
        mediactl.process(samples, out=space / "out", include="*.jpg")
    with pytest.raises(TypeError, match="did you mean 'sandbox'"):
        made(space, samples / "pines.jpg", sandbx="off")
    (space / "file").write_text("")
    with pytest.raises(mediactl.UsageError, match="not a directory"):
        mediactl.make(samples / "pines.jpg", out=space / "file")


def _hosts() -> set[psutil.Process]:
    return {each for each in psutil.Process().children() if _is_host(each)}


def test_threads_and_an_event_loop_share_a_host(space: Path) -> None:
    before = _hosts()
    sources = [photo(space / "many" / f"{number}.jpg", (number * 8, 0, 0)) for number in range(12)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda source: made(space, source), sources[:8]))

    async def others() -> list[mediactl.Asset]:
        make = mediactl.make_async
        assets = await asyncio.gather(
            *(make(each, space / "small.toml", out=space / "out") for each in sources[8:]), asyncio.sleep(0)
        )
        assets.append(made(space, sources[0]))  # blocks the loop, and works
        return [each for each in assets if each]

    found += asyncio.run(others())
    assert [os.path.basename(each.folder) for each in found] == [*(f"{number}.jpg" for number in range(12)), "0.jpg"]
    for number, each in enumerate(found[:12]):
        with Image.open(each.file("w50.webp")) as image:
            pixel = image.convert("RGB").getpixel((9, 9))
            assert isinstance(pixel, tuple) and abs(pixel[0] - number * 8) < 8
    assert len(_hosts() - before) <= 1


def _made_in_a_fork(space: Path, source: Path) -> None:
    asset = made(space, source)
    os._exit(0 if asset.width == 160 else 3)


def test_a_forked_process_has_hosts_of_its_own_as_daemons_have_no_children(space: Path) -> None:
    made(space, photo(space / "before.jpg"))
    fork = multiprocessing.get_context("fork")
    children = [
        fork.Process(target=_made_in_a_fork, args=(space, photo(space / f"forked{each}.jpg")), daemon=True)
        for each in range(2)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    assert [child.exitcode for child in children] == [0, 0]
    assert made(space, photo(space / "after.jpg")).width == 160, "the host of the parent was disturbed"


def test_one_source_made_by_several_processes_at_once_is_whole(space: Path) -> None:
    source = photo(space / "shared.jpg", (90, 90, 0))
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_made_in_a_fork, args=(space, source)) for _ in range(3)]
    for child in children:
        child.start()
    asset = made(space, source)
    for child in children:
        child.join(PATIENCE)
    assert [child.exitcode for child in children] == [0, 0, 0]
    for artefact in asset.artefacts:
        with Image.open(asset.file(artefact.name)) as image:
            assert image.size == (artefact.width, artefact.height)
    assert sorted(os.listdir(asset.folder)) == ["asset.json", "w100.webp", "w50.webp"]


def test_outputs_that_another_process_makes_are_waited_for(space: Path) -> None:
    source = photo(space / "locked.jpg")
    made(space, photo(space / "first.jpg"))
    lock = folder_lock.taken(os.fsencode(space / "out"), b"locked.jpg")
    assert lock is not None
    threading.Timer(0.3, os.close, [lock]).start()
    begun = time.monotonic()
    made(space, source)
    assert time.monotonic() - begun >= 0.3


SCRIPT = """
import os, resource, signal, sys, threading
import mediactl
assert "msgspec" not in sys.modules, "the API is imported before it is used"
before = [signal.getsignal(number) for number in signal.valid_signals()], resource.getrlimit(resource.RLIMIT_CORE), \
    dict(os.environ), os.getcwd(), os.umask(0o022)
source, recipe, out, clip, slow = sys.argv[1:]
threads = threading.enumerate()
mediactl.make(source, recipe, out=out)
mediactl.process(source, out=out + "2", recipe=recipe)
after = [signal.getsignal(number) for number in signal.valid_signals()], resource.getrlimit(resource.RLIMIT_CORE), \
    dict(os.environ), os.getcwd(), os.umask(0o022)
assert before == after, "something of the process was changed"
assert all(thread.daemon for thread in threading.enumerate() if thread not in threads)
assert not {"av", "pyvips", "PIL", "botocore"} & set(sys.modules), "decoders in the process of the caller"
print("ready", flush=True)
mediactl.make(clip, slow, out=out)
"""


def _encoders(process: psutil.Process) -> list[psutil.Process]:
    return [each for each in process.children(recursive=True) if _is_encoder(each)]


def _is_encoder(process: psutil.Process) -> bool:
    try:
        return "ffmpeg" in process.name()
    except psutil.NoSuchProcess:
        return False


def test_nothing_of_the_callers_process_is_changed_and_nothing_outlives_it(space: Path, clip: Path) -> None:
    arguments = [photo(space / "script.jpg"), space / "small.toml", space / "out4", clip, space / "slow.toml"]
    caller = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, *map(str, arguments)],
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=space,
    )  # fmt: skip
    assert caller.stdout is not None
    assert caller.stdout.readline() == b"ready\n"
    process = psutil.Process(caller.pid)
    until(lambda: _encoders(process))
    started = process.children(recursive=True)
    assert started
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    _, alive = psutil.wait_procs(started, PATIENCE)
    assert not alive
    assert not list((space / "out4").glob(".mediactl-sandbox/*"))


def _is_host(process: psutil.Process) -> bool:
    try:
        return "mediactl.api.host" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_a_host_that_is_killed_fails_what_it_did_and_the_next_call_has_another(space: Path, clip: Path) -> None:
    made(space, photo(space / "early.jpg"))
    me = psutil.Process()
    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(mediactl.make, clip, space / "slow.toml", out=space / "out")
        (host,) = until(lambda: [each for each in _hosts() if _encoders(each)])
        host.kill()
        with pytest.raises(mediactl.Interrupted, match="has ended"):
            slow.result(PATIENCE)
    until(lambda: not _encoders(me))
    assert made(space, photo(space / "late.jpg")).width == 160


def test_what_takes_too_long_for_its_caller_is_stopped(space: Path, clip: Path) -> None:
    with pytest.raises(TimeoutError):
        mediactl.make(clip, space / "slow.toml", out=space / "out", timeout=1.0)
    until(lambda: not _encoders(psutil.Process()))

    async def cancelled() -> None:
        task = asyncio.create_task(mediactl.make_async(clip, space / "slow.toml", out=space / "out"))
        while not _encoders(psutil.Process()):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    until(lambda: not _encoders(psutil.Process()))
    assert made(space, photo(space / "then.jpg")).width == 160


def test_a_run_reports_events_and_returns_its_summary(space: Path) -> None:
    folder = space / "folder"
    for number in range(3):
        photo(folder / f"{number}.jpg", (number, 0, 0))
    (folder / "bad.jpg").write_bytes(photo(space / "whole.jpg").read_bytes()[:200])
    events: list[mediactl.Event] = []
    threads: set[str] = set()

    def take(event: mediactl.Event) -> None:
        events.append(event)
        threads.add(threading.current_thread().name)

    def run(**options: object) -> mediactl.Summary:
        return mediactl.process(folder, out=space / "run", recipe=space / "small.toml", **options)  # type: ignore[arg-type]

    summary = run(on_event=take)
    assert (summary.done, summary.rejected, summary.exit_code) == (3, 1, 1)
    assert [events[0].name, events[-1]] == ["run.started", summary]
    assert threads == {threading.current_thread().name}
    again = asyncio.run(
        mediactl.process_async([folder], out=space / "run", recipe=space / "small.toml", on_event=events.append)
    )
    assert (again.up_to_date, again.done, again.exit_code) == (3, 0, 0)
    assert isinstance(events[-1], mediactl.Summary)
    with pytest.raises(mediactl.UsageError, match="no such file"):
        mediactl.process(space / "nowhere", out=space / "run")


def test_a_run_whose_caller_raises_is_drained(space: Path, clip: Path) -> None:
    class Enough(Exception):
        pass

    def take(event: mediactl.Event) -> None:
        if event.name == "job.progress":
            raise Enough

    with pytest.raises(Enough):
        mediactl.process(clip, out=space / "drained", recipe=space / "slow.toml", on_event=take, grace=0.1)
    assert not _encoders(psutil.Process())
    with mediactl.open(space / "drained") as library:
        assert not list(library.assets())


def test_a_library_takes_sources_one_by_one(space: Path, samples: Path) -> None:
    out, recipe = space / "library", space / "small.toml"
    events: list[mediactl.Event] = []
    with mediactl.open(out, recipe, on_event=events.append) as library:
        assert list(library.assets()) == []
        urgent = library.add(photo(space / "urgent.jpg", (0, 250, 0)), priority="urgent")
        named = library.add(space / "urgent.jpg", name="deep/er.jpg", recipe="web")
        bad = library.add(samples / "truncated.jpg")
        with pytest.raises(mediactl.UsageError, match="no such file"):
            library.add(space / "gone.jpg").result(PATIENCE)
        assert urgent.result(PATIENCE).folder == str(out / "urgent.jpg")
        with pytest.raises(mediactl.RejectedInput, match=r"truncated.jpg: is truncated"):
            bad.result(PATIENCE)
    assert named.done() and named.result().recipe == "web"
    assert [each.folder for each in library.assets()] == [str(out / "deep/er.jpg"), str(out / "urgent.jpg")]
    assert events[-1].name == "summary"
    with pytest.raises(mediactl.UsageError, match="closed"):
        library.add(space / "urgent.jpg")

    async def later() -> None:
        (out / "urgent.jpg" / "w50.webp").unlink()
        async with mediactl.open(out, recipe) as again:
            asset = await again.add(space / "urgent.jpg")
            assert Path(asset.file("w50.webp")).stat().st_size, "a lost output was taken for done"
            with pytest.raises(mediactl.RejectedInput):
                await again.add(samples / "truncated.jpg")

    asyncio.run(later())


def test_paths_need_not_be_utf8(space: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(space) + b"/caf\xe9.jpg"))
    out = os.fsencode(space) + b"/out\xff"
    folder = os.fsdecode(out + b"/caf\xe9.jpg")
    photo(source)
    asset = mediactl.make(source, space / "small.toml", out=out)
    assert asset.folder == folder and asset.to_dict()["source"]["path"] == "caf\\xe9.jpg"
    with pytest.raises(mediactl.UsageError, match="not valid UTF-8"):
        mediactl.open(out)
    with mediactl.open(out, space / "small.toml", state=space / "state") as library:
        assert library.add(source).result(PATIENCE).folder == folder
        with pytest.raises(mediactl.UsageError, match="a library takes files"):
            library.add("s3://bucket/a.jpg")
    with Image.open(asset.file("w50.webp")) as image:
        assert image.width == 50


def test_another_file_of_the_same_name_is_no_outcome_of_the_first(space: Path) -> None:
    with mediactl.open(space / "twice", space / "small.toml") as library:
        library.add(photo(space / "c" / "x.jpg", (9, 9, 9))).result(PATIENCE)
        with pytest.raises(mediactl.UsageError, match="would both be written to"):
            library.add(photo(space / "d" / "x.jpg", (99, 9, 9))).result(PATIENCE)


def test_a_library_whose_block_raises_leaves_the_rest_to_the_next_one(space: Path, clip: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with mediactl.open(space / "left", space / "slow.toml", grace=0.1) as library:
            pending = library.add(clip)
            until(lambda: _encoders(psutil.Process()))
            raise ZeroDivisionError
    with pytest.raises(mediactl.MachineTrouble, match="next one continues"):
        pending.result(0)
    assert not _encoders(psutil.Process())


@pytest.fixture
def bucket(ministack_server: Server, credentials: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, which the environment names the server of."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_server.url)
    return ministack_server.new_bucket()


def test_objects_are_made_into_objects_and_nothing_is_made_or_sent_twice(
    space: Path, ministack_server: Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    store = ministack_server.client()
    for key, colour in (("in/deep/a.jpg", (200, 20, 20)), ("in/b.jpg", (20, 20, 200))):
        store.put_object(Bucket=bucket, Key=key, Body=photo(tmp_path / "x.jpg", colour).read_bytes())

    def make(key: str, **options: object) -> mediactl.Asset:
        return mediactl.make(f"s3://{bucket}/{key}", space / "small.toml", to=f"s3://{bucket}/out", **options)  # type: ignore[arg-type]

    asset = make("in/deep/a.jpg", priority="urgent")
    assert asset.folder == f"s3://{bucket}/out/in/deep/a.jpg"
    prefix = "out/in/deep/a.jpg/"
    there = {each["Key"]: each for each in store.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]}
    assert sorted(there) == [f"{prefix}{name}" for name in ("asset.json", "w100.webp", "w50.webp")]
    assert there[f"{prefix}asset.json"]["LastModified"] == max(each["LastModified"] for each in there.values())
    body = store.get_object(Bucket=bucket, Key=f"{prefix}w100.webp")["Body"].read()
    with Image.open(io.BytesIO(body)) as image:
        pixel = image.convert("RGB").getpixel((9, 9))
        assert image.size == (100, 75) and isinstance(pixel, tuple) and abs(pixel[0] - 200) < 8
    assert json.loads(store.get_object(Bucket=bucket, Key=f"{prefix}asset.json")["Body"].read()) == asset.to_dict()

    # Again, and from a file of the same content: what is in the bucket is the memory.
    assert make("in/deep/a.jpg") == asset
    store.delete_object(Bucket=bucket, Key=f"{prefix}asset.json")
    assert make("in/deep/a.jpg") == asset
    now = {each["Key"]: each for each in store.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]}
    for name in ("w100.webp", "w50.webp"):
        assert now[f"{prefix}{name}"]["LastModified"] == there[f"{prefix}{name}"]["LastModified"], "sent again"

    both = make("in/b.jpg", out=space / "out", name="b-again")
    assert both.folder == f"s3://{bucket}/out/b-again" and (space / "out" / "b-again" / "w50.webp").exists()
    red = photo(space / "ours" / "red.jpg", (200, 10, 10))
    local = mediactl.make(red, space / "small.toml", to=f"s3://{bucket}/local")
    assert local.folder == f"s3://{bucket}/local/red.jpg"
    (scratch,) = [path for path in tmp_path.iterdir() if path.name.startswith("mediactl-")]
    assert not [path for path in scratch.rglob("*") if path.is_file() and path.suffix in (".webp", ".jpg", ".json")]

    with pytest.raises(mediactl.UsageError, match="no such object"):
        make("in/none.jpg")
    with pytest.raises(mediactl.UsageError, match="pass a name"):
        make("../up.jpg")
    with pytest.raises(mediactl.UsageError, match="NoSuchBucket|no such bucket|does not exist"):
        mediactl.make(f"s3://{bucket}-no/a.jpg", to=f"s3://{bucket}/out")
    store.put_object(Bucket=bucket, Key="in/bad.jpg", Body=photo(tmp_path / "x.jpg").read_bytes()[:300])
    with pytest.raises(mediactl.RejectedInput, match=f"s3://{bucket}/in/bad.jpg: is truncated"):
        make("in/bad.jpg")
    store.put_object(Bucket=bucket, Key="theirs/red.jpg/w50.webp", Body=b"of somebody else")
    with pytest.raises(mediactl.JobFailed, match="another program's object; kept"):
        mediactl.make(red, space / "small.toml", to=f"s3://{bucket}/theirs")
    with pytest.raises(mediactl.UsageError, match="out, to: one is required"):
        mediactl.make(red)


def test_an_output_directory_is_complete_whatever_the_bucket_has(
    space: Path, ministack_server: Server, bucket: str
) -> None:
    source = photo(space / "both.jpg", (1, 2, 200))
    first = mediactl.make(source, space / "small.toml", to=f"s3://{bucket}/both")
    there = {each["Key"]: each for each in ministack_server.client().list_objects_v2(Bucket=bucket)["Contents"]}
    out = space / "both"
    again = mediactl.make(source, space / "small.toml", out=out, to=f"s3://{bucket}/both")
    assert again == first
    assert sorted(os.listdir(out / "both.jpg")) == ["asset.json", "w100.webp", "w50.webp"]
    now = {each["Key"]: each for each in ministack_server.client().list_objects_v2(Bucket=bucket)["Contents"]}
    for name in ("w100.webp", "w50.webp"):
        key = f"both/both.jpg/{name}"
        assert now[key]["LastModified"] == there[key]["LastModified"], "sent again"


def test_nothing_that_was_fetched_outlives_its_call(
    space: Path, ministack_server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = space / "fetching"
    dead = out / workspace.FOLDER.decode() / "dead"
    (dead / "in" / "x").mkdir(parents=True)
    for name in ("lock", "in/x/old.jpg"):
        (dead / name).touch()

    def fetched() -> list[str]:
        """Return what is in workspaces; os.walk bears that they vanish meanwhile."""
        folders = os.walk(out / workspace.FOLDER.decode())
        return [name for folder, names, files in folders if folder.endswith("/in") for name in names + files]

    body = photo(space / "object.jpg").read_bytes()
    ministack_server.client().put_object(Bucket=bucket, Key="a.jpg", Body=body)
    mediactl.make(f"s3://{bucket}/a.jpg", space / "small.toml", out=out)
    assert not dead.exists() and not fetched()
    with pytest.raises(mediactl.UsageError, match="no such object"):
        mediactl.make(f"s3://{bucket}/none.jpg", space / "small.toml", out=out)
    assert not fetched()

    async def given_up(server: Answering) -> None:
        task = asyncio.create_task(mediactl.make_async(f"s3://{bucket}/a.jpg", space / "small.toml", out=out))
        while not server.asked:
            await asyncio.sleep(0.02)
        assert fetched()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Answering(Reply(200, silent=True)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        asyncio.run(asyncio.wait_for(given_up(server), PATIENCE))
        until(lambda: not fetched())


def test_a_run_takes_objects(space: Path, ministack_server: Server, bucket: str) -> None:
    body = photo(space / "object.jpg", (200, 0, 0)).read_bytes()
    ministack_server.client().put_object(Bucket=bucket, Key="in/a.jpg", Body=body)
    out = space / "objects"
    summary = mediactl.process(
        f"s3://{bucket}/in", out=out, recipe=space / "small.toml", endpoint_url=ministack_server.url
    )
    assert (summary.done, summary.exit_code) == (1, 0)
    (file,) = out.rglob("w50.webp")
    with Image.open(file) as image:
        pixel = image.convert("RGB").getpixel((9, 9))
        assert isinstance(pixel, tuple) and abs(pixel[0] - 200) < 8
