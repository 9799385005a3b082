"""Compare what the old task has made with its shadow: sizes in pixels, what is seen, and bytes."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from PIL import Image, ImageChops, ImageStat

from gallery.models import Upload

MOST = 4.0
"""Mean difference of two images, of 255, up to which they are the same to a person: encoders differ by 1 or 2."""


class Command(BaseCommand):
    """Prints a line for each thumbnail that differs, and a total; exits 1 where any does."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare all uploads."""
        compared, differing, before, after = 0, 0, 0, 0
        for upload in Upload.objects.order_by("pk"):
            if bool(upload.error) and not upload.shadow:
                continue  # neither has made anything of it
            for width in sorted({*upload.thumbnails, *upload.shadow}, key=int):
                old, new = upload.thumbnails.get(width), upload.shadow.get(width)
                compared += 1
                if why := _difference(old, new):
                    differing += 1
                    self.stdout.write(f"upload {upload.pk}, width {width}: {why}")
                else:
                    before += (settings.MEDIA_ROOT / old).stat().st_size
                    after += (settings.MEDIA_ROOT / new).stat().st_size
        self.stdout.write(f"{compared} compared, {differing} differ; {before} bytes before, {after} after")
        sys.exit(1 if differing or not compared else 0)


def _difference(old: str | None, new: str | None) -> str:
    """Return how two files differ to who sees them; "" if they do not."""
    if old is None or new is None:
        return f"made by {'neither' if old is new else 'the old task' if new is None else 'mediactl'} alone"
    with Image.open(settings.MEDIA_ROOT / old) as first, Image.open(settings.MEDIA_ROOT / new) as second:
        if first.size != second.size:
            return f"{first.size} before, {second.size} after"
        mean = max(ImageStat.Stat(ImageChops.difference(first.convert("RGB"), second.convert("RGB"))).mean)
    return f"differs by {mean:.1f} of 255" if mean > MOST else ""
