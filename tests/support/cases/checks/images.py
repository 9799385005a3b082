"""Checks of an image variant, or of the poster of a video."""

from __future__ import annotations

import numpy as np

from support.cases import measure
from support.cases.checks.ended import Check, Finding
from support.cases.outcomes import Outcome


def size(width: int, height: int, within: int = 0) -> Check:
    """Require these pixels of the image variant or the poster."""

    def check(outcome: Outcome) -> Finding:
        tall, wide = outcome.image.shape[:2]
        return Finding(abs(wide - width) <= within and abs(tall - height) <= within, f"{wide} x {tall}")

    return check


def shape(width: int, height: int) -> Check:
    """Require these proportions of the image within 1 %."""

    def check(outcome: Outcome) -> Finding:
        tall, wide = outcome.image.shape[:2]
        return Finding(abs(wide / tall / (width / height) - 1) <= 0.01, f"{wide} x {tall}")

    return check


def pixel(across: float, down: float, colour: tuple[int, ...], within: int = 6) -> Check:
    """Require a colour (RGB or RGBA) at a place of the image, in fractions of its sides."""

    def check(outcome: Outcome) -> Finding:
        tall, wide = outcome.image.shape[:2]
        found = outcome.image[round(down * (tall - 1)), round(across * (wide - 1)), : len(colour)].astype(int)
        return Finding(bool(np.abs(found - colour).max() <= within), "rgb " + " ".join(map(str, found)))

    return check


def dark_box(outcome: Outcome) -> Finding:
    """Require a square that is black on white paper."""
    grey = outcome.image[:, :, 0]
    left, top, _, _ = measure.bounds(grey < 64)
    width = int((grey[top + 60, left + 2 :] < 128).argmin()) + 2
    height = int((grey[top + 2 :, left + 30] < 128).argmin()) + 2
    dark, paper = int(grey[top + height // 2, left + width // 2]), int(grey[5, 5])
    ok = abs(width / max(1, height) - 1) <= 0.02 and dark <= 5 and paper >= 250
    return Finding(ok, f"box {width} x {height}, {dark} on {paper}")


def like(path: str, within: float = 1.0) -> Check:
    """Require the pixels of another outcome's image."""

    def check(outcome: Outcome) -> Finding:
        apart = measure.difference(outcome.image, outcome.others[path].image)
        return Finding(apart <= within, f"{apart:.1f} from {path.rpartition('/')[2]}")

    return check
