"""The index of a bucket: written by several machines at once, killed in between, and never believed blindly."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stores import MemoryStore

from mediactl.assets import document
from mediactl.model.assets import Artefact
from mediactl.model.buckets.memory import Entry, Recalled, RecallTask
from mediactl.model.media import Kind, MediaInfo
from mediactl.model.uploads import SHA256, About, Location
from mediactl.upload.body import Body
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.memory import shards
from mediactl.upload.memory.recall import FRESH, Memory
from mediactl.upload.memory.remember import Index
from mediactl.upload.store import Condition, Listed, Refused, Unreachable

T = TypeVar("T")
LOCATION = Location("bucket", "p")


def ask(request: Callable[[], T]) -> T:
    """Send a request at once, without retries."""
    return request()


def sha256(text: str) -> str:
    """Of a text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def entry_of(folder: str, version: int = 0, artefacts: int = 1) -> Entry:
    """An entry that differs by folder and version."""
    made = tuple(
        Artefact(f"w{number}.webp", "variant", "image/webp", 5, sha256(f"{folder}{version}{number}"), "k" * 32)
        for number in range(artefacts)
    )
    return Entry(folder, sha256(folder), f'"{version}"', sha256(f"{folder}{version}"), made)


def index_of(store: Any, conditions: bool = True) -> Index:
    """The index of a machine."""
    capabilities = Capabilities(plain=False)
    capabilities.conditions = conditions
    return Index(LOCATION, store, capabilities, ask)


def entries_in(store: MemoryStore) -> dict[str, Entry]:
    """All that readers find."""
    root = store.whole(f"p/{shards.ROOT}", shards.MAX_BODY)
    starts = [shards.FIRST] if root is None else shards.unpack_root(root[0])
    found: dict[str, Entry] = {}
    for start in starts:
        end = shards.end_of(starts, start)
        content = store.whole(f"p/{shards.shard_key(start)}", shards.MAX_BODY)
        for folder, raw in (shards.unpack(content[0]) if content else {}).items():
            if start <= folder and (end is None or folder < end):
                entry = shards.entry(raw)
                assert entry is not None
                found[folder] = entry
    return found


def put(store: MemoryStore, key: str, body: bytes, **metadata: str) -> str:
    """Put an object; its ETag."""
    return store.put(f"p/{key}", Body(body), About(metadata=metadata), Condition())


def published(store: MemoryStore, folder: str, contents: dict[str, bytes]) -> Entry:
    """Upload the outputs of a source as a run does, asset.json last; its entry."""
    digest = sha256(folder)
    for name, body in contents.items():
        put(store, folder + name, body, **{SHA256: hashlib.sha256(body).hexdigest()})
    made = tuple(
        Artefact(name, "variant", "image/webp", len(body), hashlib.sha256(body).hexdigest(), "k" * 32)
        for name, body in contents.items()
    )
    source = document.AssetSource(folder, 1, digest, Kind.IMAGE)
    content = document.encode(document.Asset(document.SCHEMA, source, "web", MediaInfo(format="jpeg"), made))
    etag = put(store, folder + "asset.json", content)
    return Entry(folder, digest, etag, hashlib.sha256(content).hexdigest(), made)


def recall(store: Any, folder: str, **more: Any) -> Recalled:
    """What a machine without any state finds."""
    return Memory(LOCATION, store, ask).recall(RecallTask(LOCATION, folder, sha256(folder), **more))


