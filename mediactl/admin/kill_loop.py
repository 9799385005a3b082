"""selftest --kill: runs over real media whose processes are killed at random, and invariants that hold all the same.

Each output directory is killed at for some rounds, then completed by a run that is left alone, and compared with what
a run made that nothing was killed in. A round is one SIGKILL, of a process that is drawn among those that run then.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

import msgspec
import psutil

from mediactl.admin import invariants, open_uploads, verify
from mediactl.admin.kill_samples import FOLDER, RECIPE, make_samples
from mediactl.core.errors import ExitCode
from mediactl.core.files import shown
from mediactl.core.processes import adopt_orphans
from mediactl.jobs.journal import FILE
from mediactl.model.events import Invariants, SelftestKilled
from mediactl.model.uploads import Location

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from mediactl.cli import main; main()"
_AT_ONCE = (6, 16)
"""Kills of one output directory, at least and at most: a job may be interrupted 20 times."""
_CRASHES = 2
"""Worker deaths in one output directory: a job whose worker died three times is quarantined, as it should be."""
_FIRST, _NEXT = 0.5, 0.2
"""Parts of what a whole run takes within which a run is killed at first, and again."""
_GONE = 60.0
"""Seconds until what belonged to a killed supervisor must have died; the kernel takes milliseconds."""
_LIMIT = 600.0
"""Seconds that a run may take that is left alone."""


class Victim(StrEnum):
    """What is killed."""

    PROCESS = "process"
    WATCH = "watch"
    WORKER = "worker"
    DECODER = "decoder"
    """A child of a worker that decodes."""
    FFMPEG = "ffmpeg"
    UPLOADER = "network worker"
    FORK_SERVER = "fork server"
    """What workers are forked from."""
    CHECKER = "output check"
    """What compares complete sources by stat, beside the scan."""


_WEIGHTS = {
    Victim.PROCESS: 4, Victim.WATCH: 4, Victim.WORKER: 3, Victim.DECODER: 3, Victim.FFMPEG: 4, Victim.UPLOADER: 3,
    Victim.FORK_SERVER: 1, Victim.CHECKER: 1,
}  # fmt: skip
_CRASHING = (Victim.WORKER, Victim.DECODER, Victim.UPLOADER, Victim.FORK_SERVER)


def run(rounds: int, seed: int, to: Location | None, report: Callable[[str], None]) -> SelftestKilled:
    """Kill so many times in a temporary directory, uploading to a bucket where one is given; return the result.

    The directory is kept where an invariant was violated.
    """
    started, folder = time.monotonic(), tempfile.mkdtemp(prefix="mediactl-kill-")
    loop = _Loop(folder, random.Random(seed), to, report)
    report(f"seed {seed}: {rounds:,} kills in {folder}")
    try:
        loop.run(rounds)
    finally:
        if loop.violated:
            report(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return SelftestKilled(
        kills=dict(sorted(loop.kills.items())),
        runs=loop.runs,
        seconds=round(time.monotonic() - started, 1),
        invariants=Invariants(loop.checked, loop.violated),
        seed=seed,
    )


def lines(result: SelftestKilled) -> list[str]:
    """Return the result as text."""
    kills = ", ".join(f"{number:,} {victim}" for victim, number in result.kills.items())
    violated = result.invariants.violated
    return [
        f"{sum(result.kills.values()):,} kills in {result.runs:,} runs, {result.seconds:,.0f} s: {kills}",
        f"{result.invariants.checked:,} checks of the invariants, {len(violated)} violated",
        *violated[:20],
    ]


class _Loop:
    def __init__(self, folder: str, dice: random.Random, to: Location | None, report: Callable[[str], None]) -> None:
        self.kills: Counter[str] = Counter()
        self.runs = 0
        self.checked = 0
        self.violated: list[str] = []
        self._folder = folder
        self._dice = dice
        self._to = to
        self._report = report
        self._reference: dict[str, str] = {}
        self._length = 0.0
        """Seconds that a run takes in which nothing is killed."""
        self._generation = 0
        self._out = os.path.join(folder, "out")
        self._log = os.path.join(folder, "log")
        self._others = {child.pid for child in psutil.Process().children(recursive=True)}

    def run(self, rounds: int) -> None:
        adopt_orphans()
        make_samples(self._folder, self._dice, large=self._to is not None)
        started = time.monotonic()
        if self._complete([]) != ExitCode.COMPLETE:
            self._violation("a run in which nothing was killed did not end with 0")
            return
        self._length = time.monotonic() - started
        self._reference = _tree(self._out)
        while self.kills.total() < rounds:
            before, begun = self.kills.copy(), time.monotonic()
            self._output_directory(min(rounds - self.kills.total(), self._dice.randint(*_AT_ONCE)))
            here = ", ".join(f"{number} {victim}" for victim, number in (self.kills - before).items())
            self._report(f"{self.kills.total():,} of {rounds:,}: {here}; {time.monotonic() - begun:.1f} s")

    # -- one output directory --------------------------------------------------------------------------------------

    def _output_directory(self, kills: int) -> None:
        """Begin a fresh one, kill so many times or until it is complete, complete it, check and compare it."""
        self._generation += 1
        shutil.rmtree(self._out, ignore_errors=True)
        shutil.rmtree(os.path.join(self._folder, "cache"), ignore_errors=True)
        upload = self._upload()
        last, here = self.kills.total() + kills, Counter[str]()
        is_complete = False
        while self.kills.total() < last and not is_complete:
            is_complete = self._killed_at(upload, last, here)
            self._check(ended=False)
        self._completed(upload)

    def _killed_at(self, upload: list[str], last: int, here: Counter[str]) -> bool:
        """Kill processes of one run until it has ended, or that is enough; return whether it completed all."""
        command = Victim.WATCH if self._dice.random() < 0.2 else Victim.PROCESS
        part = _FIRST
        with self._started(command, upload) as supervisor:
            while self.kills.total() < last:
                try:
                    supervisor.wait(self._dice.uniform(0.0, part * self._length))
                    break
                except subprocess.TimeoutExpired:
                    part = _NEXT
                    victim, pid = self._drawn(supervisor.pid, command, here)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it has just ended by itself
                self.kills[victim] += 1
                here[victim] += 1
                if pid == supervisor.pid:
                    break
            else:
                supervisor.kill()  # of what goes on, the next run completes the rest
        if supervisor.returncode not in (-signal.SIGKILL, ExitCode.COMPLETE, ExitCode.STOPPED_EARLY):
            self._violation(f"{command} ended with {supervisor.returncode}: {self._said()}")
        return supervisor.returncode == ExitCode.COMPLETE

    def _drawn(self, supervisor: int, command: Victim, here: Counter[str]) -> tuple[Victim, int]:
        """Draw a kind among what runs now, then one of that kind."""
        found: dict[Victim, list[int]] = {command: [supervisor]}
        for kind, pid in _children(supervisor):
            found.setdefault(kind, []).append(pid)
        if sum(here[each] for each in _CRASHING) >= _CRASHES:
            found = {kind: pids for kind, pids in found.items() if kind not in _CRASHING}
        (kind,) = self._dice.choices(list(found), [_WEIGHTS[each] for each in found])
        return kind, self._dice.choice(found[kind])

    def _completed(self, upload: list[str]) -> None:
        """Have a run complete it, check everything, and have the next run find nothing to do."""
        if (code := self._complete(upload)) != ExitCode.COMPLETE:
            self._violation(f"the run after the last kill ended with {code}: {self._said()}")
            return
        self._check(ended=True)
        tree = _tree(self._out)
        for name in sorted(tree.keys() | self._reference.keys()):
            if tree.get(name) != self._reference.get(name):
                self._violation(f"{name}: not as in a run in which nothing was killed")
        self._check_bucket()
        code, jobs = self._complete(upload), self._jobs_of_last_run()
        if (code, jobs) != (ExitCode.COMPLETE, 0):
            self._violation(f"a run with nothing to do had {jobs} jobs and ended with {code}: {self._said()}")

    # -- checks ----------------------------------------------------------------------------------------------------

    def _check(self, *, ended: bool) -> None:
        self.checked += 1
        state = os.path.join(self._out, ".mediactl")
        if os.path.exists(os.path.join(state, FILE)):
            for each in invariants.violations(state, os.fsencode(self._out), ended=ended):
                self._violation(each.line)

    def _check_bucket(self) -> None:
        if self._to is None:
            return
        self.checked += 1
        state, location, found = os.path.join(self._out, ".mediactl"), self._location(), verify.Verified()
        verify.remote(state, lambda each: self._violation(f"{each.name}: {each.reason}"), found)
        for error in found.unverified:
            self._violation(f"not verified: {error}")
        for each in open_uploads.unknown(state, location, time.time()):
            self._violation(f"{each.url}: a multipart upload was left open")

    def _violation(self, line: str) -> None:
        self.violated.append(line)
        self._report(f"violated: {line}")

    # -- runs ------------------------------------------------------------------------------------------------------

    def _complete(self, upload: list[str]) -> int:
        with self._started(Victim.PROCESS, upload) as process:
            try:
                return process.wait(_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
        return -signal.SIGKILL

    @contextmanager
    def _started(self, command: Victim, upload: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``process`` or ``watch``; once it has ended, nothing that it started may be left."""
        self.runs += 1
        settle = ["--settle", "0.1"] if command is Victim.WATCH else []
        words = [
            command, FOLDER, "--recipe", RECIPE, "--out", self._out, "--jobs", self._dice.choice("12"), "--json",
            "--attempts", "99", "--retry-delay", "0", *upload, *settle,
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDIACTL_")}
        environment.update(
            MEDIACTL_CACHE=os.path.join(self._folder, "cache"), XDG_CONFIG_HOME=os.path.join(self._folder, "config")
        )
        with open(self._log, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, _ROOT, *words], cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.wait()
        # This process is the parent of those that have lost theirs.
        left = [child for child in psutil.Process().children(recursive=True) if child.pid not in self._others]
        for each in psutil.wait_procs(left, _GONE)[1]:
            self._violation(f"process {each.pid} ({shown(each.name())}) outlived its supervisor")
            each.kill()

    def _upload(self) -> list[str]:
        if self._to is None:
            return []
        location = self._location()
        endpoint = ["--endpoint-url", location.endpoint_url] if location.endpoint_url else []
        return ["--to", f"s3://{location.bucket}/{location.prefix}", *endpoint, "--include-originals"]

    def _location(self) -> Location:
        """Each output directory has a prefix of its own."""
        assert self._to is not None
        prefix = "/".join(filter(None, (self._to.prefix, os.path.basename(self._folder), str(self._generation))))
        return msgspec.structs.replace(self._to, prefix=prefix)

    def _jobs_of_last_run(self) -> int | None:
        try:
            jobs: int = msgspec.json.decode(self._said().rpartition("\n")[2])["jobs"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return None
        return jobs

    def _said(self) -> str:
        """Return the end of what the last run has printed."""
        with open(self._log, "rb") as file:
            return file.read().decode("utf-8", "replace").strip()[-2000:]


def _children(supervisor: int) -> Iterator[tuple[Victim, int]]:
    """Yield what a supervisor has started, by what each process is."""
    kinds: dict[int, Victim] = {}
    with suppress(psutil.Error):  # it ends
        for child in psutil.Process(supervisor).children(recursive=True):
            with suppress(psutil.Error):
                kind = _kind(child, kinds.get(child.ppid()))
                if kind is not None:
                    kinds[child.pid] = kind
                    yield kind, child.pid


def _kind(process: psutil.Process, parent: Victim | None) -> Victim | None:
    """Return what a process is, whose parent is of a kind or (None) the supervisor; it comes after its parent."""
    words = " ".join(process.cmdline())
    if process.name().startswith("ffmpeg"):
        return Victim.FFMPEG
    if parent is Victim.FORK_SERVER:
        return Victim.WORKER  # forked: its arguments are those of the fork server
    if parent is Victim.WORKER:
        return Victim.DECODER
    if parent is not None:
        return None
    starts = {
        "pool.forkserver": Victim.FORK_SERVER, "pool.network_worker": Victim.UPLOADER, "pool.worker": Victim.WORKER,
        FOLDER: Victim.CHECKER,
    }  # fmt: skip
    return next((kind for word, kind in starts.items() if word in words), None)


def _tree(out: str) -> dict[str, str]:
    """Relative name -> digest of every output."""
    found = {}
    for folder, folders, names in os.walk(out):
        folders[:] = [name for name in folders if name != ".mediactl"]
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                path = os.path.relpath(os.path.join(folder, name), out)
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
