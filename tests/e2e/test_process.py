"""The main job, as its users run it: real files, real processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import pyvips
from conftest import CommandLine
from support.events import parsed

SMALL = """
name = "small"
[[image]]
name = "w100"
width = 100
[[image]]
name = "w50"
width = 50
"""


def picture(path: Path, seed: int = 1, width: int = 300, height: int = 200) -> Path:
    """A small JPEG that differs by seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = pyvips.Image.gaussnoise(width, height, sigma=30, mean=128, seed=seed).cast("uchar")
    path.write_bytes(noise.bandjoin([noise.invert(), noise]).copy(interpretation="srgb").jpegsave_buffer())
    return path


@pytest.fixture
def small(mediactl: CommandLine) -> str:
    """A recipe that makes little work."""
    (mediactl.folder / "small.toml").write_text(SMALL)
    return "small.toml"


def tree(folder: Path) -> dict[str, str]:
    """Relative name -> digest of every file, the journal left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".mediactl" not in path.parts
    }


def asset(folder: Path) -> dict[str, Any]:
    """The asset.json of a folder."""
    found: dict[str, Any] = json.loads((folder / "asset.json").read_text())
    return found


def test_the_samples_are_processed_and_the_bad_ones_rejected_with_a_reason(
    mediactl: CommandLine, samples: Path
) -> None:
    first = mediactl("process", samples, "--json")
    assert first.code == 1, first.err
    assert {event["path"] for event in first.events if event["event"] == "job.rejected"} == {
        "truncated.jpg",
        "notes.jpg",
    }
    summary = first.summary
    assert summary["done"] == summary["sources"] - 2
    assert summary["quarantined"] == summary["unfinished"] == 0
    out = mediactl.folder / "derived"
    for folder in (path.parent for path in out.rglob("asset.json")):
        named = {artefact["name"] for artefact in asset(folder)["artefacts"]}
        assert named | {"asset.json"} == {path.name for path in folder.iterdir()}
        for artefact in asset(folder)["artefacts"]:
            content = (folder / artefact["name"]).read_bytes()
            assert len(content) == artefact["bytes"]
            assert hashlib.sha256(content).hexdigest() == artefact["sha256"]
    before = tree(out)
    second = mediactl("process", samples, "--json")
    assert second.code == 0
    assert second.summary["jobs"] == 0
    assert second.summary["up_to_date"] == summary["done"]
    assert second.summary["rejected"] == 2
    assert tree(out) == before
    assert mediactl("process", samples, "--strict", "--quiet").code == 1


def test_an_output_edited_by_hand_is_found_and_made_again_alone(mediactl: CommandLine, small: str) -> None:
    for number in range(3):
        picture(mediactl.folder / f"in/{number}.jpg", number)
    assert mediactl("process", "in", "--recipe", small).code == 0
    before = tree(mediactl.folder / "derived")
    with (mediactl.folder / "derived/1.jpg/w100.webp").open("ab") as file:
        file.write(b"edited")
    again = mediactl("process", "in", "--recipe", small, "--json")
    assert again.summary["artefacts"] == 1
    assert [event["path"] for event in again.events if event["event"] == "job.done"] == ["1.jpg"]
    assert tree(mediactl.folder / "derived") == before


def test_a_removed_output_is_made_again_alone(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg", 1)
    picture(mediactl.folder / "in/b.jpg", 2)
    assert mediactl("process", "in", "--recipe", small).code == 0
    before = tree(mediactl.folder / "derived")
    (mediactl.folder / "derived/a.jpg/w50.webp").unlink()
    again = mediactl("process", "in", "--recipe", small, "--json").summary
    assert (again["artefacts"], again["jobs"], again["up_to_date"]) == (1, 1, 1)
    assert tree(mediactl.folder / "derived") == before


def test_a_lost_journal_is_rebuilt_and_nothing_is_encoded(mediactl: CommandLine, small: str) -> None:
    for number in range(3):
        picture(mediactl.folder / f"in/trip/{number}.jpg", number)
    assert mediactl("process", "in", "--recipe", small).code == 0
    before = tree(mediactl.folder / "derived")
    inodes = {path: path.stat().st_ino for path in (mediactl.folder / "derived").rglob("*.webp")}
    shutil.rmtree(mediactl.folder / "derived/.mediactl")
    again = mediactl("process", "in", "--recipe", small, "--json")
    assert again.code == 0
    assert [event["adopted"] for event in again.events if event["event"] == "journal.rebuilt"] == [3]
    assert again.summary["artefacts"] == 0
    assert again.summary["done"] == 3
    assert {path: path.stat().st_ino for path in inodes} == inodes
    assert mediactl("process", "in", "--recipe", small, "--json").summary["jobs"] == 0
    assert tree(mediactl.folder / "derived") == before


def test_an_adopted_output_that_was_edited_is_made_again(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg", 1)
    picture(mediactl.folder / "in/b.jpg", 2)
    assert mediactl("process", "in", "--recipe", small).code == 0
    before = tree(mediactl.folder / "derived")
    shutil.rmtree(mediactl.folder / "derived/.mediactl")
    (mediactl.folder / "derived/b.jpg/w50.webp").write_bytes(b"edited")
    assert mediactl("process", "in", "--recipe", small, "--json").summary["artefacts"] == 1
    assert tree(mediactl.folder / "derived") == before


@pytest.mark.parametrize("damage", ["garbage", "cut"])
def test_a_damaged_journal_is_set_aside_and_rebuilt_and_it_says_so(
    mediactl: CommandLine, small: str, damage: str
) -> None:
    picture(mediactl.folder / "in/a.jpg")
    assert mediactl("process", "in", "--recipe", small).code == 0
    journal = mediactl.folder / "derived/.mediactl/journal.db"
    content = journal.read_bytes()
    journal.write_bytes(b"garbage" * 1000 if damage == "garbage" else content[: len(content) // 2])
    again = mediactl("process", "in", "--recipe", small)
    assert again.code == 0
    assert "the journal was damaged: set aside as" in again.out
    assert list(journal.parent.glob("journal.db.damaged-1"))
    assert mediactl("process", "in", "--recipe", small, "--json").summary["jobs"] == 0


def test_one_width_more_makes_one_artefact_a_source(mediactl: CommandLine, small: str) -> None:
    for number in range(3):
        picture(mediactl.folder / f"in/{number}.jpg", number)
    assert mediactl("process", "in", "--recipe", small).code == 0
    before = tree(mediactl.folder / "derived")
    (mediactl.folder / "small.toml").write_text(SMALL + '[[image]]\nname = "w70"\nwidth = 70\n')
    plan = mediactl("process", "in", "--recipe", small, "--dry-run")
    assert "recipe changed: 0.jpg" in plan.out
    again = mediactl("process", "in", "--recipe", small, "--json").summary
    assert (again["artefacts"], again["jobs"]) == (3, 3)
    after = tree(mediactl.folder / "derived")
    assert {name for name in after if name not in before} == {f"{number}.jpg/w70.webp" for number in range(3)}
    assert all(after[name] == digest for name, digest in before.items() if name.endswith(".webp"))


def test_a_changed_source_is_made_again_and_a_touched_one_is_not(mediactl: CommandLine, small: str) -> None:
    changed = picture(mediactl.folder / "in/changed.jpg", 1)
    touched = picture(mediactl.folder / "in/touched.jpg", 2)
    assert mediactl("process", "in", "--recipe", small).code == 0
    picture(changed, 3)
    touched.touch()
    again = mediactl("process", "in", "--recipe", small, "--json")
    made = {event["path"]: event["made"] for event in again.events if event["event"] == "job.done"}
    assert made == {"changed.jpg": 2, "touched.jpg": 0}


def test_equal_sources_are_computed_once(mediactl: CommandLine, small: str) -> None:
    first = picture(mediactl.folder / "in/a.jpg")
    for name in ("b.jpg", "c.jpg", "deeper/d.jpg"):
        (mediactl.folder / "in" / name).parent.mkdir(exist_ok=True)
        shutil.copy(first, mediactl.folder / "in" / name)
    run = mediactl("process", "in", "--recipe", small, "--json")
    assert run.summary["done"] == 4
    assert len({path.stat().st_ino for path in (mediactl.folder / "derived").rglob("w50.webp")}) == 1
    assert run.summary["bytes_out"] == sum(
        (mediactl.folder / "derived/a.jpg" / name).stat().st_size for name in ("w50.webp", "w100.webp")
    )


def test_a_moved_source_is_linked_not_encoded_and_prune_removes_the_old_place(
    mediactl: CommandLine, small: str
) -> None:
    picture(mediactl.folder / "in/old.jpg")
    assert mediactl("process", "in", "--recipe", small).code == 0
    (mediactl.folder / "in/old.jpg").rename(mediactl.folder / "in/new.jpg")
    again = mediactl("process", "in", "--recipe", small, "--json").summary
    assert (again["done"], again["bytes_out"]) == (1, 0)
    listed = mediactl("prune")
    assert "old.jpg: source deleted" in listed.out
    assert (mediactl.folder / "derived/old.jpg").exists()
    assert mediactl("prune", "--yes").out.endswith("3 files removed\n")
    assert not (mediactl.folder / "derived/old.jpg").exists()
    assert mediactl("prune").out == "nothing to prune\n"
    assert mediactl("process", "in", "--recipe", small, "--json").summary["jobs"] == 0


@pytest.mark.parametrize(
    "name",
    [
        b"with space.jpg",
        b"-x[red].jpg",
        b"new\nline.jpg",
        b"%03d.jpg",
        b"caf\xe9.jpg",
        b"\xe2\x80\xaeevil.jpg",
        b"a[page=1].jpg",
    ],
)
def test_any_name_that_linux_allows_is_processed_and_shown_safely(
    mediactl: CommandLine, small: str, name: bytes
) -> None:
    plain = picture(mediactl.folder / "in/plain.jpg")
    os.rename(os.fsencode(plain), os.fsencode(plain.parent) + b"/" + name)
    run = mediactl("process", "in", "--recipe", small, "-v")
    assert run.code == 0, run
    assert os.path.exists(os.fsencode(mediactl.folder) + b"/derived/" + name + b"/w50.webp")
    assert not any(ord(character) < 32 and character != "\n" for character in run.out)
    assert "‮" not in run.out
    assert mediactl("process", "in", "--recipe", small, "--json").summary["jobs"] == 0


def test_bad_files_end_rejected_and_their_neighbours_never_notice(
    mediactl: CommandLine, small: str, samples: Path
) -> None:
    picture(mediactl.folder / "in/good.jpg")
    (mediactl.folder / "in/empty.jpg").touch()
    (mediactl.folder / "in/text.mp4").write_text("#EXTM3U\n/etc/passwd\n")
    (mediactl.folder / "in/readme.txt").write_text("no media")
    (mediactl.folder / "in/vector.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    shutil.copy(samples / "truncated.jpg", mediactl.folder / "in/cut.jpg")
    shutil.copy(mediactl.folder / "in/good.jpg", mediactl.folder / "in/really-a-jpeg.png")
    run = mediactl("process", "in", "--recipe", small, "--json")
    assert run.code == 1
    reasons = {event["path"]: event["reason"] for event in run.events if event["event"] == "job.rejected"}
    assert set(reasons) == {"empty.jpg", "text.mp4", "vector.svg", "cut.jpg"}
    assert "empty" in reasons["empty.jpg"]
    assert "playlist" in reasons["text.mp4"]
    assert "SVG" in reasons["vector.svg"]
    assert all(reason and "\n" not in reason for reason in reasons.values())
    assert (run.summary["done"], run.summary["ignored"]) == (2, 1)


def test_a_kind_that_the_recipe_makes_nothing_of_is_ignored(mediactl: CommandLine, small: str, samples: Path) -> None:
    run = mediactl("process", samples / "chimes.wav", "--recipe", small, "--json")
    assert (run.code, run.summary["ignored"], run.summary["sources"]) == (0, 1, 0)
    assert mediactl("process", samples / "chimes.wav", "--json").summary["done"] == 1


def test_out_inside_source_is_never_scanned_and_source_inside_out_is_refused(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg")
    for _ in range(2):
        run = mediactl("process", "in", "--out", "in/derived", "--recipe", small, "--json")
        assert (run.code, run.summary["sources"]) == (0, 1)
    inside = mediactl("process", "in/derived/a.jpg", "--out", "in/derived", "--recipe", small)
    assert inside.code == 2
    assert "inside the output directory" in inside.err


def test_two_sources_that_would_meet_are_refused_naming_both_and_keep_root_helps(
    mediactl: CommandLine, small: str
) -> None:
    picture(mediactl.folder / "one/a.jpg", 1)
    picture(mediactl.folder / "two/a.jpg", 2)
    refused = mediactl("process", "one", "two", "--recipe", small)
    assert refused.code == 2
    assert "one/a.jpg" in refused.err
    assert "two/a.jpg" in refused.err
    assert "--keep-root" in refused.err
    assert not list((mediactl.folder / "derived").rglob("*.webp"))
    assert mediactl("process", "one", "two", "--keep-root", "--recipe", small).code == 0
    assert (mediactl.folder / "derived/two/a.jpg/w50.webp").exists()
    one_by_one = mediactl("process", "one", "--out", "other", "--recipe", small)
    assert one_by_one.code == 0
    later = mediactl("process", "two", "--out", "other", "--recipe", small)
    assert later.code == 2
    assert "--keep-root" in later.err


def test_a_manifest_chooses_name_priority_and_recipe_and_bad_rows_are_told_by_line(
    mediactl: CommandLine, small: str
) -> None:
    picture(mediactl.folder / "in/a.jpg", 1)
    picture(mediactl.folder / "in/b.jpg", 2)
    rows = [
        {"path": "in/a.jpg", "name": "hero.jpg", "priority": "urgent"},
        {"path": "in/none.jpg"},
        {"path": "in/b.jpg", "recipe": "thumbnails"},
        {"path": "in/b.jpg", "priorty": "low"},
    ]
    (mediactl.folder / "list.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    run = mediactl("process", "list.jsonl", "--recipe", small)
    assert run.code == 1
    assert "list.jsonl line 2: " in run.out
    assert "list.jsonl line 4: " in run.out
    assert (mediactl.folder / "derived/hero.jpg/w50.webp").exists()
    assert (mediactl.folder / "derived/in/b.jpg/w320.webp").exists()
    strict = mediactl("process", "list.jsonl", "--strict", "--out", "other", "--recipe", small)
    assert strict.code == 2
    assert not list((mediactl.folder / "other").rglob("*.webp"))
    names = b"in/a.jpg\0in/b.jpg\0"
    assert mediactl("process", "-", "--recipe", small, "--out", "third", "--json", stdin=names).summary["done"] == 2


def test_a_dry_run_says_what_and_why_and_touches_nothing(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg")
    plan = mediactl("process", "in", "--recipe", small, "--dry-run")
    assert plan.code == 0
    assert "new: a.jpg" in plan.out
    assert "would process 1 source (1 image" in plan.out
    assert not (mediactl.folder / "derived").exists()
    assert mediactl("process", "in", "--recipe", small).code == 0
    state = {path: path.stat().st_mtime_ns for path in (mediactl.folder / "derived").rglob("*")}
    assert "nothing to do: 1 source up to date" in mediactl("process", "in", "--recipe", small, "-n").out
    assert {path: path.stat().st_mtime_ns for path in (mediactl.folder / "derived").rglob("*")} == state


def test_two_runs_at_once_share_the_work(mediactl: CommandLine, small: str) -> None:
    for number in range(40):
        picture(mediactl.folder / f"in/{number}.jpg", number)
    runs = [mediactl.start("process", "in", "--recipe", small, "--json") for _ in range(2)]
    done: list[str] = []
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        events = [parsed(line) for line in out.splitlines()]
        assert events[-1]["event"] == "summary"
        assert events[-1]["unfinished"] == 0
        done += [event["job"] for event in events if event["event"] in ("job.done", "job.probed")]
    assert len(done) == len(set(done)) == 80
    assert mediactl("process", "in", "--recipe", small, "--json").summary["jobs"] == 0


def test_output_in_a_pipe_or_under_cron_has_no_escape_codes(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg")
    (mediactl.folder / "in/bad.jpg").write_text("text")
    run = mediactl("process", "in", "--recipe", small)
    assert "\x1b" not in run.out + run.err
    assert run.out.splitlines()[-1].startswith("1 source done, 2 files made")
    quiet = mediactl("process", "in", "--recipe", small, "--quiet", "--out", "other")
    assert quiet.out == "rejected: bad.jpg: is not an image despite its name: it contains text\n"
    mediactl.environment = {"PYTHONPATH": mediactl.environment["PYTHONPATH"]}
    bare = mediactl("process", "in", "--recipe", small, "--out", "third")
    assert bare.code == 1, bare
    assert "\x1b" not in bare.out


def test_an_output_folder_that_cannot_be_made_is_told_in_one_line(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg")
    (mediactl.folder / "file").touch()
    run = mediactl("process", "in", "--recipe", small, "--out", "file")
    assert (run.code, run.err.count("\n")) == (2, 1)
    assert "not a directory" in run.err
    nowhere = mediactl("process", "in", "--recipe", small, "--out", "/proc/nowhere")
    assert (nowhere.code, nowhere.err.count("\n")) == (75, 1)


def test_an_ffmpeg_that_is_missing_or_poor_is_told_before_anything_is_done(
    mediactl: CommandLine, samples: Path
) -> None:
    missing = mediactl("process", samples / "ode.mp3", "--ffmpeg", "/nowhere/ffmpeg")
    assert missing.code == 2, missing
    assert "/nowhere/ffmpeg" in missing.err
    poor = mediactl.folder / "ffmpeg"
    poor.write_text("#!/bin/sh\necho 'ffmpeg version 9.0 poor'\n")
    poor.chmod(0o755)
    told = mediactl("process", samples / "ode.mp3", "--ffmpeg", poor)
    assert told.code == 2, told
    assert "encoder" in told.err
    assert mediactl("doctor", "--ffmpeg", poor).code == 1
    assert not list((mediactl.folder / "derived").rglob("*.m4a"))


def test_a_stopped_job_can_be_shown_retried_and_cancelled(mediactl: CommandLine, small: str) -> None:
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / "in/bad.jpg").write_text("text")
    assert mediactl("process", "in", "--recipe", small).code == 1
    listed = mediactl("jobs", "--only", "rejected", "--json")
    job = json.loads(listed.out)
    assert (job["path"], job["state"]) == ("bad.jpg", "rejected")
    assert "rejected: is not an image" in mediactl("show", "bad.jpg").out
    assert "\n1 job ready; " in mediactl("retry", job["key"][:12]).out
    assert "\n1 job cancelled; " in mediactl("cancel", "bad.jpg").out
    assert mediactl("cancel", "bad.jpg").out == "nothing to cancel\n"
    assert mediactl("retry", "bad.jpg").code == 0
    assert mediactl("process", "in", "--recipe", small, "--json").summary["rejected"] == 1
    assert "1 rejected" in mediactl("status").out
    assert json.loads(mediactl("status", "--json").out)["sources"] == {"rejected": 1}


def test_prune_leaves_a_folder_alone_that_is_gone_as_a_whole(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg")
    assert mediactl("process", "in", "--recipe", small).code == 0
    (mediactl.folder / "in").rename(mediactl.folder / "elsewhere")
    run = mediactl("prune", "--yes")
    assert run.out == "nothing to prune\n"
    assert "its 1 source is not pruned, the file system may not be mounted" in run.err
    assert (mediactl.folder / "derived/a.jpg/w50.webp").exists()


def test_a_manifest_cannot_make_an_output_a_source(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg")
    assert mediactl("process", "in", "--recipe", small).code == 0
    (mediactl.folder / "list.txt").write_text("derived/a.jpg/w100.webp\nin/a.jpg\n")
    run = mediactl("process", "list.txt", "--recipe", small)
    assert run.code == 1
    assert "inside the output directory" in run.out
    assert not (mediactl.folder / "derived/derived").exists()


def test_a_file_in_the_way_of_an_asset_stops_that_asset_alone(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/a.jpg", 1)
    picture(mediactl.folder / "in/b.jpg", 2)
    (mediactl.folder / "derived").mkdir()
    (mediactl.folder / "derived/a.jpg").write_text("in the way")
    run = mediactl("process", "in", "--recipe", small, "--json")
    assert run.code == 1
    assert (run.summary["done"], run.summary["quarantined"]) == (1, 1)
    assert "move it away" in next(event["reason"] for event in run.events if event["event"] == "job.quarantined")
    assert (mediactl.folder / "derived/a.jpg").read_text() == "in the way"


def test_a_link_planted_in_out_leads_nothing_outside(mediactl: CommandLine, small: str) -> None:
    picture(mediactl.folder / "in/trip/a.jpg")
    (mediactl.folder / "outside").mkdir()
    (mediactl.folder / "derived").mkdir()
    (mediactl.folder / "derived/trip").symlink_to(mediactl.folder / "outside")
    run = mediactl("process", "in", "--recipe", small, "--json")
    assert (run.code, run.summary["quarantined"]) == (1, 1)
    assert not list((mediactl.folder / "outside").iterdir())
