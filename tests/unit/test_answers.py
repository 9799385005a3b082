"""Answers of HTTP, read as http.client reads them."""

from __future__ import annotations

import socket
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.upload.s3 import answers
from mediactl.upload.s3.answers import Answer, read_answer

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f\x85"), max_size=20)


class Here:
    """A socket from which bytes come."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        """Read them."""
        return BytesIO(self._data)


def by_http_client(data: bytes, method: str) -> tuple[Answer, bool]:
    """What the standard library makes of an answer."""
    with HTTPResponse(cast(socket.socket, Here(data)), method=method) as found:
        found.begin()
        body = found.read()
        headers = {name.lower(): value for name, value in found.headers.items()}
        return Answer(found.status, headers, body), not found.will_close


@st.composite
def an_answer(draw: st.DrawFn) -> bytes:
    """Bytes of a well-formed answer."""
    status = draw(st.sampled_from([200, 204, 206, 301, 304, 403, 404, 412, 500, 503]))
    body = draw(st.binary(max_size=300))
    reserved = {"content-length", "transfer-encoding", "connection"}
    headers = draw(st.dictionaries(NAMES.filter(lambda name: name.lower() not in reserved), VALUES, max_size=6))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if connection := draw(st.sampled_from(["", "close", "keep-alive", "Close"])):
        lines.append(f"Connection: {connection}")
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    if status in (204, 304):
        body, framing = b"", "none"
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        size = draw(st.integers(1, 100))
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    continues = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    version = draw(st.sampled_from(["1.1", "1.0"]))
    head = "\r\n".join([f"HTTP/{version} {status} {draw(st.sampled_from(['OK', '']))}", *lines])
    return continues + head.encode("latin-1") + b"\r\n\r\n" + body


@given(an_answer(), st.sampled_from(["GET", "PUT", "HEAD"]))
def test_answers_are_read_as_http_client_reads_them(data: bytes, method: str) -> None:
    assert read_answer(BytesIO(data), method) == by_http_client(data, method)


@given(an_answer(), st.data())
def test_of_an_answer_that_breaks_off_nothing_but_its_end_may_be_taken_for_whole(
    data: bytes, more: st.DataObject
) -> None:
    cut = data[: more.draw(st.integers(0, max(0, len(data) - 1)))]
    try:
        answer, keep = read_answer(BytesIO(cut), "PUT")
    except (HTTPException, OSError):
        return
    if answer.status not in (204, 304):
        assert not keep, "only the connection's end marks the end"


@given(st.binary(max_size=200))
def test_whatever_comes_is_an_answer_or_an_error_of_http(data: bytes) -> None:
    for head in (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        try:
            read_answer(BytesIO(head + data), "GET")
        except (HTTPException, OSError):
            pass


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101,
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n" + bytes(answers.MAX_ANSWER + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(answers.MAX_ANSWER + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"80000\r\n%b\r\n" % bytes(0x80000) * 3,
    ],
)
def test_an_answer_without_measure_is_not_read_to_its_end(head: bytes) -> None:
    with pytest.raises(HTTPException):
        read_answer(BytesIO(head + b"\r\n\r\n"), "GET")
