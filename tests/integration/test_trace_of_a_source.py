"""The trace of a source is that of the run that first planned it, whichever run finishes it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.journals import a_source, new_job, opened
from support.receivers import receiver

from mediactl.jobs.journal import Journal
from mediactl.jobs.states import State
from mediactl.model.events import AttemptEnded, RunFailed, SourceTrace
from mediactl.monitor import tracing
from mediactl.monitor.otel_sender import OtelSender

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def planned(state: Path, parent: str | None) -> int:
    """A source with a job that a run plans, which then ends."""
    with opened(state) as journal, journal.transaction():
        journal.traces.parent = parent
        source = journal.sources.put(a_source(), "", "", "pending")
        journal.add([new_job("a", source=source)])
    return source


def attempted(journal: Journal, source: int, *, ends: str = "") -> SourceTrace | None:
    """An attempt on its job ends; with ``ends``, the source is in that state now and nothing of it is pending."""
    with journal.transaction():
        (claim,) = journal.claim(("quick", "heavy"), 1)
        journal.traces.begin((source,))
        if ends:
            journal.finish(claim.id, claim.attempt, State.CANCELLED)
            journal.sources.set_state(source, ends, "")
        else:
            journal.interrupt(claim.id, claim.attempt, "")
        return journal.traces.attempted(source)


@pytest.mark.parametrize("other", ["", f"00-{'a' * 32}-{'b' * 16}-01"])
@pytest.mark.parametrize("parent", ["", PARENT])
def test_another_run_goes_on_with_the_trace(tmp_path: Path, parent: str, other: str) -> None:
    source = planned(tmp_path, parent)
    with opened(tmp_path) as journal:
        journal.traces.parent = other
        first = attempted(journal, source)
        assert first is not None and first.state == "" and first.parent == parent
    with opened(tmp_path) as journal:
        journal.traces.parent = other
        last = attempted(journal, source, ends="quarantined")
    assert last is not None
    assert (last.trace, last.span, last.state) == (first.trace, first.span, "quarantined")
    assert (last.trace == TRACE) == bool(parent)
    planned(tmp_path, other)
    with opened(tmp_path) as journal:
        journal.traces.parent = other
        again = attempted(journal, source, ends="rejected")
    assert again is not None
    assert (again.trace, again.parent) == (first.trace, f"00-{first.trace}-{first.span}-01"), "a retry is below it"
    planned(tmp_path, "")
    with opened(tmp_path) as journal:
        journal.traces.parent = ""
        new = attempted(journal, source)
    assert new is not None and new.trace != first.trace and new.parent == "", "a new one after its end"


def test_a_source_that_a_run_without_traces_has_planned(tmp_path: Path) -> None:
    source = planned(tmp_path, None)
    with opened(tmp_path) as journal:
        journal.traces.parent = PARENT
        found = attempted(journal, source)
    assert found is not None and (found.trace, found.parent) == (TRACE, PARENT)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PARENT, PARENT),
        (f" {PARENT}\n", PARENT),
        (f"cc-{TRACE}-{SPAN}-00-what-comes-later", f"00-{TRACE}-{SPAN}-00"),
        ("", ""),
        (f"00-{'0' * 32}-{SPAN}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"ff-{TRACE}-{SPAN}-01", ""),
        (PARENT.upper(), ""),
        (PARENT[:-1], ""),
    ],
)
def test_the_traceparent_of_the_environment(text: str, found: str) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "TRACEPARENT": text}
    assert tracing.traceparent(variables) == found
    assert tracing.traceparent({"TRACEPARENT": text}) is None


@pytest.mark.parametrize(("status", "hangs"), [(503, False), (500, False), (0, True)])
def test_a_collector_that_does_not_accept_spans(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], status: int, hangs: bool
) -> None:
    source = SourceTrace(trace=TRACE, span=SPAN, parent="", began_at=1.0, path="a.jpg", size=1, state="done")
    ended = AttemptEnded(
        time=2.0,
        operation="image",
        result="success",
        seconds=0.5,
        lane="quick",
        attempt=1,
        outcome="done",
        trace=source,
    )
    with receiver(*[status] * 9) as got:
        if hangs:
            got.hangs.set()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", got.url)
        sender = OtelSender()
        sender.start()
        sender.take(ended)
        sender.take(RunFailed(reason="", exit_code=75))
        while not got.got:
            time.sleep(0.01)
        began = time.monotonic()
        sender.close(began + 0.5)
        assert time.monotonic() - began < 2
        assert sender.trouble == ("does not answer" if hangs else f"answered {status}")
    assert "".join(capfd.readouterr()) == ""


def test_what_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert tracing.trouble(variables) == ""
    grpc = {**variables, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert tracing.trouble(grpc) == "no traces are sent; the only supported protocol is http/protobuf"
    assert tracing.traceparent(grpc) is None
    monkeypatch.setattr(tracing, "PACKAGES", ("a-package-that-is-not-installed",))
    assert tracing.trouble(variables) == "no traces are sent; install mediactl[otel]"
    assert tracing.traceparent(variables) is None
    assert tracing.trouble({}) == ""
