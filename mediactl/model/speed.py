"""The trade of encoding time for bytes that a run asks for."""

from __future__ import annotations

from typing import Literal, get_args

Speed = Literal["fast", "balanced", "small"]
"""What encoders aim at where the recipe does not say it: less time, the recipes' defaults, or fewer bytes."""
SPEEDS: tuple[Speed, ...] = get_args(Speed)
BALANCED: Speed = "balanced"
