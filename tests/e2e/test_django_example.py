"""The Django project in examples/ moves from Pillow to mediactl as docs/migrating-from-celery.md says."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import ROOT
from PIL import Image
from support import brokers

EXAMPLE = ROOT / "examples" / "django-celery"
PATIENCE = 60.0
"""Seconds in which what is waited for must be so."""


class Project:
    """The project with a database, files and workers of its own."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "BROKER": broker,
            "GALLERY_DATA": str(folder),
            "PYTHONPATH": os.pathsep.join((str(EXAMPLE), str(ROOT))),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.workers: list[subprocess.Popen[bytes]] = []

    def manage(self, *arguments: object, **environment: str) -> str:
        """Run a command of Django and return what it prints."""
        done = self.managed(*arguments, **environment)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def managed(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Django."""
        return subprocess.run(
            [sys.executable, "manage.py", *map(str, arguments)],
            capture_output=True, text=True, cwd=EXAMPLE, env={**self._environment, **environment}, timeout=PATIENCE,
        )  # fmt: skip

    def worker(self, queue: str, name: str, **environment: str) -> psutil.Process:
        """Start a Celery worker for one queue."""
        with open(self.folder / f"{name}.log", "ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "project", "worker", "-Q", queue, "-n", f"{name}@localhost",
                 "-c", "2", "--without-mingle", "--without-gossip"],
                stdout=log, stderr=log, cwd=EXAMPLE, env={**self._environment, **environment}, start_new_session=True,
            )  # fmt: skip
        self.workers.append(started)
        return psutil.Process(started.pid)

    def uploads(self) -> list[dict[str, Any]]:
        """Return the rows of uploads."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute("SELECT * FROM gallery_upload ORDER BY id")]
        return [
            {**row, "thumbnails": json.loads(row["thumbnails"]), "shadow": json.loads(row["shadow"])} for row in rows
        ]

    def until(self, reached: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        """Wait until the uploads are as they should be, and return them."""
        end = time.monotonic() + PATIENCE
        while not reached(found := self.uploads()):
            assert time.monotonic() < end, (found, [path.read_text() for path in self.folder.glob("*.log")])
            time.sleep(0.05)
        return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The project with a broker; nothing of it is left running."""
    pytest.importorskip("django", reason="Django is not installed")
    with brokers.redis(tmp_path) as broker:
        project = Project(tmp_path, broker)
        try:
            project.manage("migrate")
            yield project
        finally:
            for worker in project.workers:
                left = psutil.Process(worker.pid).children(recursive=True) if worker.poll() is None else []
                worker.send_signal(signal.SIGTERM)
                try:
                    worker.wait(20)
                except subprocess.TimeoutExpired:
                    worker.kill()
                    worker.wait()
                for process in psutil.wait_procs(left, 10)[1]:
                    process.kill()


def photo(path: Path, colour: tuple[int, int, int]) -> Path:
    """A JPEG with a darker half."""
    image = Image.new("RGB", (400, 300), colour)
    image.paste((20, 20, 20), (200, 0, 400, 300))
    image.save(path, quality=95)
    return path


@pytest.mark.long
def test_the_example_is_migrated_as_the_docs_say(project: Project, tmp_path: Path) -> None:
    photos = [photo(tmp_path / f"{name}.jpg", (200, 40 * number, 30)) for number, name in enumerate("abc")]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photos[0].read_bytes()[:2000])

    # 1. The old task alone, and with a shadow of its thumbnails beside it.
    project.worker("celery", "old", GALLERY_SHADOW="1")
    new = project.worker("mediactl", "new", GALLERY_ENGINE="mediactl")
    project.manage("upload", *photos, bad)
    found = project.until(lambda rows: all(row["ready_at"] for row in rows) and all(row["shadow"] for row in rows[:3]))
    assert [row["engine"] for row in found] == ["pillow"] * 4
    assert [row["thumbnails"]["320"] for row in found[:3]] == [f"thumbnails/{number}/320.webp" for number in (1, 2, 3)]
    assert found[3]["error"] and not found[3]["thumbnails"] and not found[3]["shadow"]
    compared = project.manage("compare")
    assert "6 compared, 0 differ" in compared
    Image.new("RGB", (320, 240), (0, 0, 0)).save(tmp_path / "media" / found[0]["shadow"]["320"])
    differing = project.managed("compare")
    assert differing.returncode == 1 and "upload 1, width 320: differs by" in differing.stdout

    # 2. A share goes to mediactl, by routes alone; a process that is killed there costs nothing.
    project.manage("upload", photos[1], bad, GALLERY_PERCENT="100")
    project.manage("upload", photos[2], GALLERY_PERCENT="0")
    found = project.until(lambda rows: len(rows) == 7 and all(row["ready_at"] for row in rows))
    assert [row["engine"] for row in found[4:]] == ["mediactl", "mediactl", "pillow"]
    assert found[4]["thumbnails"] == {"320": "assets/5/w320.webp", "100": "assets/5/w100.webp"}
    assert '<img src="/media/assets/5/w320.webp"' in found[4]["picture"]
    assert "is truncated" in found[5]["error"]
    with Image.open(tmp_path / "media" / found[4]["thumbnails"]["320"]) as image:
        left, right = (image.convert("RGB").getpixel((x, 100)) for x in (40, 280))
        assert image.size == (320, 240) and isinstance(left, tuple) and isinstance(right, tuple)
        assert abs(left[0] - 200) < 8 and abs(left[1] - 40) < 8 and right[0] < 30
    for child in new.children():
        if "celery" in " ".join(child.cmdline()):
            child.kill()
    project.manage("upload", photos[0], GALLERY_PERCENT="100")
    found = project.until(lambda rows: len(rows) == 8 and all(row["ready_at"] for row in rows))
    assert (found[7]["engine"], found[7]["error"]) == ("mediactl", "")

    # 3. What to monitor meanwhile.
    progress = project.manage("progress").splitlines()
    assert progress[:2] == ["queue celery: 0 pending", "queue mediactl: 0 pending"]
    assert progress[2].startswith("engine pillow: 5 done, 1 with an error, median ")
    assert progress[3].startswith("engine mediactl: 3 done, 1 with an error, median ")
