"""Groups of alike assets: as if every two had been compared."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from mediactl.admin.duplicates import Found, groups, lines, near


def found(directory: str, phash: int | None = None, digest: str = "", kind: str = "image", **more: int) -> Found:
    text = "" if phash is None else f"{phash:016x}"
    return Found(
        directory, directory, kind, digest or directory, **{"bytes": 10, "width": 10, "height": 10, **more}, phash=text
    )


def places(assets: list[Found], distance: int = 6) -> list[list[str]]:
    return [[member.asset.directory for member in group.members] for group in groups(assets, distance)]


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 5, 6, 7, 8, 11])
def test_every_pair_that_is_near_enough_is_found_and_no_other(distance: int) -> None:
    chance = random.Random(distance)
    hashes = [chance.getrandbits(64) for _ in range(60)]
    for each in hashes[:40]:
        bits = chance.sample(range(64), chance.randint(1, distance + 2))
        hashes.append(each ^ sum(1 << bit for bit in bits))
    hashes = list(dict.fromkeys(hashes))
    expected = {frozenset(pair) for pair in combinations(hashes, 2) if (pair[0] ^ pair[1]).bit_count() <= distance}
    assert {frozenset(pair) for pair in near(hashes, distance)} == expected
    assert expected or distance == 0


def test_what_is_near_through_a_third_is_in_one_group() -> None:
    assert places([found("a", 0), found("b", 0b111), found("c", 0b111111)], 3) == [["a", "b", "c"]]
    assert places([found("a", 0), found("b", 0b1111)], 3) == []


def test_the_best_comes_first_most_pixels_then_most_bytes() -> None:
    small, heavy, large = found("a", 0, bytes=99), found("b", 0, bytes=50), found("c", 0, width=20)
    assert places([small, heavy, large]) == [["c", "a", "b"]]


def test_equal_bytes_are_told_from_equal_pictures() -> None:
    (group,) = groups([found("a", 1, "one"), found("b", 1, "one"), found("c", 1, "other")])
    assert [member.same for member in group.members] == [False, True, False]
    assert not group.exact
    (sound,) = groups([found("a", None, "one", "audio"), found("b", None, "one", "audio")])
    assert sound.exact
    assert next(lines([sound], 2)) == "2 identical files:"


def test_a_film_is_no_duplicate_of_a_picture() -> None:
    assert places([found("a", 1), found("b", 1, kind="video")]) == []


def test_plain_pictures_have_no_hash_and_are_not_alike() -> None:
    assert places([found("a"), found("b")]) == []


def test_nothing_found_is_said() -> None:
    assert list(lines([], 3)) == ["no duplicates among 3 assets"]
