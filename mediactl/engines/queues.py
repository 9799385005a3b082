"""Names of queues, and the settings that the Celery application of a run and those of workers share."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from mediactl.model.jobs import HEAVY, QUICK

PREFIX = "mediactl"
LANES = (QUICK, HEAVY)
TASK = "mediactl.job"
"""Name of the task that runs one job."""
CONNECT_TIMEOUT = 5.0
"""Seconds."""


def lane_queue(prefix: str, lane: str) -> str:
    """Return the name of the queue of a lane's jobs."""
    return f"{prefix}.{lane}"


def outcomes_queue(prefix: str, journal: str) -> str:
    """Return the name of the queue of what machines report of the jobs of a journal."""
    return f"{prefix}.outcomes.{journal}"


def fleet_queue(prefix: str) -> str:
    """Return the name of the queue in which machines report that they are there."""
    return f"{prefix}.fleet"


def queue(name: str) -> Queue:
    """Return a durable queue that is addressed by its name, without an exchange of its own."""
    return Queue(name, Exchange(""), routing_key=name, durable=True)


def application(broker: str, prefix: str) -> Celery:
    """Return the Celery application for a broker: late acknowledgement, JSON alone, no results, no events."""
    app = Celery("mediactl", broker=broker, set_as_current=False)
    app.conf.update(
        # Celery gives each queue an exchange.
        task_queues=[Queue(lane_queue(prefix, lane), Exchange(prefix), lane_queue(prefix, lane)) for lane in LANES],
        task_default_queue=lane_queue(prefix, HEAVY),
        task_default_exchange=prefix,
        task_create_missing_queues=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # Whatever a task raises has been reported as its outcome, or is a bug that a second delivery would meet again.
        task_acks_on_failure_or_timeout=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        # Connections that are lost come back; what runs goes on meanwhile.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=CONNECT_TIMEOUT,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport_options(broker),
    )
    return app


def loads(broker: str) -> bool:
    """Return whether a connection can be made of a broker's URL; it is not opened."""
    try:
        with application(broker, PREFIX).connection_for_write() as connection:
            return connection.transport is not None
    except (ValueError, LookupError, ImportError):
        return False


def transport_options(broker: str) -> dict[str, Any]:
    """Return the options of a broker's transport: what is published is confirmed where the broker can do that."""
    if broker.startswith(("amqp", "pyamqp")):
        return {"confirm_publish": True}
    if broker.startswith("sqs"):
        return {"wait_time_seconds": 1, "polling_interval": 0.1}
    return {
        "socket_keepalive": True,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": CONNECT_TIMEOUT,
        "visibility_timeout": VISIBILITY,
    }


VISIBILITY = 3600
"""Seconds after which Redis delivers again what was not acknowledged. Machines that are lost are noticed by their
reports, within seconds, and a job that is delivered again while it runs is not run twice: it may be any length."""
