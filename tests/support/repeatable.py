"""How properties are tested. Apart from other helpers: what runs as a program of its own has no need of Hypothesis."""

from __future__ import annotations

from hypothesis import settings

REPEATABLE = settings(derandomize=True, deadline=None)
"""For properties: the same examples in every run, however slow the machine."""
