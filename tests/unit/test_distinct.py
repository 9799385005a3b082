"""Several SOURCEs: files named twice, and shared output directories."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.core.errors import UsageError
from mediactl.sources import scan
from mediactl.sources.distinct import without_repeats


def batch(root: bytes, folder: bytes, directory: bytes, *names: bytes) -> scan.Batch:
    """A batch of files without content."""
    return scan.Batch(root, folder, directory, [scan.Entry(name, 0, 0, 0, 0) for name in names])


def test_a_file_that_was_named_twice_is_taken_once() -> None:
    trouble = scan.Trouble(b"x", "y")
    twice: list[scan.Found] = [
        batch(b"/r", b"", b"", b"a", b"b"),
        trouble,
        batch(b"/r", b"", b"", b"b", b"c"),
        batch(b"/r", b"", b"", b"a"),
    ]
    assert list(without_repeats(twice)) == [twice[0], trouble, batch(b"/r", b"", b"", b"c")]


@pytest.mark.parametrize(
    "second",
    [
        batch(b"/two", b"x", b"x", b"a.jpg"),
        batch(b"/two", b"x/a.jpg", b"x/a.jpg", b"b"),
        batch(b"/two", b"", b"", b"x"),
    ],
)
def test_two_files_that_would_meet_at_one_place_are_refused_by_name(second: scan.Batch) -> None:
    first = batch(b"/one", b"x", b"x", b"a.jpg")
    for order in ([first, second], [second, first]):
        with pytest.raises(UsageError, match="would both be written to") as told:
            without_repeats(list(order))
        assert re.search(r"/one/x/a\.jpg", str(told.value))
        assert "/two/" in str(told.value)
        assert "--keep-root" in str(told.value)


NAMES = st.sampled_from([b"a", b"b", b"c"])
DIRECTORIES = st.lists(NAMES, max_size=2).map(b"/".join)


@REPEATABLE
@given(st.lists(st.tuples(st.sampled_from([b"/one", b"/two"]), DIRECTORIES, st.lists(NAMES, min_size=1)), max_size=6))
def test_whatever_is_found_is_returned_once_or_refused(found: list[tuple[bytes, bytes, list[bytes]]]) -> None:
    batches = [batch(root, folder, folder, *names) for root, folder, names in found]
    sources: dict[bytes, bytes] = {}
    shared = False
    for each in batches:
        for entry in each.files:
            shared |= sources.setdefault(each.output_of(entry), each.path_of(entry)) != each.path_of(entry)
    shared |= any(one.startswith(other + b"/") for one in sources for other in sources)
    if shared:
        with pytest.raises(UsageError, match="would both be written to"):
            without_repeats(iter(batches))
    else:
        kept = [each for each in without_repeats(iter(batches)) if isinstance(each, scan.Batch)]
        assert [each.path_of(entry) for each in kept for entry in each.files] == list(sources.values())


def test_memory_does_not_grow_with_what_is_found() -> None:
    def found(count: int) -> Iterator[scan.Batch]:
        return (batch(b"/r", b"%d" % n, b"%d" % n, *(b"%d" % each for each in range(20))) for n in range(count))

    peaks = []
    for count in (20, 400):
        tracemalloc.start()
        assert sum(1 for _ in without_repeats(found(count))) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
