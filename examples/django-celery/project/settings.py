"""Settings, from the environment as far as the migration is concerned."""

import os
from pathlib import Path

BASE = Path(os.environ.get("GALLERY_DATA", Path(__file__).parent.parent / "data"))
SECRET_KEY = "an example"
INSTALLED_APPS = ["gallery"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "db.sqlite3", "OPTIONS": {"timeout": 20}}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
MEDIA_ROOT = BASE / "media"

CELERY_BROKER_URL = os.environ.get("BROKER", "redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ROUTES = ["gallery.routes.route"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

GALLERY_ENGINE = os.environ.get("GALLERY_ENGINE", "pillow")
"""What this worker makes thumbnails with: "pillow" or "mediactl"."""
GALLERY_SHADOW = os.environ.get("GALLERY_SHADOW") == "1"
"""Whether mediactl makes the same beside the old task, for `manage.py compare`."""
GALLERY_PERCENT = int(os.environ.get("GALLERY_PERCENT", "0"))
"""Share of the uploads that goes to workers with mediactl."""
GALLERY_RECIPE = str(Path(__file__).parent.parent / "gallery" / "thumbnails.toml")
