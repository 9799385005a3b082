"""The dashboard as HTTP: who gets in, what is served, and what a page says when a journal cannot be read."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from html import escape
from pathlib import Path

import apsw
import pytest
from conftest import ROOT, SAMPLES, CommandLine
from support.dashboards import HOSTILE, Dashboard, serving

from mediactl.jobs.database import VERSION
from mediactl.media.ffmpeg import binary

RECIPE = """
name = "small"
[[image]]
name = "w160"
width = 160
"""
PAGES = ("overview", "jobs", "failures", "uploads", "runs", "folders")
REJECTED = 3
BROKEN = "truncated-{}.jpg"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources of hostile names, some of them truncated, and the outputs made of them."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "in").mkdir()
    for name in (b"photo.png", *HOSTILE):
        shutil.copy(os.fsencode(SAMPLES / "balloon.png"), os.fsencode(folder / "in") + b"/" + name)
    for number in range(REJECTED):
        # Each is of a size of its own, so that no two are the same content.
        data = (SAMPLES / "truncated.jpg").read_bytes()
        (folder / "in" / BROKEN.format(number)).write_bytes(data[: len(data) - 100 * number])
    (folder / "small.toml").write_text(RECIPE)
    done = CommandLine(folder)("process", "in", "--out", "out", "--recipe", "small.toml")
    assert done.code == 1, done
    return folder


@pytest.fixture(scope="module")
def server(tree: Path) -> Iterator[Dashboard]:
    """A server that permits no actions."""
    with serving(CommandLine(tree), "out") as dashboard:
        yield dashboard


def copied(tree: Path, folder: Path) -> CommandLine:
    """The command line in a copy of the tree, for tests that change it."""
    shutil.copytree(tree, folder, dirs_exist_ok=True, symlinks=True)
    return CommandLine(folder)


def key_of(server: Dashboard, **filter: str) -> str:
    """The key of the newest job of a filter."""
    query = "&".join(f"{name}={value}" for name, value in filter.items())
    found = re.search(r"/1/jobs/([0-9a-f]{32})", server.ask(f"/1/jobs?{query}").text)
    assert found
    return found[1]


def files_of(server: Dashboard) -> list[str]:
    """Paths of the outputs of a done job."""
    return re.findall(
        r'href="(/1/files/\d+/[^"]+)"', server.ask(f"/1/jobs/{key_of(server, state='done', kind='image')}").text
    )


def test_a_link_is_valid_once_and_the_next_one_is_printed(tree: Path) -> None:
    with serving(CommandLine(tree), "out", enter=False) as dashboard:
        assert dashboard.ask("/1/overview").status == 403
        assert dashboard.ask("/enter?token=wrong").status == 403
        answer = dashboard.enter()
        assert answer.status == 200
        attributes = answer.headers["set-cookie"].lower().replace(" ", "").split(";")
        assert {"httponly", "samesite=strict", "path=/"} <= set(attributes)
        assert dashboard.ask("/1/overview").status == 200
        assert dashboard.ask(dashboard.entry, cookie="").status == 403
        other = dashboard.next_link().partition(str(dashboard.port))[2]
        assert other != dashboard.entry
        assert dashboard.ask(other, cookie="").status == 200


@pytest.mark.parametrize("path", ["/", *(f"/1/{page}" for page in PAGES), "/static/app.js", "/1/live", "/1/history"])
@pytest.mark.parametrize("cookie", ["", "mediactl-{port}=", "mediactl-{port}=guessed", "mediactl-1=guessed"])
def test_nothing_is_served_without_the_cookie(server: Dashboard, path: str, cookie: str) -> None:
    answer = server.ask(path, cookie=cookie.format(port=server.port))
    assert (answer.status, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:{other}", "localhost.evil.example:{port}",
             "", "127.0.0.1:{port}.evil.example", "0.0.0.0:{port}", "127.1:{port}", "LOCALHOST.:{port}"],
)  # fmt: skip
def test_other_names_of_the_host_are_refused(server: Dashboard, host: str) -> None:
    name = host.format(port=server.port, other=server.port + 1)
    for path in ("/1/overview", server.entry):
        assert server.ask(path, host=name).status in (400, 421)
    assert server.ask("/1/overview", host=f"localhost:{server.port}").status == 200


FORGED = [
    {}, {"origin": "null"}, {"origin": "http://evil.example"}, {"origin": "http://127.0.0.1"},
    {"origin": "http://127.0.0.1:{other}"}, {"origin": "https://127.0.0.1:{port}"},
    {"origin": "http://localhost:{port}"}, {"origin": "http://127.0.0.1:{port}.evil.example"},
    {"origin": "http://127.0.0.1:{port}", "sec_fetch_site": "cross-site"},
    {"origin": "http://127.0.0.1:{port}", "sec_fetch_site": "same-site"},
    {"origin": "http://127.0.0.1:{port}", "cookie": ""},
]  # fmt: skip


def test_forged_requests_change_nothing_and_pages_of_the_server_do(tree: Path, tmp_path: Path) -> None:
    with serving(copied(tree, tmp_path), "out", "--actions") as dashboard:
        text = dashboard.ask("/1/failures").text
        assert f"Retry these {REJECTED}" in text
        values = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text))
        body = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in values.items())
        numbers = {"port": dashboard.port, "other": dashboard.port + 1}
        for headers in FORGED:
            sent = {name: value.format(**numbers) for name, value in headers.items()}
            assert dashboard.ask("/1/failures/retry", "POST", body, **sent).status == 403, headers
        assert states(tmp_path) == {"done": 20 + REJECTED, "rejected": REJECTED}
        answer = dashboard.post("/1/failures/retry", body)
        assert (answer.status, answer.headers["location"]) == (303, f"/1/failures?changed={REJECTED}")
        assert states(tmp_path) == {"done": 20 + REJECTED, "ready": REJECTED}
        assert f"{REJECTED} jobs changed" in dashboard.ask(answer.headers["location"]).text
        key = key_of(dashboard, state="ready")
        assert "Make urgent" in dashboard.ask(f"/1/jobs/{key}").text
        assert dashboard.post(f"/1/jobs/{key}/cancel", "").status == 303
        assert dashboard.post(f"/1/jobs/{key}/retry", "").status == 303
        assert dashboard.post(f"/1/jobs/{key}/bump", "").status == 303
        assert dashboard.post(f"/1/jobs/{key}/remove", "").status == 400
        assert dashboard.post("/1/failures/retry", "state=done").status in (303, 400)
        assert dashboard.post("/1/failures/retry", "a=" + "x" * 70_000).status == 400
        assert states(tmp_path) == {"done": 20 + REJECTED, "ready": REJECTED}


def states(folder: Path) -> dict[str, int]:
    """The journal's jobs by state."""
    connection = apsw.Connection(str(folder / "out/.mediactl/journal.db"))
    rows = connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
    return {str(state): number for state, number in rows if isinstance(number, int)}


