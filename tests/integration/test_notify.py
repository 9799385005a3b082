"""Notifications: what a receiver gets, when it fails, hangs, or is sent names that others chose."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import event_of
from support.receivers import Receiver, receiver

from mediactl.core.errors import UsageError
from mediactl.model.events import Event
from mediactl.model.figures import Figures, Oldest
from mediactl.model.jobs import Priority
from mediactl.monitor import targets
from mediactl.monitor.monitors import Monitors
from mediactl.monitor.notices import Notice, request, signature
from mediactl.monitor.notify import Notifier
from mediactl.monitor.targets import Format, Occasion, Target
from mediactl.ui.lines import ending, problem

SUMMARY: dict[str, Any] = dict.fromkeys(
    "sources up_to_date done rejected quarantined unfinished ignored troubles jobs artefacts uploaded bytes_in"
    " bytes_out bytes_sent elapsed_s exit_code internal_errors".split(),
    0,
) | {"internal_error": ""}
STARTED = {"run": "8a3f1c2e0000", "version": "1.2", "recipe": "web", "out": "/out", "workers": 2, "watching": False}
EVERYTHING = tuple(Occasion)


def run(target: Target, *events: Event, flush: float = 30.0) -> list[Event]:
    """Pass the events of a run to a notifier; what is displayed of it."""
    shown: list[Event] = []
    monitors = Monitors(
        [Notifier(target, lambda: Figures(time=0.0), problem, ending, pause=0.05)], shown.append, flush=flush
    )
    for event in events:
        monitors.take(event)
    return shown


def ended(code: int) -> Event:
    """The end of a run."""
    return event_of("summary", {**SUMMARY, "exit_code": code})


def started() -> Event:
    """The start of a run."""
    return event_of("run.started", STARTED)


def quarantined(path: str) -> Event:
    """A source that is quarantined."""
    return event_of("job.quarantined", {"job": "k", "kind": "image", "path": path, "reason": "crashed"})


def test_a_run_from_start_to_end(tmp_path: object) -> None:
    with receiver() as got:
        run(Target(got.url, EVERYTHING), started(), quarantined("a.jpg"), quarantined("b.jpg"), ended(1))
    found = [json.loads(each.body) for each in got.got]
    assert [each["type"] for each in found] == ["mediactl.start", "mediactl.quarantined", "mediactl.fail"]
    assert found[0]["data"]["run"] == STARTED["run"]
    assert found[1]["data"]["sources"] == [
        {"path": "a.jpg", "reason": "crashed"},
        {"path": "b.jpg", "reason": "crashed"},
    ]
    assert found[2]["data"]["exit_code"] == 1
    assert "quarantined: a.jpg: crashed" in found[2]["text"]


@pytest.mark.parametrize(
    ("on", "code", "types"),
    [
        ((Occasion.FAIL,), 0, []),
        ((Occasion.FAIL,), 75, ["mediactl.fail"]),
        ((Occasion.FINISH,), 0, ["mediactl.finish"]),
        ((Occasion.FINISH,), 2, ["mediactl.fail"]),
        ((Occasion.START,), 2, ["mediactl.start"]),
    ],
)
def test_only_what_was_asked_for_is_sent(on: tuple[Occasion, ...], code: int, types: list[str]) -> None:
    with receiver() as got:
        run(Target(got.url, on), started(), ended(code))
    assert [json.loads(each.body)["type"] for each in got.got] == types


def test_a_receiver_that_answers_500_gets_it_again_with_the_same_id() -> None:
    with receiver(500, 503) as got:
        shown = run(Target(got.url, (Occasion.FINISH,), secret="whsec_c2VjcmV0"), started(), ended(0))
    assert [event.name for event in shown] == ["run.started", "summary"]
    assert len(got.got) == 3
    assert len({each.headers["webhook-id"] for each in got.got}) == 1
    one = got.got[-1]
    stamp = one.headers["webhook-timestamp"]
    assert one.headers["webhook-signature"] == signature(b"secret", one.headers["webhook-id"], stamp, one.body)


@pytest.mark.parametrize("status", [404, 302])
def test_a_refusal_is_one_line_without_the_url(status: int) -> None:
    with receiver(*[status] * 2) as got:
        target = Target(f"{got.url}/services/T0/secret?key=hidden", (Occasion.START, Occasion.FINISH))
        shown = run(target, started(), ended(0))
    assert len(got.got) == 2, "neither is sent again"
    (trouble,) = (event for event in shown if event.name == "monitor.trouble")
    assert problem(trouble) == f"notify 127.0.0.1: answered {status}; the run goes on"


def test_nobody_listens() -> None:
    with receiver() as gone:
        pass
    shown = run(Target(gone.url, (Occasion.FINISH,)), started(), ended(0), flush=0.3)
    assert [event.name for event in shown] == ["run.started", "monitor.trouble", "summary"]


def test_a_receiver_that_hangs_holds_nothing_up() -> None:
    with receiver() as got:
        got.hangs.set()
        began = time.monotonic()
        shown = run(Target(got.url, EVERYTHING), started(), *[quarantined("a.jpg")] * 5000)
        assert time.monotonic() - began < 5, "events are not held up"
        assert all(event.name != "monitor.trouble" for event in shown)
        shown = run(Target(got.url, (Occasion.FINISH,)), started(), ended(0), flush=0.3)
        assert time.monotonic() - began < 9, "its time limit of ten seconds was not waited for"
    assert [problem(event) for event in shown if event.name == "monitor.trouble"] == [
        "notify 127.0.0.1: does not answer; the run goes on"
    ]


def test_apprise_sends_it_and_shows_no_token() -> None:
    name = "<b>*a*</b> \\n [x](http://y).jpg"
    with receiver(500) as got:
        url = f"{got.url.replace('http', 'json')}/hidden"
        shown = run(Target(url, EVERYTHING, Format.APPRISE), started(), quarantined(name), ended(0))
    assert [event.name for event in shown] == ["run.started", "job.quarantined", "summary"], "the 500 was sent again"
    first, again, *rest = [json.loads(each.body) for each in got.got]
    assert first == again
    assert [(each["title"], each["type"]) for each in (again, *rest)] == [
        ("mediactl: start", "info"),
        ("mediactl: quarantined", "failure"),
        ("mediactl: finish", "info"),
    ]
    assert name in rest[0]["message"]
    assert {each.path for each in got.got} == {"/hidden"}


def test_apprise_does_not_get_through(capfd: pytest.CaptureFixture[str]) -> None:
    with receiver() as gone:
        pass
    for url, line, flush in (
        ("nonsense://hidden", "notify nonsense: Apprise does not support this url; the run goes on", 30),
        (f"{gone.url.replace('http', 'json')}/hidden", "notify json: does not answer; the run goes on", 0.3),
    ):
        shown = run(Target(url, (Occasion.FINISH,), Format.APPRISE), started(), ended(0), flush=flush)
        assert [problem(event) for event in shown if event.name == "monitor.trouble"] == [line]
    assert "".join(capfd.readouterr()) == ""


def test_apprise_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    shown = run(Target("json://127.0.0.1:9/hidden", (Occasion.FINISH,), Format.APPRISE), started(), ended(0))
    assert [problem(event) for event in shown if event.name == "monitor.trouble"] == [
        "notify json: format apprise requires an extra: install mediactl[apprise]; the run goes on"
    ]


def waited(got: Receiver, number: int) -> None:
    """Wait until so many requests have come."""
    deadline = time.monotonic() + 30
    while len(got.got) < number and time.monotonic() < deadline:
        time.sleep(0.01)


def test_overdue_jobs_are_reported_once_until_none_is() -> None:
    late = [Figures(time=0.0, oldest=(Oldest("quick", Priority.NORMAL, 700.0, overdue),)) for overdue in (0.0, 100.0)]
    states = [late[0], late[1], late[1], late[1], late[0], late[1]]

    def read() -> Figures:
        return states.pop(0) if len(states) > 1 else states[0]

    with receiver() as got:
        shown: list[Event] = []
        notifier = Notifier(Target(got.url, (Occasion.OVERDUE,)), read, problem, ending, pause=0.02)
        monitors = Monitors([notifier], shown.append)
        monitors.take(started())
        waited(got, 2)
        monitors.take(ended(0))
    found = [json.loads(each.body) for each in got.got]
    assert [each["type"] for each in found] == ["mediactl.overdue"] * 2
    assert found[0]["data"]["jobs"] == [{"lane": "quick", "priority": "normal", "overdue_s": 100.0}]
    assert found[0]["text"] == "mediactl: jobs are overdue\nnormal jobs of lane quick: 100 s"


def test_healthchecks_is_pinged_with_the_exit_code_and_the_last_lines() -> None:
    with receiver() as got:
        target = Target(f"{got.url}/ping/uuid", EVERYTHING, Format.HEALTHCHECKS)
        run(target, started(), quarantined("a.jpg"), ended(75))
    assert [each.path for each in got.got] == ["/ping/uuid/start", "/ping/uuid/log", "/ping/uuid/75"]
    first, *rest = got.got[-1].body.decode().splitlines()
    assert first.startswith("mediactl: exit code 75: ")
    assert rest == ["quarantined: a.jpg: crashed"]


@settings(deadline=None)
@given(path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_name_stays_text_in_every_format(path: str) -> None:
    notice = Notice(Occasion.QUARANTINED, f"mediactl: {path}", {"path": path}, 0.0)
    slack = json.loads(request(Target("http://h/", format=Format.SLACK), notice, "id").body)
    assert not {"<", ">"} & set(slack["text"]) and slack["mrkdwn"] is False
    assert json.loads(request(Target("http://h/"), notice, "id").body)["data"] == {"path": path}
    for format_ in (Format.NTFY, Format.HEALTHCHECKS):
        sent = request(Target("http://h/", format=format_), notice, "id")
        assert sent.body.decode() == notice.text
        assert sent.url in ("http://h/", "http://h/log")
        assert sent.headers.get("Title") in (None, "mediactl: quarantined")


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, verified by its own library there."""
    key = Target("https://h/", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").key
    body = b'{"test": 2432232314}'
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"url": "ftp://host/"}, "notify[0]: url: expected http://HOST/... or https://HOST/..."),
        ({"url": "http://user:hidden@host/"}, "notify[0]: url: must not hold a login"),
        ({"url": "hidden", "format": "apprise"}, "notify[0]: url: expected an Apprise URL, SERVICE://..."),
        ({"url": "http://host/", "secret": "hidden!"}, 'notify[0]: secret: expected "whsec_" and base64'),
        (
            {"url": "http://host/", "format": "slack", "secret": "hidden"},
            "notify[0]: secret: only format json is signed",
        ),
        ({"url": "http://host/", "on": ["always"]}, "Invalid enum value 'always'"),
        ({"url": "http://host/", "of": 1}, "unknown field `of`"),
        ({}, "missing required field `url`"),
    ],
)
def test_an_invalid_table_is_refused(table: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        targets.parse("mediactl.toml:", [table])
    assert why in str(refused.value) and "hidden" not in str(refused.value)


def test_a_valid_one_is_taken() -> None:
    (target,) = targets.parse(
        "f:", [{"url": "https://hooks.slack.com/x", "format": "slack", "on": ["fail", "overdue"]}]
    )
    assert (target.on, target.format) == ((Occasion.FAIL, Occasion.OVERDUE), Format.SLACK)
    (target,) = targets.parse("f:", [{"url": "tgram://123:hidden/456", "format": "apprise"}])
    assert target.name == "notify tgram"
