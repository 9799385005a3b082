"""Upload files, as a view would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.management.base import BaseCommand

from gallery.models import Upload
from gallery.tasks import derive


class Command(BaseCommand):
    """Stores files and asks for their thumbnails."""

    help = __doc__

    def add_arguments(self, parser: Any) -> None:
        """Take the files."""
        parser.add_argument("files", nargs="+", type=Path)

    def handle(self, *args: Any, files: list[Path], **options: Any) -> None:
        """Store each and call the task."""
        for path in files:
            with path.open("rb") as content:
                upload = Upload.objects.create(file=File(content, name=path.name))
            derive.delay(upload.pk)
            self.stdout.write(f"{upload.pk}")
