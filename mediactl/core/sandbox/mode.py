"""Whether sources are decoded in a sandbox."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """What `--sandbox` says."""

    AUTO = "auto"
    """With the layers that there are."""
    REQUIRE = "require"
    """Not at all where a layer is missing."""
    OFF = "off"
