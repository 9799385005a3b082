"""What to monitor while the share is raised: messages by queue, latency and errors by engine."""

from __future__ import annotations

from typing import Any

from amqp.exceptions import ChannelError as AmqpError
from django.core.management.base import BaseCommand
from kombu.exceptions import ChannelError
from project.celery import app

from gallery.models import Upload
from gallery.routes import QUEUE


class Command(BaseCommand):
    """Prints a line for each queue and each engine."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them."""
        for queue in (app.conf.task_default_queue, QUEUE):
            self.stdout.write(f"queue {queue}: {_pending(queue)} pending")
        for engine in ("pillow", "mediactl"):
            uploads = list(Upload.objects.filter(engine=engine, ready_at__isnull=False))
            seconds = sorted((each.ready_at - each.requested_at).total_seconds() for each in uploads)
            errors = sum(bool(each.error) for each in uploads)
            if seconds:
                median, last = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
                took = f"median {median:.2f} s, P99 {last:.2f} s"
                self.stdout.write(f"engine {engine}: {len(seconds)} done, {errors} with an error, {took}")


def _pending(queue: str) -> int:
    """Return the number of messages in a queue, by whichever broker there is."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except (ChannelError, AmqpError):
            return 0  # nothing was ever sent there
