"""The bucket as memory: a machine without any state makes and sends nothing that is there already."""

from __future__ import annotations

import re
import shutil
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import CommandLine, Result
from support.proxy import proxied
from support.servers import CREDENTIALS, Server
from support.shipped import Bucket, a_bucket, a_command_line, outputs, picture, port_of, sent

from mediactl.assets import document
from mediactl.core import files
from mediactl.model.buckets.memory import RECALL, Recalled, RecallTask
from mediactl.model.media import Kind, MediaInfo
from mediactl.model.uploads import Location, UploadTask
from mediactl.upload.engine import Tuning
from mediactl.upload.service import Uploads

pytestmark = pytest.mark.timeout(300)

SOURCES = 4
WIDER = """
[[image]]
name = "w25"
width = 25
"""
INDEX = "p/.mediactl/index/1/"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some small photos."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(SOURCES):
        picture(folder / f"{number % 2}/{number}.jpg", number)
    return folder


def machine(folder: Path, photos: Path) -> CommandLine:
    """A machine with the photos, and nothing else."""
    found = a_command_line(folder)
    shutil.copytree(photos, folder / "in", copy_function=shutil.copyfile)
    return found


def process(mediactl: CommandLine, bucket: Bucket, *more: str, url: str = "", **options: Any) -> Result:
    """Process the photos to the bucket."""
    return mediactl("process", "in", "--recipe", "small.toml", "--json", *bucket.to(url), *more, **options)


def nothing_made(run: Result) -> bool:
    """Whether a run found all in the bucket."""
    summary = run.summary
    numbers = (summary["artefacts"], summary["uploaded"], summary["bytes_sent"], summary["bytes_out"])
    return run.code == 0 and numbers == (0, 0, 0, 0) and summary["done"] == summary["recalled"] == SOURCES


def troubles(run: Result) -> list[str]:
    """What was reported of the bucket."""
    return [event["reason"] for event in run.events if event["event"] == "bucket.trouble"]


