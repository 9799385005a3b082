"""Many things asked at once, answered in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

WINDOW = 16
"""Items for each thread that are taken before the first of them is answered."""


def in_order(threads: int, function: Callable[[T], U], items: Iterable[T]) -> Iterator[tuple[T, U]]:
    """Each item with what ``function`` makes of it, in their order. Raises what it raises."""
    waiting: deque[tuple[T, Future[U]]] = deque()
    left = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                more = islice(left, threads * WINDOW - len(waiting))
                waiting.extend((item, pool.submit(function, item)) for item in more)
                if not waiting:
                    return
                item, future = waiting.popleft()
                yield item, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
