"""What is done when mediactl reports an asset: in the shadow phase, it is remembered for the comparison."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings

import mediactl
from gallery.models import Upload
from mediactl.celery import asset_ready


@asset_ready.connect
def remember(asset: mediactl.Asset, **_: Any) -> None:
    """Keep the paths of a shadow. Called at least once: twice is the same as once."""
    folder, name = os.path.split(asset.folder)
    if folder == os.fspath(settings.MEDIA_ROOT / "shadow"):
        shadow = {each.width: f"shadow/{name}/{each.name}" for each in asset.artefacts if each.role == "variant"}
        Upload.objects.filter(pk=int(name)).update(shadow=shadow)
