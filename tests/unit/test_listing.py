"""Reasons that differ by numbers alone are one group, and filters find what they name."""

from __future__ import annotations

import re
import string

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st

from mediactl.core import verdicts
from mediactl.jobs.listing.pages import pattern
from mediactl.media import decoding
from mediactl.media.ffmpeg.process import FfmpegFailed

REASONS = st.text(st.sampled_from(string.ascii_letters + string.digits + " *?[]^-.,:%'\"<>\\é\n"), max_size=60)
_memory = apsw.Connection(":memory:")


def matches(reason: str, glob: str) -> bool:
    """What SQLite says."""
    return bool(_memory.execute("SELECT ? GLOB ?", (reason, glob)).get)


@settings(deadline=None)
@given(REASONS, st.integers(0, 10**9))
def test_a_pattern_matches_its_reason_whatever_numbers_it_has(reason: str, number: int) -> None:
    other = re.sub(r"\d+(?:[.,]\d+)*", str(number), reason)
    assert matches(reason, pattern(reason))
    assert matches(other, pattern(reason)) and pattern(other) == pattern(reason)


@settings(deadline=None)
@given(REASONS.filter(lambda text: not re.search(r"\d", text)), REASONS)
def test_without_numbers_it_matches_nothing_else(reason: str, other: str) -> None:
    assert matches(other, pattern(reason)) == (other == reason)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=3), st.integers(1, 99), st.integers(1, 99))
def test_notes_are_found_again_among_others(notes: list[str], job: int, attempt: int) -> None:
    log = (
        "libvips: warning\n"
        + verdicts.noted(job + 100, attempt, ("other",))
        + verdicts.noted(job, attempt, tuple(notes))
        + verdicts.noted(job, attempt + 1, ("later",))
    )
    lines = [line for note in notes for line in note.splitlines()]
    assert len(verdicts.noted_in(log, job, attempt).split("\n")) == max(1, len(lines))
    assert verdicts.noted_in(log, job, attempt + 1) == "later"
    assert verdicts.noted_in(log, job, attempt + 2) == ""


def test_what_ffmpeg_printed_arrives_with_the_error_that_it_caused() -> None:
    failed = FfmpegFailed("ffmpeg failed with exit code 1: no", 1, "ffmpeg -i x", "line 1\nline 2")
    try:
        raise failed from failed  # as ``diagnosis.cause`` has it raised
    except FfmpegFailed as error:
        sent = decoding.failed(error, 0.0, 0)
    arrived = decoding.raised(sent)
    assert verdicts.notes_of(arrived) == ("command: ffmpeg -i x", "stderr: line 1\nline 2")
