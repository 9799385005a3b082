"""A large object: begun, sent in parts, completed; resumed from any state that was saved.

What a kill leaves, and what the next run does:

- between Begun and Created: perhaps an upload of unknown id; it is found and aborted (``begin.left_open``);
- between a part's arrival and PartsSent: a part that nobody remembers; it is compared with the file and adopted;
- between Completing and the answer to Complete: perhaps the object; its token tells, and nothing is sent again;
- between an abort and the next Begun: an id of nothing; aborted again, without effect.
"""

from __future__ import annotations

import zlib
from contextlib import closing
from functools import partial

from mediactl.model.uploads import (
    TOKEN,
    Aimed,
    Completing,
    IfExists,
    PartsLost,
    PartsSent,
    Sent,
    SentPart,
    SentStatus,
    UploadState,
    UploadStatus,
)
from mediactl.upload.engine import Turn
from mediactl.upload.multipart import begin
from mediactl.upload.multipart.parts import Part, parts
from mediactl.upload.policy import Standing
from mediactl.upload.session import Errand
from mediactl.upload.store import (
    Busy,
    Condition,
    Corrupted,
    Exists,
    InvalidPart,
    NoSuchUpload,
    Refused,
    Stored,
    StoredPart,
    StoreError,
    Unavailable,
)

RELISTS = 2
"""How often a Complete that names a wrong part is followed by listing the parts again."""


class _Again(Exception):
    """This upload cannot be completed any more; another may. Carries the store's error."""

    def __init__(self, error: StoreError) -> None:
        self.error = error


def send(errand: Errand, live: bool, rounds: int) -> Sent:
    """Have the object there in parts. ``live``: the state's upload is to be resumed.

    Begins anew at most ``rounds`` times. Raises as ``transfer`` does.
    """
    for round_ in range(1, rounds + 1):
        try:
            return _send(errand, live, hinted=round_ == 1 and not live and errand.task.seen == "")
        except _Again as again:
            # It may be gone already. Aborted before it is forgotten: see ``abandon``.
            begin.abandon(errand)
            errand.parts_kept, live = 0, False
            errand.spoilt.clear()
            if round_ == rounds:
                raise again.error from None
            with errand.engine.turn(errand.job) as turn:
                turn.pause(round_)
    raise AssertionError("every round ends or goes on")


def _send(errand: Errand, live: bool, hinted: bool) -> Sent:
    task = errand.task
    # Of an upload that is over only its object is of interest; and a job that replaces it wants another.
    mine = errand.state.token if live or task.if_exists is not IfExists.REPLACE else ""
    aim: Sent | str = ""
    if not hinted:
        known = live or errand.state.status is not UploadStatus.PLANNED
        aim = errand.judged(errand.head(), mine, SentStatus.PRESENT if known else SentStatus.ADOPTED)
    if isinstance(aim, Sent):
        if live and aim.settled.token != errand.state.token:
            begin.abandon(errand)
        return aim
    if not live:
        begin.begin(errand, aim)
    elif aim != errand.state.expected:
        errand.save(Aimed(aim))
    if errand.state.status is UploadStatus.CREATING:
        begin.create(errand, again=live)
    elif ended := _reconcile(errand):
        return ended
    else:
        errand.kept(errand.state.parts)
    looked = not _send_missing(errand) and not hinted
    return _finish(errand, looked)


def _reconcile(errand: Errand) -> Sent | None:
    """Compare what is remembered with what the store has: lose what it lacks, adopt what it has besides.

    The end when the upload was completed after all.
    """
    state, key = errand.state, errand.task.key
    try:
        found = errand.ask(lambda: errand.store.stored_parts(key, state.upload_id))
    except NoSuchUpload as error:
        return _proved(errand, error, SentStatus.PRESENT)
    listed = {part.number: part for part in found}
    kept = {
        part.number
        for part in state.parts
        if (there := listed.get(part.number)) and (there.size, there.etag) == (part.size, part.etag)
    }
    if lost := tuple(part.number for part in state.parts if part.number not in kept):
        errand.save(PartsLost(lost))
    for part in parts(errand.task.size, state.part_size):
        if part.number not in kept and part.number in listed:
            adopted = _adopted(errand, part, listed[part.number])
            if adopted:
                errand.save(PartsSent((adopted,)))
            else:
                errand.spoilt.add(part.number)
    return None


def _adopted(errand: Errand, part: Part, there: StoredPart) -> SentPart | None:
    """A part that the store has and nobody remembers, when it is what the file has there."""
    if there.size != part.size:
        return None
    crc32 = errand.source.crc32(part.offset, part.size)
    md5 = partial(errand.source.md5, part.offset, part.size)
    if there.crc32 is None:
        same = there.etag.strip('"').lower() == md5()
    else:  # over plain http it may be what was told, not what arrived
        same = there.crc32 == crc32 and errand.manners.intact(there.etag, md5)
    return SentPart(part.number, part.size, crc32, there.etag) if same else None


