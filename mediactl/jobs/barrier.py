"""The barrier around one source: what goes wrong inside ends that source, never the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mediactl.core.errors import MachineBlocked, UsageError
from mediactl.jobs.database import UNUSABLE

ENDS_THE_RUN = (UsageError, MachineBlocked, *UNUSABLE)
"""What is about the command or the machine: every other source would fare the same."""


@contextmanager
def barrier(give_up: Callable[[Exception], None]) -> Iterator[None]:
    """Have ``give_up`` end the source that the block is about when it raises."""
    try:
        yield
    except ENDS_THE_RUN:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other sources are none of its business
        give_up(error)
