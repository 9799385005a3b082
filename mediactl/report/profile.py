"""``profile JOB``: makes the outputs of a job once more, in a temporary directory, under a profiler.

The decoder is profiled, in its sandbox: there sources are read and outputs are encoded. What the profiler has recorded
is rendered here.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import NoReturn

import msgspec

from mediactl import __version__
from mediactl.core import distributions
from mediactl.core.errors import JobFailed, UsageError
from mediactl.core.files import shown
from mediactl.core.sandbox.mode import Mode
from mediactl.core.sandbox.workspace import Workspace
from mediactl.core.settings import Settings
from mediactl.jobs import report
from mediactl.jobs.journal import Journal
from mediactl.jobs.report import JobRow
from mediactl.media import decode, make, probe
from mediactl.media.confined import Confined
from mediactl.media.decode import Around
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.model.jobs import MakeTask, Priority, ProbeTask
from mediactl.outputs import registry
from mediactl.pipeline.planner import Planner
from mediactl.pool.limits import available_cores
from mediactl.recipe import loader
from mediactl.report import clean

RECORD = "profile"
"""Name in the workspace of what a profiler has recorded."""
INTERVAL = 0.001
"""Seconds between two samples."""
EXTRA = "profile"
POLICY = (
    b"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'"
    b" 'unsafe-eval' blob:; style-src 'unsafe-inline'; img-src data: blob:; font-src data:\">"
)


class Tool(msgspec.Struct, frozen=True):
    """A profiler."""

    package: str
    around: Around
    """Records in the decoder while a request is answered."""
    render: Callable[[str], bytes]
    """Returns the HTML of a record, by the path of its file."""
    readable: tuple[bytes, ...] = ()
    """Directories that it reads beyond those of the sandbox."""


@contextmanager
def _cpu(workspace: Workspace) -> Iterator[None]:
    from pyinstrument import Profiler

    profiler = Profiler(interval=INTERVAL)
    with profiler:
        yield
    assert profiler.last_session is not None
    profiler.last_session.save(os.fsdecode(workspace.temporary(RECORD)))


@contextmanager
def _memory(workspace: Workspace) -> Iterator[None]:
    from memray import Tracker

    with Tracker(os.fsdecode(workspace.temporary(RECORD))):
        yield


def _cpu_page(record: str) -> bytes:
    from pyinstrument.renderers import HTMLRenderer
    from pyinstrument.session import Session

    page: str = HTMLRenderer(show_all=True).render(Session.load(record))
    return page.encode()


def _memory_page(record: str) -> bytes:
    page = record + ".html"
    command = [sys.executable, "-m", "memray", "flamegraph", "--force", "--no-web", "--output", page, record]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobFailed(f"memray flamegraph: exit code {done.returncode}: {done.stderr.strip()[-200:]}")
    with open(page, "rb") as file:
        return file.read()


TOOLS = {
    "cpu": Tool("pyinstrument", _cpu, _cpu_page),
    "memory": Tool("memray", _memory, _memory_page, (b"/proc/self",)),
}


def of_job(state: str, job: JobRow, tool: str) -> bytes:
    """Return the profile of a job ("cpu" or "memory") as HTML, made by a process without credentials.

    Raises MediactlError.
    """
    return clean.run("profile", state, job.key, tool)


def main(arguments: list[str]) -> NoReturn:
    """Write the profile of a job: state directory, key of the job, tool."""
    state, key, tool = arguments

    def found() -> bytes:
        with report.read(state) as rows:
            (job,) = rows.find(key.encode())
        return profile(state, job, TOOLS[tool], dict(os.environ))

    clean.answer(found)


def profile(state: str, job: JobRow, tool: Tool, environment: dict[str, str]) -> bytes:
    """Run a job once more and return the profile of its decoder as HTML. Nothing in OUT or the journal is changed.

    Raises UsageError where the tool is not installed, or the job decodes nothing; what the job raises.
    """
    if distributions.version(tool.package) is None:
        raise UsageError(f"profile: requires {tool.package}; pip install 'mediactl[{EXTRA}]'")
    with tempfile.TemporaryDirectory(prefix="mediactl-profile-") as folder:
        out = os.fsencode(os.path.join(folder, "out"))
        os.mkdir(out)
        settings = Settings(
            sources=(), out=out, state=os.path.join(folder, "state"), jobs=available_cores(), environment=environment
        )
        task = _task(state, job, settings)
        with closing(Confined(out, Mode.AUTO, partial(decode.serve, around=tool.around), tool.readable)) as decoder:
            if isinstance(task, ProbeTask):
                probe.probe(task, decoder)
            else:
                make.make(task, (), b"profile", lambda _: None, decoder)
            record = os.path.join(folder, RECORD)
            decoder.workspace.take(RECORD, os.fsencode(record))
        return _offline(tool.render(record))


def _offline(page: bytes) -> bytes:
    """Return a page with a policy by which it asks nobody for anything: pyinstrument's would load a font."""
    return page.replace(b"<head>", b"<head>" + POLICY, 1)


def _task(state: str, job: JobRow, settings: Settings) -> MakeTask | ProbeTask:
    """Return what a worker would be given for a job, without anything that is there already."""
    with Journal.rehearse(state, clock=time.time, random=random.random, version=__version__) as journal:
        source = journal.source_of(job.id)
        if source is None or job.kind == "upload":
            raise UsageError(f"job {job.key[:12]}: an upload decodes nothing; name an image, video or audio job")
        row = journal.sources.get(source)
        default = loader.load(settings.recipe)
        planner = Planner(settings, default, encoder_versions(settings.environment.get("MEDIACTL_FFMPEG")), journal)
        recipe = planner.with_digest(row.recipe)
        if job.kind == "probe" or row.info is None:
            return msgspec.json.decode(
                planner.probe_job(row.source, source, recipe, Priority.NORMAL).payload, type=ProbeTask
            )
        work = planner.work(row, recipe, Priority.NORMAL)
    if work is None:
        raise UsageError(f"{shown(row.source.path)}: its recipe has no outputs for it")
    task = msgspec.json.decode(work.make.payload, type=MakeTask, dec_hook=registry.decode)
    return msgspec.structs.replace(task, keep=(), placeholder="", work=b"", warnings=())
