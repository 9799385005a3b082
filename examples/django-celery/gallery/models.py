"""Uploads."""

from django.db import models


class Upload(models.Model):
    """A file that somebody has uploaded."""

    file = models.FileField(upload_to="uploads")
    requested_at = models.DateTimeField(auto_now_add=True)
    engine = models.CharField(max_length=16, blank=True)
    """What has made its thumbnails."""
    thumbnails = models.JSONField(default=dict)
    """Width -> path below MEDIA_ROOT."""
    picture = models.TextField(blank=True)
    """Markup for a page."""
    error = models.TextField(blank=True)
    ready_at = models.DateTimeField(null=True)
    shadow = models.JSONField(default=dict)
    """The same thumbnails as mediactl has made them, in the shadow phase."""
