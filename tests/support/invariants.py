"""The checker of invariants, as the tests ask it."""

from __future__ import annotations

import os
from pathlib import Path

from mediactl.admin.invariants import Violation, violations


def violated(out: Path, state: Path | None = None, *, ended: bool = True) -> list[Violation]:
    """Return what does not hold of an output directory; ``ended``: no run of it is active, and the last one ended."""
    return list(violations(str(state or out / ".mediactl"), os.fsencode(out), ended=ended))


def assert_holds(out: Path, state: Path | None = None, *, ended: bool = True) -> None:
    """Fail with every invariant that does not hold."""
    found = violated(out, state, ended=ended)
    assert not found, "\n".join(each.line for each in found)