# -- written -----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_found_and_newer_entries_replace_older_ones() -> None:
    store = MemoryStore()
    assert not index_of(store).remember([entry_of("a/"), entry_of("b/")]).trouble
    assert not index_of(store).remember([entry_of("b/", 1), entry_of("c/")]).trouble
    assert entries_in(store) == {"a/": entry_of("a/"), "b/": entry_of("b/", 1), "c/": entry_of("c/")}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards that are full with some twenty entries."""
    monkeypatch.setattr(shards, "FULL", 4096)


@pytest.mark.usefixtures("small_shards")
def test_full_shards_are_divided_and_stay_small() -> None:
    store = MemoryStore()
    expected: dict[str, Entry] = {}
    for batch in range(6):
        new = [entry_of(f"{number % 10}/{number:04}.jpg/", batch) for number in range(batch * 50, batch * 50 + 80)]
        assert not index_of(store).remember(new).trouble
        expected |= {each.folder: each for each in new}
    assert entries_in(store) == expected
    root = store.whole(f"p/{shards.ROOT}", shards.MAX_BODY)
    assert root is not None
    assert len(shards.unpack_root(root[0])) > 4
    assert max(len(body) for body, _, _ in store.objects.values()) < 2 * shards.FULL


@pytest.mark.usefixtures("small_shards")
def test_machines_that_write_at_once_lose_nothing() -> None:
    store, machines, each_has = MemoryStore(), 4, 60
    answers: list[str] = []
    barrier = threading.Barrier(machines)

    def write(machine: int) -> None:
        barrier.wait()
        for at in range(0, each_has, 20):
            new = [entry_of(f"{number:04}/{machine}/") for number in range(at, at + 20)]
            answers.append(index_of(store).remember(new).trouble)

    threads = [threading.Thread(target=write, args=(machine,)) for machine in range(machines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = entries_in(store)
    # Whoever met others too often says so, and writes it in its next run.
    assert all(not each or "cannot be written" in each for each in answers)
    if not any(answers):
        assert len(written) == machines * each_has


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A store whose client dies before or after its n-th write."""

    def __init__(self, store: MemoryStore, lives: int, after: bool) -> None:
        self._store, self._lives, self._after = store, lives, after
        self.whole = store.whole

    def put(self, *arguments: Any) -> str:
        """Write, or die."""
        self._lives -= 1
        if not self._lives and not self._after:
            raise Killed
        etag = self._store.put(*arguments)
        if not self._lives:
            raise Killed
        return etag


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_write_leaves_an_index_that_lies_about_nothing(after: bool) -> None:
    old = [entry_of(f"{number:03}/") for number in range(20)]
    new = [entry_of(f"{number:03}/", 1) for number in range(10, 110)]
    lives = 0
    while True:
        lives += 1
        store = MemoryStore()
        index_of(store).remember(old)
        try:
            index_of(Mortal(store, lives, after)).remember(new)
        except Killed:
            expected = {each.folder: [each] for each in old}
            for each in new:
                expected.setdefault(each.folder, []).append(each)
            assert all(each in expected[folder] for folder, each in entries_in(store).items())
            assert not index_of(store).remember(new).trouble
            assert entries_in(store) == {each.folder: each for each in (*old, *new)}
        else:
            break
    assert lives > 6, "the shard was divided"


def test_a_store_that_refuses_conditions_is_written_without() -> None:
    store = MemoryStore()

    class Unconditional(Mortal):
        def put(self, key: str, body: Body, about: About, condition: Condition) -> str:
            if condition != Condition():
                raise Refused("NotImplemented")
            return store.put(key, body, about, condition)

    for version in range(2):
        assert not index_of(Unconditional(store, 0, after=False)).remember([entry_of("a/", version)]).trouble
    assert entries_in(store) == {"a/": entry_of("a/", 1)}


def test_a_store_that_lets_nobody_write_is_reported_in_one_line() -> None:
    class Forbidden(Mortal):
        def put(self, *_: Any) -> str:
            raise Refused("access denied")

    trouble = index_of(Forbidden(MemoryStore(), 0, after=False)).remember([entry_of("a/")]).trouble
    assert trouble == "index cannot be written: access denied"


@pytest.mark.parametrize("swapped", [False, True])
def test_shards_that_hold_entries_of_each_other_are_written_all_the_same(swapped: bool) -> None:
    store = MemoryStore()
    entries = {folder: entry_of(folder) for folder in ("a/", "n/", "z/")}
    starts = [shards.FIRST, "m/", "y/"]
    put(store, shards.ROOT, shards.pack(starts))
    for number, start in enumerate(starts):
        others = {each: entry for at, (each, entry) in enumerate(entries.items()) if swapped or at != number}
        put(store, shards.shard_key(start), shards.pack(others))
    for entry in entries.values():
        assert not index_of(store).remember([entry]).trouble
    assert entries_in(store) == entries


