"""The Celery application of workers: ``celery -A mediactl.engines.celery worker``, which ``mediactl worker`` starts.

MEDIACTL_BROKER names the broker, MEDIACTL_QUEUE_PREFIX the queues, and MEDIACTL_WORKER holds ``HostSettings``.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from celery import Celery, Task
from celery.signals import worker_process_shutdown, worker_ready, worker_shutdown, worker_shutting_down

from mediactl.engines.host import Host, settings_from
from mediactl.engines.queues import PREFIX, TASK, application

_hosts: dict[int, Host] = {}
"""By process id: a prefork worker's children are machines of their own."""
_lock = threading.Lock()


def add_task(app: Celery, prefix: str) -> Task:
    """Give an application the task that runs jobs of mediactl's runs."""

    def job(self: Task, message: dict[str, Any]) -> None:
        info = self.request.delivery_info or {}
        host(app, prefix).run(message, redelivered=delivered_before(info))

    return app.task(
        name=TASK, bind=True, acks_late=True, reject_on_worker_lost=True, ignore_result=True, serializer="json"
    )(job)


def delivered_before(info: dict[str, Any]) -> bool:
    """Return whether a broker has delivered a message before; SQS counts, the others flag it."""
    if info.get("redelivered"):
        return True
    attributes = info.get("sqs_message", {}).get("Attributes", {})
    return int(attributes.get("ApproximateReceiveCount", 1)) > 1


def host(app: Celery, prefix: str) -> Host:
    """Return this process as a machine; it begins to report with its first call."""
    with _lock:
        found = _hosts.get(os.getpid())
        if found is None:
            found = _hosts[os.getpid()] = Host(app, prefix, settings_from(os.environ))
        return found


def _begin(sender: Any, **_: Any) -> None:
    if sender.app is app and "prefork" not in type(sender.pool).__module__:
        host(app, _PREFIX)  # it reports before it has jobs


def _drain(**_: Any) -> None:
    if (found := _hosts.get(os.getpid())) is not None:
        threading.Thread(target=found.drain).start()  # this is a signal handler: it must wait for no lock


def _close(**_: Any) -> None:
    if (found := _hosts.pop(os.getpid(), None)) is not None:
        found.close()


worker_ready.connect(_begin)
worker_shutting_down.connect(_drain)
worker_shutdown.connect(_close)
worker_process_shutdown.connect(_close)
_PREFIX = os.environ.get("MEDIACTL_QUEUE_PREFIX", PREFIX)
app = application(os.environ.get("MEDIACTL_BROKER", "redis://127.0.0.1:6379/0"), _PREFIX)
job = add_task(app, _PREFIX)
