"""Filters of jobs in URLs: the address of a list says which jobs it has, so that it can be kept and sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from mediactl.core import quantities
from mediactl.core.errors import UsageError
from mediactl.jobs.listing.pages import Filter
from mediactl.jobs.states import State

NAMES = ("state", "kind", "lane", "path", "reason", "since")
"""Parameters, which are those of the command line."""
KINDS = ("probe", "image", "video", "audio", "piece", "upload")
LANES = ("quick", "heavy", "network", "alone")
_WILD = "*?["
LONGEST = 1_000
"""Characters of a value."""


class Query(msgspec.Struct, frozen=True):
    """The filter of a list as it was typed."""

    state: str = ""
    kind: str = ""
    lane: str = ""
    path: str = ""
    reason: str = ""
    since: str = ""
    """A duration: "24h"."""

    @property
    def is_empty(self) -> bool:
        """Whether it excludes no job."""
        return not any(msgspec.structs.astuple(self))

    def filter(self, now: float) -> Filter:
        """Return what it means at this time. Raises UsageError."""
        return Filter(
            state=_state(self.state) if self.state else None,
            kind=self.kind,
            lane=self.lane,
            path=_glob(self.path),
            reason=_glob(self.reason),
            since=now - _seconds(self.since) if self.since else None,
        )

    def address(self, **changes: str | int | None) -> str:
        """Return the query string, with changes; "" where nothing is left of it."""
        fields = {**msgspec.structs.asdict(self), **changes}
        text = urlencode({name: value for name, value in fields.items() if value not in ("", None)})
        return f"?{text}" if text else ""


def parsed(parameters: Mapping[str, str]) -> Query:
    """Return the filter that parameters of a URL name. Raises UsageError."""
    values = {name: parameters[name].strip() for name in NAMES if name in parameters}
    for name, value in values.items():
        if len(value) > LONGEST or "\0" in value:
            raise UsageError(f"{name}: at most {LONGEST:,} characters, and no zero")
    return Query(**values)


def page_before(parameters: Mapping[str, str]) -> int | None:
    """Return the id that a page of a list ends before; None: it is the first. Raises UsageError."""
    text = parameters.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError(f"before={text[:40]}: expected a number")
    return int(text)


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise UsageError(f"state={text[:40]}: expected one of {', '.join(State)}") from None


def _seconds(text: str) -> float:
    try:
        return quantities.duration(text)
    except ValueError as error:
        raise UsageError(f"since={str(error)[:200]}") from None


def _glob(text: str) -> str:
    """Return a GLOB; a text without wildcards is looked for anywhere."""
    return text if not text or any(each in text for each in _WILD) else f"*{text}*"
