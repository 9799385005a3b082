"""Completion in real shells: a line is typed, the tab key pressed, and the line that results is read."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CommandLine

BIN = Path(sys.executable).parent
MARK = "==next=="
CLEAR = "\x15"
"""The key that empties the line, Ctrl-U."""
SECONDS = 30
"""Until a shell has to have answered, on a busy machine."""


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environment)
        self.seen = ""

    def type(self, text: str, until: str) -> str:
        """Type, and return what appears until a pattern does."""
        os.write(self.terminal, text.encode())
        end = time.monotonic() + SECONDS
        start = len(self.seen)
        while re.search(until, self.seen[start:]) is None:
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {until!r} in {self.seen[start:]!r}"
            self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        return self.seen[start:]

    def close(self) -> None:
        """End the shell."""
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def interactive(shell: str, mediactl: CommandLine) -> Shell:
    """A shell in which mediactl is completed."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    environment = {
        **mediactl.environment, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "$ ",
        "HOME": str(mediactl.folder),
    }  # fmt: skip
    words = {"bash": [program, "--norc", "--noprofile", "-i"], "zsh": [program, "-f", "-i"]}[shell]
    session = Shell(words, mediactl.folder, environment)
    session.type(f"source <(mediactl completion {shell}); echo rea''dy\n", r"\nready")
    return session


@pytest.fixture
def processed(mediactl: CommandLine) -> CommandLine:
    """A directory with a journal of one job, and files to complete."""
    from PIL import Image

    (mediactl.folder / "uploads").mkdir()
    Image.new("RGB", (8, 8)).save(mediactl.folder / "uploads/holiday.png")
    (mediactl.folder / "my-recipe.toml").write_text('name = "mine"\n[[image]]\nname = "i"\nwidth = 4\n')
    assert mediactl("process", "uploads", "--recipe", "my-recipe.toml").code == 0
    with closing(sqlite3.connect(mediactl.folder / "derived/.mediactl/journal.db")) as journal, journal:
        location = json.dumps({"bucket": "shop-bucket", "prefix": "site"}).encode()
        journal.execute(
            "INSERT INTO uploads (endpoint, bucket, key, place, file, size, status, upload_id, state, began_at,"
            " changed_at) VALUES ('', 'shop-bucket', 'site/a', ?, x'', 1, 'done', '', x'', 0, 0)", (location,)
        )  # fmt: skip
    return mediactl


LINES = [
    ("mediactl proc", "mediactl process"),
    ("mediactl process upl", "mediactl process uploads/"),
    ("mediactl process --rec", "mediactl process --recipe"),
    ("mediactl process --recipe podc", "mediactl process --recipe podcast"),
    ("mediactl process --recipe my-r", "mediactl process --recipe my-recipe.toml"),
    ("mediactl process --priority urg", "mediactl process --priority urgent"),
    ("mediactl process --lane hea", "mediactl process --lane heavy="),
    ("mediactl show holi", "mediactl show holiday.png"),
    ("mediactl process --out upl", "mediactl process --out uploads/"),
    ("mediactl check --age netw", "mediactl check --age network="),
    ("mediactl upload x --to s3://shop-b", "mediactl upload x --to s3://shop-bucket/site"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key_completes(processed: CommandLine, shell: str) -> None:
    session = interactive(shell, processed)
    try:
        for line, expected in LINES:
            session.type(f"{CLEAR}{line}\t", re.escape(expected))
    finally:
        session.close()


def test_fish_completes(processed: CommandLine) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("no fish here")
    environment = {
        **processed.environment, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(processed.folder),
    }  # fmt: skip
    ask = "; ".join(f"echo {MARK}; complete -C '{line}'" for line, _ in LINES)
    result = subprocess.run(
        [fish, "--no-config", "-c", f"mediactl completion fish | source; {ask}"],
        cwd=processed.folder, env=environment, capture_output=True, text=True, timeout=SECONDS * 2, check=True,
    )  # fmt: skip
    offered = [part.split() for part in result.stdout.split(MARK)[1:]]
    for (_, expected), words in zip(LINES, offered, strict=True):
        assert expected.split()[-1] in words, (expected, words)
