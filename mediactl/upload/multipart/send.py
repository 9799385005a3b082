"""A large object: begun, sent in parts, completed; resumed from any state that was saved.

What a kill leaves, and what the next run does:

- between Begun and Created: perhaps an upload of unknown id; it is found and aborted (``begin.left_open``);
- between a part's arrival and PartsSent: a part that nobody remembers; it is compared with the file and adopted;
- between Completing and the answer to Complete: perhaps the object; its token shows it, and nothing is sent again;
- between an abort and the next Begun: an id of nothing; aborted again, without effect.
"""

from __future__ import annotations

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
from mediactl.upload.body import Body
from mediactl.upload.engine import Turn
from mediactl.upload.multipart import begin
from mediactl.upload.multipart.parts import Part, composite_etag, parts
from mediactl.upload.policy import Standing
from mediactl.upload.session import Session
from mediactl.upload.source import buffer_of
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


def send(session: Session, live: bool, rounds: int) -> Sent:
    """Have the object there in parts. ``live``: the state's upload is to be resumed.

    Begins again at most ``rounds`` times. Raises as ``transfer`` does.
    """
    for round_ in range(1, rounds + 1):
        try:
            return _send(session, live, hinted=round_ == 1 and not live and session.task.seen == "")
        except _Again as again:
            # It may be gone already. Aborted before it is forgotten: see ``abandon``.
            begin.abandon(session)
            session.parts_kept, live = 0, False
            session.spoilt.clear()
            if round_ == rounds:
                raise again.error from None
            with session.engine.turn(session.job) as turn:
                turn.pause(round_)
    raise AssertionError("every round ends or goes on")


def _send(session: Session, live: bool, hinted: bool) -> Sent:
    task = session.task
    # Of an upload that is over only its object is of interest; and a job that replaces it needs another.
    mine = session.state.token if live else "" if task.if_exists is IfExists.REPLACE else session.own_token()
    aim: Sent | str = ""
    if not hinted:
        known = live or session.state.status is not UploadStatus.PLANNED
        aim = session.judged(session.head(), mine, SentStatus.PRESENT if known else SentStatus.ADOPTED)
    if isinstance(aim, Sent):
        if live and aim.settled.token != session.state.token:
            begin.abandon(session)
        return aim
    if not live:
        begin.begin(session, aim)
    elif aim != session.state.expected:
        session.save(Aimed(aim))
    if session.state.status is UploadStatus.CREATING:
        begin.create(session, again=live)
    elif ended := _reconcile(session):
        return ended
    else:
        session.kept(session.state.parts)
    looked = not _send_missing(session) and not hinted
    return _finish(session, looked)


def _reconcile(session: Session) -> Sent | None:
    """Compare what is remembered with what the store has: lose what it lacks, adopt what it has besides.

    The end when the upload was completed after all.
    """
    state, key = session.state, session.task.key
    try:
        found = session.ask(lambda: session.store.stored_parts(key, state.upload_id))
    except NoSuchUpload as error:
        return _proved(session, error, SentStatus.PRESENT)
    listed = {part.number: part for part in found}
    session.confirmed |= any(part.crc32 is not None for part in found)
    kept = {
        part.number
        for part in state.parts
        if (there := listed.get(part.number)) and (there.size, there.etag) == (part.size, part.etag)
    }
    if lost := tuple(part.number for part in state.parts if part.number not in kept):
        session.save(PartsLost(lost))
    for part in parts(session.task.size, state.part_size):
        if part.number not in kept and part.number in listed:
            adopted = _adopted(session, part, listed[part.number])
            if adopted:
                session.save(PartsSent((adopted,)))
            else:
                session.spoilt.add(part.number)
    return None


def _adopted(session: Session, part: Part, there: StoredPart) -> SentPart | None:
    """Return a part that the store has and nobody remembers, when it is what the file has there."""
    if there.size != part.size:
        return None
    crc32 = session.source.crc32(part.offset, part.size)
    md5 = partial(session.source.md5, part.offset, part.size)
    if there.crc32 is None:
        same = there.etag.strip('"').lower() == md5().hex()
    else:  # over plain http it may be what was announced, not what arrived
        same = there.crc32 == crc32 and session.capabilities.intact(there.etag, md5)
    return SentPart(part.number, part.size, crc32, there.etag) if same else None


