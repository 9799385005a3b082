"""A lost journal is rebuilt from the asset.json files in OUT, so that nothing is encoded again."""

from __future__ import annotations

import os

import msgspec

from mediactl.assets import document
from mediactl.core import files
from mediactl.jobs.journal import Journal

BATCH = 1000
"""Assets entered in one transaction."""


def adopt(journal: Journal, out: bytes, *, sweep: bool = True) -> int:
    """Enter every asset of OUT in a new journal; return how many. An invalid asset.json is left alone.

    Temporary files that are met are removed (``sweep``): with the journal, their owners' claims are gone.
    """
    found: list[tuple[bytes, document.Asset]] = []
    adopted = 0
    for folder, folders, names in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith(b"."))
        if sweep and any(name.startswith(files.TEMPORARY) for name in names):
            files.sweep_temporaries(folder)
        if document.NAME not in names or folder == out:
            continue
        try:
            with open(os.path.join(folder, document.NAME), "rb") as file:
                found.append((os.path.relpath(folder, out), document.decode(file.read())))
        except (OSError, msgspec.DecodeError, ValueError):
            continue  # not ours, or torn by hand: its source will be processed as a new one
        if len(found) >= BATCH:
            adopted += _enter(journal, found)
    return adopted + _enter(journal, found)


def _enter(journal: Journal, found: list[tuple[bytes, document.Asset]]) -> int:
    with journal.transaction():
        for directory, each in found:
            journal.sources.adopt(directory, each)
    number = len(found)
    found.clear()
    return number
