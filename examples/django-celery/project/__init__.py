"""The project; its Celery application is loaded with it."""

from project.celery import app

__all__ = ["app"]
