"""Shards divide what is found: each source is in exactly one, the same on every machine."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.core.errors import UsageError
from mediactl.model.shard import SHARD_BY, Shard, ShardBy
from mediactl.sources.scan import Batch, Entry, LeftOut, Trouble
from mediactl.sources.shards import only, parse

SEED = 20_261_127
NAME = st.binary(min_size=1, max_size=8).filter(lambda name: b"/" not in name and b"\0" not in name)
NAMES = st.sets(NAME, max_size=12)
FOUND = st.dictionaries(st.sampled_from([b"", b"a", b"a/b", b"c"]), NAMES, max_size=4)


def batch(folder: bytes, sizes: dict[bytes, int]) -> Batch:
    return Batch(b"/root", folder, folder, [Entry(name, size, 0, 0, 0) for name, size in sorted(sizes.items())])


def paths(found: list[Batch | Trouble | LeftOut]) -> list[bytes]:
    return [each.output_of(file) for each in found if isinstance(each, Batch) for file in each.files]


@settings(REPEATABLE)
@given(found=FOUND, of=st.integers(1, 7), by=st.sampled_from(SHARD_BY))
def test_each_source_is_in_exactly_one_shard(found: dict[bytes, set[bytes]], of: int, by: ShardBy) -> None:
    batches = [batch(folder, dict.fromkeys(names, 1000)) for folder, names in found.items()]
    taken = Counter(path for number in range(1, of + 1) for path in paths(list(only(batches, Shard(number, of, by)))))
    assert taken == Counter(paths(list(batches)))


def test_a_source_stays_in_its_shard_when_others_come() -> None:
    few = [batch(b"a", {b"%d.jpg" % number: 1 for number in range(0, 100, 10)})]
    many = [batch(b"a", {b"%d.jpg" % number: 1 for number in range(100)})]
    for number in range(1, 6):
        shard = Shard(number, 5)
        assert set(paths(list(only(few, shard)))) == set(paths(list(only(many, shard)))) & set(paths(list(few)))


def test_a_path_is_in_the_same_shard_for_ever() -> None:
    """Machines may run different versions."""
    shard_of = {
        path: number
        for number in range(1, 11)
        for path in paths(list(only([batch(b"2024/06", {b"beach.jpg": 5, b"\xff.mp4": 5})], Shard(number, 10))))
    }
    assert shard_of == {b"2024/06/beach.jpg": 1, b"2024/06/\xff.mp4": 2}


def test_shards_by_work_take_about_as_long_as_each_other() -> None:
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    photos = {b"%d.jpg" % number: dice.randrange(10_000, 9_000_000) for number in range(400)}
    films = {b"%d.mp4" % number: dice.randrange(10**6, 2 * 10**9) for number in range(40)}
    found = [batch(b"p", photos), batch(b"f", films)]
    bytes_of_films = [
        sum(file.size for each in only(found, Shard(number, 4, "work")) if isinstance(each, Batch)
            for file in each.files if file.name.endswith(b"mp4"))
        for number in range(1, 5)
    ]  # fmt: skip
    assert max(bytes_of_films) < 1.05 * min(bytes_of_films)


def test_every_shard_reports_what_could_not_be_read() -> None:
    trouble = Trouble(b"/root/a", "cannot be read")
    for number in (1, 2):
        assert trouble in only([trouble, batch(b"", {b"1.jpg": 1})], Shard(number, 2))


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        ("3/10", {}, (3, 10)),
        ("1/1", {}, (1, 1)),
        ("auto", {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}, (1, 8)),
        ("auto", {"CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "3"}, (3, 3)),
        ("auto", {"CIRCLE_NODE_INDEX": "2", "CIRCLE_NODE_TOTAL": "3"}, (3, 3)),
        ("auto", {"BUILDKITE_PARALLEL_JOB": "0", "BUILDKITE_PARALLEL_JOB_COUNT": "2"}, (1, 2)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"}, (1, 4)),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "14", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "10",
             "SLURM_ARRAY_TASK_STEP": "2"},
            (3, 3),
        ),
        ("auto/6", {"JOB_COMPLETION_INDEX": "5"}, (6, 6)),
        ("auto", {"JOB_COMPLETION_INDEX": "5", "JOB_COMPLETIONS": "6"}, (6, 6)),
    ],
)  # fmt: skip
def test_the_number_is_given_or_the_array_jobs(text: str, environment: dict[str, str], shard: tuple[int, int]) -> None:
    assert parse(text, environment) == Shard(*shard)


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("0/3", {}, "expected N/M"),
        ("4/3", {}, "expected N/M"),
        ("3", {}, "expected N/M"),
        ("a/b", {}, "expected N/M"),
        ("auto", {}, "none of AWS_BATCH_JOB_ARRAY_INDEX, .* is set"),
        ("auto", {"JOB_COMPLETION_INDEX": "5"}, "JOB_COMPLETIONS is not: use --shard auto/M"),
        ("auto/5", {"JOB_COMPLETION_INDEX": "5"}, "JOB_COMPLETION_INDEX=5 is none of 5"),
        ("auto", {"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "3"}, "CI_NODE_INDEX=x, CI_NODE_TOTAL=3: not whole numbers"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text, environment)