def _send_missing(session: Session) -> int:
    """Send every part that is not remembered, many at once; how many there were."""
    have = {part.number for part in session.state.parts}
    missing = [part for part in parts(session.task.size, session.state.part_size) if part.number not in have]
    units = [(part.size, partial(_send_part, session, session.state, part)) for part in missing]
    try:
        with closing(session.engine.gather(session.job, units)) as answers:
            for sent in answers:
                session.parts_sent += len(sent)
                session.save(PartsSent(tuple(sent)))
    except NoSuchUpload as error:
        raise _Again(error) from None
    return len(missing)


def _send_part(session: Session, state: UploadState, part: Part, turn: Turn) -> SentPart:
    """Runs in a thread of the engine."""
    with buffer_of(part.size) as buffer:
        body = session.source.part(part.offset, buffer)
        etag = session.send(turn, part.size, partial(_put_part, session, state, part.number, body))
        return SentPart(part.number, part.size, body.crc32, etag)


def _put_part(session: Session, state: UploadState, number: int, body: Body) -> str:
    try:
        return session.check(session.store.put_part(session.task.key, state.upload_id, number, body), body)
    except Refused as error:
        if number not in session.spoilt:
            raise
        # rclone passes parts on as they come, and takes none twice: only another upload can be right.
        raise NoSuchUpload(str(error)) from error
    except Corrupted:
        session.spoilt.add(number)
        raise


def _finish(session: Session, looked: bool) -> Sent:
    """Complete, and prove it. ``looked``: what is there was seen a moment ago."""
    state = session.state
    session.source.check_name()
    if not looked:  # a store that ignores conditions would overwrite what came meanwhile
        there = session.head()
        if (there.etag if there else "") != state.expected:
            if ended := _raced(session, there):
                return ended
            session.save(Aimed(""))
    for attempt in range(RELISTS + 1):
        if session.state.status is UploadStatus.UPLOADING:
            session.save(Completing())
        try:
            ended = session.conditional(
                session.state.expected,
                lambda condition, fatal: session.ask(partial(_complete, session, condition), fatal),
            )
            return ended or _agreed(session)
        except NoSuchUpload as error:
            raise _Again(error) from None
        except InvalidPart:
            if attempt == RELISTS:
                raise
            if ended := _reconcile(session):
                return ended
            _send_missing(session)
        except Exists:
            there = session.head()
            if ended := _raced(session, there):
                return ended
            if attempt == RELISTS:
                raise
            session.save(Aimed(""))  # what was to be replaced is gone
        except Busy as error:
            return _proved(session, error)
    raise AssertionError("every attempt ends or goes on")


def _raced(session: Session, there: Stored | None) -> Sent | None:
    """Return the end when something is there that was not when we looked; None when there is nothing."""
    ended = session.raced(there, session.state.token)
    if ended and ended.status is not SentStatus.SENT:
        begin.abandon(session)
    return ended


def _proved(session: Session, error: StoreError, status: SentStatus = SentStatus.SENT) -> Sent:
    """Return the end when HEAD proves that this upload was completed. Raises _Again when it does not."""
    there = session.head()
    if there is not None and session.standing(there, session.state.token) is Standing.MINE:
        return session.done(status, there, session.state.token)
    raise _Again(error) from None


def _complete(session: Session, condition: Condition) -> Sent | None:
    """Send Complete; the end if its answer proves it, or an earlier one succeeded though its answer was lost.

    An ETag of just these parts is a proof where the store keeps no checksums to compare. It saves a HEAD, for which
    rclone's server reads the whole object.
    """
    state = session.state
    named = [StoredPart(part.number, part.size, part.etag, part.crc32) for part in state.parts]
    try:
        etag = session.store.complete(session.task.key, state.upload_id, named, condition)
    except (Unavailable, NoSuchUpload):
        there = session.look()
        if there is not None and session.standing(there, state.token) is Standing.MINE:
            return session.done(SentStatus.SENT, there, state.token)
        raise
    if not session.confirmed and etag == composite_etag(part.etag for part in state.parts):
        return session.done(SentStatus.SENT, etag, state.token)
    return None


def _agreed(session: Session) -> Sent:
    """HEAD after a Complete that was answered well: is the object there, ours and whole?"""
    url = session.task.url

    def look() -> Sent:
        there = session.look()
        if there is None:
            raise Unavailable(f"{url} is not there after its upload was completed")
        if there.metadata.get(TOKEN) == session.state.token and there.size != session.task.size:
            raise StoreError(f"{url} has {there.size} bytes, {session.task.size} were sent")
        if not session.whole(there):
            raise _Again(Corrupted(f"{url}: the store's checksum is not that of the parts sent"))
        ended = session.raced(there, session.state.token)
        assert ended is not None
        return ended

    return session.ask(look)
