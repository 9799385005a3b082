"""The checker of invariants: what must hold of a journal and an output directory, however often runs were killed.

``violations`` is what ``mediactl verify --journal`` prints, what ``selftest --kill`` asks after every kill, and what
the tests of crashes use. Rules of rows and files hold at every moment; what a killed run leaves behind is there until
the next run has taken over from it, so it counts once no run is active (``ended``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec
import psutil

from mediactl.admin import verify
from mediactl.assets import document
from mediactl.core import files
from mediactl.core.files import shown
from mediactl.jobs import owners, report
from mediactl.jobs.states import PATIENCE
from mediactl.media.completeness import incomplete
from mediactl.pipeline.publish import object_digest
from mediactl.pipeline.recovery import LOGS


class Rule(StrEnum):
    """What is promised; the ``problem`` of a line of ``verify --journal --json``."""

    INTEGRITY = "integrity"
    """The journal is a valid database."""
    STATE = "state"
    """Each source is in exactly one state, and its jobs agree with it."""
    DIGEST = "digest"
    """Every artefact of a done source has its digest."""
    PARTIAL = "partial"
    """No file under its final name is incomplete."""
    ATTEMPTS = "attempts"
    """No job is begun more often than it may be."""
    LEFTOVER = "leftover"
    """No process, temporary file, lock, job or multipart upload is left by a run that has ended."""


class Violation(msgspec.Struct, frozen=True):
    """One invariant that does not hold, in one line."""

    rule: Rule
    name: str
    """Source, job, file or process; safe to print."""
    reason: str
    remedy: str
    """What to do."""

    @property
    def line(self) -> str:
        """Return it as a line."""
        return f"{self.rule}: {self.name}: {self.reason}; {self.remedy}"


class _Statement(NamedTuple):
    rule: Rule
    remedy: str


_BUG = "please report it, with `mediactl show` of the source"
_AGAIN = f"run `mediactl process` again, which plans it; {_BUG}"
_REBUILD = "delete the journal: the next run rebuilds it from the asset.json files"
_STATEMENTS = {
    "foreign_keys": _Statement(Rule.INTEGRITY, _REBUILD),
    "done_with_jobs": _Statement(Rule.STATE, _AGAIN),
    "pending_without_jobs": _Statement(Rule.STATE, _AGAIN),
    "final_with_jobs": _Statement(Rule.STATE, f"`mediactl retry` it; {_BUG}"),
    "final_without_reason": _Statement(Rule.STATE, f"`mediactl retry` it; {_BUG}"),
    "artefacts_of_done": _Statement(Rule.STATE, f"`mediactl verify --repair`, then run again; {_BUG}"),
    "uploads_without_jobs": _Statement(Rule.STATE, f"run again with `--to`, which plans it; {_BUG}"),
    "uploaded_with_jobs": _Statement(Rule.STATE, f"run again with `--to`; {_BUG}"),
    "parts_of_settled": _Statement(Rule.STATE, f"`mediactl uploads abort` it; {_BUG}"),
    "exhausted": _Statement(Rule.ATTEMPTS, f"`mediactl cancel` it; {_BUG}"),
    "uncounted": _Statement(Rule.ATTEMPTS, _BUG),
    "attempts_beyond": _Statement(Rule.ATTEMPTS, _BUG),
}  # fmt: skip
_BOUNDS = {"exhausted": (PATIENCE.crashes, PATIENCE.interruptions)}


_TOKEN = re.compile(re.escape(files.TEMPORARY) + rb"([0-9a-f]{32})")
_RUN_AGAIN = "run `mediactl process` again, which removes it"
_LIVE = "left by a killed run; run `mediactl process` again"


def violations(state: str, out: bytes, *, ended: bool = True, threads: int = 2) -> Iterator[Violation]:
    """Yield every invariant that does not hold, those of outputs included, which are read whole."""
    yield from of_journal(state, out, ended=ended)
    found: list[verify.Finding] = []
    verify.local(state, out, threads, found.append, verify.Verified())
    for each in found:
        yield Violation(Rule.DIGEST, each.name, each.reason, "`mediactl verify --repair`, then run again")


def of_journal(state: str, out: bytes, *, ended: bool = True) -> Iterator[Violation]:
    """Yield the invariants of rows, files and processes that do not hold; what ``verify`` reads anyway is left out."""
    with report.read(state) as rows:
        found = list(_rows(rows))
        yield from found
        if any(each.rule is Rule.INTEGRITY for each in found):
            return  # nothing else that it says can be relied on
        yield from _partial(out, rows)
        if ended:
            runs = rows.rows_of("run_ids")
            living = {run for run, pid, boot in runs if owners.seems_alive(state, run, pid, boot)}
            dead = {run for run, _, _ in runs} - living
            yield from _abandoned_jobs(rows.rows_of("owners"), dead)
            yield from _locks(state, living)
            yield from _temporaries((out, os.fsencode(state)), living)
            yield from _logs(state, living)
            yield from _processes(state, dead)
            yield from _uploads(rows)


def _rows(rows: report.Report) -> Iterator[Violation]:
    """Rules that rows of the journal violate."""
    verdict = rows.check()
    if verdict != "ok":
        yield Violation(Rule.INTEGRITY, "journal", verdict.replace("\n", " "), _REBUILD)
        return
    for name, (rule, remedy) in _STATEMENTS.items():
        for what, reason in rows.rows_of(name, *_BOUNDS.get(name, ())):
            yield Violation(rule, shown(what), reason, remedy)


def _partial(out: bytes, rows: report.Report) -> Iterator[Violation]:
    """Outputs of sources that are not done: published before the journal says so, or of an earlier plan, but whole."""
    expected = {name.encode() for (name,) in rows.rows_of("names")} | {document.NAME}
    directories = [os.path.join(folder, name) for folder, name in rows.rows_of("unfinished")]
    for directory in directories:
        folder = os.path.join(out, directory)
        listed = _listed(folder)
        for name in sorted(expected.intersection(_entries(folder))):
            path = os.path.join(folder, name)
            try:
                if name in listed and files.digest_file(path) == listed[name]:
                    continue
                reason = incomplete(path)
            except OSError as error:
                reason = f"cannot be read: {error.strerror}"
            if reason:
                yield Violation(Rule.PARTIAL, shown(os.path.join(directory, name)), reason,
                                "remove it, then run `mediactl process` again")  # fmt: skip


def _listed(folder: bytes) -> dict[bytes, str]:
    """Name -> digest of what an asset.json names; nothing where there is none."""
    try:
        with open(os.path.join(folder, document.NAME), "rb") as file:
            return {each.name.encode(): each.sha256 for each in document.decode(file.read()).artefacts}
    except (OSError, msgspec.DecodeError, ValueError):
        return {}


def _abandoned_jobs(running: list[tuple[str, str]], dead: set[str]) -> Iterator[Violation]:
    for key, owner in running:
        if owner in dead:
            yield Violation(Rule.LEFTOVER, key, f"the job is running, but its run {owner[:8]} is dead", _LIVE)


def _locks(state: str, living: set[str]) -> Iterator[Violation]:
    for name in _entries(os.fsencode(os.path.join(state, "runs"))):
        run = os.fsdecode(name).removesuffix(".lock")
        if run not in living and not owners.seems_alive(state, run, 0, ""):
            yield Violation(Rule.LEFTOVER, f"runs/{shown(name)}", "the lock of a run that is dead", _RUN_AGAIN)


def _temporaries(roots: Iterable[bytes], living: set[str]) -> Iterator[Violation]:
    """Temporary files and scratch folders in OUT and beside the journal, but those of active runs."""
    seen: set[bytes] = set()
    for root in roots:
        for folder, folders, names in os.walk(root):
            for name in (*folders, *names):
                path = os.path.join(folder, name)
                if not name.startswith(files.TEMPORARY) or path in seen:
                    continue
                seen.add(path)
                run = _TOKEN.match(name)
                if (run is None and living) or (run is not None and run[1].decode() in living):
                    continue  # where it does not say whose it is, it may be theirs
                yield Violation(Rule.LEFTOVER, shown(path), "a temporary file of a run that is dead", _RUN_AGAIN)


def _logs(state: str, living: set[str]) -> Iterator[Violation]:
    """Logs in which nothing is; a run that ends in order removes its own."""
    folder = os.path.join(os.fsencode(state), LOGS.encode())
    for name in _entries(folder):
        if _run_of_log(os.fsdecode(name)) not in living and not os.lstat(os.path.join(folder, name)).st_size:
            yield Violation(Rule.LEFTOVER, f"{LOGS}/{shown(name)}", "an empty log of a run that is dead", _RUN_AGAIN)


def _processes(state: str, dead: set[str]) -> Iterator[Violation]:
    """Processes of dead runs: they name the run in their arguments, or write to its log."""
    logs = os.path.join(os.path.realpath(state), LOGS, "")
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            found = [run for run in dead if run in words] or [
                run for run in map(_run_of_log, _opened(process.pid, logs)) if run in dead
            ]
            if found and process.pid != os.getpid():
                yield Violation(
                    Rule.LEFTOVER, f"process {process.pid} ({shown(process.name())})",
                    f"its run {found[0][:8]} is dead", f"`kill -9 {process.pid}`",
                )  # fmt: skip
        except (psutil.Error, OSError):
            continue  # it has ended meanwhile, or is another user's


def _opened(pid: int, folder: str) -> Iterator[str]:
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if path.startswith(folder):
            yield path


def _run_of_log(path: str) -> str:
    return os.path.basename(path).partition(".")[0]


def _uploads(rows: report.Report) -> Iterator[Violation]:
    goes_on = {object_digest(task) for _, task in rows.upload_jobs()}
    for each in rows.uploads(live=True):
        if object_digest(each.task) not in goes_on:
            yield Violation(
                Rule.LEFTOVER, shown(each.task.url), f"its multipart upload is {each.row.status}, but has no job",
                "`mediactl uploads resume` or `mediactl uploads abort`",
            )  # fmt: skip


def _entries(folder: bytes) -> list[bytes]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
