"""The transitions of an upload's state: which are legal, and what each leaves."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediactl.model.media import Fingerprint
from mediactl.model.uploads import (
    LIVE,
    About,
    Aimed,
    Begun,
    Change,
    Completing,
    Created,
    IllegalChange,
    Location,
    PartsLost,
    PartsSent,
    Sent,
    SentPart,
    SentStatus,
    Settled,
    UploadState,
    UploadStatus,
    UploadTask,
    apply,
    parameters,
)

FILE = Fingerprint(250, 1, 2, 3)
BEGUN = Begun("token", 100, FILE, "digest", "parameters", "", ())
PARTS = (SentPart(1, 100, 11, '"a"'), SentPart(2, 100, 22, '"b"'), SentPart(3, 50, 33, '"c"'))
DONE = Settled(UploadStatus.DONE, "token", '"etag"', FILE, "digest")
LIFE: list[Change] = [BEGUN, Created("id"), PartsSent(PARTS[1:]), PartsSent(PARTS[:1]), Completing(), DONE]


def after(*changes: Change) -> UploadState:
    state = UploadState()
    for change in changes:
        state = apply(state, change)
    return state


def test_a_life() -> None:
    seen = [after(*LIFE[:count]).status for count in range(len(LIFE) + 1)]
    assert [status.value for status in seen] == [
        "planned", "creating", "uploading", "uploading", "uploading", "completing", "done",
    ]  # fmt: skip
    state = after(*LIFE[:5])
    assert (state.token, state.upload_id, state.parts) == ("token", "id", PARTS)
    assert after(*LIFE) == UploadState(UploadStatus.DONE, "token", etag='"etag"', source=FILE, sha256="digest"), (
        "nothing of the way is kept but what proves the object"
    )


def test_to_begin_again_forgets_the_upload() -> None:
    for count in range(len(LIFE) + 1):
        assert after(*LIFE[:count], BEGUN) == after(BEGUN)


def test_a_part_sent_again_replaces_the_earlier_one() -> None:
    again = SentPart(2, 100, 99, '"d"')
    assert after(*LIFE[:4], PartsSent((again,))).parts == (PARTS[0], again, PARTS[2])


def test_lost_parts_lead_back_to_uploading() -> None:
    state = after(*LIFE[:5], PartsLost((2,)))
    assert (state.status, state.parts) == (UploadStatus.UPLOADING, (PARTS[0], PARTS[2]))


def test_a_new_aim_changes_nothing_else() -> None:
    for count in (1, 2, 3, 5):
        before = after(*LIFE[:count])
        assert apply(before, Aimed('"theirs"')) == msgspec.structs.replace(before, expected='"theirs"')


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ([], Created("id")),
        ([], PartsSent(PARTS)),
        ([], Completing()),
        ([], Aimed("")),
        ([], Settled(UploadStatus.UPLOADING)),
        ([], Settled(UploadStatus.PLANNED)),
        ([], Begun("", 100, FILE, "", "", "", ())),
        ([], Begun("token", 0, FILE, "", "", "", ())),
        (LIFE[:1], PartsSent(PARTS)),
        (LIFE[:1], Created("")),
        (LIFE[:2], Created("other")),
        (LIFE[:3], Completing()),
        (LIFE[:5], PartsSent(PARTS)),
        (LIFE[:6], PartsLost((1,))),
        (LIFE[:6], Aimed("")),
    ],
)
def test_what_does_not_follow_is_refused(before: list[Change], change: Change) -> None:
    with pytest.raises(IllegalChange):
        after(*before, change)


@given(st.lists(st.sampled_from([*LIFE, PartsLost((1,)), Aimed('"x"'), Settled(UploadStatus.CONFLICT)]), max_size=12))
def test_whatever_comes_the_state_makes_sense(changes: list[Change]) -> None:
    state = UploadState()
    for change in changes:
        try:
            state = apply(state, change)
        except IllegalChange:
            continue
        assert (state.status in LIVE) == bool(state.part_size)
        assert bool(state.upload_id) == (state.status in (UploadStatus.UPLOADING, UploadStatus.COMPLETING))
        assert [part.number for part in state.parts] == sorted({part.number for part in state.parts})
        if state.status is UploadStatus.COMPLETING:
            assert sum(part.size for part in state.parts) == FILE.size


def test_everything_crosses_a_pipe() -> None:
    for change in LIFE:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change) == change
    state = after(*LIFE[:4])
    assert msgspec.json.decode(msgspec.json.encode(state), type=UploadState) == state
    task = UploadTask(b"/\xff/f", FILE, Location("b", "p"), "p/f", About("image/webp", metadata={"a": "b"}))
    assert msgspec.json.decode(msgspec.json.encode(task), type=UploadTask) == task
    assert (task.url, task.size) == ("s3://b/p/f", 250)
    sent = Sent(SentStatus.SENT, DONE, 250, '"etag"')
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Sent) == sent
    assert len({task.location: 1, Location("b", "p"): 2}) == 1, "a location is a key"


def test_parameters_are_what_the_object_keeps() -> None:
    task = UploadTask(b"/f", FILE, Location("b", "p"), "p/f", About(metadata={"a": "1", "b": "2"}))
    same = msgspec.structs.replace(task, about=About(metadata={"b": "2", "a": "1"}), seen="", file=b"/g")
    assert parameters(task) == parameters(same)
    for other in (
        msgspec.structs.replace(task, artefact="key"),
        msgspec.structs.replace(task, about=About("image/webp")),
        msgspec.structs.replace(task, location=Location("b", "p", storage_class="GLACIER")),
    ):
        assert parameters(other) != parameters(task)
