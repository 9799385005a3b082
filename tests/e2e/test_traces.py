"""Traces as a collector of OpenTelemetry gets them, compared with the journal."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest
from conftest import CommandLine
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.receivers import Receiver, receiver
from support.servers import Server
from support.shipped import a_bucket, a_command_line, picture

from mediactl.media.ffmpeg import binary

RECIPE = 'name = "tiny"\n[[image]]\nname = "w10"\nwidth = 10\n'
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PROCESS = ("process", "in", "--recipe", "tiny.toml")


class Span(NamedTuple):
    """A span that has arrived."""

    trace: str
    id: str
    parent: str
    name: str
    began: int
    ended: int
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def spans(got: Receiver) -> list[Span]:
    """All spans that have arrived, by the schema of OTLP."""
    found = []
    for request in got.got:
        assert request.path == "/v1/traces" and request.headers["content-type"] == "application/x-protobuf"
        for of_resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            resource = values(of_resource.resource.attributes)
            for each in (span for scope in of_resource.scope_spans for span in scope.spans):
                found.append(
                    Span(
                        each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex(), each.name,
                        each.start_time_unix_nano, each.end_time_unix_nano, each.status.code == 2,
                        values(each.attributes), resource,
                    )
                )  # fmt: skip
    return found


def rows(mediactl: CommandLine, query: str) -> list[tuple[Any, ...]]:
    """What the journal answers."""
    path = mediactl.folder / "derived" / ".mediactl" / "journal.db"
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY).execute(query).fetchall()


@pytest.fixture
def sources(mediactl: CommandLine, stills: Path) -> Path:
    """SOURCE with one image and one that is truncated."""
    (mediactl.folder / "tiny.toml").write_text(RECIPE)
    folder = mediactl.folder / "in"
    folder.mkdir()
    for name in ("balloon.png", "truncated.jpg"):
        shutil.move(stills / name, folder / name)
    return folder


def test_a_trace_for_each_source(mediactl: CommandLine, sources: Path) -> None:
    began = time.time_ns()
    with receiver() as got:
        done = mediactl(
            *PROCESS, "--json",
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": got.url, "OTEL_RESOURCE_ATTRIBUTES": "site=north"},
        )  # fmt: skip
        assert (done.code, done.err) == (1, "")
        found = spans(got)
    tops = [span for span in found if span.name == "source"]
    assert {span.attributes["mediactl.path"]: span.attributes["mediactl.outcome"] for span in tops} == {
        "balloon.png": "done",
        "truncated.jpg": "rejected",
    }
    assert len({span.trace for span in found}) == len(tops) == 2
    assert {span.parent for span in tops} == {""}
    assert {span.attributes["mediactl.path"] for span in tops if span.is_error} == {"truncated.jpg"}
    attempts = rows(
        mediactl,
        "SELECT s.path, j.operation, j.lane, a.attempt, a.outcome FROM attempts AS a JOIN jobs AS j ON j.id = a.job"
        " JOIN sources AS s ON s.id = j.source",
    )
    paths = {span.id: span.attributes["mediactl.path"].encode() for span in tops}
    below = [span for span in found if span.parent]
    names = ("mediactl.operation", "mediactl.lane", "mediactl.attempt", "mediactl.outcome")
    assert sorted(attempts) == sorted((paths[s.parent], *(s.attributes[name] for name in names)) for s in below)
    assert len(attempts) >= 3
    above = {span.id: span for span in tops}
    for span in below:
        assert span.trace == above[span.parent].trace
        assert began < above[span.parent].began <= span.began <= span.ended <= above[span.parent].ended < time.time_ns()
        assert set(span.attributes) == {*names, "mediactl.bytes"}
    assert {span.resource["service.name"] for span in found} == {"mediactl"}
    assert {span.resource["site"] for span in found} == {"north"}
    assert rows(mediactl, "SELECT * FROM traces") == []


FAILING = """#!/bin/sh
case "$*" in *{word}*) exit 1 ;; esac
exec {ffmpeg} "$@"
"""


def test_a_retry_goes_on_with_the_trace_of_the_environment(mediactl: CommandLine, samples: Path) -> None:
    (mediactl.folder / "in").mkdir()
    shutil.copy(samples / "chimes.wav", mediactl.folder / "in")
    (mediactl.folder / "tiny.toml").write_text('name = "tiny"\n[[audio]]\nname = "audio"\nformat = "opus"\n')
    failing = mediactl.folder / "failing"
    failing.write_text(FAILING.format(word="libopus", ffmpeg=shlex.quote(binary.find())))
    failing.chmod(0o755)
    command = (*PROCESS, "--attempts", "2", "--retry-delay", "0.01s", "--ffmpeg", str(failing))
    with receiver() as got:
        variables = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{got.url}/v1/traces", "OTEL_SERVICE_NAME": "night"}
        assert mediactl(*command, environment={**variables, "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}).code == 1
        first = spans(got)
        failing.write_text(FAILING.format(word="nothing", ffmpeg=shlex.quote(binary.find())))
        assert mediactl("retry", "--all").code == 0
        assert mediactl(*command, environment=variables).code == 0
        found = spans(got)
    assert {(span.trace, span.resource["service.name"]) for span in found} == {(TRACE, "night")}
    top, again = (span for span in found if span.name == "source")
    assert [(span.parent, span.attributes["mediactl.outcome"]) for span in (top, again)] == [
        (SPAN, "quarantined"),
        (top.id, "done"),
    ]
    outcomes = [(s.attributes["mediactl.attempt"], s.is_error) for s in first if s.name == "audio"]
    assert outcomes == [(1, True), (2, True)]
    assert [(s.parent, s.is_error) for s in found[len(first) :] if s.name == "audio"] == [(again.id, False)]


def test_uploads_have_spans_that_name_no_bucket(tmp_path: Path, ministack_server: Server) -> None:
    picture(tmp_path / "in/0.jpg", 0)
    mediactl, bucket = a_command_line(tmp_path), a_bucket(ministack_server)
    with receiver() as got:
        done = mediactl(
            "process", "in", "--recipe", "small.toml", *bucket.to(),
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": got.url},
        )  # fmt: skip
        found = spans(got)
    assert done.code == 0, done
    assert len({span.trace for span in found}) == 1
    sent = Counter(each.name for each in found)
    jobs = rows(
        mediactl,
        "SELECT j.operation, count(*) FROM attempts JOIN jobs AS j ON j.id = job WHERE j.source IS NOT NULL GROUP BY 1",
    )
    assert sent == Counter(dict(jobs)) + Counter(source=1)
    assert sent["upload"] == 2 and sent["publish"] == 1
    uploaded = sum(s.attributes["mediactl.bytes"] for s in found if s.name in ("upload", "publish"))
    assert uploaded == sum(map(len, bucket.objects().values()))
    assert not any(bucket.name.encode() in each.body for each in got.got)


def test_files_that_are_uploaded_have_traces_and_statsd_gets_their_attempts(
    tmp_path: Path, ministack_server: Server
) -> None:
    for number in range(2):
        picture(tmp_path / f"in/{number}.jpg", number)
    mediactl, bucket = a_command_line(tmp_path), a_bucket(ministack_server)
    with receiver() as got, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        done = mediactl(
            "upload", "in", *bucket.to(), "--statsd", f"127.0.0.1:{statsd.getsockname()[1]}",
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": got.url, "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"},
        )  # fmt: skip
        found = spans(got)
        counted = ""
        with suppress(BlockingIOError):
            while True:
                counted += statsd.recv(1 << 16, socket.MSG_DONTWAIT).decode() + "\n"
    assert done.code == 0, done
    tops = {span.attributes["mediactl.path"]: span for span in found if span.name == "source"}
    sizes = {name: len(body) for name, body in bucket.objects().items()}
    assert sorted(span.attributes["mediactl.bytes"] for span in tops.values()) == sorted(sizes.values())
    assert {os.path.basename(path) for path in tops} == {"0.jpg", "1.jpg"}
    assert {(span.trace, span.parent, span.is_error) for span in tops.values()} == {(TRACE, SPAN, False)}
    below = [span for span in found if span.name == "upload"]
    assert sorted(span.parent for span in below) == sorted(span.id for span in tops.values())
    assert "mediactl.upload.success:" in counted
    assert not any(bucket.name.encode() in each.body for each in got.got)


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"},
    ],
)
def test_nothing_is_sent(mediactl: CommandLine, sources: Path, variables: dict[str, str]) -> None:
    with receiver() as got:
        done = mediactl(*PROCESS, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": got.url, **variables})
        assert done.code == 1, done
    assert got.got == []


def test_a_collector_that_fails_or_hangs_is_one_line(mediactl: CommandLine, sources: Path) -> None:
    lines = []
    with receiver(*[500] * 9) as got:
        login = got.url.replace("//", "//user:hidden@")
        for hangs in (False, True):
            if hangs:
                got.hangs.set()
            shutil.rmtree(mediactl.folder / "derived", ignore_errors=True)
            done = mediactl(
                *PROCESS, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": login, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
            )
            assert done.code == 1, done
            assert "hidden" not in done.out + done.err
            lines += [line for line in (done.out + done.err).splitlines() if "Telemetry" in line or "otlp" in line]
    assert lines == [
        "OpenTelemetry: answered 500; the run goes on",
        "OpenTelemetry: does not answer; the run goes on",
    ]
