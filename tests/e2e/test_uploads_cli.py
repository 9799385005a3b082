"""``mediactl uploads`` and ``mediactl verify``: what is ours is told, finished, freed and healed; and no more."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine, Result
from support.servers import Server
from support.shipped import Bucket, Run, a_bucket, a_command_line, outputs, picture, recorded, running

pytestmark = pytest.mark.timeout(300)

MIB = 1 << 20
BIG = 40 * MIB
"""Bytes: five parts."""


@pytest.fixture
def mediactl(tmp_path: Path) -> CommandLine:
    """The command line with the servers' credentials, and three photos in ``in``."""
    for number in range(3):
        picture(tmp_path / f"in/{number}.jpg", number)
    return a_command_line(tmp_path)


@pytest.fixture(params=["ministack", "rclone"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return a_bucket(server)


@pytest.fixture
def strict_bucket(ministack_server: Server) -> Bucket:
    """One that lists open uploads as AWS does."""
    return a_bucket(ministack_server)


def process(mediactl: CommandLine, bucket: Bucket, *more: str) -> Result:
    return mediactl("process", "in", "--recipe", "small.toml", "--json", *bucket.to(), *more)


def listed(mediactl: CommandLine, *more: str) -> list[dict[str, Any]]:
    result = mediactl("uploads", "list", "--json", *more)
    assert result.code == 0, result.err
    return result.events


def verified(mediactl: CommandLine, *more: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Exit code, name -> problem, the numbers."""
    result = mediactl("verify", "--json", *more)
    *found, summary = result.events
    return result.code, {each["name"]: each["problem"] for each in found}, summary


def big_file(mediactl: CommandLine) -> Path:
    file = mediactl.folder / "big.bin"
    file.write_bytes(os.urandom(BIG))
    return file


def until_parts_are_there(mediactl: CommandLine, run: Run) -> None:
    """Wait until the store has acknowledged a part."""
    run.until("run.started")
    while not recorded(mediactl.folder):
        assert run.process.poll() is None, run.process.communicate()
        threading.Event().wait(0.02)  # another process commits, so there is nothing to be told by
    assert any(each["status"] == "uploading" and each["sent"] for each in listed(mediactl))


def killed_in_the_middle(mediactl: CommandLine, bucket: Bucket) -> Path:
    """A file of which some parts were sent, slowly, and all its processes killed."""
    file = big_file(mediactl)
    slowly = ("--bandwidth", "8M", "--upload-concurrency", "2")
    with running(mediactl, "upload", "big.bin", *bucket.to(), *slowly) as run:
        until_parts_are_there(mediactl, run)
        run.kill_all()
    return file


# -- list, resume --------------------------------------------------------------------------------------------------


def test_an_upload_that_was_killed_is_listed_and_resumed(mediactl: CommandLine, bucket: Bucket) -> None:
    file = killed_in_the_middle(mediactl, bucket)
    (each,) = listed(mediactl)
    assert each["url"] == f"s3://{bucket.name}/p/big.bin"
    assert (each["status"], each["ours"], each["size"], each["file"]) == ("uploading", True, BIG, str(file))
    assert 0 < each["sent"] < BIG
    assert mediactl("verify").out.endswith("\n1 upload is pending; `mediactl uploads resume` sends what is left\n")
    line = mediactl("uploads", "list").out
    assert line.startswith("uploading") and each["url"] in line and str(file) in line
    run = mediactl("uploads", "resume", "--json")
    assert run.code == 0, run.out + run.err
    assert bucket.objects() == {"p/big.bin": file.read_bytes()}
    assert not bucket.open_uploads()
    assert run.summary["bytes_sent"] <= BIG - each["sent"]
    assert (run.summary["sources"], run.summary["done"]) == (1, 1)
    assert listed(mediactl) == []
    (over,) = listed(mediactl, "--all")
    assert (over["status"], over["sent"]) == ("done", BIG)


def test_resume_runs_uploads_only_and_what_follows_them(mediactl: CommandLine, strict_bucket: Bucket) -> None:
    """Uploads wait (no store answered), a source waits to be made: only the former are run, asset.json at the end."""
    dead = Bucket(strict_bucket.server, "no-such-bucket-at-all")
    assert process(mediactl, dead).code == 2
    strict_bucket.server.client().create_bucket(Bucket=dead.name)
    waiting = listed(mediactl)
    assert {each["status"] for each in waiting} == {"waiting"}
    assert len(waiting) == 6
    run = mediactl("uploads", "resume", "--json")
    assert run.code == 0, run.out
    assert (run.summary["sources"], run.summary["done"], run.summary["uploaded"]) == (9, 9, 9)
    made = outputs(mediactl.folder / "derived")
    assert dead.objects() == {f"p/{name}": body for name, body in made.items()}
    again = mediactl("uploads", "resume", "--json")
    assert (again.code, again.summary["jobs"]) == (0, 0)
    assert process(mediactl, dead).summary["jobs"] == 0


def test_resume_tells_a_conflict(mediactl: CommandLine, strict_bucket: Bucket) -> None:
    killed_in_the_middle(mediactl, strict_bucket)
    strict_bucket.put("p/big.bin", b"somebody else's")
    run = mediactl("uploads", "resume", "--json")
    assert run.code == 1, run.out
    assert run.summary["rejected"] == 1
    assert strict_bucket.objects() == {"p/big.bin": b"somebody else's"}


@pytest.mark.parametrize("command", [["list"], ["resume"], ["abort", "--older-than", "1d"]])
def test_without_a_journal_none_is_made(mediactl: CommandLine, command: list[str]) -> None:
    result = mediactl("uploads", *command)
    assert result.code == 2
    assert "no journal" in result.err
    assert not (mediactl.folder / "derived").exists()


def test_the_settings_file_holds_for_the_commands_of_a_group_too(mediactl: CommandLine) -> None:
    (mediactl.folder / "mediactl.toml").write_text('out = "elsewhere"\n')
    assert "elsewhere" in mediactl("uploads", "list").err


# -- abort ---------------------------------------------------------------------------------------------------------


def test_ours_is_aborted_and_those_of_others_never_are(mediactl: CommandLine, strict_bucket: Bucket) -> None:
    bucket = strict_bucket
    file = killed_in_the_middle(mediactl, bucket)
    client = bucket.server.client()
    for key in ("p/big.bin", "p/other", "elsewhere"):
        client.create_multipart_upload(Bucket=bucket.name, Key=key)
    where = ["--bucket", f"s3://{bucket.name}/p", "--endpoint-url", bucket.server.url]
    told = listed(mediactl, *where)
    assert [each["url"].rpartition("/")[2] for each in told if each["ours"]] == ["big.bin"]
    assert sorted(each["url"].rpartition("/")[2] for each in told if not each["ours"]) == ["big.bin", "other"]
    assert mediactl("uploads", "list", *where).out.count("not ours") == 2
    assert mediactl("uploads", "abort", "--older-than", "1h", "--yes").out == "nothing to abort\n"
    dry = mediactl("uploads", "abort", "--older-than", "0s")
    assert dry.code == 0 and "--yes" in dry.out
    assert len(bucket.open_uploads()) == 4
    done = mediactl("uploads", "abort", "--older-than", "0s", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "1 upload aborted"), done.err
    assert sorted(bucket.open_uploads()) == ["elsewhere", "p/big.bin", "p/other"]
    assert listed(mediactl) == []
    assert [each["status"] for each in listed(mediactl, "--all")] == ["aborted"]
    assert mediactl("uploads", "resume", "--json").summary["jobs"] == 0
    again = mediactl("upload", "big.bin", "--json", *bucket.to())
    assert again.code == 0, again.out
    assert bucket.objects() == {"p/big.bin": file.read_bytes()}
    assert len(bucket.open_uploads()) == 3


def test_what_a_run_is_sending_is_not_aborted(mediactl: CommandLine, strict_bucket: Bucket) -> None:
    big_file(mediactl)
    with running(mediactl, "upload", "big.bin", *strict_bucket.to(), "--bandwidth", "4M") as run:
        until_parts_are_there(mediactl, run)
        result = mediactl("uploads", "abort", "--older-than", "0s", "--yes")
        assert "a run is sending it" in result.err
        assert result.out.endswith("0 uploads aborted\n")
        assert len(strict_bucket.open_uploads()) == 1


def test_after_an_abort_no_asset_json_comes_before_what_it_names(
    mediactl: CommandLine, strict_bucket: Bucket, tmp_path: Path
) -> None:
    """The aborted original of a source is planned anew by the next process, and asset.json waits for it."""
    picture(tmp_path / "in/3.jpg", 3, BIG)
    slowly = ("--bandwidth", "8M", "--upload-concurrency", "2", "--include-originals")
    with running(mediactl, "process", "in", "--recipe", "small.toml", *strict_bucket.to(), *slowly) as run:
        until_parts_are_there(mediactl, run)
        run.kill_all()
    assert mediactl("uploads", "abort", "--older-than", "0s", "--yes").code == 0
    assert mediactl("uploads", "resume").code == 0
    assert not {"p/3.jpg/original.jpg", "p/3.jpg/asset.json"} & set(strict_bucket.keys())
    assert process(mediactl, strict_bucket, "--include-originals").code == 0
    assert len(strict_bucket.keys()) == 4 * 4


@pytest.mark.parametrize("text", ["7", "d", "7y", "-1d"])
def test_a_time_that_is_none_is_refused(mediactl: CommandLine, text: str) -> None:
    result = mediactl("uploads", "abort", "--older-than", text)
    assert result.code == 2
    assert "--older-than" in result.err


# -- verify --------------------------------------------------------------------------------------------------------


def test_verify_finds_and_heals_files_and_objects(mediactl: CommandLine, bucket: Bucket) -> None:
    assert process(mediactl, bucket).code == 0
    made, there = outputs(mediactl.folder / "derived"), bucket.objects()
    code, found, summary = verified(mediactl)
    assert (code, found) == (0, {})
    assert (summary["files"], summary["objects"]) == (9, 9)

    edited = mediactl.folder / "derived/0.jpg/w100.webp"
    status = edited.stat()
    content = bytearray(edited.read_bytes())
    content[-1] ^= 1
    edited.write_bytes(content)
    os.utime(edited, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk does it: nothing to be seen
    (mediactl.folder / "derived/1.jpg/w50.webp").unlink()
    tale = mediactl.folder / "derived/2.jpg/asset.json"
    tale.write_bytes(tale.read_bytes().replace(b"w50", b"w51"))
    bucket.server.client().delete_object(Bucket=bucket.name, Key="p/0.jpg/w50.webp")
    bucket.server.client().delete_object(Bucket=bucket.name, Key="p/1.jpg/asset.json")
    bucket.put("p/2.jpg/w100.webp", b"somebody else's")
    url = f"s3://{bucket.name}/p"
    bad = {
        "0.jpg/w100.webp": "wrong",
        "1.jpg/w50.webp": "missing",
        "2.jpg/asset.json": "wrong",
        f"{url}/0.jpg/w50.webp": "missing",
        f"{url}/1.jpg/asset.json": "missing",
        f"{url}/2.jpg/w100.webp": "wrong",
    }
    assert verified(mediactl)[:2] == (1, bad)
    local = {name: problem for name, problem in bad.items() if not name.startswith("s3:")}
    assert verified(mediactl, "--local-only")[:2] == (1, local)
    lines = mediactl("verify").out.splitlines()
    assert sum(line.startswith(("missing: ", "invalid: ")) for line in lines) == 6

    code, found, summary = verified(mediactl, "--repair")
    assert (code, found, summary["repaired"]) == (1, bad, 6)
    run = process(mediactl, bucket, "--if-exists", "replace")
    assert run.code == 0, run.out
    assert outputs(mediactl.folder / "derived") == made
    assert bucket.objects() == there
    assert verified(mediactl)[:2] == (0, {})
    assert process(mediactl, bucket).summary["jobs"] == 0


def test_a_repaired_object_of_somebody_else_is_a_conflict_unless_told(
    mediactl: CommandLine, strict_bucket: Bucket
) -> None:
    assert process(mediactl, strict_bucket).code == 0
    strict_bucket.put("p/0.jpg/w100.webp", b"somebody else's")
    assert verified(mediactl, "--repair")[0] == 1
    assert process(mediactl, strict_bucket).code == 1
    assert strict_bucket.objects()["p/0.jpg/w100.webp"] == b"somebody else's"


def test_an_object_with_our_marks_and_another_etag_is_fine(mediactl: CommandLine, strict_bucket: Bucket) -> None:
    """As when a bucket was copied, or encrypted anew."""
    assert process(mediactl, strict_bucket).code == 0
    client, key = strict_bucket.server.client(), "p/0.jpg/w100.webp"
    head, body = strict_bucket.head(key), strict_bucket.objects()[key]
    upload = client.create_multipart_upload(Bucket=strict_bucket.name, Key=key, Metadata=head["Metadata"])["UploadId"]
    part = client.upload_part(Bucket=strict_bucket.name, Key=key, UploadId=upload, PartNumber=1, Body=body)
    client.complete_multipart_upload(
        Bucket=strict_bucket.name, Key=key, UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    assert strict_bucket.head(key)["ETag"] != head["ETag"]
    assert verified(mediactl)[:2] == (0, {})


def test_files_that_are_uploaded_as_they_are_are_verified_too(mediactl: CommandLine, strict_bucket: Bucket) -> None:
    for name in ("a.txt", "b.txt"):
        (mediactl.folder / name).write_text(name)
    assert mediactl("upload", "a.txt", "b.txt", *strict_bucket.to()).code == 0
    strict_bucket.server.client().delete_object(Bucket=strict_bucket.name, Key="p/a.txt")
    assert verified(mediactl, "--repair")[:2] == (1, {f"s3://{strict_bucket.name}/p/a.txt": "missing"})
    assert mediactl("upload", "a.txt", "b.txt", *strict_bucket.to()).code == 0
    assert strict_bucket.keys() == ["p/a.txt", "p/b.txt"]


def test_a_bucket_that_cannot_be_asked_is_told_and_the_files_are_verified_all_the_same(
    mediactl: CommandLine, strict_bucket: Bucket
) -> None:
    assert process(mediactl, strict_bucket).code == 0
    (mediactl.folder / "derived/1.jpg/w50.webp").unlink()
    none = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
    result = mediactl("verify", environment=none)
    assert result.code == 2
    assert "missing: 1.jpg/w50.webp" in result.out
    assert "no credentials" in result.err
    assert json.loads(mediactl("verify", "--json", environment=none).out.splitlines()[-1])["unverified"] == 1
