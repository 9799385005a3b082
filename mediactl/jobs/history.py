"""Durations as log-bucket histograms: small, mergeable by adding counts, good to about 10 %."""

from __future__ import annotations

import math
from collections.abc import Iterable

GROWTH = 1.2
"""Each bucket's upper edge over its lower; a quantile is read with at most this error."""
_LOG = math.log(GROWTH)


def bucket(seconds: float) -> int:
    """The bucket of a duration; bucket b holds [GROWTH**b, GROWTH**(b+1)) milliseconds."""
    return math.floor(math.log(max(seconds * 1000.0, 1e-3)) / _LOG)


def size_bucket(size: int) -> int:
    """Sizes in powers of four: sources of one bucket are similar enough to predict from."""
    return max(size, 1).bit_length() // 2


def sizes_of(bucket_: int) -> tuple[int, int]:
    """The sizes of a size bucket: from, and up to (not included)."""
    return (0 if bucket_ == 0 else 1 << (2 * bucket_ - 1)), 1 << (2 * bucket_ + 1)


def mean(counts: Iterable[tuple[int, int]], most: float = math.inf) -> float:
    """Return the mean in seconds of (bucket, count) pairs, 0 when there are none; of each bucket its middle.

    What took longer counts as ``most`` seconds.
    """
    listed = list(counts)
    total = sum(count for _, count in listed)
    seconds = sum(count * min(most, math.exp((index + 0.5) * _LOG) / 1000.0) for index, count in listed)
    return seconds / total if total else 0.0


def quantile(counts: Iterable[tuple[int, int]], q: float) -> float | None:
    """The q-quantile in seconds of (bucket, count) pairs, None when there are none; the bucket's upper edge."""
    ordered = sorted(counts)
    total = sum(count for _, count in ordered)
    if not total:
        return None
    need = q * total
    for index, count in ordered:
        need -= count
        if need <= 0:
            return math.exp((index + 1) * _LOG) / 1000.0
    return math.exp((ordered[-1][0] + 1) * _LOG) / 1000.0
