"""What CI systems are given of a run: JUnit XML, annotations and a summary. Names of files stay text in all of them."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st
from support.events import event_of
from test_lines import SUMMARY

from mediactl.ui.github import GitHub
from mediactl.ui.junit import JUnit

TOKEN = "0123456789abcdef"
HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["::set-output name=x::y", "%0A::error::x", "a|b`c`<img src=x>", "</code>@octocat", "a,b:c%25", "]]>&amp;",
         "\x1b[31m"]
    ),
)  # fmt: skip
DONE = {"job": "k", "kind": "image", "seconds": 1.5, "made": 3, "outputs": ["a.webp"]}


@settings(max_examples=150, deadline=None)
@given(path=HOSTILE, reason=HOSTILE)
def test_a_junit_file_is_valid_whatever_a_name_is(path: str, reason: str) -> None:
    file = io.BytesIO()
    junit = JUnit(file)
    junit.take(event_of("job.done", {**DONE, "path": path}))
    junit.take(event_of("job.rejected", {"job": "l", "kind": "probe", "path": path, "reason": reason}))
    junit.take(event_of("job.quarantined", {"job": "m", "kind": "video", "path": path, "reason": reason}))
    junit.take(event_of("summary", {**SUMMARY, "elapsed_s": 2.5}))
    junit.close()
    root = ElementTree.fromstring(file.getvalue())
    (suite,) = root
    assert root.tag == "testsuites"
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "3", "failures": "1", "errors": "1", "skipped": "0", "time": "2.500"
    }  # fmt: skip
    assert [case.tag for case in suite] == ["testcase"] * 3
    assert [[each.tag for each in case] for case in suite] == [[], ["failure"], ["error"]]
    if path.isascii() and path.isprintable():
        assert {case.get("name") for case in suite} == {path}


@settings(max_examples=150, deadline=None)
@given(path=HOSTILE, reason=HOSTILE)
def test_an_annotation_is_one_command_whatever_a_name_is(path: str, reason: str) -> None:
    out, summary = io.StringIO(), io.StringIO()
    github = GitHub(out, summary, TOKEN)
    github.take(event_of("job.rejected", {"job": "l", "kind": "probe", "path": path, "reason": reason}))
    github.take(event_of("summary", {**SUMMARY, "rejected": 1}))
    github.close()
    lines = re.split(r"[\r\n]", out.getvalue())
    assert [line for line in lines if not line.startswith("::error ")] == [
        f"::stop-commands::{TOKEN}", f"::{TOKEN}::", f"::stop-commands::{TOKEN}", f"::{TOKEN}::", ""
    ]  # fmt: skip
    (command,) = [line for line in lines if line.startswith("::error ")]
    properties, _, message = command.removeprefix("::error ").partition("::")
    assert [each.partition("=")[0] for each in properties.split(",")] == ["file", "title"]
    assert _decoded(properties.split(",")[0].partition("=")[2]) == path
    assert _decoded(message) == reason
    row = summary.getvalue().rstrip("\n").split("\n")[-1]
    cells = re.fullmatch(r"\| <code>([A-Za-z0-9 /.&#;-]*)</code> \| <code>([A-Za-z0-9 /.&#;-]*)</code> \|", row)
    assert cells
    assert [re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), cell) for cell in cells.groups()] == [
        path, f"rejected: {reason}"
    ]  # fmt: skip


def test_a_broken_budget_fails_and_is_annotated() -> None:
    file, out = io.BytesIO(), io.StringIO()
    junit, github = JUnit(file), GitHub(out, None, TOKEN, lambda path: f"photos/{path}")
    event = event_of(
        "budget.broken",
        {"path": "a.jpg", "output": "image.w1600", "file": "w1600.webp", "bytes": 213_456, "bytes_allowed": 200_000},
    )
    junit.take(event)
    github.take(event)
    junit.close()
    text = "a.jpg: w1600.webp: 213,456 bytes, image.w1600 allows 200,000"
    assert f"::error file=photos/a.jpg,title=over budget::{text}\n" in out.getvalue()
    (case,) = ElementTree.fromstring(file.getvalue())[0]
    assert case[0].get("message") == f"over budget: {text}"


def _decoded(text: str) -> str:
    for code, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text
