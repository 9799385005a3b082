"""What process, watch and upload leave out of a directory, and what they report of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import CommandLine
from support.servers import Server
from support.shipped import a_bucket, a_command_line
from test_process import picture
from test_watch import Running, folder, watch  # noqa: F401 (fixtures)

RECIPE = """
name = "small"
[[image]]
name = "w8"
width = 8
"""
NAS = [
    "photo/trip/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "photo/#recycle/old/9.jpg", "photo/$RECYCLE.BIN/$R1.jpg",
    "photo/@Recently-Snapshot/x/0.jpg", "photo/lost+found/1234.jpg", "photo/System Volume Information/2.jpg",
    "photo/trip/@eaDir/1.jpg", "photo/@Recycle/3.jpg", "photo/.zfs/snapshot/4.jpg", "photo/.stversions/5.jpg",
]  # fmt: skip
DOWNLOADS = [
    "photo.jpg.crdownload", "1.jpg.filepart", "2.jpg.partial", "3.jpg.tmp", "4.jpg.download", "5.jpg.opdownload",
    "6.jpg~", "8.jpg.bak", "~$7.jpg", "film.mkv.part", "clip.mp4.!qB", ".#9.jpg",
]  # fmt: skip
CASES = Path(os.environ.get("MEDIACTL_CASES", "/nowhere"))


@pytest.fixture
def line(mediactl: CommandLine) -> CommandLine:
    """The command line, with a recipe of little work."""
    (mediactl.folder / "small.toml").write_text(RECIPE)
    return mediactl


def pictures(above: Path, *names: str) -> None:
    """Make pictures, all different."""
    for seed, name in enumerate(names):
        picture(above / name, seed, 32, 24)


def done(mediactl: CommandLine) -> list[str]:
    """Sources that have outputs."""
    out = mediactl.folder / "derived"
    return sorted(str(file.parent.relative_to(out)) for file in out.rglob("asset.json"))


def test_leftovers_of_a_nas_are_not_entered(line: CommandLine) -> None:
    """Case 54."""
    pictures(line.folder, "photo/trip/0.jpg", "photo/trip/1.jpg", *NAS)
    run = line("process", "photo", "--recipe", "small.toml", "-v")
    assert (run.code, done(line)) == (0, ["trip/0.jpg", "trip/1.jpg"])
    assert "left out: trip/@eaDir/: default rule @eaDir/\n" in run.out
    assert "; 7 left out by default (--no-default-excludes); 2 hidden left out in" in run.out
    everything = line("process", "photo", "--recipe", "small.toml", "--no-default-excludes")
    assert (everything.code, len(done(line))) == (0, 2 + len(NAS) - 2)  # hidden ones are never taken
    assert "left out by default" not in everything.out


def test_downloads_that_are_not_finished_and_backups_are_not_taken(line: CommandLine) -> None:
    """Case 55."""
    pictures(line.folder / "in", "done.jpg", *DOWNLOADS)
    run = line("process", "in", "--recipe", "small.toml")
    assert (run.code, done(line)) == (0, ["done.jpg"])
    assert "; 11 left out by default (--no-default-excludes); 1 hidden left out in" in run.out
    (line.folder / "in/film.mkv.part").rename(line.folder / "in/film.jpg")
    assert line("process", "in", "--recipe", "small.toml").code == 0
    assert done(line) == ["done.jpg", "film.jpg"]


@pytest.mark.skipif(not CASES.is_dir(), reason="MEDIACTL_CASES: the directory of the given cases")
@pytest.mark.parametrize(
    ("case", "sources", "code"),
    [
        ("54-nas-leftovers/photo", ["IMG_0.jpg", "IMG_1.jpg", "MVI_1.THM"], 0),
        ("55-downloads-under-way", ["done.jpg"], 1),
    ],
)  # fmt: skip
def test_the_given_cases(line: CommandLine, case: str, sources: list[str], code: int) -> None:
    run = line("process", CASES / case, "--recipe", "small.toml", "--json")
    assert [os.path.basename(source) for source in done(line)] == sources
    assert run.code == code, run  # preallocated.mp4 is all zeros


def test_links_are_reported_when_they_are_left_out(line: CommandLine) -> None:
    """Case 53: a repository of git-annex, where every file is a link."""
    objects = line.folder / "in/.git/annex"
    pictures(objects, "a", "b", "c")
    for name, goal in (("0.jpg", "a"), ("1.jpg", "b"), ("2.jpg", "c"), ("dangling.jpg", "none")):
        (line.folder / "in" / name).symlink_to(Path(".git/annex") / goal)
    (line.folder / "in/loop").symlink_to(".")
    (line.folder / "in/up").symlink_to("..")
    run = line("process", "in", "--recipe", "small.toml", "-v")
    assert run.code == 0
    assert "found; 6 links left out (--follow-symlinks); 1 hidden left out in" in run.out
    assert "left out: 0.jpg: " in run.out
    dry = line("process", "in", "--recipe", "small.toml", "--dry-run")
    assert dry.out == "nothing to do: 0 sources up to date; 6 links left out (--follow-symlinks); 1 hidden left out\n"
    summary = line("process", "in", "--recipe", "small.toml", "--json").events[-1]
    assert summary["left_out"] == {"symbolic link": 6, "hidden": 1}
    (line.folder / "in/up").unlink()
    followed = line("process", "in", "--recipe", "small.toml", "--follow-symlinks", "--json")
    assert done(line) == ["0.jpg", "1.jpg", "2.jpg"]
    assert [event["path"][-12:] for event in followed.events if event["event"] == "scan.trouble"] == ["dangling.jpg"]


def test_options_files_and_settings_leave_out_and_every_reason_is_counted(line: CommandLine) -> None:
    pictures(line.folder / "in", "a.jpg", "b.jpg", "c.jpg", "d.jpe", "e.jpg.tmp", "raw/f.jpg", "raw/g.jpg")
    (line.folder / "in/raw/.mediactlignore").write_text("# not yet\nf.*\n")
    (line.folder / "mediactl.toml").write_text('include = ["*.jpg"]\nexclude = ["/c.jpg"]\n')
    run = line("process", "in", "--recipe", "small.toml", "--json")
    assert done(line) == ["a.jpg", "b.jpg", "raw/g.jpg"]
    assert run.events[-1]["left_out"] == {"--exclude": 1, "--include": 1, ".mediactlignore": 1, "default": 1}
    rules = {event["path"]: event["rule"] for event in run.events if event["event"] == "source.left_out"}
    assert rules["raw/f.jpg"] == "raw/.mediactlignore:2: f.*"
    assert rules["c.jpg"] == "--exclude /c.jpg"
    last = line("process", "in", "--recipe", "small.toml", "--exclude", "raw/").out.splitlines()[-1]
    assert "; 1 left out by --exclude; 1 left out by --include; 1 left out by default" in last
    (line.folder / "mediactl.toml").write_text("no_default_excludes = true\n")
    assert line("process", "in", "--recipe", "small.toml").code == 0
    assert "e.jpg.tmp" in done(line)


def test_a_dry_run_leaves_out_the_same(line: CommandLine) -> None:
    pictures(line.folder / "in", "a.jpg", "b.jpg", "c.jpg.part")
    dry = line("process", "in", "--recipe", "small.toml", "--exclude", "b.*", "--dry-run", "-v").out.splitlines()
    assert dry[:3] == ["left out: b.jpg: --exclude b.*", "left out: c.jpg.part: default rule *.part", "new: a.jpg"]
    assert dry[-1].endswith("; 1 left out by --exclude; 1 left out by default (--no-default-excludes)")


def test_a_pattern_that_is_none_starts_nothing(line: CommandLine) -> None:
    pictures(line.folder / "in", "a.jpg")
    run = line("process", "in", "--exclude", "/")
    assert (run.code, run.err) == (2, "mediactl: --exclude '/': not a pattern as in .gitignore\n")
    assert not (line.folder / "derived").exists()


def test_files_that_somebody_names_are_taken_whatever_the_rules_say(line: CommandLine) -> None:
    pictures(line.folder / "in", "a.jpg.bak", "b.jpg", "@eaDir/c.jpg")
    (line.folder / "in/.mediactlignore").write_text("*\n")
    (line.folder / "in/list.txt").write_text("a.jpg.bak\n@eaDir/c.jpg\n")
    assert line("process", "in/list.txt", "in/b.jpg", "--recipe", "small.toml", "--exclude", "*").code == 0
    assert done(line) == ["@eaDir/c.jpg", "a.jpg.bak", "b.jpg"]


def test_the_outputs_of_a_source_that_is_excluded_later_stay_until_it_is_deleted(line: CommandLine) -> None:
    pictures(line.folder / "in", "a.jpg", "b.jpg", "c.jpg")
    assert line("process", "in", "--recipe", "small.toml").code == 0
    (line.folder / "in/.mediactlignore").write_text("b.jpg\n")
    again = line("process", "in", "--recipe", "small.toml")
    assert (again.code, "2 sources, 2 up to date; 1 left out by .mediactlignore in" in again.out) == (0, True), again
    assert line("prune", "--yes").out == "nothing to prune\n"
    assert done(line) == ["a.jpg", "b.jpg", "c.jpg"]
    (line.folder / "in/b.jpg").unlink()
    assert line("prune", "--yes").code == 0
    assert done(line) == ["a.jpg", "c.jpg"]


def is_left_out(path: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "source.left_out" and event["path"] == path


def test_a_watch_takes_a_download_when_it_gets_its_name(
    mediactl: CommandLine,
    folder: Path,  # noqa: F811
    watch: Callable[..., Running],  # noqa: F811
) -> None:
    pictures(folder, "there.jpg.crdownload", "@eaDir/x.jpg")
    running = watch("--exclude", "*.gif")
    pictures(mediactl.folder, "whole.jpg")
    with open(mediactl.folder / "whole.jpg", "rb") as whole, open(folder / "new.jpg.part", "wb") as part:
        part.write(whole.read(1000))
        part.flush()
        running.until(is_left_out("new.jpg.part"))
        shutil.copyfileobj(whole, part)
    (folder / "new.jpg.part").rename(folder / "new.jpg")
    (folder / "there.jpg.crdownload").rename(folder / "there.jpg")
    running.done("new.jpg", "there.jpg")
    pictures(folder, "@eaDir/y.jpg", "trip/last.jpg")
    running.done("trip/last.jpg")
    code, summary = running.stop()
    assert (code, summary["done"], summary["rejected"]) == (0, 3, 0)
    assert done(mediactl) == ["new.jpg", "there.jpg", "trip/last.jpg"]
    assert summary["left_out"] == {"default": 3}


def test_a_watch_follows_rules_that_change(
    mediactl: CommandLine,
    folder: Path,  # noqa: F811
    watch: Callable[..., Running],  # noqa: F811
) -> None:
    (folder / "raw").mkdir()
    (folder / "raw/.mediactlignore").write_text("*.jpg\n")
    pictures(folder, "raw/a.jpg")
    running = watch()
    pictures(folder, "raw/b.jpg")
    running.until(is_left_out("raw/b.jpg"))
    (folder / "raw/.mediactlignore").write_text("a.jpg\n")
    running.done("raw/b.jpg")
    (folder / "raw/.mediactlignore").write_text("*a*a*a*a*b")
    running.until(lambda event: event["event"] == "scan.trouble" and "more than 3 wildcards" in event["reason"])
    (folder / "raw/.mediactlignore").unlink()
    running.done("raw/a.jpg")
    assert running.stop()[0] == 0
    assert done(mediactl) == ["raw/a.jpg", "raw/b.jpg"]


def test_upload_leaves_out_what_process_does(tmp_path: Path, ministack_server: Server) -> None:
    line, bucket = a_command_line(tmp_path), a_bucket(ministack_server)
    for name in ("a.txt", "b.txt.part", "c.raw", "sub/d.txt", "sub/e.txt", "@eaDir/f.txt", ".snapshot/g.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    (tmp_path / "in/link.txt").symlink_to("a.txt")
    (tmp_path / "in/sub/.mediactlignore").write_text("e.txt\n.mediactlignore\n")
    run = line("upload", "in", "--exclude", "*.raw", "--json", *bucket.to())
    assert (run.code, sorted(bucket.keys())) == (0, ["p/a.txt", "p/sub/d.txt"])
    expected = {"symbolic link": 1, "--exclude": 1, ".mediactlignore": 2, "default": 3}
    assert run.events[-1]["left_out"] == expected
