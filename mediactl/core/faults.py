"""What a fault of mediactl itself is called, where it ends one source and not the run."""

from __future__ import annotations

import os

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def internal_error(error: Exception) -> str:
    """Return the reason for a person; it names the function of mediactl that raised, or called what raised."""
    import traceback  # it is rarely needed, and loading it takes as long as ten of our own modules

    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [frame for frame in frames if frame.f_code.co_filename.startswith(_PACKAGE)] or frames
    where = f"{own[-1].f_code.co_qualname}: " if own else ""
    text = " ".join(str(error).split())[:300]
    return (
        f"internal error: {where}{type(error).__name__}: {text}; a bug in mediactl, not in the file: please report it"
    )
