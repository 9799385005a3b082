"""The state machine of one upload, against a store in memory: every branch, and death at every step."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.uploads import (
    KEY,
    KIB,
    LARGE,
    SMALL,
    Fate,
    Journal,
    Killed,
    MemoryStore,
    MortalStore,
    foreign,
    losing,
    noise,
    right,
    run,
    task_of,
    with_events,
)

from mediactl.model.uploads import TOKEN, IfExists, SentStatus, UploadStatus
from mediactl.upload.store import Unavailable


@pytest.mark.parametrize("size", [0, 1, SMALL, 128 * KIB, LARGE, 5 * 64 * KIB])
def test_a_file_arrives_whole(tmp_path: Path, size: int) -> None:
    path, store, journal = noise(tmp_path / "f", size), MemoryStore(), Journal()
    told = [0, 0]

    def report(sent: int, safe: int) -> None:
        told[0] += sent
        told[1] += safe

    sent = run(task_of(path), store, journal, report=report)
    right(store, path)
    assert (sent.status, sent.bytes, sent.bytes_sent, told) == (SentStatus.SENT, size, size, [size, size])
    assert journal.state.status is UploadStatus.DONE
    assert journal.state.etag == sent.etag == store.objects[KEY][2]
    assert store.objects[KEY][1].metadata[TOKEN] == journal.state.token
    again = run(task_of(path), store, journal)
    assert (again.status, again.bytes_sent) == (SentStatus.PRESENT, 0)


def test_a_small_object_known_to_be_absent_costs_one_request_and_no_change(tmp_path: Path) -> None:
    path, store, journal = noise(tmp_path / "f", SMALL), MemoryStore(), Journal()
    run(task_of(path, seen=""), store, journal)
    assert store.requests == ["put"]
    assert len(journal.changes) == 1  # settled


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("replace", [False, True])
def test_death_at_every_step_is_made_good_by_the_next_run(
    tmp_path: Path, size: int, replace: bool, conditions: bool
) -> None:
    path, old = noise(tmp_path / "new", size, 1), noise(tmp_path / "old", size - 5, 2)
    for last in range(1000):
        store, journal = MemoryStore(conditions), Journal()
        if replace:
            run(task_of(old), store, journal)
        fate = Fate(last)
        first = MortalStore(store, fate)
        try:
            run(task_of(path), first, journal, fate)
        except Killed:
            pass
        else:
            assert last > 3
            break
        saved = {part.number for part in journal.parts} if journal.state.status is not UploadStatus.DONE else set()
        second = MortalStore(store, Fate())
        sent = run(task_of(path), second, journal)
        right(store, path)
        assert sent.status is not SentStatus.CONFLICT
        assert not saved & set(second.parts), "a part that was saved was sent again"
        assert journal.state.status is UploadStatus.DONE
        third = run(task_of(path), store, journal)
        assert (third.status, third.bytes_sent) == (SentStatus.PRESENT, 0)


def test_death_upon_death(tmp_path: Path) -> None:
    """Each life is three steps longer than what it takes to see where the last one ended."""
    path, store, journal = noise(tmp_path / "f", LARGE), MemoryStore(), Journal()
    for lives in range(1, 100):
        before = len(store.requests)
        fate = Fate(9 + lives // 4)
        try:
            run(task_of(path), MortalStore(store, fate), journal, fate)
        except Killed:
            assert len(store.requests) - before <= 10 + lives // 4
            continue
        break
    right(store, path)
    assert len(store.objects) == 1


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_with_the_journal_lost_objects_of_ours_are_adopted(tmp_path: Path, size: int) -> None:
    path, store = noise(tmp_path / "f", size), MemoryStore()
    run(task_of(path, artefact="key"), store, Journal())
    etag = store.objects[KEY][2]
    for seen in (None, etag):
        sent = run(task_of(path, artefact="key", seen=seen), store, journal := Journal())
        assert (sent.status, sent.bytes_sent, sent.etag) == (SentStatus.ADOPTED, 0, etag)
        assert journal.state.status is UploadStatus.DONE
    other = run(task_of(path, artefact="another key"), store, Journal())
    assert other.status is SentStatus.SENT


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("seen", [None, "", '"something"'])
def test_a_strangers_object_is_left_alone_or_replaced_as_asked(tmp_path: Path, size: int, seen: str | None) -> None:
    path, store = noise(tmp_path / "f", size), MemoryStore()
    for policy in (IfExists.VERIFY, IfExists.FAIL):
        foreign(store)
        sent = run(task_of(path, if_exists=policy, seen=seen), store, journal := Journal())
        assert sent.status is SentStatus.CONFLICT
        assert "another program's object" in sent.reason
        assert store.objects[KEY][0] == b"theirs"
        assert not store.uploads
        assert journal.state.status is UploadStatus.CONFLICT
    if seen == "" and size == LARGE:
        return  # what came since the LIST is not overwritten by a large object even then
    sent = run(task_of(path, if_exists=IfExists.REPLACE, seen=seen), store, journal)
    assert sent.status is SentStatus.SENT
    right(store, path)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_older_version_of_ours_is_replaced_but_not_by_fail(tmp_path: Path, size: int) -> None:
    old, path, store = noise(tmp_path / "old", size, 1), noise(tmp_path / "f", size, 2), MemoryStore()
    run(task_of(old), store, journal := Journal())
    assert run(task_of(path, if_exists=IfExists.FAIL), store, Journal()).status is SentStatus.CONFLICT
    right(store, old)
    assert run(task_of(path), store, journal).status is SentStatus.SENT
    right(store, path)
    assert run(task_of(path, if_exists=IfExists.FAIL), store, Journal()).status is SentStatus.ADOPTED
    assert run(task_of(path, if_exists=IfExists.REPLACE), store, journal).status is SentStatus.SENT


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("same", [True, False])
def test_of_two_hosts_one_wins_and_the_other_sees_it(tmp_path: Path, size: int, same: bool) -> None:
    path, other, store = noise(tmp_path / "f", size), noise(tmp_path / "o", size, 0 if same else 1), MemoryStore()
    theirs = Journal()

    def overtake() -> None:
        run(task_of(other), store, theirs)

    ours = with_events(store, put=overtake, complete=overtake)
    sent = run(task_of(path), ours, Journal())
    assert theirs.state.status is UploadStatus.DONE
    assert sent.status is (SentStatus.PRESENT if same else SentStatus.CONFLICT)
    right(store, other)


@pytest.mark.parametrize("conditions", [True, False])
def test_what_comes_during_a_long_upload_is_seen_before_complete(tmp_path: Path, conditions: bool) -> None:
    path, store = noise(tmp_path / "f", LARGE), MemoryStore(conditions)
    sent = run(task_of(path), with_events(store, part=lambda: foreign(store)), Journal())
    assert sent.status is SentStatus.CONFLICT
    assert store.objects[KEY][0] == b"theirs"
    assert not store.uploads


@pytest.mark.parametrize(
    ("size", "name"), [(SMALL, "put"), (LARGE, "create"), (LARGE, "put_part"), (LARGE, "complete"), (LARGE, "abort")]
)
@pytest.mark.parametrize("conditions", [True, False])
def test_a_lost_answer_does_no_harm(tmp_path: Path, size: int, name: str, conditions: bool) -> None:
    path, store = noise(tmp_path / "f", size), MemoryStore(conditions)
    sent = run(task_of(path), losing(store, name, Unavailable("reset")), Journal())
    assert sent.status is SentStatus.SENT
    right(store, path)


def test_completing_is_on_disk_before_complete_is_sent(tmp_path: Path) -> None:
    path, store, journal = noise(tmp_path / "f", LARGE), MemoryStore(), Journal()
    seen: list[UploadStatus] = []
    run(task_of(path), with_events(store, complete=lambda: seen.append(journal.state.status)), journal)
    assert seen == [UploadStatus.COMPLETING]


def test_an_object_of_another_size_is_not_ours_whatever_its_marks(tmp_path: Path) -> None:
    path, store, journal = noise(tmp_path / "f", SMALL), MemoryStore(), Journal()
    run(task_of(path), store, journal)
    body, about, etag = store.objects[KEY]
    store.objects[KEY] = body[:-1], about, etag
    assert run(task_of(path), store, journal).status is SentStatus.SENT
    right(store, path)


def test_complete_that_took_place_without_an_answer_is_found_by_its_token(tmp_path: Path) -> None:
    path, store, journal = noise(tmp_path / "f", LARGE), MemoryStore(), Journal()
    run(task_of(path), losing(store, "complete", Unavailable("timeout")), journal)
    assert store.requests.count("complete") == 1
    right(store, path)


def test_a_vanished_upload_is_begun_again(tmp_path: Path) -> None:
    path, store, journal = noise(tmp_path / "f", LARGE), MemoryStore(), Journal()
    sent = run(task_of(path), with_events(store, part=store.uploads.clear), journal)
    assert sent.status is SentStatus.SENT
    right(store, path)
    path = noise(tmp_path / "f", LARGE, 2)
    run(task_of(path), with_events(store, complete=store.uploads.clear), journal)
    right(store, path)
