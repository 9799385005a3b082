"""``mediactl process --to``: what is made arrives in the bucket, once, and nothing of others' is touched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, CommandLine, Result
from support.proxy import proxied
from support.servers import CREDENTIALS, SECRET, Server, free_port
from support.shipped import Bucket, a_bucket, a_command_line, outputs, picture, port_of, sent, statuses

pytestmark = pytest.mark.timeout(300)

FOREVER = "public, max-age=31536000, immutable"
MIXED = """
name = "mixed"
[[image]]
name = "w100"
width = 100
[[image]]
name = "small"
width = 50
format = "jpeg"
[[poster]]
name = "poster"
width = 50
[[video]]
name = "film"
height = 64
[[audio]]
name = "audio"
format = "opus"
"""


@pytest.fixture
def mediactl(tmp_path: Path) -> CommandLine:
    """The command line with the servers' credentials, and three photos in ``in``."""
    for number in range(3):
        picture(tmp_path / f"in/{number}.jpg", number)
    return a_command_line(tmp_path)


@pytest.fixture
def bucket(ministack_server: Server) -> Bucket:
    """An empty bucket of a store that knows conditions."""
    return a_bucket(ministack_server)


def process(mediactl: CommandLine, bucket: Bucket, *more: str, **options: Any) -> Result:
    """Process ``in`` to the bucket."""
    return mediactl("process", "in", "--recipe", "small.toml", "--json", *bucket.to(), *more, **options)


def all_there(mediactl: CommandLine, bucket: Bucket) -> bool:
    """Whether the bucket holds the outputs under its prefix, byte for byte, and nothing else."""
    made = outputs(mediactl.folder / "derived")
    return bucket.objects() == {f"p/{name}": body for name, body in made.items()}


# -- what arrives --------------------------------------------------------------------------------------------------


