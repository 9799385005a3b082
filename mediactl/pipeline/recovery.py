"""What earlier runs left: jobs of dead runs, files they left half done, pieces that nothing needs any more."""

from __future__ import annotations

import os
import shutil

from mediactl.core import files
from mediactl.jobs.journal import Journal


def take_over(journal: Journal, out: bytes) -> int:
    """Give the jobs of dead runs back, and remove what those runs left half done; how many jobs there were."""
    orphans = journal.reclaim_orphans()
    for owner, _, source in orphans:
        if source is not None:
            row = journal.sources.get(source)
            files.sweep_temporaries(os.path.join(out, row.source.directory), owner.encode())
            if row.digest is not None:
                files.sweep_temporaries(files.work_folder(journal.state, row.digest), owner.encode())
    return len(orphans)


def sweep_work(journal: Journal) -> None:
    """Remove the pieces of videos that nothing is to be made of any more: rejected ones, and those that are gone."""
    folder = os.path.join(os.fsencode(journal.state), files.WORK)
    try:
        left = os.listdir(folder)
    except FileNotFoundError:
        return
    wanted = journal.sources.unfinished() if left else set()
    for name in left:
        if os.fsdecode(name) not in wanted:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
