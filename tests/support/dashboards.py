"""`mediactl web` as a process of its own, what a browser would send to it, and journals to look through."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw
from conftest import CommandLine

from support.journals import opened
from support.started import Process

HOSTILE = (
    b"<img src=x onerror=alert(1)>.png", b"\"><svg onload=alert(1)>.png", b"'-alert(1)-'.png", b"{{7*7}}.png",
    b"&lt;b&gt;.png", b"javascript:alert(1).png", b"\x1b[31mred.png", "a\u202eb.png".encode(), b"\xff\xfe.png",
)  # fmt: skip
"""Names that a page must show as text."""


class Answer(NamedTuple):
    """What the server has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Dashboard:
    """A running server."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.link = self.next_link()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/enter\?token=[\w-]+)", self.link)
        assert found, self.link
        self.port, self.entry = int(found[1]), found[2]
        self.cookie = ""

    def next_link(self) -> str:
        """The link that it prints next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().split()[-1]

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, cookie: str | None = None, **headers: str
    ) -> Answer:
        """One request, as a browser with the cookie sends it unless headers (``sec_fetch_site=...``) say otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True)
            sent = {"host": f"127.0.0.1:{self.port}", "cookie": self.cookie if cookie is None else cookie}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None:
                sent |= {"content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(None if body is None else body.encode())
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def enter(self) -> Answer:
        """Open the link, and keep its cookie."""
        answer = self.ask(self.entry)
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def post(self, path: str, body: str, **headers: str) -> Answer:
        """A form as a page of the server sends it."""
        return self.ask(path, "POST", body, **{"origin": f"http://127.0.0.1:{self.port}", **headers})


@contextmanager
def serving(mediactl: CommandLine, *arguments: str, enter: bool = True) -> Iterator[Dashboard]:
    """Serve on any free port, to the end; SIGTERM ends it with 0."""
    process = mediactl.start("web", "--port", "0", *arguments)
    try:
        server = Dashboard(process)
        if enter:
            server.enter()
        yield server
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def large_journal(folder: Path, jobs: int, payload: int = 1_500) -> None:
    """A journal of as many jobs, each of a source of its own: every hundredth was rejected, every tenth is pending."""
    with opened(folder):
        pass
    now = time.time()
    connection = apsw.Connection(str(folder / "journal.db"))
    connection.execute("PRAGMA synchronous = off")
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})"
    with connection:
        connection.execute(f"""{numbers} INSERT INTO sources
            (id, folder, name, root, path, size, mtime_ns, ctime_ns, inode, kind, format, recipe, plan, state)
            SELECT i, x'', CAST('photo-' || i || '.jpg' AS BLOB), CAST('/photos' AS BLOB),
                CAST('photo-' || i || '.jpg' AS BLOB), 1000, 1, 1, i, 'image', 'jpeg', '', '', 'pending' FROM n""")
        connection.execute(f"""{numbers} INSERT INTO jobs
            (id, key, kind, operation, lane, source, payload, priority, enqueued_at, due, time_limit, state, reason)
            SELECT i, lower(printf('%032x', i)), 'image', 'image', 'quick', i, zeroblob({payload}), 2, {now} - i,
                {now} - i + 600, 600,
                CASE WHEN i % 100 = 0 THEN 'rejected' WHEN i % 10 = 0 THEN 'ready' ELSE 'done' END,
                CASE WHEN i % 100 = 0 THEN 'truncated after ' || i || ' bytes' ELSE '' END FROM n""")
        connection.execute(f"""INSERT INTO attempts SELECT id, 1, '0', 1, CASE state WHEN 'done' THEN 'done' ELSE
            'rejected' END, reason, {now} - id, 0.1, 0.1, 1000000, 'test' FROM jobs WHERE state <> 'ready'""")
    connection.close()