def test_strays_in_every_one_of_many_shards_do_not_pile_up() -> None:
    store = MemoryStore()
    starts = [shards.FIRST, *(f"{number:04}/" for number in range(1, 1500))]
    put(store, shards.ROOT, shards.pack(starts))
    for start, after in pairwise(starts):
        put(store, shards.shard_key(start), shards.pack({after: entry_of(after)}))
    assert not index_of(store).remember([entry_of("0/")]).trouble
    assert entries_in(store)["0/"] == entry_of("0/")


# -- hostile -----------------------------------------------------------------------------------------------------------

HOSTILE = {
    "nothing": b"",
    "no zlib": b"nonsense",
    "a bomb": zlib.compress(b"\0" * (100 << 20)),
    "cut off": shards.pack({"a/": entry_of("a/")})[:-5],
    "more behind it": shards.pack({"a/": entry_of("a/")}) + b"x",
    "deep": zlib.compress(b"\x91" * 100_000 + b"\x01"),
    "a list": shards.pack([1, 2]),
    "another map": shards.pack({1: 2}),
    "unordered shards": shards.pack(["", "b", "a"]),
    "no first shard": shards.pack(["a"]),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_objects_are_damaged_and_replaced(body: bytes) -> None:
    for key in (shards.ROOT, shards.shard_key(shards.FIRST)):
        store = MemoryStore()
        entry = published(store, "a/", {"w1.webp": b"12345"})
        put(store, key, body)
        found = recall(store, "a/")
        if body not in (HOSTILE["unordered shards"], HOSTILE["no first shard"]) or key == shards.ROOT:
            assert f"index object {key} is damaged" in found.trouble
        assert found.entry is not None
        assert (found.entry.digest, found.entry.artefacts, found.indexed) == (entry.digest, entry.artefacts, False)
        assert not index_of(store).remember([entry]).trouble
        if key != shards.ROOT:
            assert entries_in(store) == {"a/": entry}


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.booleans())
def test_no_object_makes_anything_but_damaged(body: bytes, compressed: bool) -> None:
    for unpack in (shards.unpack, shards.unpack_root):
        try:
            found = unpack(zlib.compress(body) if compressed else body)
        except shards.Damaged:
            continue
        for raw in found.values() if isinstance(found, dict) else ():
            shards.entry(raw)


def test_an_entry_that_is_none_costs_a_look_at_asset_json() -> None:
    store = MemoryStore()
    entry = published(store, "a/", {"w1.webp": b"12345"})
    put(store, shards.shard_key(shards.FIRST), shards.pack({"a/": {"folder": 7}}))
    found = recall(store, "a/")
    assert found.entry is not None
    assert (found.entry.artefacts, found.indexed, found.trouble) == (entry.artefacts, False, "")


# -- read --------------------------------------------------------------------------------------------------------------


def test_an_entry_counts_only_while_its_asset_json_is_there_unchanged() -> None:
    store = MemoryStore()
    entry = published(store, "a/", {"w1.webp": b"12345"})
    index_of(store).remember([entry])
    before = store.requests.count("whole")
    assert recall(store, "a/") == Recalled(entry, indexed=True)
    assert store.requests.count("whole") - before == 2, "root and shard, no asset.json"
    newer = published(store, "a/", {"w1.webp": b"123", "w2.webp": b"4"})
    found = recall(store, "a/")
    assert (found.indexed, found.entry and found.entry.artefacts) == (False, newer.artefacts)
    del store.objects["p/a/asset.json"]
    assert recall(store, "a/") == Recalled()


def test_what_was_sent_meanwhile_is_found_whatever_was_listed_before() -> None:
    store, now = MemoryStore(), [0.0]
    memory = Memory(LOCATION, store, ask, lambda: now[0])

    def found() -> dict[str, str | None]:
        answers = {each: memory.recall(RecallTask(LOCATION, each, "")).entry for each in ("a/", "b/")}
        return {folder: None if entry is None else entry.artefacts[0].name for folder, entry in answers.items()}

    for folder in ("a/", "b/"):
        index_of(store).remember([published(store, folder, {"old.webp": b"1"})])
    assert found() == {"a/": "old.webp", "b/": "old.webp"}
    for folder in ("a/", "b/"):
        del store.objects[f"p/{folder}old.webp"]
        published(store, folder, {"new.webp": b"2"})
    memory.wrote("p/a/asset.json")
    assert found()["a/"] == "new.webp", "sent by this machine"
    now[0] = FRESH - 1
    assert found()["b/"] == "old.webp"
    now[0] = FRESH + 1
    assert found() == {"a/": "new.webp", "b/": "new.webp"}, "sent by another"


