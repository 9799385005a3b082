"""Which worker a task goes to: the shift is a matter of routes, and callers are not changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings

QUEUE = "mediactl"


def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **more: Any) -> dict[str, str] | None:
    """Send tasks of mediactl, and a share of the uploads, to the workers that have it; the same upload always goes to
    the same ones, so that a share can be raised and lowered."""
    if name.startswith("mediactl."):
        return {"queue": QUEUE}
    if name == "gallery.derive" and args[0] % 100 < settings.GALLERY_PERCENT:
        return {"queue": QUEUE}
    return None
