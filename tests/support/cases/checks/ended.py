"""Checks of how a source ended, and what was reported of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from support.cases.outcomes import Outcome


class Finding(NamedTuple):
    """What a check measured."""

    ok: bool
    text: str


Check = Callable[[Outcome], Finding]


def done(outcome: Outcome) -> Finding:
    """Require an asset at the first attempt."""
    ok = outcome.state == "done" and not outcome.retries
    return Finding(ok, outcome.state + _why(outcome) + (f" after {outcome.retries} retries" if outcome.retries else ""))


def rejected(*words: str) -> Check:
    """Require a rejection at the first attempt, with a reason that matches every pattern."""

    def check(outcome: Outcome) -> Finding:
        ok = outcome.state == "rejected" and not outcome.retries
        return Finding(ok and all(_in(word, [outcome.reason]) for word in words), outcome.state + _why(outcome))

    return check


def ignored(outcome: Outcome) -> Finding:
    """Require that the file was passed over."""
    return Finding(outcome.state == "ignored", outcome.state + _why(outcome))


def left_out(outcome: Outcome) -> Finding:
    """Require that the file was never looked at."""
    return Finding(outcome.state == "left out", outcome.state + _why(outcome))


def either(one: Sequence[Check], other: Sequence[Check]) -> Check:
    """Require that all of one list or all of the other hold."""

    def check(outcome: Outcome) -> Finding:
        found = [finding(outcome, checks) for checks in (one, other)]
        best = next((each for each in found if each.ok), found[0])
        return Finding(best.ok, best.text)

    return check


def reported(word: str) -> Check:
    """Require a warning that matches a pattern."""

    def check(outcome: Outcome) -> Finding:
        return Finding(_in(word, outcome.reported), f"reported: {'; '.join(outcome.reported) or 'nothing'}")

    return check


def unreported(word: str = ".") -> Check:
    """Require that no warning matches a pattern; by default, that there is none."""

    nothing = "no warning" if word == "." else "no such warning"

    def check(outcome: Outcome) -> Finding:
        said = [each for each in outcome.reported if _in(word, [each])]
        return Finding(not said, f"reported: {'; '.join(said)}" if said else nothing)

    return check


def _why(outcome: Outcome) -> str:
    return f" ({outcome.reason})" if outcome.reason else ""


def _in(word: str, said: Sequence[str]) -> bool:
    return any(re.search(word, each, re.IGNORECASE) for each in said)


def finding(outcome: Outcome, checks: Sequence[Check]) -> Finding:
    """Return what all checks found together; without outputs, what they found up to the first that is not right."""
    found: list[Finding] = []
    for check in checks:
        try:
            found.append(check(outcome))
        except FileNotFoundError as error:
            found.append(Finding(False, f"no {str(error.filename).rpartition('/')[2]}"))
        except KeyError as error:
            found.append(Finding(False, f"no {error}"))
        if not found[-1].ok and outcome.state != "done":
            break
    texts = (each.text if each.ok else f"**{each.text.strip('*')}**" for each in found)
    return Finding(all(each.ok for each in found), ", ".join(texts))
