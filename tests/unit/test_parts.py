from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.upload.multipart.parts import MAX_OBJECT, MAX_PARTS, MIB, MIN_PART, composite_etag, part_size, parts


@given(st.integers(0, 2 * 1024 * 1024 * MIB))
def test_parts_cover_the_object_without_gap_or_overlap(size: int) -> None:
    each = part_size(size)
    found = parts(size, each)
    assert [part.number for part in found] == list(range(1, len(found) + 1))
    assert len(found) <= MAX_PARTS
    end = 0
    for part in found:
        assert part.offset == end
        end += part.size
    assert end == size
    assert all(part.size == each for part in found[:-1])


@given(st.integers(0, MAX_OBJECT))
def test_a_part_is_a_whole_number_of_mib_and_never_too_many(size: int) -> None:
    each = part_size(size)
    assert each >= MIN_PART
    assert each % MIB == 0
    assert -(-size // each) <= MAX_PARTS


def test_an_object_too_large_for_s3_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be uploaded"):
        part_size(MAX_OBJECT + 1)


def test_smaller_parts_when_asked_for_but_never_too_many() -> None:
    assert part_size(100 * MIB, least=5 * MIB) == 5 * MIB
    assert part_size(300_000, least=1000) == 1000
    assert part_size(MAX_PARTS * 1000 + 1, least=1000) == MIB


def test_the_etag_of_parts_is_the_md5_of_theirs_and_none_where_they_are_no_md5s() -> None:
    """Two parts of "a" and "b"; the expected ETag by ``printf ... | xxd -r -p | md5sum``."""
    of_a, of_b = '"0cc175b9c0f1b6a831c399e269772661"', "92eb5ffee6ae2fec3ad71c777531578f"
    assert composite_etag([of_a, of_b]) == '"96e024ba2074fe77e8e965ba43a704be-2"'
    assert composite_etag([of_a, '"an opaque one"']) == ""