def test_nothing_can_be_changed_without_actions(server: Dashboard, tree: Path) -> None:
    before = states(tree)
    assert server.post("/1/failures/retry", "state=rejected&kind=image&reason=*").status in (404, 405)
    assert server.post(f"/1/jobs/{key_of(server, state='rejected')}/retry", "").status in (404, 405)
    assert "<form" not in server.ask("/1/failures").text
    assert states(tree) == before


@pytest.mark.parametrize("page", PAGES)
def test_every_page_forbids_scripts_of_others_and_shows_names_as_text(server: Dashboard, page: str) -> None:
    answer = server.ask(f"/1/{page}")
    assert answer.status == 200, answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?! src=\"/static/)|onerror=|onload=| style=", unescaped_markup(answer.text))


def unescaped_markup(text: str) -> str:
    """The tags of a page, without the values of their attributes that quote what a person typed."""
    return " ".join(re.findall(r"<[^>]*>", text))


def test_hostile_names_are_escaped_where_they_are_listed(server: Dashboard) -> None:
    text = server.ask("/1/jobs").text
    for name in ("<img src=x onerror=alert(1)>.png", '"><svg onload=alert(1)>.png', "{{7*7}}.png", "&lt;b&gt;.png"):
        assert name not in text.replace(escape(name), "") or name == "{{7*7}}.png"
        assert escape(name).replace("&quot;", "&#34;") in text
    assert "49.png" not in text
    assert r"\x1b[31mred.png" in text and r"a\u202eb.png" in text and r"\xff\xfe.png" in text


@pytest.mark.parametrize("query", ["path=%3Cscript%3E", "reason=%22%3E%3Csvg+onload=1%3E", "since=1h%22%3E"])
def test_a_filter_is_quoted_as_text(server: Dashboard, query: str) -> None:
    answer = server.ask(f"/1/jobs?{query}")
    assert answer.status in (200, 400)
    assert "<svg" not in answer.text and "<script>" not in answer.text and '1h"' not in answer.text


