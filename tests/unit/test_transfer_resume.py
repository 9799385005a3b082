"""What a resumed upload keeps, adopts, sends again and leaves; and how each error of a store is met."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest
from support.uploads import (
    FAST,
    KEY,
    KIB,
    LARGE,
    SMALL,
    Event,
    Fate,
    Journal,
    Killed,
    MemoryStore,
    MortalStore,
    foreign,
    killed_at_part,
    noise,
    right,
    run,
    task_of,
    with_events,
)

from mediactl.core.errors import RejectedInput, SourceChanged
from mediactl.model.uploads import About, IfExists, Location, SentStatus, UploadStatus
from mediactl.upload.body import Body
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Stopped
from mediactl.upload.execute import Transfers
from mediactl.upload.store import (
    Busy,
    Condition,
    InvalidPart,
    Refused,
    Store,
    StoredPart,
    StoreError,
    Throttled,
    Unavailable,
    Unreachable,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return noise(tmp_path / "f", LARGE)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def resumed(path: Path, store: MemoryStore, journal: Journal) -> tuple[list[int], SentStatus, int]:
    """Numbers of the parts that a resume sends, how it ended, parts kept."""
    mortal = MortalStore(store, Fate())
    sent = run(task_of(path), mortal, journal)
    if sent.status is not SentStatus.CONFLICT:
        right(store, path)
    return sorted(mortal.parts), sent.status, sent.parts_kept


def test_saved_parts_are_kept(path: Path, store: MemoryStore) -> None:
    killed_at_part(store, journal := Journal(), path, 3)
    assert resumed(path, store, journal) == ([3, 4, 5], SentStatus.SENT, 2)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_part_that_is_listed_but_not_saved_is_adopted_when_it_is_right(path: Path, checksums: bool) -> None:
    store = MemoryStore(checksums=checksums)
    killed_at_part(store, journal := Journal(), path, 2)
    body, upload_id = path.read_bytes(), journal.state.upload_id
    size = 64 * KIB
    for number, content in ((2, body[size : 2 * size]), (3, bytes(size)), (4, body[3 * size : 4 * size - 1])):
        store.put_part(KEY, upload_id, number, Body(content))
    assert resumed(path, store, journal) == ([3, 4, 5], SentStatus.SENT, 2)


def test_a_saved_part_that_the_store_lost_or_changed_is_sent_again(path: Path, store: MemoryStore) -> None:
    killed_at_part(store, journal := Journal(), path, 5)
    _, _, parts = store.uploads[journal.state.upload_id]
    del parts[1]
    parts[2] = b"x" * 64 * KIB, StoredPart(2, 64 * KIB, '"other"', 7)
    assert resumed(path, store, journal) == ([1, 2, 5], SentStatus.SENT, 2)


def test_a_touched_file_is_resumed_by_its_parts_and_a_changed_one_is_not(path: Path, store: MemoryStore) -> None:
    """Its SHA-256 is not known: the CRC32 of what was sent decides."""
    killed_at_part(store, journal := Journal(), path, 3)
    assert journal.state.sha256 == "" and len(journal.parts) == 2
    os.utime(path)
    assert resumed(path, store, journal) == ([3, 4, 5], SentStatus.SENT, 2)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert resumed(path, store, journal) == ([1, 2, 3, 4, 5], SentStatus.SENT, 0)
    store.objects.clear()
    killed_at_part(store, journal, path, 3)
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert resumed(path, store, journal) == ([1, 2, 3, 4, 5], SentStatus.SENT, 0)


def test_an_object_with_another_checksum_than_its_parts_is_replaced(path: Path) -> None:
    class Forgetful(MemoryStore):
        """Puts the first object together wrongly, and says so in its checksum only."""

        def complete(self, key: str, upload_id: str, parts: list[StoredPart], condition: Condition) -> str:
            etag = super().complete(key, upload_id, parts, condition)
            if self.requests.count("complete") == 1:
                body, about, _ = self.objects[key]
                self.objects[key] = body[:-1] + b"?", about, etag[:-1] + '-x"'
                self.composites[etag[:-1] + '-x"'] = "AAAAAA==-5"
            return etag

    store, journal = Forgetful(), Journal()
    killed_at_part(store, journal, path, 3)
    assert resumed(path, store, journal)[1] is SentStatus.SENT
    assert store.requests.count("complete") == 2


def test_a_vanished_upload_is_begun_again(path: Path, store: MemoryStore) -> None:
    killed_at_part(store, journal := Journal(), path, 3)
    store.uploads.clear()
    assert resumed(path, store, journal) == ([1, 2, 3, 4, 5], SentStatus.SENT, 0)


@pytest.mark.parametrize("change", ["content", "parameters", "small"])
def test_with_another_source_or_parameters_it_is_aborted_and_begun_again(
    path: Path, store: MemoryStore, change: str
) -> None:
    killed_at_part(store, journal := Journal(), path, 3)
    token = journal.state.token
    if change == "content":
        noise(path, LARGE, 1)
    if change == "small":
        noise(path, SMALL, 1)
    about = About("image/webp") if change == "parameters" else About()
    fate = Fate()
    sent = run(task_of(path, about=about), MortalStore(store, fate), journal, fate)
    right(store, path)
    assert (sent.status, sent.parts_kept) == (SentStatus.SENT, 0)
    assert journal.state.token != token


def test_death_at_every_step_of_beginning_again(path: Path) -> None:
    for last in range(1000):
        store = MemoryStore()
        noise(path, LARGE, 0)
        killed_at_part(store, journal := Journal(), path, 3)
        noise(path, LARGE, 1)
        fate = Fate(last)
        try:
            run(task_of(path), MortalStore(store, fate), journal, fate)
        except Killed:
            assert resumed(path, store, journal)[1] is not SentStatus.CONFLICT
        else:
            break
    assert last > 20


def test_others_uploads_of_the_key_are_never_aborted(path: Path) -> None:
    """Whichever step we die at, those that were open before and those with parts stay open."""
    for last in range(1000):
        store = MemoryStore()
        before, journal = store.create(KEY, About()), Journal()
        fate = Fate(last)
        done = False
        try:
            run(task_of(path), MortalStore(store, fate), journal, fate)
            done = True
        except Killed:
            pass
        meanwhile = store.create(KEY, About())
        store.put_part(KEY, meanwhile, 1, Body(b"theirs"))
        run(task_of(path), store, journal)
        assert set(store.uploads) == {before, meanwhile}
        assert store.objects[KEY][0] == path.read_bytes()
        if done:
            return


@pytest.mark.parametrize("policy", [IfExists.VERIFY, IfExists.REPLACE])
def test_an_object_that_came_while_we_were_dead(path: Path, store: MemoryStore, policy: IfExists) -> None:
    killed_at_part(store, journal := Journal(), path, 3)
    foreign(store)
    sent = run(task_of(path, if_exists=policy), store, journal)
    assert sent.status is (SentStatus.SENT if policy is IfExists.REPLACE else SentStatus.CONFLICT)
    assert sent.parts_kept == (2 if policy is IfExists.REPLACE else 0)
    assert not store.uploads


def test_the_same_object_that_came_while_we_were_dead(path: Path, store: MemoryStore) -> None:
    killed_at_part(store, journal := Journal(), path, 3)
    run(task_of(path), store, Journal())
    assert resumed(path, store, journal) == ([], SentStatus.PRESENT, 0)


def test_an_object_to_be_replaced_that_vanishes(path: Path, store: MemoryStore, tmp_path: Path) -> None:
    run(task_of(noise(tmp_path / "old", LARGE, 1)), store, journal := Journal())
    sent = run(task_of(path), with_events(store, complete=store.objects.clear), journal)
    assert sent.status is SentStatus.SENT
    right(store, path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("times", [1, 4, 5])
def test_busy_begins_again_a_few_times(tmp_path: Path, store: MemoryStore, size: int, times: int) -> None:
    path = noise(tmp_path / "f", size)
    events: list[Event] = [Busy("409")] * times
    busy = with_events(store, put=list(events), complete=list(events))
    if times == 5:
        with pytest.raises(Busy):
            run(task_of(path), busy, Journal())
    else:
        assert run(task_of(path), busy, Journal()).status is SentStatus.SENT
        right(store, path)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_invalid_part_is_listed_and_sent_again_twice_at_most(path: Path, store: MemoryStore, times: int) -> None:
    journal = Journal()

    def lose() -> None:
        store.uploads[journal.state.upload_id][2].pop(2)

    invalid = with_events(store, complete=[lose] * times)
    if times == 3:
        with pytest.raises(InvalidPart):
            run(task_of(path), invalid, journal)
        invalid = with_events(store)
    sent = run(task_of(path), invalid, journal)
    assert invalid.parts.count(2) >= 1
    assert sent.status in (SentStatus.SENT, SentStatus.PRESENT)
    right(store, path)


def test_a_source_that_changes_between_parts_is_told(path: Path, store: MemoryStore) -> None:
    journal = Journal()

    def write() -> None:
        with path.open("r+b") as file:
            file.write(b"changed")

    changing = with_events(store, part=[None, write])
    engine = Engine(msgspec.structs.replace(FAST, concurrency=1))
    with pytest.raises(SourceChanged, match="changed since"):
        run(task_of(path), changing, journal, engine=engine)
    assert store.objects == {}
    assert len(changing.parts) == 2, "told at the next part"
    run(task_of(path), store, journal)
    right(store, path)


def test_a_source_replaced_before_complete_is_told(path: Path, store: MemoryStore, tmp_path: Path) -> None:
    def replace() -> None:
        noise(tmp_path / "other", LARGE, 1).rename(path)

    with pytest.raises(SourceChanged):
        run(task_of(path), with_events(store, part=[None, replace]), Journal())
    assert store.objects == {}


def test_a_source_that_is_touched_or_linked_is_the_same(path: Path, store: MemoryStore) -> None:
    task = task_of(path)
    touch: list[Event] = [None, lambda: os.utime(path), lambda: os.link(path, f"{path}2")]
    assert run(task, with_events(store, part=touch), Journal()).status is SentStatus.SENT
    right(store, path)


def test_a_source_unlike_what_was_planned_is_told(path: Path, store: MemoryStore, tmp_path: Path) -> None:
    task = task_of(path)
    path.unlink()
    with pytest.raises(SourceChanged, match="does not exist any more"):
        run(task, store, Journal())
    noise(path, LARGE, 1)
    with pytest.raises(SourceChanged):
        run(task, store, Journal())
    small = noise(tmp_path / "s", SMALL)
    with pytest.raises(SourceChanged, match="content"):
        run(task_of(small, sha256="0" * 64), store, Journal())
    (tmp_path / "link").symlink_to(small)
    with pytest.raises(RejectedInput):
        run(msgspec.structs.replace(task_of(small), file=bytes(tmp_path / "link")), store, Journal())
    assert store.objects == {}


def test_a_link_in_the_path_of_a_source_is_not_followed(store: MemoryStore, tmp_path: Path) -> None:
    """Even where behind it is a file of the same size and time, whose content would decide."""
    folder, real = tmp_path / "root/folder", tmp_path / "real"
    folder.mkdir(parents=True)
    task = msgspec.structs.replace(task_of(noise(folder / "file", SMALL)), root=bytes(tmp_path / "root"))
    folder.rename(real)
    folder.symlink_to(real)
    with pytest.raises(RejectedInput, match="symbolic links"):
        run(task, store, Journal())
    assert store.objects == {}
    folder.unlink()
    real.rename(folder)
    assert run(task, store, Journal()).status is SentStatus.SENT


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_bad_weather_is_sat_out(tmp_path: Path, store: MemoryStore, size: int) -> None:
    path = noise(tmp_path / "f", size)

    bad: list[Event] = [Unavailable("500"), Throttled("SlowDown"), *[Unreachable("gone")] * 8, Unavailable("reset")]
    stormy = with_events(store, head=bad, put=bad, create=bad, part=bad, complete=bad, uploads=bad)
    engine = Engine(msgspec.structs.replace(FAST, attempts=4))  # three failures, and what burns no attempt
    sent = run(task_of(path), stormy, Journal(), engine=engine)
    assert sent.status is SentStatus.SENT
    right(store, path)
    assert sent.bytes_sent > size, "what left for nothing counts too"


def test_a_part_that_never_arrives_fails_with_the_others_saved(path: Path, store: MemoryStore) -> None:
    engine = Engine(msgspec.structs.replace(FAST, attempts=2, concurrency=1))
    journal = Journal()
    with pytest.raises(Unavailable):
        run(task_of(path), with_events(store, part=[None, None, *[Unavailable("500")] * 99]), journal, engine=engine)
    assert len(journal.parts) == 2
    assert resumed(path, store, journal)[0] == [3, 4, 5]


def test_refused_ends_every_upload_to_the_place_with_one_line(tmp_path: Path, store: MemoryStore) -> None:
    engine, paths = Engine(FAST), [noise(tmp_path / f"{n}", SMALL if n % 2 else LARGE, n) for n in range(6)]
    denied = with_events(store, put=[Refused("access denied")] * 99, part=[Refused("access denied")] * 99)
    errors: list[str] = []

    def upload(path: Path) -> None:
        try:
            run(task_of(path, key=path.name), denied, Journal(), engine=engine)
        except StoreError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=upload, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert errors == ["access denied"] * 6
    requests = len(store.requests)
    with pytest.raises(Refused, match="access denied"):
        run(task_of(paths[0]), store, Journal(), engine=engine)
    assert len(store.requests) == requests


def test_one_who_may_not_list_may_still_upload(path: Path, store: MemoryStore) -> None:
    journal, engine = Journal(), Engine(FAST)
    denied = with_events(store, uploads=[Refused("not yours to list")] * 9)
    assert run(task_of(path), denied, journal, engine=engine).status is SentStatus.SENT
    right(store, path)


def test_a_stop_lets_parts_under_way_finish_and_keeps_the_rest(path: Path, store: MemoryStore) -> None:
    journal, engine = Journal(), Engine(msgspec.structs.replace(FAST, concurrency=2))
    with pytest.raises(Stopped):
        run(task_of(path), with_events(store, part=[None, engine.stop]), journal, engine=engine)
    assert journal.state.status is UploadStatus.UPLOADING
    assert len(store.uploads) == 1
    saved = {part.number for part in journal.parts}
    assert len(saved) >= 2
    sent, status, kept = resumed(path, store, journal)
    assert (set(sent) | saved, status, kept) == ({1, 2, 3, 4, 5}, SentStatus.SENT, len(saved))
    assert not set(sent) & saved


class Rejecting(MemoryStore):
    """A store that knows no conditions, and says so."""

    def _check(self, key: str, condition: Condition) -> None:
        if condition != Condition():
            raise Refused("501: try --if-exists replace")


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_store_that_refuses_conditions_is_served_by_replace(tmp_path: Path, size: int) -> None:
    path, store = noise(tmp_path / "f", size), Rejecting()
    with pytest.raises(Refused, match="--if-exists replace"):
        run(task_of(path), store, journal := Journal())
    assert run(task_of(path, if_exists=IfExists.REPLACE), store, journal).status is SentStatus.SENT
    right(store, path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_bytes_that_changed_on_the_way_are_noticed_by_their_etag(tmp_path: Path, size: int) -> None:
    class Careless(MemoryStore):
        """Takes whatever comes, and the second body that comes is not what was sent."""

        bodies = 0

        def _received(self, body: Body) -> Body:
            self.bodies += 1
            return Body(bytes(body.data[:-1]) + b"?") if self.bodies in (1, 2) else body

        def put(self, key: str, body: Body, about: About, condition: Condition) -> str:
            return super().put(key, self._received(body), about, condition)

        def put_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
            return super().put_part(key, upload_id, number, self._received(body))

    path, store = noise(tmp_path / "f", size), Careless()
    assert run(task_of(path), store, Journal()).status is SentStatus.SENT
    right(store, path)


def test_etags_that_are_no_md5_are_learned_to_be_none() -> None:
    capabilities, body = Capabilities(plain=True), bytes.fromhex("9dd4e461268c8034f5c8564e155c67a6")
    other = f'"{"0" * 32}"'
    assert capabilities.intact('"any-2"', lambda: body)
    assert [capabilities.intact(other, lambda: body) for _ in range(5)] == [False, False, False, True, True]
    assert Capabilities(plain=False).intact(other, lambda: body)
    capabilities = Capabilities(plain=True)
    assert capabilities.intact(f'"{body.hex()}"', lambda: body)
    assert not any(capabilities.intact(other, lambda: body) for _ in range(9))


def test_a_place_that_cannot_be_opened_is_asked_once() -> None:
    opened: list[Location] = []

    def refuse(location: Location, connections: int) -> Store:
        opened.append(location)
        raise Refused("no credentials")

    transfers = Transfers(FAST, open_store=refuse)
    for _ in range(3):
        with pytest.raises(Refused, match="no credentials"):
            transfers.run(task_of(Path(__file__)), b"", Journal(), lambda sent, safe: None)
    assert len(opened) == 1
