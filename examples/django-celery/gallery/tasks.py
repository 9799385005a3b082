"""The task that makes thumbnails. Callers use ``derive.delay(upload.pk)``, before and after the migration."""

from __future__ import annotations

import os
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from PIL import Image, ImageOps

import mediactl
from gallery.models import Upload

WIDTHS = (320, 100)


@shared_task(name="gallery.derive", bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=8)
def derive(self: Any, number: int) -> None:
    """Make the thumbnails of an upload."""
    upload = Upload.objects.get(pk=number)
    engine = settings.GALLERY_ENGINE
    try:
        found = _mediactl(upload) if engine == "mediactl" else _pillow(upload)
    except (mediactl.Interrupted, mediactl.MachineTrouble, mediactl.MachineBlocked) as error:
        raise self.retry(exc=error, countdown=2**self.request.retries) from error
    except (mediactl.MediactlError, OSError) as error:
        found = {"error": str(error)}
    Upload.objects.filter(pk=number).update(engine=engine, ready_at=timezone.now(), **found)


def _mediactl(upload: Upload) -> dict[str, Any]:
    """The new way: on workers with GALLERY_ENGINE=mediactl."""
    out = settings.MEDIA_ROOT / "assets"
    asset = mediactl.make(upload.file.path, settings.GALLERY_RECIPE, out=out, name=f"{upload.pk}", priority="urgent")
    base = f"assets/{upload.pk}"
    thumbnails = {each.width: f"{base}/{each.name}" for each in asset.artefacts if each.role == "variant"}
    return {"thumbnails": thumbnails, "picture": asset.picture(f"/media/{base}"), "error": ""}


def _pillow(upload: Upload) -> dict[str, Any]:
    """The old way. With GALLERY_SHADOW, mediactl makes the same beside it, which nobody is shown."""
    if settings.GALLERY_SHADOW:
        options = {"out": os.fspath(settings.MEDIA_ROOT / "shadow"), "name": f"{upload.pk}", "priority": "low"}
        derive.app.tasks["mediactl.make"].delay(upload.file.path, settings.GALLERY_RECIPE, **options)
    folder = settings.MEDIA_ROOT / "thumbnails" / f"{upload.pk}"
    folder.mkdir(parents=True, exist_ok=True)
    thumbnails = {}
    with Image.open(upload.file.path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    for width in WIDTHS:
        small = upright.resize((width, round(upright.height * width / upright.width)), Image.Resampling.LANCZOS)
        small.save(folder / f"{width}.webp", quality=80)
        thumbnails[width] = f"thumbnails/{upload.pk}/{width}.webp"
    picture = f'<img src="/media/{thumbnails[WIDTHS[0]]}" alt="">'
    return {"thumbnails": thumbnails, "picture": picture, "error": ""}
