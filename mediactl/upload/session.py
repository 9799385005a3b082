"""What every step of an upload needs: task, state, store, engine, ledger, counters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from mediactl.model.uploads import (
    ARTEFACT,
    PART_SIZE,
    SHA256,
    TOKEN,
    About,
    Change,
    IfExists,
    Sent,
    SentPart,
    SentStatus,
    Settled,
    UploadState,
    UploadStatus,
    UploadTask,
    apply,
)
from mediactl.upload import policy
from mediactl.upload.body import Body
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Turn
from mediactl.upload.fair_queue import Job
from mediactl.upload.multipart.parts import composite, room
from mediactl.upload.policy import Standing
from mediactl.upload.source import Source
from mediactl.upload.store import Condition, Corrupted, Exists, Limits, Refused, Store, Stored, Unreachable

T = TypeVar("T")

Report = Callable[[int, int], None]
"""(bytes sent, bytes stored) since the last call. Called from several threads."""


class Ledger(Protocol):
    """Where an upload's state survives its process."""

    def save(self, change: Change) -> None:
        """Returns when the change is on disk. Called by one thread at a time for one upload."""


class Session:
    """A running upload. Its state changes in its job's thread only."""

    def __init__(
        self,
        task: UploadTask,
        state: UploadState,
        source: Source,
        *,
        store: Store,
        capabilities: Capabilities,
        engine: Engine,
        ledger: Ledger,
        report: Report,
        limits: Limits,
        new_token: Callable[[], str],
    ) -> None:
        self.task = task
        self.state = state
        self.source = source
        self.store = store
        self.capabilities = capabilities
        self.engine = engine
        self.limits = limits
        self.new_token = new_token
        self.job: Job = engine.job(task.location, room(task.size))
        self.parts_sent = 0
        self.parts_kept = 0
        self.confirmed = False
        """Whether the store has shown a checksum of a part."""
        self.spoilt: set[int] = set()
        """Numbers of parts of which the store has other bytes than it should."""
        self._ledger = ledger
        self._report = report
        self._lock = threading.Lock()
        self._bytes_sent = 0

    def save(self, change: Change) -> None:
        """Have a change on disk, then take it as true. Raises IllegalChange before anything is written."""
        after = apply(self.state, change)
        self._ledger.save(change)
        self.state = after

    def about(self, token: str) -> About:
        """Return what is kept with the object: the task's, with our marks."""
        known = self.source.sha256
        marks = {TOKEN: token, **({SHA256: known} if known else {PART_SIZE: str(self.state.part_size)})}
        if self.task.artefact:
            marks[ARTEFACT] = self.task.artefact
        return msgspec.structs.replace(self.task.about, metadata={**self.task.about.metadata, **marks})

    def ask(self, request: Callable[[], T], fatal: bool = True) -> T:
        """Return the answer to a request without a body, in a turn of its own; ``fatal`` as in ``Turn.call``."""
        with self.engine.turn(self.job) as turn:
            return turn.call(request, fatal=fatal)

    def look(self) -> Stored | None:
        """Return what is at the key now: one request, without retries."""
        try:
            return self.store.head(self.task.key)
        except Exists:  # an ill HEAD, which S3Store looks into with a GET, and that says NoSuchKey
            return None

    def head(self, turn: Turn | None = None) -> Stored | None:
        """Return what is at the key now."""
        return turn.call(self.look) if turn else self.ask(self.look)

    def send(self, turn: Turn, size: int, request: Callable[[], T], fatal: bool = True) -> T:
        """Return the answer to a request with a body of ``size`` bytes, counted and reported."""

        def counted() -> T:
            try:
                answer = request()
            except Unreachable:
                raise
            except Exception:
                self._left(size, 0)
                raise
            self._left(size, size)
            return answer

        return turn.call(counted, size, fatal=fatal)

    def conditional(self, aim: str, write: Callable[[Condition, bool], T]) -> T:
        """Return what ``write(condition, fatal)`` returns, over the object with the ETag ``aim`` ("": over none).

        A store that supports no conditions refuses them. With "replace" that is no obstacle: it is written
        again without, and so is all that follows. Otherwise the error names the flag that helps.
        """
        condition = Condition(if_etag=aim) if aim else Condition(if_absent=True)
        if self.task.if_exists is not IfExists.REPLACE:
            return write(condition, True)
        if self.capabilities.conditions:
            try:
                return write(condition, False)
            except Refused:
                pass
        answer = write(Condition(), True)
        self.capabilities.conditions = False
        return answer

    def check(self, etag: str, body: Body) -> str:
        """Return the ETag. Raises Corrupted when it shows that the store has other bytes."""
        self.confirmed |= body.confirmed
        if not (body.confirmed or self.capabilities.intact(etag, lambda: body.md5)):
            raise Corrupted(f"{self.task.url}: the store got other bytes than were sent")
        return etag

    def kept(self, parts: tuple[SentPart, ...]) -> None:
        """Count and report what an earlier run has sent."""
        self.parts_kept = len(parts)
        self.source.remember(self.state.part_size, parts)
        self._left(0, sum(part.size for part in parts))

    def standing(self, there: Stored | None, token: str) -> Standing:
        """Return what is there, as this upload sees it."""
        found = policy.standing(there, self.task, self._same, token)
        return Standing.OLD if found is Standing.MINE and there and not self.whole(there) else found

    def own_token(self) -> str:
        """Return the token of the upload that is remembered, if it was of this content."""
        state, source = self.state, self.source
        same = state.source == source.fingerprint or (state.sha256 and state.sha256 == source.sha256)
        return state.token if same else ""

    def whole(self, there: Stored) -> bool:
        """Return whether the store's checksum of the object that this upload made is that of the parts sent."""
        state = self.state
        if there.metadata.get(TOKEN) != state.token or not there.checksum.endswith(f"-{len(state.parts)}"):
            return True  # of another, or a checksum of another kind, or none
        return there.checksum == composite(part.crc32 for part in state.parts)

    def _same(self, there: Stored) -> bool:
        """Return whether an object of ours has the content of the file, which may be read for that."""
        if known := there.metadata.get(SHA256):
            return known == self.source.digest()
        size = there.metadata[PART_SIZE]
        return size.isdecimal() and self.source.has_etag(there.etag, int(size))

    def done(self, status: SentStatus, there: Stored | str, token: str) -> Sent:
        """Return the end, the object being there; ``there`` is it, or its ETag."""
        if isinstance(there, Stored):
            etag, token = there.etag, there.metadata.get(TOKEN, token)
        else:
            etag = there
        source = self.source
        return self._sent(status, Settled(UploadStatus.DONE, token, etag, source.fingerprint, source.sha256), etag=etag)

    def conflict(self, found: Standing) -> Sent:
        """Something else is there."""
        return self._sent(SentStatus.CONFLICT, Settled(UploadStatus.CONFLICT), reason=policy.reason(self.task, found))

    def judged(self, there: Stored | None, token: str, already: SentStatus) -> Sent | str:
        """Return the end, when what is there ends it; else the ETag that may be overwritten ("": nothing is there)."""
        found = self.standing(there, token)
        if there is None:
            return ""
        if policy.complete(found, self.task.if_exists):
            status = SentStatus.PRESENT if found is Standing.MINE else already
            return self.done(status, there, token)
        if policy.conflict(found, self.task.if_exists):
            return self.conflict(found)
        return there.etag

    def raced(self, there: Stored | None, token: str) -> Sent | None:
        """Return the end, after a write was refused because something is there; None: it is not there any more."""
        found = self.standing(there, token)
        if there is None:
            return None
        if found is Standing.MINE:
            return self.done(SentStatus.SENT, there, token)
        if found is Standing.SAME:
            return self.done(SentStatus.PRESENT, there, token)
        return self.conflict(found)

    def _left(self, sent: int, safe: int) -> None:
        with self._lock:
            self._bytes_sent += sent
            self._report(sent, safe)

    def _sent(self, status: SentStatus, settled: Settled, *, etag: str = "", reason: str = "") -> Sent:
        return Sent(
            status,
            settled,
            self.task.size,
            etag=etag,
            bytes_sent=self._bytes_sent,
            parts_sent=self.parts_sent,
            parts_kept=self.parts_kept,
            reason=reason,
        )