def test_outputs_that_are_gone_or_were_replaced_are_left_out() -> None:
    store = MemoryStore()
    store.clock = lambda: 1.0
    contents = {"gone.webp": b"1", "longer.webp": b"2", "other.webp": b"3", "same.webp": b"4", "kept.webp": b"5"}
    entry = published(store, "a/", contents)
    index_of(store).remember([entry])
    store.clock = lambda: 2.0
    del store.objects["p/a/gone.webp"]
    put(store, "a/longer.webp", b"22", **{SHA256: sha256("22")})
    put(store, "a/other.webp", b"x", **{SHA256: sha256("x")})
    put(store, "a/same.webp", b"4", **{SHA256: sha256("4")})
    found = recall(store, "a/")
    assert found.entry is not None
    assert [each.name for each in found.entry.artefacts] == ["same.webp", "kept.webp"]
    assert not found.indexed


def test_the_source_itself_counts_if_it_is_there_with_its_content() -> None:
    store = MemoryStore()
    entry = published(store, "a/", {"w1.webp": b"1"})
    assert (found := recall(store, "a/", original="original.jpg", size=3).entry) and not found.original
    put(store, "a/original.jpg", b"abc", **{SHA256: entry.digest})
    for size, expected in ((3, "original.jpg"), (4, "")):
        assert (found := recall(store, "a/", original="original.jpg", size=size).entry) is not None
        assert found.original == expected


def test_a_bucket_that_may_not_be_listed_is_read_object_by_object() -> None:
    store = MemoryStore()
    entry = published(store, "a/", {"w1.webp": b"1"})

    class Unlisted(MemoryStore):
        def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
            raise Refused("access denied")

    hidden = Unlisted()
    hidden.objects = store.objects
    memory = Memory(LOCATION, hidden, ask)
    answers = [memory.recall(RecallTask(LOCATION, each, sha256(each))) for each in ("a/", "b/", "a/")]
    assert [each.entry and each.entry.artefacts for each in answers] == [entry.artefacts, None, entry.artefacts]
    assert [bool(each.trouble) for each in answers] == [True, False, False]
    assert "cannot be listed: access denied" in answers[0].trouble


def test_a_store_that_is_away_is_asked_no_more() -> None:
    class Away(MemoryStore):
        def whole(self, key: str, most: int) -> tuple[bytes, str] | None:
            self.requests.append("whole")
            raise Unreachable("no connection")

    store = Away()
    memory = Memory(LOCATION, store, ask)
    answers = [memory.recall(RecallTask(LOCATION, "a/", sha256("a/"))) for _ in range(3)]
    assert [each.entry for each in answers] == [None, None, None]
    assert [bool(each.trouble) for each in answers] == [True, False, False]
    assert len(store.requests) == 1


def test_what_lies_beyond_what_is_listed_is_listed_by_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediactl.upload.memory.recall.MOST_LISTED", 6)
    store = MemoryStore()
    made = {f"{number}/": published(store, f"{number}/", {"w1.webp": b"1"}) for number in range(8)}
    memory = Memory(LOCATION, store, ask)
    for folder, entry in (*made.items(), ("9/", None)):
        found = memory.recall(RecallTask(LOCATION, folder, sha256(folder)))
        assert (found.entry and found.entry.artefacts) == (entry and entry.artefacts), folder


def test_entries_of_ten_thousand_sources_stay_compact() -> None:
    body = shards.pack({f"photos/{n:05}.jpg/": entry_of(f"photos/{n:05}.jpg/", artefacts=10) for n in range(300)})
    assert len(body) / 300 < 700, "bytes a source"
    assert isinstance(shards.unpack(body)["photos/00000.jpg/"], msgspec.Raw)
