"""How an attempt ended becomes a transition in the journal; what follows it is up to the handler of its kind."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import Journal
from mediactl.jobs.states import State
from mediactl.model.verdict import Verdict
from mediactl.pipeline.handlers.base import Handler
from mediactl.pool.contract import Ended


class Completer:
    """Completes attempts inside the journal's transaction. Each method: False when the answer was stale."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._transitions = {
            Verdict.REJECTED: self._reject,
            Verdict.CHANGED: self._change,
            Verdict.FAILED: self._fail,
            Verdict.TIMED_OUT: self._fail,
            Verdict.UNREADABLE: self._leave_unread,
            Verdict.UNWRITABLE: self._leave,
            Verdict.INTERNAL: self._leave_after_internal_error,
            Verdict.CRASHED: self._crash,
        }

    def complete(self, handler: Handler, claim: Claim, end: Ended, *, done: bool) -> bool:
        """Make the transition that a verdict asks for, and have the handler go on from there.

        ``done``: the journal has the job done already, for those are written all at once.
        """
        if end.verdict is Verdict.DONE:
            if done:
                handler.done(claim, end)
            return done
        if not handler.is_needed(claim):
            return self._give_up(handler, claim)
        transition = self._transitions.get(end.verdict, self._interrupt)
        return transition(handler, claim, end)

    def _give_up(self, handler: Handler, claim: Claim) -> bool:
        cancelled = self._journal.finish(claim.id, claim.attempt, State.CANCELLED, handler.obsolete_reason)
        if cancelled:
            handler.obsolete(claim)
        return cancelled

    def _reject(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        rejected = self._journal.finish(claim.id, claim.attempt, State.REJECTED, end.reason)
        if rejected:
            handler.rejected(claim, end)
        return rejected

    def _change(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        cancelled = self._journal.finish(claim.id, claim.attempt, State.CANCELLED, end.reason)
        if cancelled:
            handler.changed(claim, end.reason)
        return cancelled

    def _fail(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        state = self._journal.fail(claim.id, claim.attempt, end.reason)
        return _followed(state, handler.retried, handler.quarantined, claim, end)

    def _leave_unread(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        """The machine's fault, not the source's: after the last attempt it is left to the next run."""
        if not self._journal.is_last_attempt(claim.id):
            return self._fail(handler, claim, end)
        return self._leave(handler, claim, end)

    def _leave(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        """Leave it to the next run: no other attempt of this one fares better."""
        cancelled = self._journal.finish(claim.id, claim.attempt, State.CANCELLED, end.reason)
        if cancelled:
            handler.unreadable(claim, end)
        return cancelled

    def _leave_after_internal_error(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        """No verdict on the source: after the last attempt it is left to the next run."""
        end = msgspec.structs.replace(end, reason=f"internal error: {end.reason}")
        state = self._journal.fail(claim.id, claim.attempt, end.reason, given_up=State.CANCELLED)
        if state is State.CANCELLED:
            handler.internal_error(claim, end)
        elif state is State.READY:
            handler.retried(claim, end)
        return state is not None

    def _crash(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        state = self._journal.crash(claim.id, claim.attempt, end.reason)
        return _followed(state, handler.retried, handler.quarantined, claim, end)

    def _interrupt(self, handler: Handler, claim: Claim, end: Ended) -> bool:
        """Stopped from outside, the machine is blocked, or the other side is away or refuses: costs nothing."""
        state = self._journal.interrupt(claim.id, claim.attempt, end.reason, begun=end.worker != 0)
        return _followed(state, handler.interrupted, handler.quarantined, claim, end)


Follow = Callable[[Claim, Ended], None]


def _followed(state: State | None, ready: Follow, quarantined: Follow, claim: Claim, end: Ended) -> bool:
    """Go on from the state that the journal chose; False: it chose none."""
    if state is State.READY:
        ready(claim, end)
    elif state is State.QUARANTINED:
        quarantined(claim, end)
    return state is not None
