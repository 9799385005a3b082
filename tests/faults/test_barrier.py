"""The barrier: whatever raises in the supervisor while one source is handled ends that source, never the run."""

from __future__ import annotations

import inspect
import io
import os
import re
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import apsw
import pytest
from support.forkserver import ForkServer
from support.journals import a_source, new_job, opened
from support.pictures import photo

from mediactl.assets.check import OutputCheck
from mediactl.core.errors import ExitCode, MachineBlocked, UsageError
from mediactl.core.settings import Destination, Settings
from mediactl.core.settings import Watching as Timing
from mediactl.jobs import database
from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import FILE
from mediactl.jobs.sources import Known, SourceRow
from mediactl.model.events import Event, ScanTrouble, SourcePlanned, SourceSettled, Summary
from mediactl.model.jobs import Priority
from mediactl.model.media import Source
from mediactl.model.uploads import Location
from mediactl.pipeline.intake.batches import Intake
from mediactl.pipeline.intake.uploads import Sending
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.run import open_watch, process
from mediactl.recipe import loader
from mediactl.sources.filters import Filter
from mediactl.sources.scan import Batch, Entry

BAD, BAD_ID = b"a-bad.png", 1
"""First in the order of names, so that its row is the first of a new journal."""
GOOD = ("b.png", "c.png")
RECIPE = 'name = "small"\n[[image]]\nname = "w20"\nwidth = 20\n'
ROOMS = ("pipeline", "jobs", "planning", "sources")
OF_THE_BARRIER = frozenset({"Batch.path_of", "Dispatcher._give_up", "Journal.give_up", "Journal.path_of"})
"""What names the source that it gives up."""
STATEMENTS_OF_THE_BARRIER = frozenset({"head", "give_up", "source_state", "cancel_pieces", "source_path"})


def concerns_the_bad_one(qualname: str, arguments: list[Any]) -> bool:
    """Tell whether a call is about the bad source, and no other."""
    if qualname.startswith("Sources.") and arguments[1:2] == [BAD_ID]:
        return True
    for each in arguments:
        match each:
            case Claim():
                found = each.source == BAD_ID
            case SourceRow() | Known():
                found = each.id == BAD_ID
            case Source():
                found = each.path == BAD
            case Entry():
                found = each.name == BAD
            case Batch():
                found = [entry.name for entry in each.files] == [BAD]
            case bytes():
                found = os.path.basename(each) == BAD
            case (_, _, bytes() as name):  # ``watch.File``
                found = name == BAD
            case _:
                found = False
        if found:
            return True
    return False


def run(folder: Path, name: str) -> tuple[Summary, list[Event]]:
    """Process the folder ``in`` with a new journal and OUT."""
    events: list[Event] = []
    settings = Settings(
        sources=(os.fsencode(folder / "in"),), out=os.fsencode(folder / f"out-{name}"),
        state=str(folder / f"state-{name}"), recipe=str(folder / "small.toml"), jobs=1, retry_delay=0.0,
        environment=dict(os.environ),
    )  # fmt: skip
    return process(settings, events.append, io.BytesIO), events


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Three pictures and a recipe."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate((BAD.decode(), *GOOD)):
        photo(60, 40, number).save(tmp_path / "in" / name)
    (tmp_path / "small.toml").write_text(RECIPE)
    return tmp_path


