"""Mutated values in the journal: every command ends as documented, and none with a traceback."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CommandLine
from mutations import mutants
from PIL import Image

SEED = int(os.environ.get("MEDIACTL_FUZZ_SEED", "41"))
RECIPE = 'name = "small"\n[[image]]\nname = "w50"\nwidth = 50\n'
COLUMNS = [
    ("recipes", "content"), ("sources", "info"), ("sources", "warnings"), ("sources", "placeholder"),
    ("sources", "outputs"), ("sources", "plan"), ("sources", "digest"), ("artefacts", "name"), ("artefacts", "key"),
    ("artefacts", "media_type"), ("jobs", "payload"), ("jobs", "plan"), ("jobs", "kind"), ("durations", "format"),
]  # fmt: skip
COMMANDS = (
    ["status"], ["status", "--json"], ["jobs"], ["show", "0.png"], ["why", "0.png"], ["lanes"], ["runs"], ["verify"],
    ["verify", "--journal"], ["prune"], ["retry", "--all"], ["process", "in", "--recipe", "small.toml", "--json"],
)  # fmt: skip


def processed(line: CommandLine) -> None:
    (line.folder / "small.toml").write_text(RECIPE)
    (line.folder / "in").mkdir()
    for number in range(2):
        Image.new("RGB", (60, 40), (90 * number, 9, 9)).save(line.folder / f"in/{number}.png")
    (line.folder / "in/bad.png").write_bytes(b"\x89PNG\r\n\x1a\nxxxx")
    assert line("process", "in", "--recipe", "small.toml").code == 1
    shutil.copytree(line.folder / "derived", line.folder / "kept")


def check(line: CommandLine, number: int) -> None:
    print("seed", SEED)
    processed(line)
    failures = []
    chance = random.Random(SEED)
    for _ in range(number):
        table, column = chance.choice(COLUMNS)
        shutil.rmtree(line.folder / "derived")
        shutil.copytree(line.folder / "kept", line.folder / "derived")
        content = change(line.folder / "derived/.mediactl/journal.db", table, column, chance.randrange(1 << 30))
        for command in (*chance.sample(COMMANDS, 3), COMMANDS[-1]):
            told = line(*command)
            known = told.code in (0, 1, 2, 75) or "is damaged" in told.err
            if not known or "Traceback" in told.err:
                failures.append((table, column, content, command, told.code, told.err[-1000:]))
    assert not failures, failures


def change(journal: Path, table: str, column: str, seed: int) -> object:
    """Mutate the value of a column in all rows; return it."""
    with closing(sqlite3.connect(journal)) as database, database:
        found = database.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL").fetchone()
        if found is None:
            return None
        value = found[0]
        seeds = [value if isinstance(value, bytes) else value.encode()]
        mutant = next(mutants(seeds, 1, seed))
        content = mutant if isinstance(value, bytes) else mutant.decode("utf-8", "replace")
        database.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (content,))
        return content


def test_commands_bear_some_mutated_values(mediactl: CommandLine) -> None:
    check(mediactl, 3)


@pytest.mark.sweep
@pytest.mark.timeout(1200)
def test_commands_bear_mutated_values(mediactl: CommandLine) -> None:
    check(mediactl, 150)
