"""The Celery application of the project, with the tasks of mediactl."""

import os

from celery import Celery

from mediactl.celery import register

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
tasks = register(app)