@pytest.fixture(scope="module")
def bucket(ministack_server: Server, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """A bucket into which a first machine has put what it made; tests leave it so, but for the index."""
    found = a_bucket(ministack_server)
    first = machine(tmp_path_factory.mktemp("first"), photos)
    run = process(first, found)
    assert run.code == 0, run.out
    assert run.summary["uploaded"] == 3 * SOURCES
    assert all(key.startswith(INDEX) for key in found.index_objects())
    return found


def test_an_empty_machine_makes_and_sends_nothing(bucket: Bucket, photos: Path, tmp_path: Path) -> None:
    second = machine(tmp_path / "second", photos)
    with proxied(port_of(bucket.server), lambda request: None) as proxy:
        run = process(second, bucket, url=proxy.url)
        asked = [line.split()[0] for line in proxy.log]
        again = process(second, bucket, url=proxy.url)
        assert len(proxy.log) == len(asked)
        verified = second("verify")
    assert nothing_made(run), run.out
    assert not troubles(run)
    assert asked.count("PUT") == 0
    assert len(asked) <= 5, proxy.log
    assert outputs(second.folder / "derived") == {}
    assert (again.code, again.summary["jobs"], again.summary["up_to_date"]) == (0, 0, SOURCES)
    assert verified.code == 0, verified.out
    assert re.search(rf"{SOURCES} sources? .*bucket", verified.out), verified.out


def test_without_the_bucket_the_same_machine_makes_its_outputs(bucket: Bucket, photos: Path, tmp_path: Path) -> None:
    second = machine(tmp_path / "second", photos)
    assert nothing_made(process(second, bucket))
    local = second("process", "in", "--recipe", "small.toml", "--json")
    assert (local.code, local.summary["artefacts"], local.summary["done"]) == (0, 2 * SOURCES, SOURCES), local.out
    assert {f"p/{name}": body for name, body in outputs(second.folder / "derived").items()} == bucket.objects()
    run = process(second, bucket)
    assert (run.code, run.summary["artefacts"], run.summary["bytes_sent"]) == (0, 0, 0), run.out
    assert second("verify").code == 0


def test_one_more_width_is_all_that_is_made(ministack_server: Server, photos: Path, tmp_path: Path) -> None:
    target = a_bucket(ministack_server)
    assert process(machine(tmp_path / "first", photos), target).code == 0
    before = target.tokens()
    second, alone = machine(tmp_path / "second", photos), machine(tmp_path / "alone", photos)
    assert alone("process", "in", "--recipe", "small.toml").code == 0
    for each in (second, alone):
        (each.folder / "small.toml").write_text((each.folder / "small.toml").read_text() + WIDER)
    run = process(second, target)
    assert (run.code, run.summary["artefacts"], run.summary["uploaded"]) == (0, SOURCES, 2 * SOURCES), run.out
    assert {path.name for path in (second.folder / "derived").rglob("*.webp")} == {"w25.webp"}
    assert alone("process", "in", "--recipe", "small.toml").code == 0
    assert target.objects() == {f"p/{name}": body for name, body in outputs(alone.folder / "derived").items()}
    after = target.tokens()
    same = {key for key, token in before.items() if after[key] == token}
    assert same == {key for key in before if not key.endswith("asset.json")}
    assert (process(second, target).summary["jobs"], second("verify").code) == (0, 0)
    third = machine(tmp_path / "third", photos)
    (third.folder / "small.toml").write_text((second.folder / "small.toml").read_text())
    assert nothing_made(process(third, target))


def test_a_lost_or_damaged_index_is_rebuilt(bucket: Bucket, photos: Path, tmp_path: Path) -> None:
    client = bucket.server.client()
    every = bucket.index_objects()
    assert every
    for number, damage in enumerate((None, b"nonsense", zlib.compress(b"\0" * (64 << 20)), b"x" * (2 << 20))):
        for key in every:
            if damage is None:
                client.delete_object(Bucket=bucket.name, Key=key)
            else:
                client.put_object(Bucket=bucket.name, Key=key, Body=damage)
        run = process(machine(tmp_path / f"{number}", photos), bucket)
        assert nothing_made(run), run.out
        assert bool(troubles(run)) == (damage is not None)
        assert all("index" in each for each in troubles(run))
        assert bucket.index_objects().keys() == every.keys(), "rebuilt"
        with proxied(port_of(bucket.server), lambda request: None) as proxy:
            quick = process(machine(tmp_path / f"{number} again", photos), bucket, url=proxy.url)
        assert nothing_made(quick) and not troubles(quick), quick.out
        assert len(proxy.log) <= 5, proxy.log


def test_what_was_removed_or_replaced_behind_the_index_is_made_again(
    ministack_server: Server, photos: Path, tmp_path: Path
) -> None:
    target = a_bucket(ministack_server)
    assert process(machine(tmp_path / "first", photos), target).code == 0
    before = target.objects()
    client = ministack_server.client()
    removed, document = "p/0/0.jpg/w50.webp", "p/1/1.jpg/asset.json"
    for key in (removed, document):
        client.delete_object(Bucket=target.name, Key=key)
    run = process(machine(tmp_path / "second", photos), target)
    assert run.code == 0, run.out
    assert run.summary["recalled"] == SOURCES - 2
    assert {event["url"].partition("/p/")[2] for event in sent(run) if event["status"] == "sent"} == {
        removed.removeprefix("p/"), document.removeprefix("p/"),
    }  # fmt: skip
    assert target.objects() == before


def test_a_process_notices_what_it_has_sent(
    ministack_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    target = a_bucket(ministack_server)
    location = Location(target.name, "p", ministack_server.url)
    process = Uploads(Tuning())
    digests: list[str | None] = []
    for version in ("a", "b", "a"):
        source = document.AssetSource("x.jpg", 1, version * 64, Kind.IMAGE)
        file = tmp_path / f"{version}.json"
        file.write_bytes(document.encode(document.Asset(document.SCHEMA, source, "web", MediaInfo(format="jpeg"), ())))
        mark = files.fingerprint(file.stat())
        task = UploadTask(bytes(file), mark, location, "p/x.jpg/asset.json")
        process.run("upload", msgspec.json.encode(task), b"", lambda _: None, lambda *_: None)
        look = msgspec.json.encode(RecallTask(location, "x.jpg/", version * 64))
        found = process.run(RECALL, look, b"", lambda _: None, lambda *_: None)
        assert isinstance(found, Recalled)
        digests.append(None if found.entry is None else found.entry.digest[0])
    assert digests == ["a", "b", "a"]


# -- no outputs in OUT -----------------------------------------------------------------------------------------------


def test_no_local_leaves_nothing_in_out(ministack_server: Server, photos: Path, tmp_path: Path) -> None:
    target, kept = a_bucket(ministack_server), a_bucket(ministack_server)
    assert process(machine(tmp_path / "kept", photos), kept).code == 0
    mediactl = machine(tmp_path / "first", photos)
    (mediactl.folder / "derived/0/0.jpg").mkdir(parents=True)
    (mediactl.folder / "derived/0/0.jpg/mine.txt").write_text("not mediactl's")
    run = process(mediactl, target, "--no-local")
    assert (run.code, run.summary["uploaded"]) == (0, 3 * SOURCES), run.out
    assert target.objects() == kept.objects()
    assert outputs(mediactl.folder / "derived") == {"0/0.jpg/mine.txt": b"not mediactl's"}
    assert not (mediactl.folder / "derived/1").exists()
    again = process(mediactl, target, "--no-local")
    assert (again.code, again.summary["jobs"], again.summary["up_to_date"]) == (0, 0, SOURCES), again.out
    assert mediactl("verify", "--journal").code == 0
    picture(mediactl.folder / "in/1/1.jpg", 77)
    changed = process(mediactl, target, "--no-local")
    assert (changed.code, changed.summary["uploaded"], changed.summary["up_to_date"]) == (0, 3, SOURCES - 1)
    before, after = kept.objects(), target.objects()
    assert {key for key, body in after.items() if body != before[key]} == {
        f"p/1/1.jpg/{name}" for name in ("asset.json", "w100.webp", "w50.webp")
    }
    shutil.rmtree(mediactl.folder / "derived/.mediactl")
    assert nothing_made(process(mediactl, target, "--no-local"))


def test_a_lost_object_of_an_empty_machine_is_made_and_sent_again(
    ministack_server: Server, photos: Path, tmp_path: Path
) -> None:
    target = a_bucket(ministack_server)
    mediactl = machine(tmp_path / "first", photos)
    assert process(mediactl, target, "--no-local").code == 0
    before = target.objects()
    ministack_server.client().delete_object(Bucket=target.name, Key="p/0/2.jpg/w50.webp")
    assert mediactl("verify", "--repair").code == 1
    run = process(mediactl, target, "--no-local")
    assert (run.code, run.summary["uploaded"]) == (0, 1), run.out
    assert target.objects() == before
    assert outputs(mediactl.folder / "derived") == {}
    assert mediactl("verify").code == 0


def test_a_lost_object_is_made_again_by_a_machine_that_has_only_found_it(
    ministack_server: Server, photos: Path, tmp_path: Path
) -> None:
    target = a_bucket(ministack_server)
    assert process(machine(tmp_path / "first", photos), target).code == 0
    before = target.objects()
    second = machine(tmp_path / "second", photos)
    assert nothing_made(process(second, target))
    ministack_server.client().delete_object(Bucket=target.name, Key="p/0/2.jpg/w50.webp")
    assert second("verify", "--repair").code == 1
    run = process(second, target)
    assert (run.code, run.summary["uploaded"]) == (0, 1), run.out
    assert target.objects() == before
    assert second("verify").code == 0
