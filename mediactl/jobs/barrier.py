"""The barrier around one source: what goes wrong inside ends that source, never the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NoReturn, TypeVar

from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.jobs.database import UNUSABLE

Item = TypeVar("Item")
Result = TypeVar("Result")

ENDS_THE_RUN = (UsageError, MachineBlocked, *UNUSABLE)
"""What is about the command or the machine: every other source would fare the same."""


def reraise(_item: object, error: Exception) -> NoReturn:
    """Give nothing up: what one item raises is raised."""
    raise error


@contextmanager
def barrier(give_up: Callable[[Exception], None]) -> Iterator[None]:
    """Have ``give_up`` end the source that the block is about when it raises."""
    try:
        yield
    except ENDS_THE_RUN:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other sources are none of its business
        give_up(error)


def together_or_singly(
    items: Sequence[Item],
    part: Callable[[], AbstractContextManager[None]],
    handle: Callable[[Sequence[Item]], Result],
    give_up: Callable[[Item, Exception], None],
) -> list[Result]:
    """Handle items together, or one by one once that has raised; return the results of what was handled.

    ``part`` is undone when it raises. A part for each item would be a third of what a short job costs its supervisor.
    """
    if len(items) > 1:
        with barrier(lambda _: None), part():
            return [handle(items)]
    results: list[Result] = []
    for item in items:
        with barrier(partial(give_up, item)), part():
            results.append(handle([item]))
    return results
