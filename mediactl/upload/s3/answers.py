"""Answers of HTTP/1.1, read from a socket. ``http.client`` reads their headers by the parser of e-mail, which takes a
tenth of what a small object costs."""

from __future__ import annotations

from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from typing import BinaryIO, NamedTuple

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer's body that are read; those to requests that ask for no object have some hundred."""
MAX_LINE = 65_536
"""Bytes of a line before the body, as http.client has it."""
MAX_HEADERS = 100
"""As http.client has it."""


class Answer(NamedTuple):
    """What came back. The names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(file: BinaryIO, method: str, most: int = MAX_ANSWER) -> tuple[Answer, bool]:
    """Return the answer to a request, with ``most`` bytes of body at most, and whether another may follow on its
    connection.

    Raises OSError, and HTTPException for what is no whole answer or too large.
    """
    status = 100
    while 100 <= status < 200:
        version, status = _status(file)
        headers = _headers(file)
    connection = headers.get("connection", "").lower()
    keep = "close" not in connection and (version >= "HTTP/1.1" or "keep-alive" in connection)
    if method == "HEAD" or status in (204, 304):
        return Answer(status, headers, b""), keep
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, headers, _chunks(file, most)), keep
    length = headers.get("content-length", "").strip()
    if not (length.isascii() and length.isdigit()):
        return Answer(status, headers, _until_the_end(file, most)), False
    return Answer(status, headers, _exactly(file, int(length), most)), keep


def _status(file: BinaryIO) -> tuple[str, int]:
    """Return version and status. Raises RemoteDisconnected where nothing came."""
    line = _line(file)
    if not line:
        raise RemoteDisconnected("the connection was closed without an answer")
    version, _, rest = line.partition(" ")
    code = rest.split(" ", 1)[0].strip()
    if not version.startswith("HTTP/") or len(code) != 3 or not (code.isascii() and code.isdigit()):
        raise BadStatusLine(line)
    return version, int(code)


def _headers(file: BinaryIO) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for _ in range(MAX_HEADERS + 1):
        line = _line(file)
        if not line.strip("\r\n"):
            if line:
                return found
            raise IncompleteRead(b"")
        if line[0] in " \t" and name:  # folded, as nobody does any more
            found[name] += " " + line.strip(" \t\r\n")
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon:
            raise HTTPException(f"an answer has an invalid header line: {line[:100]!r}")
        found[name] = value.strip(" \t\r\n")
    raise HTTPException(f"an answer has more than {MAX_HEADERS} headers")


def _line(file: BinaryIO) -> str:
    line = file.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise LineTooLong("answer")
    return line.decode("latin-1")


def _exactly(file: BinaryIO, length: int, most: int) -> bytes:
    body = file.read(min(length, most))
    if len(body) < length:
        raise IncompleteRead(body, length - len(body))
    return body


def _until_the_end(file: BinaryIO, most: int) -> bytes:
    body = file.read(most + 1)
    if len(body) > most:
        raise IncompleteRead(body)
    return body


def _chunks(file: BinaryIO, most: int) -> bytes:
    body = bytearray()
    while size := _chunk_size(file):
        body += _exactly(file, size, most)
        if len(body) > most:
            raise IncompleteRead(bytes(body))
        if _line(file).strip():
            raise HTTPException("a chunk of an answer is longer than it says")
    while line := _line(file):  # trailers
        if not line.strip("\r\n"):
            return bytes(body)
    raise IncompleteRead(bytes(body))


def _chunk_size(file: BinaryIO) -> int:
    text = _line(file).partition(";")[0].strip()
    if not text or text.strip("0123456789abcdefABCDEF"):
        raise IncompleteRead(b"")
    return int(text, 16)
