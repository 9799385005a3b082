"""Jobs that a run has claimed, and which it claims."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Claim(msgspec.Struct, frozen=True):
    """A job that is this run's to do. Fields in the order of the query "claim"."""

    id: int
    key: str
    kind: str
    operation: str
    lane: str
    source: int | None
    content: str | None
    format: str
    size: int
    payload: bytes
    priority: int
    due: float
    attempt: int
    time_limit: float
    plan: str
    cores: int
    stall_limit: float | None
    memory_limit: int | None
    memory: int
    piece: int | None
    pieces: int | None
    cut: str
    destination: str
    enqueued_at: float


def choose(
    candidates: Iterable[tuple[float, int, str | None, str]], room: int, kinds: dict[str, int], before: float
) -> list[int]:
    """Return the ids of up to ``room`` candidates (due, id, content, kind), in their order.

    Of those on one content only the first; none that is due at ``before`` or later; of each kind in ``kinds`` at most
    so many, which are counted down.
    """
    chosen: list[int] = []
    contents: set[str] = set()
    for due, job, content, kind in candidates:
        if len(chosen) >= room or due >= before:
            break
        if not kinds.get(kind, 1) or content in contents:
            continue
        if content is not None:
            contents.add(content)
        chosen.append(job)
        if kind in kinds:
            kinds[kind] -= 1
    return chosen
