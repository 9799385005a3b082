"""What is fetched fits on the disk that a run may use, whatever earlier runs have left to be fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import new_job, opened

from mediactl.jobs.journal import Journal
from mediactl.model.media import Fingerprint, Kind, Source
from mediactl.pipeline.fetching.jobs import KIND
from mediactl.pipeline.fetching.scratch import Scratch


def to_fetch(journal: Journal, sizes: list[int]) -> list[int]:
    """Add jobs that fetch objects of these sizes; their sources."""
    found = []
    for number, size in enumerate(sizes):
        name = b"%d.jpg" % number
        source = Source(b"s3://b/in", name, name, Fingerprint(size, number + 2, 0, 0), Kind.IMAGE, "jpeg")
        found.append(journal.sources.put(source, "recipe", "plan", "pending"))
        journal.add([new_job(number, kind=KIND, lane="network", source=found[-1], size=size)])
    return found


@pytest.mark.parametrize("sizes", [[100, 5, 200, 7], [51], [50, 51, 52, 53, 54, 0]])
def test_what_would_never_fit_is_rejected_and_the_rest_is_fetched(tmp_path: Path, sizes: list[int]) -> None:
    with opened(tmp_path) as journal:
        with journal.transaction():
            numbers = to_fetch(journal, sizes)
            scratch = Scratch(journal, 50)
            events = list(scratch.reject_too_large(2))
            fitting = scratch.room(10, all_planned=True)
            journal.claim(("network",), fitting, {KIND: fitting})
        large = [size for size in sizes if size > 50]
        assert [each.reason for each in events] == [
            f"its {size} bytes are more than --scratch allows; skipped" for size in large
        ]
        states = {size: journal.sources.get(number).state for size, number in zip(sizes, numbers, strict=True)}
        assert states == {size: "rejected" if size > 50 else "pending" for size in sizes}
        assert all(size <= 50 for *_, size in journal.next_fetches(10))
        assert fitting > 0 or len(large) == len(sizes)
        if len(large) == len(sizes):
            assert journal.waiting(("network",))[1] is False, "nothing keeps a run from ending"
