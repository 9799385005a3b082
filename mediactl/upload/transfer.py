"""One upload, from whatever state the journal remembers to its end. Small objects here, large ones in ``multipart``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mediactl.model.uploads import LIVE, IfExists, Sent, SentStatus, UploadState, UploadTask
from mediactl.upload.body import Body
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Turn
from mediactl.upload.multipart import begin, send
from mediactl.upload.policy import Standing
from mediactl.upload.session import Ledger, Report, Session
from mediactl.upload.source import Source
from mediactl.upload.store import Busy, Condition, Exists, Limits, Store

ROUNDS = 5
"""How often an upload begins: again when others write the same key at the same time, or when it vanished or is spoilt
beyond what sending a part again makes good."""


def transfer(
    task: UploadTask,
    state: UploadState,
    store: Store,
    capabilities: Capabilities,
    engine: Engine,
    ledger: Ledger,
    report: Report,
    *,
    new_token: Callable[[], str],
    limits: Limits,
) -> Sent:
    """Upload the object, unless another one has to be kept.

    May be stopped at any instant and called again with the state of the last saved change: it resumes from there, and
    sends no part again that was saved. ``capabilities`` goes with the store; ``new_token`` gives 32 random hex digits.

    Raises SourceChanged (plan it again), RejectedInput, StoreError (Refused and Expired: for every upload to this
    bucket), Stopped, OSError, and what the ledger raises. An open multipart upload stays open then, to be resumed.
    """
    known = task.sha256
    if not known and state.source is not None and state.source == task.fingerprint:
        known = state.sha256
    with Source(task.file, task.fingerprint, known, task.root) as source:
        session = Session(
            task,
            state,
            source,
            store=store,
            capabilities=capabilities,
            engine=engine,
            ledger=ledger,
            report=report,
            limits=limits,
            new_token=new_token,
        )
        live = state.status in LIVE
        if live and not begin.resumable(session):
            begin.abandon(session)
            live = False
        if live or task.size >= max(1, limits.multipart_from):
            return send.send(session, live, ROUNDS)
        return _small(session)


def _small(session: Session) -> Sent:
    """Send one PutObject. Nothing is saved on the way: when the answer is lost together with this process, the next
    run finds the object by its digest, or sends the few bytes again."""
    task, source = session.task, session.source
    with session.engine.turn(session.job, task.size) as turn:
        body = Body(source.read(0, task.size))
        source.identify(body.sha256)
        # An earlier upload that this job is to replace is not "this very upload".
        mine = "" if task.if_exists is IfExists.REPLACE else session.own_token()
        hint = task.seen == ""
        token = session.new_token()
        for round_ in range(1, ROUNDS + 1):
            aim = ""
            if not hint:
                judged = _judged(session, turn, body, mine)
                if isinstance(judged, Sent):
                    return judged
                aim = judged
            try:
                etag = session.conditional(aim, partial(_put, session, turn, body, token))
                return session.done(SentStatus.SENT, etag, token)
            except Exists:
                # Something is there: by our own request whose answer was lost, by another, or the LIST was older.
                ended = session.raced(session.head(turn), token)
                if ended and not (hint and ended.status is SentStatus.CONFLICT):
                    return ended
                if round_ == ROUNDS:
                    raise
            except Busy:
                if round_ == ROUNDS:
                    raise
                turn.pause(round_)
            hint, mine = False, token
    raise AssertionError("every round ends or goes on")


def _judged(session: Session, turn: Turn, body: Body, token: str) -> Sent | str:
    """Return the end, when what is there ends it; else the ETag of what may be overwritten ("": nothing is there)."""
    there = session.head(turn)
    ours = session.standing(there, token) in (Standing.MINE, Standing.SAME)
    if there and ours and not session.capabilities.intact(there.etag, lambda: body.md5):
        return there.etag  # spoilt on its way, and we were killed before the next try
    return session.judged(there, token, SentStatus.ADOPTED)


def _put(session: Session, turn: Turn, body: Body, token: str, condition: Condition, fatal: bool) -> str:
    def put() -> str:
        nonlocal condition
        etag = session.store.put(session.task.key, body, session.about(token), condition)
        if condition != Condition():
            condition = Condition(if_etag=etag)  # should these be the wrong bytes: they are what is to be overwritten
        return session.check(etag, body)

    return session.send(turn, len(body), put, fatal)
