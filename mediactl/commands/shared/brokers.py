"""Brokers, for the commands that use one. Imports are lazy: the extra may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediactl.core.distributions import version
from mediactl.core.errors import UsageError

if TYPE_CHECKING:
    from mediactl.engines.run import Engine

SCHEMES = ("redis://", "rediss://", "amqp://", "amqps://", "sqs://")


def require_broker(url: str) -> None:
    """Raise UsageError where a broker is of no supported kind, its URL is malformed, or a package is missing.

    The URL is in no message, and neither are parts of it: they may be those of a password.
    """
    if not url.startswith(SCHEMES):
        raise UsageError(f"--broker: unsupported; use {', '.join(SCHEMES)}")
    if version("celery") is None:
        raise UsageError("--broker: requires the extra celery: pip install 'mediactl[celery]'")
    if url.startswith("sqs://") and (version("boto3") is None or version("pycurl") is None):
        raise UsageError("--broker: sqs:// requires boto3 and pycurl: pip install 'kombu[sqs]'")
    from mediactl.engines.queues import loads

    if not loads(url):
        raise UsageError("--broker: malformed URL; use e.g. redis://user:password@host:6379/0, %-encoded")


def engine_of(url: str, prefix: str) -> Engine:
    """Return the engine for a broker. Raises UsageError."""
    require_broker(url)
    from mediactl.engines.run import Engine

    return Engine(url, prefix)
