"""A row of the table, and what several rows share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from support.cases.checks.audio import hears
from support.cases.checks.ended import Check, done
from support.cases.checks.images import pixel, size

RED, BLUE, GREEN, SUN = (200, 30, 30), (60, 120, 230), (30, 80, 30), (250, 220, 60)
"""Corners and disc of the test image that most cases show: top left, top right, below, the disc."""
WHITE = (255, 255, 255)
DAMAGE = "damage|truncated"


class Case(NamedTuple):
    """One row of the table."""

    number: str
    about: str
    right: str
    """The right value, in words."""
    files: Mapping[str, tuple[Check, ...]]
    """Path below the directory of cases -> what must hold."""


def test_image(width: int, height: int) -> tuple[Check, ...]:
    """Require the test image in these dimensions."""
    corners = (pixel(0.005, 0.005, RED, 8), pixel(0.995, 0.005, BLUE, 8), pixel(0.25, 0.25, SUN, 8))
    return (done, size(width, height), *corners)


def two_tones(first: float, second: float, change: float, end: float) -> Check:
    """Require a tone (hertz) up to a time in seconds, and another one after it."""
    return hears({change / 2: first, change + 0.6: second, end - 0.6: second})
