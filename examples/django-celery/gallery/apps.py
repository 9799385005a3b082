"""The application."""

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """Connects the receivers once models can be imported."""

    name = "gallery"

    def ready(self) -> None:
        """Connect them."""
        from gallery import receivers  # noqa: F401
