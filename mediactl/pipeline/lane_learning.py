"""Which lane each class of jobs belongs in, as its durations are learned."""

from __future__ import annotations

from mediactl.jobs.claims import Claim
from mediactl.jobs.journal import Journal
from mediactl.jobs.prediction import Class
from mediactl.planning.cost import seconds_of


class Lanes:
    """Ready jobs of a class move to another lane when it turns out to belong there."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._predictor = journal.predictor
        self._of: dict[Class, str] = {}
        self._moves: list[tuple[Class, str]] = []

    def begun(self, claim: Claim) -> float | None:
        """Take notice of a job that begins; return the seconds that jobs like it were measured to take."""
        like = self._class(claim)
        if like not in self._of:
            self._of[like] = self._predicted(claim, like)
        return self._predictor.expected(like)

    def took(self, claim: Claim, seconds: float) -> None:
        """Learn from a job that is done."""
        if self._predictor.learn(self._class(claim), seconds):
            self._consider(claim)

    def overran(self, claim: Claim, seconds: float) -> None:
        """Learn from a job of the quick lane that has run for so long already."""
        self._predictor.overran(self._class(claim), seconds)
        self._consider(claim)

    def move(self) -> None:
        """Move ready jobs, inside the journal's transaction."""
        for like, lane in self._moves:
            self._journal.move_lane(like, lane)
        self._moves.clear()

    def _consider(self, claim: Claim) -> None:
        like = self._class(claim)
        lane = self._predicted(claim, like)
        if self._of[like] != lane:
            self._of[like] = lane
            self._moves.append((like, lane))

    def _predicted(self, claim: Claim, like: Class) -> str:
        return self._predictor.lane(like, seconds_of(claim.kind, claim.size) / claim.cores)

    def _class(self, claim: Claim) -> Class:
        return self._predictor.class_of(claim.operation, claim.format, claim.size)
