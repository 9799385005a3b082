"""What becomes of a job whose attempt has ended: its transition, its source's state, its successors, what is told."""

from __future__ import annotations

import os
from collections import Counter

import msgspec

from mediactl.core.files import fingerprint, shown
from mediactl.jobs.journal import Claim, Journal
from mediactl.jobs.priority import successor_due
from mediactl.jobs.states import State
from mediactl.model.events import Event
from mediactl.model.jobs import JobResult, Priority, Verdict
from mediactl.model.media import UNREADABLE, Source
from mediactl.model.uploads import Sent, Settled, UploadStatus, UploadTask
from mediactl.pipeline import publish
from mediactl.pipeline.planner import Planner
from mediactl.pipeline.publish import Publisher
from mediactl.planning import jobs as plans
from mediactl.planning.jobs import permitted
from mediactl.pool.contract import Ended
from mediactl.sources import sniff

MAX_CHANGES = 3
"""Times in one run that a source may change under its job; then it is left to the next run."""
PLANNED_ANEW = "its source was planned anew"

_made = msgspec.msgpack.Decoder(JobResult)
_sent = msgspec.msgpack.Decoder(Sent)
_task = msgspec.json.Decoder(UploadTask)


class Completer:
    """Settles attempts inside the journal's transaction; what is to be told waits until that is on disk."""

    def __init__(self, journal: Journal, planner: Planner, out: bytes, ship: Publisher | None) -> None:
        self._journal = journal
        self._planner = planner
        self._out = out
        self._publisher = ship
        self._changes: Counter[int] = Counter()
        self._events: list[Event] = []
        self._cache_told = False

    def told(self) -> list[Event]:
        """The events of what was settled since the last call."""
        events, self._events = self._events, []
        return events

    def settle(self, claim: Claim, end: Ended, *, done: bool) -> bool:
        """Make the transition that a verdict asks for; False: the answer was stale. ``done``: the job is found done."""
        job, attempt, reason = claim.id, claim.attempt, end.reason
        sent = {"bytes_sent": end.usage.sent} if claim.kind == publish.KIND else {}
        if end.verdict is Verdict.DONE:
            return done and self._done(claim, end)
        if not self._is_wanted(claim):
            return self._in_vain(claim)
        if end.verdict is Verdict.REJECTED:
            changed = self._journal.finish(job, attempt, State.REJECTED, reason)
            if changed:
                if claim.kind == publish.KIND:
                    self._journal.uploads.note(_task.decode(claim.payload), Settled(UploadStatus.CONFLICT))
                self._source_state(claim, "rejected", reason)
                self._drop_pieces(claim, "another piece was rejected")
                self._tell("job.rejected", claim, reason=reason, **sent)
            return changed
        if end.verdict is Verdict.CHANGED:
            return self._changed(claim, reason)
        if end.verdict is Verdict.INTERNAL:
            return self._internal(claim, reason, **sent)
        if end.verdict is Verdict.UNREADABLE and self._journal.is_last_attempt(job):
            return self._unreadable(claim, reason)
        if end.verdict in (Verdict.FAILED, Verdict.TIMED_OUT, Verdict.UNREADABLE):
            state = self._journal.fail(job, attempt, reason)
        elif end.verdict is Verdict.CRASHED:
            state = self._journal.crash(job, attempt, reason)
        else:
            state = self._journal.interrupt(job, attempt, reason, begun=end.worker != 0)
            if state is State.READY:
                self._tell("job.interrupted", claim, reason=reason, **sent)
                return True
        if state is State.QUARANTINED:
            self._source_state(claim, "quarantined", reason)
            self._drop_pieces(claim, "another piece was given up")
            self._tell("job.quarantined", claim, reason=reason, **sent)
        elif state is State.READY and end.verdict is not Verdict.INTERRUPTED:
            self._tell("job.retry", claim, reason=reason, attempt=attempt, **sent)
        return state is not None

    def _internal(self, claim: Claim, fault: str, **sent: object) -> bool:
        """No verdict on the source: after the usual attempts its job is given up, and the source stays pending, so that
        the next run plans it again. The other pieces of a film go on: what they make is of use then."""
        reason = f"internal error: {fault}"
        state = self._journal.fail(claim.id, claim.attempt, reason, given_up=State.CANCELLED)
        if state is State.CANCELLED:
            if claim.kind == publish.KIND:
                publish.gave_up(self._journal, claim, "")
            else:
                self._source_state(claim, "pending", reason)
            self._tell("job.internal_error", claim, reason=reason, **sent)
        elif state is State.READY:
            self._tell("job.retry", claim, reason=reason, attempt=claim.attempt, **sent)
        return state is not None

    def _done(self, claim: Claim, end: Ended) -> bool:
        if claim.kind == publish.KIND:
            self._uploaded(claim, end)
            return True
        if claim.source is None:
            self._tell("job.done", claim, seconds=round(end.usage.wall, 3))
            return True
        made = _made.decode(end.result)
        if claim.kind == "probe":
            self._probed(claim, made)
            return True
        if claim.kind == plans.PIECE:
            self._pieced(claim, end)
            return True
        row = self._journal.sources.get(claim.source)
        self._changes.pop(claim.source, None)
        if row.plan == claim.plan:  # else it was planned anew meanwhile, and that plan's job will say "done"
            self._journal.sources.done(claim.source, made, claim.plan)
            if self._publisher is not None:
                planned = self._publisher.begin(claim.source, Priority(claim.priority), successor_due(claim.due))
                self._events.append(planned)
        self._tell(
            "job.done", claim, seconds=round(end.usage.wall, 3), cpu_seconds=round(end.usage.cpu, 3),
            peak_memory=end.usage.peak_memory, made=made.made, bytes_in=row.source.fingerprint.size,
            bytes_out=made.bytes_made, outputs=[file.artefact.name for file in made.files],
            warnings=list(made.warnings), size=claim.size,
        )  # fmt: skip
        return True

    def _uploaded(self, claim: Claim, end: Ended) -> None:
        task, sent = _task.decode(claim.payload), _sent.decode(end.result)
        self._journal.uploads.note(task, sent.settled)
        last = publish.follow(self._journal, claim, task, self._out)
        if last is not None:
            self._events.append(last)
        self._tell(
            "upload.done", claim, url=task.url, status=sent.status.value, size=sent.bytes, bytes_sent=end.usage.sent,
            parts_sent=sent.parts_sent, parts_kept=sent.parts_kept, seconds=round(end.usage.wall, 3),
        )  # fmt: skip

    def _probed(self, claim: Claim, made: JobResult) -> None:
        """A probe's successors: the job that makes what is missing, or the pieces that go before it; added in the same
        transaction."""
        assert claim.source is not None and made.info is not None
        self._note_cache(made.cache_trouble)
        if not self._is_wanted(claim):
            self._tell("job.changed", claim, reason=PLANNED_ANEW)
            return
        before = self._journal.sources.get(claim.source)
        recipe = self._planner.with_digest(before.recipe)
        plan = self._planner.plans(recipe)[before.source.kind.value]
        info = permitted(made.info, recipe)
        self._journal.sources.probed(claim.source, made.digest, info, plan)
        row = self._journal.sources.get(claim.source)
        self._journal.sources.cancel_pieces(claim.source, "", "planned anew")
        work = self._planner.work(
            claim.source, row.source, made.digest, info, recipe, row.placeholder, Priority(claim.priority)
        )
        if work is None:
            self._source_state(claim, "ignored", f"recipe {recipe.name!r} makes nothing of it")
            return
        self._journal.add([msgspec.structs.replace(job, due=successor_due(claim.due)) for job in work.first])
        parts = {"parts": [{"job": job.key, "size": job.size} for job in work.pieces]} if work.pieces else {}
        self._tell("job.probed", claim, next=work.make.key, next_kind=work.make.kind, size=work.make.size, **parts)

    def _note_cache(self, trouble: str) -> None:
        """Each worker finds out for itself that the cache cannot be used; it is reported once."""
        if trouble and not self._cache_told:
            self._cache_told = True
            self._events.append(Event("cache.unusable", {"reason": trouble}))

    def _pieced(self, claim: Claim, end: Ended) -> None:
        """After the last piece of a film comes the job that joins them, added in the same transaction."""
        assert claim.source is not None
        self._tell(
            "job.done", claim, seconds=round(end.usage.wall, 3), cpu_seconds=round(end.usage.cpu, 3),
            peak_memory=end.usage.peak_memory, size=claim.size,
        )  # fmt: skip
        if not self._is_wanted(claim) or self._journal.sources.has_live_piece(claim.source, claim.plan):
            return
        row = self._journal.sources.get(claim.source)
        assert row.digest is not None and row.info is not None
        work = self._planner.work(
            claim.source, row.source, row.digest, row.info, self._planner.with_digest(row.recipe), row.placeholder,
            Priority(claim.priority),
        )  # fmt: skip
        if work is not None:
            self._journal.add([msgspec.structs.replace(work.make, due=successor_due(claim.due))])

    def _is_wanted(self, claim: Claim) -> bool:
        """Whether a job still is what its source waits for: nothing was planned anew, no other piece of its film failed
        for good."""
        if claim.source is None or claim.kind == publish.KIND:
            return True
        row = self._journal.sources.get(claim.source)
        if claim.kind == "probe":
            recipe = self._planner.with_digest(row.recipe)
            wanted = self._planner.probe_job(row.source, row.id, recipe, Priority(claim.priority))
            return claim.key == wanted.key or (
                row.state == "pending" and not self._journal.sources.has_live_job(row.id, claim.id)
            )
        if claim.kind != plans.PIECE:
            return claim.plan in ("", row.plan)
        return (
            row.state == "pending"
            and row.digest is not None
            and claim.plan == plans.piece_plan(row.plan, row.digest, row.source.fingerprint)
        )

    def _in_vain(self, claim: Claim) -> bool:
        """A job that nobody waits for any more has not come to its end: that is all there is to say of it."""
        piece = claim.kind == plans.PIECE
        reason = "its film was planned anew or given up" if piece else PLANNED_ANEW
        if not self._journal.finish(claim.id, claim.attempt, State.CANCELLED, reason):
            return False
        self._tell("job.cancelled" if piece else "job.changed", claim, reason=reason)
        return True

    def _drop_pieces(self, claim: Claim, reason: str) -> None:
        if claim.kind == plans.PIECE and claim.source is not None:
            self._journal.sources.cancel_pieces(claim.source, claim.plan, reason)

    def _changed(self, claim: Claim, reason: str) -> bool:
        """The source is not what was planned: read it anew, if it is still there."""
        if not self._journal.finish(claim.id, claim.attempt, State.CANCELLED, reason):
            return False
        if claim.kind == publish.KIND:
            publish.gave_up(self._journal, claim, "")
            self._tell("job.cancelled", claim, reason=reason)
            return True
        assert claim.source is not None
        row = self._journal.sources.get(claim.source)
        self._drop_pieces(claim, reason)
        self._changes[claim.source] += 1
        mark, named = row.source.fingerprint, (row.source.kind, UNREADABLE)
        try:
            mark = fingerprint(os.stat(row.source.file))
            found = sniff.sniff(sniff.head(row.source.file), row.source.path)
            if found is None and row.source.format == UNREADABLE:
                return self._no_media(claim, msgspec.structs.replace(row.source, fingerprint=mark))
            named = found or (row.source.kind, "unknown")
        except (FileNotFoundError, NotADirectoryError):
            self._source_state(claim, "cancelled", "was removed before it was done")
            self._tell("job.cancelled", claim, reason="its source was removed")
            return True
        except OSError:
            pass  # the next probe reports it
        known = row.source.fingerprint == mark
        if known and (row.state != "pending" or self._journal.sources.has_live_job(claim.source)):
            self._tell("job.changed", claim, reason=reason)  # a watch has taken it in anew already
            return True
        source = msgspec.structs.replace(row.source, fingerprint=mark, kind=named[0], format=named[1])
        self._journal.sources.put(source, row.recipe, row.plan, "pending", reason)
        if self._changes[claim.source] < MAX_CHANGES:
            recipe = self._planner.with_digest(row.recipe)
            self._journal.add([self._planner.probe_job(source, claim.source, recipe, Priority(claim.priority))])
        else:
            del self._changes[claim.source]  # a watch takes it in again should it be found otherwise
        self._tell("job.changed", claim, reason=reason)
        return True

    def _no_media(self, claim: Claim, source: Source) -> bool:
        """A file that could not be read when it was found turns out to be none that is processed."""
        self._tell("job.changed", claim, reason=sniff.NO_MEDIA)
        self._journal.sources.put_ignored(source, sniff.NO_MEDIA)
        self._events.append(Event("source.ignored", {"path": shown(source.path), "reason": sniff.NO_MEDIA}))
        return True

    def _unreadable(self, claim: Claim, reason: str) -> bool:
        """The machine's fault, not the source's: it stays pending without a job, and so the next run reads it anew."""
        if not self._journal.finish(claim.id, claim.attempt, State.CANCELLED, reason):
            return False
        self._drop_pieces(claim, reason)
        self._source_state(claim, "pending", reason)
        self._tell("job.unreadable", claim, reason=reason)
        return True

    def _source_state(self, claim: Claim, state: str, reason: str) -> None:
        if claim.kind == publish.KIND:
            publish.gave_up(self._journal, claim, "conflict" if state == "rejected" else "failed")
        elif claim.source is not None:
            self._changes.pop(claim.source, None)
            self._journal.sources.set_state(claim.source, state, reason)

    def _tell(self, name: str, claim: Claim, **fields: object) -> None:
        self._events.append(Event(name, {**self.head(claim), **fields}))

    def head(self, claim: Claim) -> dict[str, object]:
        """What every event of a job begins with."""
        head: dict[str, object] = {"job": claim.key, "kind": claim.kind}
        if claim.source is not None:
            source = self._journal.sources.get(claim.source).source
            head["path"] = shown(source.path)
            head["source_kind"] = source.kind.value
            head["bytes"] = source.fingerprint.size
            if claim.kind == plans.PIECE:
                number, _, count = (claim.content or "").rpartition(":")[2].partition("/")
                head["piece"] = int(number) if count else 0
                head["pieces"] = int(count or 0)
        elif claim.kind == publish.KIND:
            head["path"] = shown(_task.decode(claim.payload).file)
        return head