def _send_missing(errand: Errand) -> int:
    """Send every part that is not remembered, many at once; how many there were."""
    have = {part.number for part in errand.state.parts}
    missing = [part for part in parts(errand.task.size, errand.state.part_size) if part.number not in have]
    units = [(part.size, partial(_send_part, errand, errand.state, part)) for part in missing]
    try:
        with closing(errand.engine.gather(errand.job, units)) as answers:
            for sent in answers:
                errand.parts_sent += len(sent)
                errand.save(PartsSent(tuple(sent)))
    except NoSuchUpload as error:
        raise _Again(error) from None
    return len(missing)


def _send_part(errand: Errand, state: UploadState, part: Part, turn: Turn) -> SentPart:
    """Runs in a thread of the engine."""
    body = errand.source.read(part.offset, part.size, reuse=True)
    crc32 = zlib.crc32(body)

    def put() -> str:
        try:
            etag = errand.store.put_part(errand.task.key, state.upload_id, part.number, body, crc32)
        except Refused as error:
            if part.number not in errand.spoilt:
                raise
            # rclone passes parts on as they come, and takes none twice: only another upload can be right.
            raise NoSuchUpload(str(error)) from error
        try:
            return errand.check(etag, body)
        except Corrupted:
            errand.spoilt.add(part.number)
            raise

    return SentPart(part.number, part.size, crc32, errand.send(turn, part.size, put))


def _finish(errand: Errand, looked: bool) -> Sent:
    """Complete, and prove it. ``looked``: what is there was seen a moment ago."""
    state = errand.state
    errand.source.check_name()
    if not looked:  # a store that ignores conditions would overwrite what came meanwhile
        there = errand.head()
        if (there.etag if there else "") != state.expected:
            if ended := _raced(errand, there):
                return ended
            errand.save(Aimed(""))
    for attempt in range(RELISTS + 1):
        if errand.state.status is UploadStatus.UPLOADING:
            errand.save(Completing())
        try:
            ended = errand.conditional(
                errand.state.expected, lambda condition, fatal: errand.ask(partial(_complete, errand, condition), fatal)
            )
            return ended or _agreed(errand)
        except NoSuchUpload as error:
            raise _Again(error) from None
        except InvalidPart:
            if attempt == RELISTS:
                raise
            if ended := _reconcile(errand):
                return ended
            _send_missing(errand)
        except Exists:
            there = errand.head()
            if ended := _raced(errand, there):
                return ended
            if attempt == RELISTS:
                raise
            errand.save(Aimed(""))  # what was to be replaced is gone
        except Busy as error:
            return _proved(errand, error)
    raise AssertionError("every attempt ends or goes on")


def _raced(errand: Errand, there: Stored | None) -> Sent | None:
    """The end when something is there that was not when we looked; None when there is nothing."""
    ended = errand.raced(there, errand.state.token)
    if ended and ended.status is not SentStatus.SENT:
        begin.abandon(errand)
    return ended


def _proved(errand: Errand, error: StoreError, status: SentStatus = SentStatus.SENT) -> Sent:
    """The end when HEAD proves that this upload was completed. Raises _Again when it does not."""
    there = errand.head()
    if there is not None and errand.standing(there, errand.state.token) is Standing.MINE:
        return errand.done(status, there, errand.state.token)
    raise _Again(error) from None


def _complete(errand: Errand, condition: Condition) -> Sent | None:
    """Send Complete; the end if it turns out that an earlier one took place though its answer was lost."""
    state = errand.state
    named = [StoredPart(part.number, part.size, part.etag, part.crc32) for part in state.parts]
    try:
        errand.store.complete(errand.task.key, state.upload_id, named, condition)
    except (Unavailable, NoSuchUpload):
        there = errand.look()
        if there is not None and errand.standing(there, state.token) is Standing.MINE:
            return errand.done(SentStatus.SENT, there, state.token)
        raise
    return None


def _agreed(errand: Errand) -> Sent:
    """HEAD after a Complete that was answered well: is the object there, ours and whole?"""
    url = errand.task.url

    def look() -> Sent:
        there = errand.look()
        if there is None:
            raise Unavailable(f"{url} is not there after its upload was completed")
        if there.metadata.get(TOKEN) == errand.state.token and there.size != errand.task.size:
            raise StoreError(f"{url} has {there.size} bytes, {errand.task.size} were sent")
        ended = errand.raced(there, errand.state.token)
        assert ended is not None
        return ended

    return errand.ask(look)