@pytest.mark.parametrize(
    ("query", "number"),
    [("", 20 + 2 * REJECTED), ("state=rejected", REJECTED), ("state=done&kind=image", 10),
     ("path=truncated", 2 * REJECTED),
     ("path=photo*", 2), ("path=photo", 2), ("kind=video", 0), ("since=1h", 20 + 2 * REJECTED), ("since=0s", 0),
     ("reason=*", 20 + 2 * REJECTED), ("lane=alone", 0)],
)  # fmt: skip
def test_the_address_is_the_filter(server: Dashboard, query: str, number: int) -> None:
    assert len(set(re.findall(r"/1/jobs/([0-9a-f]{32})", server.ask(f"/1/jobs?{query}").text))) == number
    assert f'"number":{number},' in server.ask(f"/1/jobs/count?{query}").text


@pytest.mark.parametrize("query", ["state=gone", "since=soon", "before=-1", "before=x", "path=" + "x" * 2_000])
def test_an_invalid_filter_is_one_line(server: Dashboard, query: str) -> None:
    answer = server.ask(f"/1/jobs?{query}")
    assert answer.status == 400
    assert re.search(r'role="alert">[^<\n]+</p>', answer.text)


def test_only_derived_files_are_served(server: Dashboard, tree: Path) -> None:
    (path,) = files_of(server)
    answer = server.ask(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    part = server.ask(path, range="bytes=10-19")
    assert (part.status, part.body) == (206, answer.body[10:20])
    source = path.rpartition("/")[0]
    for other in (
        "asset.json", "../photo.png/w160.webp", "%2e%2e/photo.png/w160.webp", "..%2f..%2f.mediactl%2fjournal.db",
        "/etc/passwd", "%2fetc%2fpasswd", "w160.webp/", "w160.webp%00", "", "W160.webp",
    ):  # fmt: skip
        assert server.ask(f"{source}/{other}").status == 404, other
    for other in ("/1/files/999999/w160.webp", "/2/files/1/w160.webp", "/1/files/-1/w160.webp", "/static/../app.py"):
        assert server.ask(other).status == 404, other


@pytest.mark.parametrize("replaced", ["file", "folder", "fifo"])
def test_what_has_replaced_an_output_is_not_served(tree: Path, tmp_path: Path, replaced: str) -> None:
    mediactl = copied(tree, tmp_path / "copy")
    secret = tmp_path / "w160.webp"
    secret.write_text("secret")
    with serving(mediactl, "out") as dashboard:
        (path,) = files_of(dashboard)
        assert dashboard.ask(path).status == 200
        for output in list((tmp_path / "copy/out").rglob("w160.webp")):
            output.unlink()
            if replaced == "file":
                output.symlink_to(secret)
            elif replaced == "fifo":
                os.mkfifo(output)
            else:
                shutil.rmtree(output.parent)
                output.parent.symlink_to(tmp_path)
        answer = dashboard.ask(path)
        assert answer.status == 404 and b"secret" not in answer.body


def test_a_source_is_compared_with_its_largest_variant(server: Dashboard) -> None:
    key = key_of(server, state="done", kind="image", path="photo")
    text = server.ask(f"/1/jobs/{key}").text
    assert f'src="/1/before/{key}"' in text
    answer = server.ask(f"/1/before/{key}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/webp"), answer
    assert answer.body[8:12] == b"WEBP"
    assert server.ask(f"/1/before/{key_of(server, state='rejected')}").status == 404


def test_a_page_says_why_a_journal_cannot_be_read_and_goes_on_when_it_can(tree: Path, tmp_path: Path) -> None:
    state = tmp_path / "out/.mediactl"
    with serving(copied(tree, tmp_path), "out") as dashboard:
        journal = apsw.Connection(str(state / "journal.db"))
        journal.pragma("user_version", 99)
        assert "written by a newer mediactl" in alert(dashboard)
        journal.pragma("user_version", VERSION)
        journal.close()
        locked = apsw.Connection(str(state / "journal.db"))
        locked.pragma("locking_mode", "exclusive")
        locked.execute(f"BEGIN EXCLUSIVE; DELETE FROM runs WHERE 0; PRAGMA user_version = {VERSION}; COMMIT")
        assert "locked" in alert(dashboard)
        locked.close()
        (tmp_path / "out").rename(tmp_path / "gone")
        assert "no journal" in alert(dashboard)
        (tmp_path / "gone").rename(tmp_path / "out")
        assert dashboard.ask("/1/overview").status == 200
        content = (state / "journal.db").read_bytes()
        (state / "journal.db").write_bytes(b"x" * 8192)
        assert "damaged" in alert(dashboard)
        (state / "journal.db").write_bytes(content)
        assert dashboard.ask("/1/overview").status == 200


def alert(dashboard: Dashboard) -> str:
    """The one line of a page that cannot be shown."""
    answer = dashboard.ask("/1/overview")
    found = re.search(r'role="alert">([^<\n]+)</p>', answer.text)
    assert answer.status in (400, 503) and found, answer
    return found[1]


def test_the_journal_is_not_changed_by_looking(server: Dashboard, tree: Path) -> None:
    state = tree / "out/.mediactl"
    before = {path: path.stat().st_mtime_ns for path in [state, *state.rglob("*")]}
    for page in PAGES:
        assert server.ask(f"/1/{page}").status == 200
    assert {path: path.stat().st_mtime_ns for path in [state, *state.rglob("*")]} == before


def test_a_commit_is_an_event(tree: Path, tmp_path: Path) -> None:
    mediactl = copied(tree, tmp_path)
    with serving(mediactl, "out") as dashboard, socket.create_connection(("127.0.0.1", dashboard.port), 30) as events:
        host = f"127.0.0.1:{dashboard.port}"
        events.sendall(f"GET /1/live HTTP/1.1\r\nHost: {host}\r\nCookie: {dashboard.cookie}\r\n\r\n".encode())
        received = b""
        while b"event: changed" not in received:
            received += events.recv(4096)
        assert mediactl("retry", "--all", "-o", "out").code == 0
        more = b""
        while b"event: changed" not in more:
            more += events.recv(4096)
        # The server ends though the connection is open: see ``serving``.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("missing",), "no journal"), (("--port", "{taken}", "out"), "in use"),
     (("out", "out", "--state", "x"), "--state"),
     (("--port", "70000"), "--port")],
)  # fmt: skip
def test_what_cannot_be_served_is_one_line(tree: Path, arguments: tuple[str, ...], said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CommandLine(tree)("web", *(each.format(taken=port) for each in arguments))
    assert (done.code, done.out) == (2, "")
    assert said in done.err and done.err.count("\n") == 1


def test_a_missing_extra_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('no', name='starlette')")
    done = CommandLine(tree)("web", "out", environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert done.code == 2 and "mediactl[web]" in done.err and done.err.count("\n") == 1


def test_several_output_directories_are_listed(tree: Path, tmp_path: Path) -> None:
    mediactl = copied(tree, tmp_path)
    shutil.copytree(tmp_path / "out", tmp_path / "archive")
    with serving(mediactl, "out", "archive") as dashboard:
        text = dashboard.ask("/").text
        assert "/1/overview" in text and "/2/overview" in text
        assert dashboard.ask("/2/jobs").status == 200 and dashboard.ask("/3/jobs").status == 404


def test_what_was_vendored_comes_with_its_licence() -> None:
    vendored = ROOT / "mediactl" / "web" / "static" / "vendor"
    for folder in vendored.iterdir():
        assert (folder / "LICENSE").is_file(), folder
        assert re.search(r'"version": "\d+\.\d+\.\d+"', (folder / "package.json").read_text())


def test_ctrl_c_ends_it_in_order(tree: Path) -> None:
    process = CommandLine(tree).start("web", "--port", "0", "out")
    dashboard = Dashboard(process)
    dashboard.enter()
    process.send_signal(2)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")


def test_what_ffmpeg_printed_last_is_on_the_page_of_the_job(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    real = binary.find()
    video = ("-f", "lavfi", "-i", "testsrc=s=160x90:r=10:d=0.5", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    subprocess.run([real, "-v", "error", *video, tmp_path / "in/clip.mp4"], check=True)
    (tmp_path / "recipe.toml").write_text('name = "v"\n[[video]]\nname = "v90"\nheight = 90\n')
    # The real ffmpeg, with an option that it does not have where it encodes.
    odd = f'for each; do [ "$each" = -progress ] && exec {real} "$@" "-<b>nosuch"; done\nexec {real} "$@"\n'
    (tmp_path / "ffmpeg").write_text(f"#!/bin/sh\n{odd}")
    (tmp_path / "ffmpeg").chmod(0o755)
    mediactl = CommandLine(tmp_path)
    options = ("--recipe", "recipe.toml", "--attempts", "1", "--sandbox", "off", "--ffmpeg", "./ffmpeg")
    done = mediactl("process", "in", "--out", "out", *options)
    assert done.code == 1, done
    with serving(mediactl, "out") as dashboard:
        text = dashboard.ask(f"/1/jobs/{key_of(dashboard, kind='video')}").text
    assert "Unrecognized option &#39;&lt;b&gt;nosuch&#39;" in text and "<b>nosuch" not in text
