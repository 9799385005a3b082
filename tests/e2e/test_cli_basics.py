"""The command line without media: what is wrong is told in one line, with the right exit code, before a start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import CommandLine
from support.journals import Rows, a_source, claim, claim_one, new_job, opened, put

from mediactl import __version__
from mediactl.jobs.states import PATIENCE, State
from mediactl.model.jobs import Priority


def one_line(text: str) -> str:
    """What was said: one line, no traceback."""
    assert text.count("\n") == 1, text
    return text.rstrip("\n")


def test_the_version_is_told(mediactl: CommandLine) -> None:
    result = mediactl("--version")
    assert (result.code, result.out, result.err) == (0, f"mediactl {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["process"], ["mediactl process: no SOURCE given; for example: mediactl process ./uploads"]),
        (["proces"], ["mediactl: no such command: 'proces'; did you mean 'process'?"]),
        (["./in"], ["mediactl: no such command: './in'; to process it, type: mediactl process ./in"]),
        (["process", "in", "--nonsense"], ["no such option: --nonsense; see mediactl process --help"]),
        (["process", "in", "--recip", "web"], ["no such option: --recip; did you mean --recipe?"]),
        (["uploads", "abort"], ["mediactl uploads abort: --older-than: required"]),
        (["uploads", "resum"], ["mediactl uploads: no such command: 'resum'; did you mean 'resume'?"]),
        (["process", "in", "--jobs", "0"], ["--jobs"]),
        (["process", "in", "--priority", "asap"], ["urgent"]),
        (["process", "in", "--grace", "soon"], ["--grace"]),
        (["jobs", "--only", "lost"], ["quarantined"]),
        (["retry"], ["name one JOB, use --all, or select some by --only"]),
        (["cancel", "x", "--all"], ["name one JOB, use --all, or select some by --only"]),
        (["completion", "cmd"], ["bash"]),
    ],
)
def test_wrong_usage_is_told_by_what_would_be_right(
    mediactl: CommandLine, arguments: list[str], parts: list[str]
) -> None:
    (mediactl.folder / "in").mkdir()
    result = mediactl(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert all(part in result.err for part in parts), result.err
    assert not (mediactl.folder / "derived").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none"], "none: no such file or folder"),
        (["none.txt"], "none.txt: no such file or folder"),
        (["bad\n\x1b[31m"], "bad\\n\\x1b[31m: no such file or folder"),
        (["in", "--recipe", "wbe"], "did you mean 'web'?"),
        (["in", "--recipe", "none.toml"], "none.toml: no such file"),
        (["derived/a.jpg"], "inside the output directory"),
        (["derived"], "inside the output directory"),
        (["in/link"], "inside the output directory"),
        (["in", "--out", "file"], "not a directory"),
        (["in", "--out", "file/x"], "not a directory"),
        (["in", "in/../in", "other", "--out", "o"], "would both be written to"),
        (["list.jsonl", "--strict"], "list.jsonl line 2: "),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(mediactl: CommandLine, arguments: list[str], told: str) -> None:
    for name in ("in", "other", "derived/a.jpg"):
        (mediactl.folder / name).mkdir(parents=True)
    (mediactl.folder / "in" / "x.txt").touch()
    (mediactl.folder / "other" / "x.txt").touch()
    (mediactl.folder / "file").touch()
    (mediactl.folder / "in" / "link").symlink_to("../derived")
    (mediactl.folder / "list.jsonl").write_text('{"path": "in/x.txt"}\nnonsense\n')
    result = mediactl("process", *arguments)
    assert (result.code, result.out) == (2, "")
    assert one_line(result.err).startswith("mediactl: ")
    assert told in result.err
    assert not (mediactl.folder / "derived" / ".mediactl").exists()


@pytest.mark.parametrize("arguments", [[], ["--quiet"], ["--json"], ["--dry-run"]])
def test_an_empty_folder_is_nothing_to_do(mediactl: CommandLine, arguments: list[str]) -> None:
    (mediactl.folder / "in" / ".hidden").mkdir(parents=True)
    result = mediactl("process", "in", *arguments)
    assert (result.code, result.err) == (0, "")
    if "--json" in arguments:
        assert result.summary["sources"] == result.summary["exit_code"] == 0
        assert [event["event"] for event in result.events] == ["run.started", "source.left_out", "plan", "summary"]
    else:
        assert ("nothing to do" in result.out) == ("--quiet" not in arguments)
    assert (mediactl.folder / "derived").exists() == ("--dry-run" not in arguments)


def test_files_that_are_no_media_are_ignored_and_told_when_asked(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / "in" / "notes.txt").write_text("hello")
    (mediactl.folder / "in" / "empty").touch()
    for _ in range(2):
        result = mediactl("process", "in", "--verbose")
        assert result.code == 0
        assert "2 other files ignored" in result.out
    result = mediactl("process", "in", "--verbose", "--out", "again")
    assert "ignored: notes.txt: no image, video or audio" in result.out
    assert "ignored: empty: empty file" in result.out


def test_an_empty_manifest_on_standard_input_is_nothing_to_do(mediactl: CommandLine) -> None:
    result = mediactl("process", "-", stdin=b"\n")
    assert (result.code, result.err) == (0, "")
    assert "nothing to do" in result.out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('recipee = "web"', "mediactl.toml: unknown key 'recipee'; did you mean 'recipe'?"),
        ("\ufeffzzz = 1", "mediactl.toml: unknown key 'zzz'"),  # after a byte order mark
        ("zzz = 1", "mediactl.toml: unknown key 'zzz'; `mediactl config show` lists all keys"),
        ('jobs = "two"', 'mediactl.toml: jobs: expected a whole number, not "two"'),
        ("jobs = 0", "mediactl.toml: jobs: 0 is not in the range"),
        ('exclude = "raw/"', "mediactl.toml: exclude: expected a list of strings"),
        ('grace = "soon"', "mediactl.toml: grace: soon: expected a duration, e.g. 90s"),
        ('priority = "asap"', "mediactl.toml: priority: 'asap' is not one of 'urgent'"),
        ('to = "s3://bucket"', "mediactl.toml: key 'to' is not allowed in this file"),
        ("jobs =", "mediactl.toml: cannot be read: "),
    ],
)
def test_a_wrong_settings_file_is_told_with_what_would_be_right(mediactl: CommandLine, content: str, told: str) -> None:
    (mediactl.folder / "mediactl.toml").write_text(content)
    result = mediactl("process", "in")
    assert (result.code, result.out) == (2, "")
    assert told in one_line(result.err)


def test_settings_come_from_flags_before_environment_before_the_file(mediactl: CommandLine) -> None:
    (mediactl.folder / "in").mkdir()
    (mediactl.folder / "mediactl.toml").write_text('out = "from-file"\n')
    mediactl("process", "in")
    mediactl("process", "in", environment={"MEDIACTL_PROCESS_OUT": "from-environment"})
    mediactl("process", "in", "--out", "from-flag", environment={"MEDIACTL_PROCESS_OUT": "from-environment"})
    made = {name for name in os.listdir(mediactl.folder) if name.startswith("from")}
    assert made == {"from-file", "from-environment", "from-flag"}


def test_recipes_are_listed_shown_and_checked(mediactl: CommandLine) -> None:
    listed = mediactl("recipe", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["archive", "podcast", "thumbnails", "web"]
    shown = mediactl("recipe", "show", "web")
    (mediactl.folder / "mine.toml").write_text(shown.out)
    checked = mediactl("recipe", "check", "mine.toml")
    assert (checked.code, checked.out) == (0, "recipe 'web': valid; outputs: 3 image, 6 video, 3 audio\n")
    (mediactl.folder / "mine.toml").write_text(shown.out.replace("width", "widht"))
    checked = mediactl("recipe", "check", "mine.toml")
    assert (checked.code, checked.out) == (2, "")
    assert one_line(checked.err) == "mediactl: mine.toml: image[0]: unknown key 'widht'; did you mean 'width'?"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(mediactl: CommandLine, shell: str) -> None:
    result = mediactl("completion", shell)
    assert result.code == 0
    assert "_MEDIACTL_COMPLETE" in result.out


@pytest.mark.parametrize(
    "command", [["status"], ["jobs"], ["show", "x"], ["retry", "--all"], ["cancel", "x"], ["prune"]]
)
def test_without_a_journal_there_is_nothing_to_tell_and_none_is_made(mediactl: CommandLine, command: list[str]) -> None:
    result = mediactl(*command)
    assert (result.code, result.out) == (2, "")
    assert "no journal in " in one_line(result.err)
    assert "--out" in result.err
    assert not (mediactl.folder / "derived").exists()


@pytest.fixture
def state(mediactl: CommandLine) -> Path:
    """A journal with a job in each of four states."""
    folder = mediactl.folder / "derived" / ".mediactl"
    with opened(folder) as journal:
        with journal.transaction():
            rows = {
                name: journal.sources.put(a_source(name), "", "", "pending")
                for name in (b"a.jpg", b"b\n.jpg", b"sub/c.jpg")
            }
        put(journal, new_job("done"))
        found = claim_one(journal)
        with journal.transaction():
            journal.finish(found.id, found.attempt, State.DONE)
        put(journal, new_job("bad", source=rows[b"b\n.jpg"], kind="image"))
        for _ in range(PATIENCE.failures):
            journal._clock.advance(100.0)  # type: ignore[attr-defined]
            with journal.transaction():
                journal.wake()
            (found,) = claim(journal)
            with journal.transaction():
                journal.fail(found.id, found.attempt, "no luck")
        with journal.transaction():
            journal.sources.set_state(rows[b"b\n.jpg"], "quarantined", "no luck")
        put(journal, new_job("waits", source=rows[b"a.jpg"], kind="image", priority=Priority.LOW))
        put(journal, new_job("film", source=rows[b"sub/c.jpg"], kind="video", lane="heavy"))
    return folder


def test_status_counts_what_is_there(mediactl: CommandLine, state: Path) -> None:
    result = mediactl("status")
    assert result.code == 0
    assert "2 pending, 1 quarantined" in result.out
    assert "1 done, 1 quarantined, 2 ready" in result.out
    assert "1 low in lane quick" in result.out
    told = json.loads(mediactl("status", "--json").out)
    assert told["jobs"] == {"done": 1, "quarantined": 1, "ready": 2}
    assert told["runs"] == []
    assert sorted((each["lane"], each["priority"], each["depth"]) for each in told["queue"]) == [
        ("heavy", "normal", 1),
        ("quick", "low", 1),
    ]


def test_jobs_are_listed_by_state_and_strange_names_are_shown_safely(mediactl: CommandLine, state: Path) -> None:
    assert len(mediactl("jobs").out.splitlines()) == 4
    line, number = mediactl("jobs", "--only", "quarantined").out.splitlines()
    assert number == "1 job"
    assert line.startswith(new_job("bad").key[:12])
    assert line.endswith("b\\n.jpg: no luck")
    told = [json.loads(line) for line in mediactl("jobs", "--json", "--limit", "2").out.splitlines()]
    assert [each["state"] for each in told] == ["done", "quarantined"]
    assert told[1]["path"] == told[1]["place"] == "b\\n.jpg"


@pytest.mark.parametrize("name", [new_job("bad").key, new_job("bad").key[:8], "b\n.jpg"])
def test_a_job_is_shown_by_its_key_or_path(mediactl: CommandLine, state: Path, name: str) -> None:
    result = mediactl("show", name)
    assert result.code == 0
    assert f"job       {new_job('bad').key}" in result.out
    assert "state     quarantined: no luck" in result.out
    assert f"counted   {PATIENCE.failures} failures, 0 crashes, 0 interruptions" in result.out


@pytest.mark.parametrize("command", ["show", "retry", "cancel"])
def test_a_job_that_is_not_there_is_told(mediactl: CommandLine, state: Path, command: str) -> None:
    for name in ("nothing.jpg", "0" * 32, new_job("bad").key[:3]):
        result = mediactl(command, name)
        assert (result.code, result.out) == (2, "")
        assert "no such job" in one_line(result.err)


def test_stopped_jobs_are_made_ready_and_waiting_ones_cancelled(mediactl: CommandLine, state: Path) -> None:
    assert mediactl("retry", "--all").out.endswith("\n1 job ready; the next run retries them\n")
    assert mediactl("retry", "--all").out == "nothing to retry\n"
    rows = Rows(state)
    assert (rows.state("bad"), rows.job("bad").failures) == ("ready", 0)
    assert rows.sources() == {"pending": 3}
    assert mediactl("cancel", "sub/c.jpg").out.endswith("\n1 job cancelled; retry makes them pending again\n")
    assert mediactl("cancel", "sub/c.jpg").out == "nothing to cancel\n"
    assert rows.state("film") == "cancelled"
    assert mediactl("retry", "sub/c.jpg").out.endswith("\n1 job ready; the next run retries them\n")
    assert mediactl("cancel", "--all").out.endswith("\n3 jobs cancelled; retry makes them pending again\n")
    assert rows.sources() == {"cancelled": 3}
    assert rows.jobs() == {"cancelled": 3, "done": 1}


def test_a_damaged_journal_is_told_by_those_who_cannot_mend_it(mediactl: CommandLine, state: Path) -> None:
    (state / "journal.db").write_bytes(b"junk" * 1000)
    for command in (["status"], ["retry", "--all"]):
        result = mediactl(*command)
        assert result.code not in (0, 1)
        assert "is damaged" in one_line(result.err)
    assert (state / "journal.db").read_bytes() == b"junk" * 1000
