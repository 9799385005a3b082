"""Brokers, for the commands that use one. Imports are lazy: the extra may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediactl.core.distributions import version
from mediactl.core.errors import UsageError

if TYPE_CHECKING:
    from mediactl.engines.run import Engine

SCHEMES = ("redis://", "rediss://", "amqp://", "amqps://", "sqs://")


def require_broker(url: str) -> None:
    """Raise UsageError where a broker is of no supported kind, or the extra is missing."""
    if not url.startswith(SCHEMES):
        raise UsageError(f"--broker: unsupported; use {', '.join(SCHEMES)}")
    if version("celery") is None:
        raise UsageError("--broker: requires the extra celery: pip install 'mediactl[celery]'")


def engine_of(url: str, prefix: str) -> Engine:
    """Return the engine for a broker. Raises UsageError."""
    require_broker(url)
    from mediactl.engines.run import Engine

    return Engine(url, prefix)
