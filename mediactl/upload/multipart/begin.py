"""Begin multipart uploads, and abort them without leaving one open."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from mediactl.core.errors import RejectedInput
from mediactl.model.uploads import Begun, Created, UploadState, UploadStatus, parameters
from mediactl.upload.multipart.parts import part_size
from mediactl.upload.session import Session
from mediactl.upload.store import NoSuchUpload, Refused, Store


def resumable(session: Session) -> bool:
    """Return whether the open upload is one of this content with these parameters."""
    state, source = session.state, session.source
    if state.source is None or state.source.size != session.task.size or state.parameters != parameters(session.task):
        return False
    if state.sha256:
        return state.sha256 == source.digest()
    return state.source == source.fingerprint or source.contains(state.part_size, state.parts)


def left_open(store: Store, key: str, state: UploadState, keep: str = "") -> list[str]:
    """Ids of the multipart uploads at ``key`` that are to be aborted when this state is given up; never ``keep``.

    A Create whose answer was lost left one of unknown id, and the store lists no token of an open upload. Ours
    is one that was not open before we began and has no part: the upload of another host is that only between its own
    Create and its first part, and begins again if it meets us. Raises StoreError.
    """
    if state.status is not UploadStatus.CREATING:
        return [state.upload_id] if state.upload_id else []
    if state.others is None:
        return []
    found = [upload_id for upload_id in open_ids(store, key) if upload_id != keep and upload_id not in state.others]
    return [upload_id for upload_id in found if _has_no_part(store, key, upload_id)]


def abandon(session: Session, keep: str = "") -> None:
    """Leave no open multipart upload of ours behind, but ``keep``.

    Nothing is saved: until another upload begins, a resume comes here again, and finds nothing to abort.
    """
    key, state, store = session.task.key, session.state, session.store
    known = bool(state.upload_id)
    try:
        for upload_id in session.ask(partial(left_open, store, key, state, keep), fatal=known):
            session.ask(partial(store.abort, key, upload_id), fatal=known)
    except Refused:  # some may write but not list
        if known:
            raise


def begin(session: Session, expected: str) -> None:
    """Save what a resume needs, before there is anything to resume."""
    try:
        each = part_size(session.task.size, session.limits.part)
    except ValueError as error:
        raise RejectedInput(f"{session.task.url}: {error}") from None
    others = None
    with suppress(Refused):  # then a Create whose answer is lost is left to the bucket's own rules
        others = tuple(session.ask(partial(open_ids, session.store, session.task.key), fatal=False))
    source = session.source
    session.save(
        Begun(session.new_token(), each, source.fingerprint, source.sha256, parameters(session.task), expected, others)
    )


def create(session: Session, again: bool) -> None:
    """Create the upload; ``again``: an earlier run may have created it and died before its id was saved."""
    sent = 0

    def once() -> str:
        nonlocal sent
        sent += 1
        return session.store.create(session.task.key, session.about(session.state.token))

    upload_id = session.ask(once)
    if again or sent > 1:
        abandon(session, upload_id)
    session.save(Created(upload_id))


def open_ids(store: Store, key: str) -> list[str]:
    """Ids of all multipart uploads that are open at exactly this key. Raises StoreError."""
    try:
        return [upload.upload_id for upload in store.open_uploads(key) if upload.key == key]
    except NoSuchUpload:  # what rclone answers where there is none at all
        return []


def _has_no_part(store: Store, key: str, upload_id: str) -> bool:
    try:
        return not store.stored_parts(key, upload_id)
    except NoSuchUpload:
        return False
