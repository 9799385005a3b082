"""Jobs that count on what a bucket has, among those of runs to other buckets or to none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import Clock, a_source, new_job, opened

from mediactl.model.buckets.memory import RECALL, REMEMBER

LANES = ("network", "quick")


@pytest.mark.parametrize("mine", ["", "mine"])
def test_jobs_that_count_on_another_bucket_are_left_to_runs_to_it(tmp_path: Path, mine: str) -> None:
    kinds = {RECALL: "network", REMEMBER: "network", "image": "quick", "upload": "network"}
    with opened(tmp_path, clock := Clock()) as journal:
        with journal.transaction():
            source = journal.sources.put(a_source(), "recipe", "plan", "pending")
            for kind, lane in kinds.items():
                number = None if kind == REMEMBER else source
                journal.add([new_job(kind, kind=kind, lane=lane, source=number, destination="other")])
            journal.add([new_job("alone", kind="video", lane="alone", source=source, destination="other")])
            clock.advance(1_000_000)
            assert journal.alone_is_due()
            journal.destination = mine
            assert not journal.alone_is_due()
            assert [claim.kind for claim in journal.claim(LANES, 10)] == ["upload"]
            assert journal.waiting(LANES) == (None, False, False)
            assert journal.buckets.has_job_for_others(source, mine)
            assert not journal.buckets.has_job_for_others(source, "other")
            journal.destination = "other"
            assert journal.waiting(LANES)[1]
            journal.buckets.cancel_for_others(source, mine)
            assert not journal.buckets.has_job_for_others(source, mine)
            assert [claim.kind for claim in journal.claim(LANES, 10)] == [REMEMBER], "of no source"
