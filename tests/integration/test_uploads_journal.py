"""What the journal remembers of uploads is what ``transfers.apply`` says, for whoever opens it next."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journals import NOW, Clock, opened
from support.repeatable import REPEATABLE

from mediactl.jobs import report
from mediactl.jobs.journal import Journal
from mediactl.jobs.uploads import UploadRow
from mediactl.model.media import Fingerprint
from mediactl.model.uploads import (
    LIVE,
    Aimed,
    Begun,
    Change,
    Completing,
    Created,
    IllegalChange,
    Location,
    PartsLost,
    PartsSent,
    SentPart,
    Settled,
    UploadState,
    UploadStatus,
    UploadTask,
    apply,
)

LOCATION = Location("bucket", "p", "http://127.0.0.1:1")
COUNT, EACH = 5, 100
MARK = Fingerprint(COUNT * EACH, 2, 3, 4)
TASK = UploadTask(b"/photos/a.jpg", MARK, LOCATION, "p/a.jpg/original.jpg", sha256="ab" * 32)
BEGUN = Begun("token", EACH, MARK, TASK.sha256, "parameters", "", ("another",))
DONE = Settled(UploadStatus.DONE, "token", '"etag"', MARK, TASK.sha256)


def a_part(number: int, crc32: int = 7) -> SentPart:
    return SentPart(number, EACH, crc32, f'"{number}-{crc32}"')


ALL = PartsSent(tuple(map(a_part, range(1, COUNT + 1))))


def note(journal: Journal, *changes: Change, task: UploadTask = TASK) -> None:
    """Write changes, each in a transaction of its own."""
    for change in changes:
        with journal.transaction():
            journal.uploads.note(task, change)


def state_of(*changes: Change) -> UploadState:
    """What they come to."""
    state = UploadState()
    for change in changes:
        state = apply(state, change)
    return state


def remembered(folder: Path, task: UploadTask = TASK) -> UploadState:
    """What the next run finds."""
    with opened(folder) as journal:
        return journal.uploads.state(task)


STORY: list[Change] = [
    BEGUN,
    Created("id"),
    PartsSent((a_part(1), a_part(3))),
    PartsLost((1,)),
    ALL,
    Completing(),
    DONE,
]


@pytest.mark.parametrize("length", range(1, len(STORY) + 1))
def test_after_each_step_of_an_upload_the_next_run_finds_it_there(tmp_path: Path, length: int) -> None:
    with opened(tmp_path) as journal:
        note(journal, *STORY[:length])
    assert remembered(tmp_path) == state_of(*STORY[:length])


def listed(folder: Path, *, live: bool) -> list[UploadRow]:
    """What a list of uploads would show."""
    with report.read(str(folder)) as rows:
        return [each.row for each in rows.uploads(live=live)]


def test_of_what_was_never_begun_nothing_is_remembered(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        assert journal.uploads.state(TASK) == UploadState()
        assert not journal.uploads.is_done(TASK)
        assert listed(tmp_path, live=False) == []


numbers = st.integers(1, COUNT)
some_parts = st.lists(st.builds(a_part, numbers, st.integers(0, 2)), max_size=COUNT).map(tuple)
texts = st.text("ab", max_size=2)
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Begun, texts, st.integers(0, 2), st.just(MARK), texts, texts, texts, st.none() | st.tuples(texts)),
    st.builds(Created, texts),
    st.builds(PartsSent, some_parts),
    st.just(ALL),
    st.builds(PartsLost, st.lists(numbers, max_size=3).map(tuple)),
    st.builds(Aimed, texts),
    st.just(Completing()),
    st.builds(Settled, st.sampled_from(UploadStatus), texts, texts, st.none() | st.just(MARK), texts),
)


@REPEATABLE
@given(st.lists(st.just(BEGUN) | st.just(Created("id")) | changes, max_size=25))
def test_the_journal_takes_what_apply_takes_and_comes_to_the_same(story: list[Change]) -> None:
    """Also what is illegal is the same, and changes nothing."""
    with TemporaryDirectory() as folder:
        expected = UploadState()
        with opened(Path(folder)) as journal:
            for change in story:
                try:
                    after = apply(expected, change)
                except IllegalChange:
                    with pytest.raises(IllegalChange):
                        note(journal, change)
                else:
                    note(journal, change)
                    expected = after
                assert journal.uploads.state(TASK) == expected
        assert remembered(Path(folder)) == expected


@pytest.mark.parametrize(
    ("story", "change"),
    [
        ([], PartsSent((a_part(1),))),
        ([], Created("id")),
        ([], Completing()),
        ([BEGUN], PartsSent((a_part(1),))),
        ([BEGUN, Created("id")], Created("id")),
        ([BEGUN, Created("id"), PartsSent((a_part(1),))], Completing()),
        ([BEGUN, Created("id"), ALL, Completing()], PartsSent((a_part(1),))),
        ([BEGUN, Created("id"), ALL, Completing(), DONE], PartsLost((1,))),
        ([BEGUN], Settled(UploadStatus.UPLOADING)),
    ],
)
def test_a_step_that_does_not_follow_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, story: list[Change], change: Change
) -> None:
    with opened(tmp_path) as journal:
        note(journal, *story)
        with pytest.raises(IllegalChange):
            note(journal, change)
        assert journal.uploads.state(TASK) == state_of(*story)


def test_a_transaction_that_fails_takes_its_steps_with_it(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        note(journal, BEGUN, Created("id"))
        with pytest.raises(IllegalChange), journal.transaction():
            journal.uploads.note(TASK, ALL)
            journal.uploads.note(TASK, Completing())
            journal.uploads.note(TASK, Created("again"))
    assert remembered(tmp_path) == state_of(BEGUN, Created("id"))


def test_an_object_is_done_when_this_content_was_put_there(tmp_path: Path) -> None:
    other = msgspec.structs.replace(TASK, sha256="cd" * 32)
    touched = msgspec.structs.replace(TASK, fingerprint=Fingerprint(COUNT * EACH, 9, 9, 9))
    with opened(tmp_path) as journal:
        for change in STORY:
            assert not journal.uploads.is_done(TASK)
            note(journal, change)
        assert journal.uploads.is_done(TASK)
        assert journal.uploads.is_done(touched), "the digest says what it is, not the times"
        assert not journal.uploads.is_done(other)
        note(journal, BEGUN)
        assert not journal.uploads.is_done(TASK), "it begins again"


def test_without_a_digest_the_file_itself_has_to_be_the_same(tmp_path: Path) -> None:
    unknown = msgspec.structs.replace(TASK, sha256="")
    touched = msgspec.structs.replace(unknown, fingerprint=Fingerprint(COUNT * EACH, 9, 9, 9))
    with opened(tmp_path) as journal:
        note(journal, DONE, task=unknown)
        assert journal.uploads.is_done(unknown)
        assert not journal.uploads.is_done(touched)


@pytest.mark.parametrize("status", [UploadStatus.CONFLICT, UploadStatus.ABORTED])
def test_what_ended_otherwise_is_not_done(tmp_path: Path, status: UploadStatus) -> None:
    with opened(tmp_path) as journal:
        note(journal, DONE, Settled(status))
        assert not journal.uploads.is_done(TASK)
        assert journal.uploads.state(TASK).status is status


@pytest.mark.parametrize(
    "elsewhere",
    [
        msgspec.structs.replace(TASK, key="p/b.jpg/original.jpg"),
        msgspec.structs.replace(TASK, location=msgspec.structs.replace(LOCATION, bucket="another")),
        msgspec.structs.replace(TASK, location=msgspec.structs.replace(LOCATION, endpoint_url="http://127.0.0.1:2")),
        msgspec.structs.replace(TASK, location=msgspec.structs.replace(LOCATION, endpoint_url=None)),
    ],
)
def test_uploads_are_told_apart_by_endpoint_bucket_and_key(tmp_path: Path, elsewhere: UploadTask) -> None:
    with opened(tmp_path) as journal:
        note(journal, BEGUN, Created("here"), PartsSent((a_part(1),)))
        assert journal.uploads.state(elsewhere) == UploadState()
        note(journal, BEGUN, Created("there"), PartsSent((a_part(2),)), task=elsewhere)
        assert [part.number for part in journal.uploads.state(TASK).parts] == [1]
        assert [part.number for part in journal.uploads.state(elsewhere).parts] == [2]
        with journal.transaction():
            journal.uploads.forget(TASK.location, TASK.key)
        assert journal.uploads.state(elsewhere).upload_id == "there"


def test_what_is_forgotten_is_as_if_it_had_never_been(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        note(journal, BEGUN, Created("id"), ALL)
        with journal.transaction():
            journal.uploads.forget(TASK.location, TASK.key)
        assert journal.uploads.state(TASK) == UploadState()
        assert listed(tmp_path, live=False) == []
        note(journal, BEGUN, Created("id"))
        assert journal.uploads.state(TASK).parts == (), "nor are its parts those of the next one"


def test_a_list_tells_where_each_upload_is_and_how_much_the_store_has(tmp_path: Path) -> None:
    clock = Clock()
    older = msgspec.structs.replace(TASK, key="p/older", file=b"/photos/caf\xe9.jpg")
    over = msgspec.structs.replace(TASK, key="p/over")
    with opened(tmp_path, clock) as journal:
        note(journal, BEGUN, Created("1"), PartsSent((a_part(1), a_part(2))), task=older)
        clock.advance(10)
        note(journal, BEGUN, Created("2"))
        note(journal, DONE, task=over)
        clock.advance(10)
        note(journal, PartsSent((a_part(3),)), Aimed("x"), task=older)
        live = listed(tmp_path, live=True)
        assert live == [
            UploadRow(LOCATION, older.key, older.file, COUNT * EACH, "uploading", "1", NOW, NOW + 20, 3, 3 * EACH),
            UploadRow(LOCATION, TASK.key, TASK.file, COUNT * EACH, "uploading", "2", NOW + 10, NOW + 10, 0, 0),
        ]
        everything = listed(tmp_path, live=False)
        assert {row.key: row.status for row in everything} == {
            older.key: "uploading", TASK.key: "uploading", over.key: "done",
        }  # fmt: skip


@pytest.mark.parametrize("length", range(1, len(STORY) + 1))
def test_what_is_listed_as_under_way_is_what_may_have_an_open_upload(tmp_path: Path, length: int) -> None:
    with opened(tmp_path) as journal:
        note(journal, *STORY[:length])
    state = state_of(*STORY[:length])
    assert [row.status for row in listed(tmp_path, live=True)] == ([state.status] if state.status in LIVE else [])