def test_everything_that_is_made_arrives_byte_for_byte_with_what_is_kept_with_it(
    mediactl: CommandLine, bucket: Bucket, samples: Path
) -> None:
    (mediactl.folder / "mixed.toml").write_text(MIXED)
    for name in ("chimes.wav", "upright.mp4"):
        shutil.copy(samples / name, mediactl.folder / "in")
    run = mediactl("process", "in", "--recipe", "mixed.toml", "--json", *bucket.to())
    assert run.code == 0, run.out
    assert all_there(mediactl, bucket)
    types = set()
    for file in (mediactl.folder / "derived").rglob("asset.json"):
        folder = f"p/{file.parent.relative_to(mediactl.folder / 'derived')}"
        for artefact in json.loads(file.read_text())["artefacts"]:
            there = bucket.head(f"{folder}/{artefact['name']}")
            types.add(artefact["media_type"])
            assert there["ContentType"] == artefact["media_type"]
            assert there["CacheControl"] == FOREVER
            marks = there["Metadata"]
            assert (marks["mediactl-sha256"], marks["mediactl-key"]) == (artefact["sha256"], artefact["key"])
            assert len(bytes.fromhex(marks["mediactl-token"])) == 16
        there = bucket.head(f"{folder}/asset.json")
        assert (there["ContentType"], there["CacheControl"]) == ("application/json", "public, max-age=60")
        assert there["Metadata"]["mediactl-sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert "mediactl-key" not in there["Metadata"]
    (film,) = (each for each in types if each.startswith("video/mp4; codecs="))
    assert types == {"image/webp", "image/jpeg", "audio/ogg; codecs=opus", film}
    made = outputs(mediactl.folder / "derived")
    assert run.summary["uploaded"] == len(made)
    assert run.summary["bytes_sent"] == sum(map(len, made.values()))
    assert len(set(bucket.tokens().values())) == len(made), "each upload has a token of its own"


def test_an_asset_json_comes_after_all_that_it_names(mediactl: CommandLine, bucket: Bucket) -> None:
    for number in range(3, 12):
        picture(mediactl.folder / f"in/deep/{number}.jpg", number)
    with proxied(port_of(bucket.server), lambda request: None) as proxy:
        run = mediactl("process", "in", "--recipe", "small.toml", "--json", *bucket.to(proxy.url))
        puts = [line.split()[1] for line in proxy.log if line.startswith("PUT ")]
    assert run.code == 0, run.out
    orders: dict[str, list[str]] = defaultdict(list)
    for event in sent(run):
        orders[event["path"]].append(event["url"].rpartition("/")[2])
    assert len(orders) == 12
    for names in orders.values():
        assert sorted(names[:-1]) == ["w100.webp", "w50.webp"]
        assert names[-1] == "asset.json"
    for number, put in enumerate(puts):
        if put.endswith("/asset.json"):
            folder = put.removesuffix("asset.json")
            assert sum(each.startswith(folder) for each in puts[:number]) == 2, "sent before what it names"


def test_flags_say_what_is_kept_with_the_objects(mediactl: CommandLine, bucket: Bucket) -> None:
    more = (
        "--cache-control",
        "no-store",
        "--tag",
        "shop=north",
        "--storage-class",
        "STANDARD_IA",
        "--s3-checksum",
        "none",
    )
    assert process(mediactl, bucket, *more).code == 0
    client = bucket.server.client()
    for key in bucket.objects():
        assert bucket.head(key)["CacheControl"] == "no-store"
        assert bucket.head(key)["StorageClass"] == "STANDARD_IA"
        assert client.get_object_tagging(Bucket=bucket.name, Key=key)["TagSet"] == [{"Key": "shop", "Value": "north"}]
    assert len(bucket.keys()) == 9


def test_originals_arrive_too_when_asked_for(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    assert len(bucket.keys()) == 9
    run = process(mediactl, bucket, "--include-originals")
    assert run.code == 0, run.out
    photos = {f"p/{number}.jpg/original.jpg": mediactl.folder / f"in/{number}.jpg" for number in range(3)}
    there = bucket.objects()
    for key, file in photos.items():
        assert there[key] == file.read_bytes()
        assert bucket.head(key)["ContentType"] == "image/jpeg"
        assert bucket.head(key)["Metadata"]["mediactl-sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert run.summary["bytes_sent"] == sum(file.stat().st_size for file in photos.values())
    assert process(mediactl, bucket, "--include-originals").summary["jobs"] == 0


NAMES = {
    b"caf\xe9.jpg": "caf%E9.jpg",
    "une\u0301e.jpg".encode(): "un\u00e9e.jpg",
    b"two words.jpg": "two words.jpg",
    b"100%25 + #1?&=;.jpg": "100%2525 + #1?&=;.jpg",
    "\u5199\u771f/\U0001f600.jpg".encode(): "\u5199\u771f/\U0001f600.jpg",
    b"line\nbreak.jpg": "line%0Abreak.jpg",
    b"'quoted\" <&>.jpg": "'quoted\" <&>.jpg",
}


def test_odd_names_become_keys_that_every_store_takes(mediactl: CommandLine, bucket: Bucket) -> None:
    shutil.rmtree(mediactl.folder / "in")
    for number, name in enumerate(NAMES):
        picture(os.path.join(os.fsencode(mediactl.folder), b"in", name), number)
    run = process(mediactl, bucket)
    assert run.code == 0, run.out
    there = bucket.objects()
    names = ("w100.webp", "w50.webp", "asset.json")
    assert sorted(there) == sorted(f"p/{written}/{each}" for written in NAMES.values() for each in names)
    out = os.fsencode(mediactl.folder / "derived")
    for raw, written in NAMES.items():
        for file_name in names:
            with open(os.path.join(out, raw, file_name.encode()), "rb") as file:
                assert there[f"p/{written}/{file_name}"] == file.read(), written
    assert process(mediactl, bucket).summary["jobs"] == 0


def test_two_sources_whose_names_are_the_same_text_never_take_one_anothers_place(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    shutil.rmtree(mediactl.folder / "in")
    composed = unicodedata.normalize("NFC", "e\u0301.jpg")
    picture(mediactl.folder / "in" / composed, 1)
    picture(mediactl.folder / "in/e\u0301.jpg", 2)
    run = process(mediactl, bucket)
    assert run.code == 1, run.out
    there = bucket.objects()
    assert len(there) == 3
    bodies = {name.rpartition("/")[2]: body for name, body in there.items()}
    whole = [
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (mediactl.folder / "derived").iterdir()
        if folder.name.endswith(".jpg")
    ]
    assert bodies in whole, "the bucket holds a mixture of the two"
    tokens = bucket.tokens()
    process(mediactl, bucket)
    assert bucket.tokens() == tokens


# -- again ---------------------------------------------------------------------------------------------------------


def test_a_second_run_asks_nothing_and_sends_nothing(mediactl: CommandLine, bucket: Bucket) -> None:
    with proxied(port_of(bucket.server), lambda request: None) as proxy:
        arguments = ("process", "in", "--recipe", "small.toml", "--json", *bucket.to(proxy.url))
        assert mediactl(*arguments).code == 0
        before = proxy.requests
        again = mediactl(*arguments)
        assert proxy.requests == before
    assert again.code == 0
    assert (again.summary["bytes_sent"], again.summary["jobs"], again.summary["up_to_date"]) == (0, 0, 3)


def test_outputs_of_earlier_runs_are_sent_when_a_destination_is_named(mediactl: CommandLine, bucket: Bucket) -> None:
    assert mediactl("process", "in", "--recipe", "small.toml").code == 0
    run = process(mediactl, bucket)
    assert run.code == 0, run.out
    assert (run.summary["artefacts"], run.summary["uploaded"], run.summary["done"]) == (0, 9, 3)
    assert all_there(mediactl, bucket)
    other = a_bucket(bucket.server)
    run = process(mediactl, other)
    assert (run.code, run.summary["artefacts"], run.summary["uploaded"]) == (0, 0, 9)
    assert all_there(mediactl, other)


def test_a_changed_photo_replaces_its_own_objects_and_no_others(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    before, tokens = bucket.objects(), bucket.tokens()
    picture(mediactl.folder / "in/1.jpg", 77)
    run = process(mediactl, bucket)
    assert run.code == 0, run.out
    assert {event["path"] for event in sent(run)} == {"1.jpg"}
    assert statuses(run) == {"sent"}
    assert all_there(mediactl, bucket)
    changed = {key for key, body in bucket.objects().items() if body != before[key]}
    assert changed == {key for key in before if key.startswith("p/1.jpg/")}
    assert {key for key, token in bucket.tokens().items() if token != tokens[key]} == changed
    assert run.summary["bytes_sent"] == sum(len(bucket.objects()[key]) for key in changed)


def test_a_changed_recipe_sends_what_is_new_only(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    tokens = bucket.tokens()
    with (mediactl.folder / "small.toml").open("a") as file:
        file.write('[[image]]\nname = "w20"\nwidth = 20\n')
    run = process(mediactl, bucket)
    assert run.code == 0, run.out
    assert all_there(mediactl, bucket)
    sent_now = {key for key, token in bucket.tokens().items() if tokens.get(key) != token}
    assert sent_now == {f"p/{number}.jpg/{name}" for number in range(3) for name in ("w20.webp", "asset.json")}


def test_with_the_journal_lost_everything_is_adopted_and_nothing_sent(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    tokens = bucket.tokens()
    shutil.rmtree(mediactl.folder / "derived/.mediactl")
    run = process(mediactl, bucket)
    assert run.code == 0, run.out
    assert statuses(run) == {"adopted"}
    assert (len(sent(run)), run.summary["bytes_sent"], run.summary["uploaded"]) == (9, 0, 0)
    assert bucket.tokens() == tokens
    assert process(mediactl, bucket).summary["jobs"] == 0


def test_with_everything_local_and_the_index_lost_nothing_is_made_or_sent(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    assert process(mediactl, bucket, "--include-originals").code == 0
    tokens = bucket.tokens()
    shutil.rmtree(mediactl.folder / "derived")
    for key in bucket.index_objects():
        bucket.server.client().delete_object(Bucket=bucket.name, Key=key)
    run = process(mediactl, bucket, "--include-originals", environment={"MEDIACTL_CACHE": "none"})
    assert run.code == 0, run.out
    assert (run.summary["artefacts"], run.summary["recalled"], run.summary["done"]) == (0, 3, 3)
    assert (len(sent(run)), run.summary["bytes_sent"]) == (0, 0)
    assert bucket.tokens() == tokens


def test_another_place_in_the_same_bucket_is_another_destination(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    run = mediactl("process", "in", "--recipe", "small.toml", "--json", *bucket.to(prefix="q/deeper"))
    assert (run.code, run.summary["uploaded"]) == (0, 9)
    there = bucket.objects()
    assert len(there) == 18
    assert all(there[key] == there[key.replace("p/", "q/deeper/", 1)] for key in there if key.startswith("p/"))


# -- what is there already -----------------------------------------------------------------------------------------

THEIRS = b"a stranger's"
KEY = "p/1.jpg/w50.webp"


def in_conflict(mediactl: CommandLine, bucket: Bucket, *more: str) -> Result:
    """A run that meets an object of somebody else's."""
    run = process(mediactl, bucket, *more)
    assert run.code == 1, run.out
    (conflict,) = (event for event in run.events if event["event"] == "job.rejected")
    assert (conflict["kind"], conflict["path"]) == ("upload", "1.jpg")
    assert KEY in conflict["reason"]
    there = bucket.objects()
    assert there[KEY] == THEIRS
    assert "p/1.jpg/asset.json" not in there
    assert "p/1.jpg/w100.webp" in there
    assert {"p/0.jpg/asset.json", "p/2.jpg/asset.json"} <= set(there), "the others go on"
    assert (run.summary["done"], run.summary["rejected"]) == (2, 1)
    return run


@pytest.mark.parametrize("how", ["verify", "fail"])
def test_a_strangers_object_is_a_conflict_and_left_alone(mediactl: CommandLine, bucket: Bucket, how: str) -> None:
    bucket.put(KEY, THEIRS)
    in_conflict(mediactl, bucket, "--if-exists", how)
    again = process(mediactl, bucket, "--if-exists", how)
    assert (again.code, again.summary["jobs"], again.summary["rejected"]) == (0, 0, 1)
    assert process(mediactl, bucket, "--if-exists", how, "--strict").code == 1


def test_a_strangers_object_is_overwritten_when_asked_for(mediactl: CommandLine, bucket: Bucket) -> None:
    bucket.put(KEY, THEIRS)
    run = process(mediactl, bucket, "--if-exists", "replace")
    assert run.code == 0, run.out
    assert all_there(mediactl, bucket)


def test_what_was_a_conflict_is_overwritten_by_a_later_run_that_is_asked_to(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    bucket.put(KEY, THEIRS)
    in_conflict(mediactl, bucket)
    run = process(mediactl, bucket, "--if-exists", "replace")
    assert run.code == 0, run.out
    assert {event["path"] for event in sent(run)} == {"1.jpg"}
    assert all_there(mediactl, bucket)


def test_a_conflict_is_over_when_the_strangers_object_is_gone_and_the_user_asks_again(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    bucket.put(KEY, THEIRS)
    in_conflict(mediactl, bucket)
    bucket.server.client().delete_object(Bucket=bucket.name, Key=KEY)
    assert mediactl("retry", "1.jpg").code == 0
    run = process(mediactl, bucket)
    assert run.code == 0, run.out
    assert all_there(mediactl, bucket)


def test_ours_of_old_is_a_conflict_when_nothing_may_be_replaced(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    before = bucket.objects()
    picture(mediactl.folder / "in/1.jpg", 77)
    run = process(mediactl, bucket, "--if-exists", "fail")
    assert run.code == 1, run.out
    assert bucket.objects() == before


def test_a_dry_run_with_a_destination_touches_nothing(mediactl: CommandLine, bucket: Bucket) -> None:
    with proxied(port_of(bucket.server), lambda request: None) as proxy:
        run = mediactl("process", "in", "--recipe", "small.toml", "--dry-run", *bucket.to(proxy.url))
        assert run.code == 0, run.err
        assert "would process 3 sources" in run.out
        assert proxy.requests == 0
    assert bucket.keys() == []
    assert sorted(os.listdir(mediactl.folder)) == ["in", "small.toml"]


def test_a_dry_run_counts_the_objects_that_the_run_then_sends(mediactl: CommandLine, bucket: Bucket) -> None:
    assert mediactl("process", "in", "--recipe", "small.toml").code == 0
    arguments = ("process", "in", "--recipe", "small.toml", *bucket.to())
    plan = mediactl(*arguments, "--dry-run", "--json").events[-1]
    assert "would upload" in mediactl(*arguments, "--dry-run").out
    assert bucket.keys() == []
    done = mediactl(*arguments, "--json").summary
    assert plan["upload"]["objects"] == done["uploaded"] == len(bucket.keys())
    assert 0 < plan["upload"]["bytes"] <= done["bytes_sent"]
    assert mediactl(*arguments, "--dry-run", "--json").events[-1]["upload"] == {"objects": 0, "bytes": 0}


# -- what goes wrong -----------------------------------------------------------------------------------------------


def without_credentials(mediactl: CommandLine) -> dict[str, str]:
    """An environment in which none are to be found."""
    (mediactl.folder / "home").mkdir()
    for name in CREDENTIALS:
        del mediactl.environment[name]
    return {
        "HOME": str(mediactl.folder / "home"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def goes_wrong(mediactl: CommandLine, arguments: list[str], code: int, word: str, **options: Any) -> None:
    """A run whose uploads fail in one line that says ``word``, and whose media are complete and kept."""
    run = mediactl("process", "in", "--recipe", "small.toml", *arguments, **options)
    assert run.code == code, run
    stopped = [line for line in (run.out + run.err).splitlines() if line.startswith("uploads stopped: ")]
    assert len(stopped) == 1, run
    assert word in stopped[0]
    assert "Traceback" not in run.out + run.err
    assert SECRET not in run.out + run.err
    assert len(outputs(mediactl.folder / "derived")) == 9


def is_finished(mediactl: CommandLine, bucket: Bucket, **options: Any) -> None:
    """The next run, with the right settings, makes nothing again and sends all."""
    run = process(mediactl, bucket, **options)
    assert run.code == 0, run.out
    assert (run.summary["artefacts"], run.summary["uploaded"], run.summary["done"]) == (0, 9, 3)
    assert all_there(mediactl, bucket)


def test_a_wrong_secret_is_told_in_one_line_and_the_media_are_kept(
    mediactl: CommandLine, rclone_server: Server
) -> None:
    bucket = a_bucket(rclone_server)
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong"}
    goes_wrong(mediactl, bucket.to(), 2, "secret key", environment=wrong)
    assert bucket.keys() == []
    is_finished(mediactl, bucket)


def test_without_credentials_the_media_are_kept_and_the_line_says_what_is_missing(
    mediactl: CommandLine, bucket: Bucket
) -> None:
    given = {name: mediactl.environment[name] for name in CREDENTIALS}
    goes_wrong(mediactl, bucket.to(), 2, "credentials", environment=without_credentials(mediactl))
    is_finished(mediactl, bucket, environment=given)


def test_a_bucket_that_is_not_there_is_named(mediactl: CommandLine, bucket: Bucket) -> None:
    missing = Bucket(bucket.server, f"{bucket.name}-missing")
    goes_wrong(mediactl, missing.to(), 2, missing.name)
    bucket.server.client().create_bucket(Bucket=missing.name)
    is_finished(mediactl, missing)


@pytest.mark.long
def test_a_store_that_nobody_runs_is_told_and_the_run_ends_in_good_time(mediactl: CommandLine, bucket: Bucket) -> None:
    """What never answered once is no network that is gone for a moment."""
    dead = f"http://127.0.0.1:{free_port()}"
    goes_wrong(mediactl, bucket.to(dead), 75, dead.removeprefix("http://"), limit=120)
    is_finished(mediactl, bucket)


@pytest.mark.long
def test_a_run_that_waits_for_its_store_still_ends_when_its_time_is_up(mediactl: CommandLine, bucket: Bucket) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    arguments = ("process", "in", "--recipe", "small.toml", "--max-duration", "8", "--grace", "5", *bucket.to(dead))
    run = mediactl(*arguments, limit=60)
    assert run.code == 75, run
    assert len(outputs(mediactl.folder / "derived")) == 9
    is_finished(mediactl, bucket)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--to", "http://bucket/p"], "--endpoint-url"),
        (["--to", "s3://bucket/../p"], ".."),
        (["--include-originals"], "--to"),
        (["--to", "s3://bucket/p", "--tag", "=x"], "--tag"),
    ],
)
def test_a_destination_that_makes_no_sense_is_refused_before_anything_is_done(
    mediactl: CommandLine, flags: list[str], word: str
) -> None:
    run = mediactl("process", "in", "--recipe", "small.toml", *flags)
    assert run.code == 2
    assert word in run.err
    assert not (mediactl.folder / "derived").exists()


# -- and without --to ----------------------------------------------------------------------------------------------

TELL = """
import os, sys
ROLE = "worker" if "mediactl.pool" in str(sys.argv) + str(sys.orig_argv) else "main"
def tell(what):
    with open(os.path.join(TOLD, f"{what}-{os.getpid()}"), "w") as file:
        file.write(ROLE)
class Telling:
    def find_spec(self, name, path=None, target=None):
        if name == "botocore":
            tell("loading")
sys.meta_path.insert(0, Telling())
tell("started")
"""
"""Forked processes have the finder of the one that they were forked from; they end without a word, so it is told when
something is loaded."""


def told(mediactl: CommandLine, *more: str) -> tuple[set[str], set[str]]:
    """Roles of the processes that a run started, and of those that began to load botocore."""
    told_by = mediactl.folder / "told"
    shutil.rmtree(told_by, ignore_errors=True)
    told_by.mkdir()
    (mediactl.folder / "site").mkdir(exist_ok=True)
    (mediactl.folder / "site/sitecustomize.py").write_text(f"TOLD = {str(told_by)!r}\n{TELL}")
    paths = f"{mediactl.folder / 'site'}{os.pathsep}{ROOT}"
    shutil.rmtree(mediactl.folder / "derived", ignore_errors=True)
    run = mediactl("process", "in", "--recipe", "small.toml", *more, environment={"PYTHONPATH": paths})
    assert run.code == 0, run
    started, loading = ({file.read_text() for file in told_by.glob(f"{what}-*")} for what in ("started", "loading"))
    return started, loading


@pytest.mark.skipif(sys.platform != "linux", reason="sys.orig_argv of others is not looked into")
def test_without_a_destination_no_process_ever_loads_botocore(mediactl: CommandLine, bucket: Bucket) -> None:
    assert told(mediactl) == ({"main", "worker"}, set())
    assert told(mediactl, *bucket.to())[1] == {"worker"}, "only the process that uploads needs it"
