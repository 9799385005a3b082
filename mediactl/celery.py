"""Tasks for an application of Celery: ``mediactl.make`` and ``mediactl.process`` (docs/migrating-from-celery.md).

They need neither a journal nor a dispatcher. A task may be delivered twice, or its worker be killed at any instant:
what is complete is reused, and asset.json is written last. The extra is ``celery``.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

import mediactl
from mediactl.core.errors import ExitCode, Interrupted, MediactlError, SourceChanged, UsageError

try:
    from celery import Celery, Task
    from celery.utils.dispatch import Signal
except ImportError:
    raise UsageError("mediactl.celery: Celery is not installed; pip install 'mediactl[celery]'") from None

if TYPE_CHECKING:
    from mediactl.api.options import PriorityName

asset_ready = Signal(name="asset_ready", providing_args={"source", "asset"})
"""Sent in the worker when an asset is complete, at least once: ``source`` as the task was given it, ``asset`` as a
``mediactl.Asset``; the sender is the task. An exception in a receiver is logged, and fails no task."""

MAX_RETRIES = 8
LONGEST_DELAY = 300.0
"""Seconds between two attempts, at most: with full jitter, eight of them span 8 minutes on average."""
_WORTH_RETRYING = (Interrupted, SourceChanged)

OPTIONS: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "max_retries": MAX_RETRIES,
    "serializer": "json",
    "track_started": True,
    "throws": (MediactlError,),  # one line in the log, not a traceback
}
"""What the tasks are declared with; ``register`` takes others."""


class Tasks(NamedTuple):
    """The tasks of an application."""

    make: Task
    process: Task


def register(app: Celery, **options: Any) -> Tasks:
    """Add ``mediactl.make`` and ``mediactl.process`` to an application and return them; twice is the same as once.

    ``options`` are options of Celery's tasks, such as ``rate_limit``, over ``OPTIONS``.
    """
    given = {**OPTIONS, **options}
    return Tasks(
        make=app.task(_make, name="mediactl.make", bind=True, **given),
        process=app.task(_process, name="mediactl.process", bind=True, **given),
    )


def route(name: str, args: Any, kwargs: dict[str, Any], options: Any, task: Any = None, **more: Any) -> Any:
    """Route these tasks by their ``priority``, for ``task_routes``: to the queues ``mediactl.urgent``,
    ``mediactl.high`` and so on; others are left alone.

    Give the urgent queue workers of its own: a broker's priorities do not help once every worker is busy.
    """
    if not name.startswith("mediactl."):
        return None
    return {"queue": f"mediactl.{kwargs.get('priority', 'normal')}"}


def _make(
    self: Task,
    source: str,
    recipe: str = "web",
    *,
    out: str | None = None,
    name: str | None = None,
    priority: PriorityName = "normal",
    **options: Any,
) -> dict[str, Any]:
    """Make all outputs of a source; return its asset.json. The arguments are those of ``mediactl.make``."""
    try:
        asset = mediactl.make(source, recipe, out=out, name=name, priority=priority, **options)
    except MediactlError as error:
        raise _again(self, error) from error
    asset_ready.send(sender=self, source=source, asset=asset)
    return asset.to_dict()


def _process(
    self: Task,
    sources: str | list[str],
    *,
    out: str,
    recipe: str = "web",
    to: str | None = None,
    priority: PriorityName = "normal",
    **options: Any,
) -> dict[str, Any]:
    """Process sources with the journal in ``out``; return the summary. The arguments are those of
    ``mediactl.process``."""
    try:
        summary = mediactl.process(sources, out=out, recipe=recipe, to=to, priority=priority, **options)
        if summary.exit_code == ExitCode.STOPPED_EARLY:
            raise Interrupted(f"{summary.unfinished} sources are unfinished")
    except MediactlError as error:
        raise _again(self, error) from error
    found: dict[str, Any] = msgspec.to_builtins(summary)
    return found


def _again(task: Task, error: MediactlError) -> Exception:
    """Return what a task raises: itself where another attempt fares no better or none is left, else a retry."""
    if not (isinstance(error, _WORTH_RETRYING) or error.exit_code == ExitCode.STOPPED_EARLY):
        return error  # of a JobFailed, the attempts were made already
    delay = random.uniform(1.0, min(LONGEST_DELAY, 2.0 ** (task.request.retries + 2)))
    retry: Exception = task.retry(exc=error, countdown=delay, throw=False)
    return retry