@contextmanager
def observed() -> Iterator[set[tuple[str, str]]]:
    """Collect (module, function) of all that is called for the bad source in this process."""
    found: set[tuple[str, str]] = set()

    def look(frame: FrameType, event: str, _argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event != "call" or not module.startswith(tuple(f"mediactl.{room}" for room in ROOMS)):
            return
        code = frame.f_code
        arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
        if "<" not in code.co_qualname and concerns_the_bad_one(code.co_qualname, arguments):
            found.add((module, code.co_qualname))

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


def owner_of(module: str, qualname: str) -> tuple[Any, str]:
    """Return what a function is an attribute of, and its name there."""
    *path, name = qualname.split(".")
    owner: Any = import_module(module)
    for part in path:
        owner = getattr(owner, part)
    return owner, name


def raising(original: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """Return a function of the same name and place as ``original`` that raises for the bad source."""

    def injected(*arguments: Any, **named: Any) -> Any:
        if concerns_the_bad_one(original.__qualname__, [*arguments, *named.values()]):
            raise error
        return original(*arguments, **named)

    code = injected.__code__.replace(
        co_name=original.__name__, co_qualname=original.__qualname__, co_filename=inspect.getfile(original)
    )
    return FunctionType(code, globals(), original.__name__, None, injected.__closure__)


def patch(monkeypatch: pytest.MonkeyPatch, module: str, qualname: str, error: Exception) -> bool:
    """Have a function raise for the bad source; False: it is none that can be replaced, such as a property."""
    owner, name = owner_of(module, qualname)
    original = inspect.getattr_static(owner, name)
    replaced: Any
    if isinstance(original, classmethod):
        replaced = classmethod(raising(original.__func__, error))
    elif inspect.isfunction(original):
        replaced = raising(original, error)
    else:
        return False
    monkeypatch.setattr(owner, name, replaced)
    if inspect.ismodule(owner):  # and where it was imported by name
        for other in [each for key, each in sys.modules.items() if key.startswith("mediactl.")]:
            if getattr(other, name, None) is original:
                monkeypatch.setattr(other, name, replaced)
    return True


def nothing(_inbox: Path) -> None:
    """All is new."""


def another_recipe(inbox: Path) -> None:
    """Process everything, then ask for one more output: nothing has to be read again."""
    run(inbox, "before")
    (inbox / "small.toml").write_text(RECIPE + '[[image]]\nname = "w30"\nwidth = 30\n')


def changed_files(inbox: Path) -> None:
    """Process everything, then change every file."""
    run(inbox, "before")
    for each in (inbox / "in").iterdir():
        each.write_bytes(each.read_bytes() + b"changed")


def start_from_before(inbox: Path, name: str) -> None:
    """Give a run a copy of what the run before has left."""
    for kind in ("out", "state"):
        if (inbox / f"{kind}-before").exists():
            shutil.copytree(inbox / f"{kind}-before", inbox / f"{kind}-{name}")


def killed(inbox: Path) -> None:
    """Process everything, then have it look as if that run was killed while it made the outputs."""
    run(inbox, "before")
    journal = apsw.Connection(str(inbox / "state-before" / FILE))
    journal.execute("UPDATE jobs SET state = 'running', owner = 'killed' WHERE kind = 'image'")
    journal.execute("UPDATE sources SET state = 'pending'")
    journal.close()


@pytest.mark.parametrize("before", [nothing, another_recipe, changed_files])
def test_whatever_raises_for_one_source_ends_that_source_and_no_other(
    inbox: Path, before: Callable[[Path], None], fork_server: ForkServer
) -> None:
    fork_server.call(every_function_raises, inbox, before)


def every_function_raises(inbox: Path, before: Callable[[Path], None]) -> None:
    """Process once for each function that is called for the bad source."""
    before(inbox)
    start_from_before(inbox, "whole")
    with observed() as calls:
        summary, _ = run(inbox, "whole")
    assert (summary.exit_code, summary.done) == (ExitCode.COMPLETE, 3)
    tried, wrong = 0, []
    for number, (module, qualname) in enumerate(sorted(calls)):
        if qualname in OF_THE_BARRIER:
            continue
        start_from_before(inbox, str(number))
        with pytest.MonkeyPatch.context() as monkeypatch:
            if not patch(monkeypatch, module, qualname, TypeError("injected")):
                continue
            tried += 1
            try:
                summary, events = run(inbox, str(number))
            except Exception as error:  # noqa: BLE001 - all that fall through are told at the end
                wrong.append((module, qualname, repr(error)))
                continue
        reasons = [reason for event in events if (reason := getattr(event, "reason", "")).startswith("internal error")]
        told = len(reasons) == 1 and f"{qualname}: TypeError: injected; a bug in mediactl" in reasons[0]
        made = all((inbox / f"out-{number}" / name / "asset.json").exists() for name in GOOD)
        if not (summary.exit_code == ExitCode.BAD_SOURCES and told and made and summary.done == 2):
            wrong.append((module, qualname, f"exit {summary.exit_code}, done {summary.done}, {reasons}"))
    assert not wrong
    assert tried > 25


@pytest.mark.parametrize(
    ("module", "qualname"),
    [("mediactl.jobs.sources", "Sources.get"), ("mediactl.core.files", "sweep_temporaries")],
)
def test_a_source_of_a_dead_run_that_cannot_be_taken_over_ends_alone(inbox: Path, module: str, qualname: str) -> None:
    killed(inbox)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert patch(monkeypatch, module, qualname, TypeError("injected"))
        summary, events = run(inbox, "before")
    (reason,) = [
        reason
        for event in events
        if "injected" in (reason := getattr(event, "reason", "")) and not isinstance(event, SourceSettled)
    ]
    assert f"{qualname}: TypeError: injected; a bug in mediactl" in reason
    assert (summary.exit_code, summary.done, summary.quarantined) == (ExitCode.BAD_SOURCES, 2, 1)


class Watching:
    """A watch of the folder ``in`` with an intake, and no worker."""

    def __init__(self, inbox: Path, name: str) -> None:
        self.inbox = inbox
        self.events: list[Event] = []
        self.changed_at = 0
        settings = Settings(
            sources=(os.fsencode(inbox / "in"),), out=os.fsencode(inbox / f"out-{name}"),
            state=str(inbox / f"state-{name}"), recipe=str(inbox / "small.toml"), watching=Timing(settle=0.02),
            environment=dict(os.environ),
        )  # fmt: skip
        self._stack = ExitStack()
        check = OutputCheck(settings.out)
        self._stack.callback(check.close)
        journal = self._stack.enter_context(opened(Path(settings.state)))
        planner = Planner(settings, loader.load(settings.recipe), {}, journal)
        watch = open_watch(settings, self.events.append)
        self._stack.callback(watch.close)
        watch.start()
        self._intake = Intake(settings, journal, planner, watch, check, self.events.append, watch)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def until(self, over: Callable[[], bool]) -> None:
        """Take in what is found until something is so, or for ten seconds."""
        deadline = time.monotonic() + 10
        assert self._intake.wakeup is not None
        while not over() and time.monotonic() < deadline:
            if not self._intake.step():
                select.select([self._intake.wakeup], [], [], 0.02)

    def change_all(self) -> None:
        """Begin to watch, then change every file; go on until all are planned, the bad one maybe reported instead."""
        self.until(lambda: self._intake.watched)
        self.changed_at = len(self.events)
        for name in (BAD.decode(), *GOOD):
            changed = self.inbox / "new"
            changed.write_bytes((self.inbox / "in" / name).read_bytes() + b"more")
            os.replace(changed, self.inbox / "in" / name)
        self.until(lambda: self.planned() >= set(GOOD) and (BAD.decode() in self.planned() or bool(self.reasons())))

    def reasons(self) -> list[str]:
        """Return what was reported of files that were not taken in."""
        return [event.reason for event in self.events if isinstance(event, ScanTrouble)]

    def planned(self) -> set[str]:
        """Return the files that were planned once they had changed."""
        return {event.path for event in self.events[self.changed_at :] if isinstance(event, SourcePlanned)}


def test_whatever_raises_for_one_source_ends_no_watch(inbox: Path) -> None:
    with Watching(inbox, "whole") as watching, observed() as calls:
        watching.change_all()
    assert watching.planned() == {BAD.decode(), *GOOD}
    tried, wrong = 0, []
    for number, (module, qualname) in enumerate(sorted(calls)):
        if qualname in OF_THE_BARRIER | {"Watch.reports"}:
            continue
        with pytest.MonkeyPatch.context() as monkeypatch:
            if not patch(monkeypatch, module, qualname, TypeError("injected")):
                continue
            tried += 1
            try:
                with Watching(inbox, str(number)) as watching:
                    watching.change_all()
            except Exception as error:  # noqa: BLE001 - all that fall through are told at the end
                wrong.append((module, qualname, repr(error)))
                continue
        told = [reason for reason in watching.reasons() if f"{qualname}: TypeError: injected; a bug in med" in reason]
        if not (told and watching.planned() == set(GOOD)):
            wrong.append((module, qualname, f"planned {watching.planned()}, {watching.reasons()}"))
    assert not wrong
    assert tried > 15


def concerning(bindings: object, source: int, job: int) -> bool:
    """Tell whether values bound to a statement are about the bad source, by its names and these numbers of its rows."""
    values = bindings if isinstance(bindings, tuple) else ()
    return any(
        (isinstance(value, int) and value in (source, job))
        or (isinstance(value, bytes) and os.path.basename(value) == BAD)
        or (isinstance(value, str) and re.search(rf"\b({source}|{job})\b", value) is not None)
        for value in values
    )


def test_a_statement_that_fails_for_one_source_ends_that_source_and_no_other(
    inbox: Path, fork_server: ForkServer
) -> None:
    """Also those that are about many sources at once: they are run for one at a time then."""
    fork_server.call(every_statement_fails, inbox)


def every_statement_fails(inbox: Path) -> None:
    """Process once for each statement that is run for the bad source."""
    source, job = 700_001, 900_001
    statements = {text: name for name, text in database.statements().items()}

    def prepare(name: str) -> None:  # rows with numbers that nothing else has
        with opened(inbox / f"state-{name}") as journal, journal.transaction():
            known = journal.sources.put_ignored(a_source(BAD), "it was another file", "")
            journal.add([new_job("other")])
            journal._connection.execute("UPDATE sources SET id = ? WHERE id = ?", (source, known))
            journal._connection.execute("UPDATE jobs SET id = ?, state = 'done'", (job - 1,))

    def traced(name: str, look: Callable[[str, object], bool]) -> tuple[Summary, list[Event]]:
        def trace(_cursor: object, text: str, bindings: object) -> bool:
            return look(text, bindings)

        def opening(path: str, *, check: bool) -> apsw.Connection:
            connection = original(path, check=check)
            connection.exec_trace = trace
            return connection

        original = database.open_database
        prepare(name)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(database, "open_database", opening)
            return run(inbox, name)

    met: set[str] = set()

    def note(text: str, bindings: object) -> bool:
        if concerning(bindings, source, job):
            met.add(text)
        return True

    summary, _ = traced("whole", note)
    assert (summary.exit_code, summary.done) == (ExitCode.COMPLETE, 3)
    wrong = []
    for number, text in enumerate(sorted(met)):
        if statements.get(text) in STATEMENTS_OF_THE_BARRIER:
            continue

        def fail(now: str, bindings: object, text: str = text) -> bool:
            if now == text and concerning(bindings, source, job):
                raise TypeError("injected")
            return True

        summary, events = traced(str(number), fail)
        reasons = [reason for event in events if "injected" in (reason := getattr(event, "reason", ""))]
        made = all((inbox / f"out-{number}" / name / "asset.json").exists() for name in GOOD)
        if not (summary.exit_code == ExitCode.BAD_SOURCES and len(reasons) == 1 and made and summary.done == 2):
            wrong.append((statements.get(text, text), f"exit {summary.exit_code}, done {summary.done}, {reasons}"))
    assert not wrong
    assert {"finish_done", "claim", "attempt", "put_source", "add"} <= {statements.get(text) for text in met}


@pytest.mark.parametrize(
    ("error", "code"), [(MachineBlocked("no space"), ExitCode.STOPPED_EARLY), (UsageError("wrong"), ExitCode.USAGE)]
)
def test_what_is_about_the_command_or_the_machine_ends_the_run(
    inbox: Path, error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert patch(monkeypatch, "mediactl.pipeline.handlers.make", "MakeHandler.done", error)
    try:
        summary, _ = run(inbox, "ended")
        ended = summary.exit_code
    except UsageError as raised:
        ended = raised.exit_code
    assert ended == code


def test_a_source_given_up_is_left_alone_by_the_next_run_until_it_is_asked_for(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as faulty:
        patch(faulty, "mediactl.pipeline.handlers.make", "MakeHandler.done", ZeroDivisionError("division by zero"))
        summary, _ = run(inbox, "again")
    assert (summary.done, summary.quarantined, summary.unfinished) == (2, 1, 0)
    summary, _ = run(inbox, "again")
    assert (summary.exit_code, summary.up_to_date, summary.quarantined, summary.jobs) == (0, 2, 1, 0)


def test_an_event_that_cannot_be_shown_does_not_end_the_run(inbox: Path) -> None:
    def show(event: Event) -> None:
        if event.name == "job.done" and getattr(event, "path", "") == BAD.decode():
            raise TypeError("injected")
        events.append(event)

    events: list[Event] = []
    settings = Settings(
        sources=(os.fsencode(inbox / "in"),), out=os.fsencode(inbox / "out"), state=str(inbox / "state"),
        recipe=str(inbox / "small.toml"), jobs=1, environment=dict(os.environ),
    )  # fmt: skip
    summary = process(settings, show, io.BytesIO)
    assert (summary.exit_code, summary.done) == (ExitCode.BAD_SOURCES, 3)
    assert [event.name for event in events if "injected" in getattr(event, "reason", "")] == ["scan.trouble"]


def test_a_file_that_cannot_be_planned_for_upload_is_reported_and_the_others_are_planned(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert patch(monkeypatch, "mediactl.pipeline.intake.uploads", "media_type", TypeError("injected"))
    events: list[Event] = []
    with opened(inbox / "state") as journal:
        to = Destination(location=Location("bucket"))
        sending = Sending((os.fsencode(inbox / "in"),), to, journal, Priority.NORMAL, events.append, Filter.of())
        while sending.step():
            pass
    assert (sending.planned, sending.troubles) == (2, 1)
    (reason,) = [reason for event in events if (reason := getattr(event, "reason", ""))]
    assert reason.startswith("internal error: media_type: TypeError: injected; a bug in mediactl")
