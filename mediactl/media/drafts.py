"""What ``make`` asks the makers of outputs for, and what they return: verified files under temporary names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from mediactl.model.assets import Operation, Target
from mediactl.model.jobs import MakeTask

Report = Callable[[float], None]
"""Called with the fraction done (0 to 1) now and then; each call is a sign of life."""
Temporary = Callable[[str], bytes]
"""Artefact name -> absolute path of a temporary file to write it to, in a directory of the job's own."""
Present = Callable[[str], bytes | None]
"""Artefact name -> absolute path of it where it is there already; None where it is to be made."""
Keep = Callable[[tuple[str, ...]], None]
"""Called with names of files that were written under ``temporary``: once it returns they survive a kill, and lie where
unfinished work is read (``Unfinished``)."""


class Unfinished(msgspec.Struct, frozen=True):
    """What is made of a long video piece by piece, and survives a kill."""

    folder: bytes
    """Where what was kept is read."""
    temporary: Temporary
    keep: Keep


class Request(msgspec.Struct, frozen=True):
    """Missing targets of one asset that share a maker."""

    fd: int
    """The open source, or a copy of it whose time stamps continue (``timestamps``)."""
    task: MakeTask
    """All that is known about it; ``task.targets`` are all targets of the asset."""
    targets: tuple[Target[Operation], ...]
    """Those to be made."""
    temporary: Temporary
    present: Present
    report: Report
    original: int | None = None
    """The open source where ``fd`` is a copy."""
    unfinished: Unfinished | None = None
    """None: nothing is kept that is no artefact."""

    @property
    def source(self) -> int:
        """The open source itself."""
        return self.fd if self.original is None else self.original


class Draft(msgspec.Struct, frozen=True):
    """One verified file under its temporary name; not yet forced to disk."""

    target: Target[Operation]
    file: bytes
    media_type: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    warnings: tuple[str, ...] = ()
    """Those about this file, which asset.json has for as long as it has the file."""


class About:
    """What is noticed of targets while they are made."""

    def __init__(self) -> None:
        self._texts: dict[str, dict[str, None]] = {}
        """By name of the target."""

    def warn(self, targets: Iterable[Target[Operation]], *texts: str) -> None:
        """Keep these warnings about all of these targets; "" is none."""
        for target in targets:
            self._texts.setdefault(target.name, {}).update(dict.fromkeys(filter(None, texts)))

    def added(self, draft: Draft) -> Draft:
        """Return a draft with the warnings about its target."""
        return msgspec.structs.replace(draft, warnings=tuple(self._texts.get(draft.target.name, ())))


class Drafts(msgspec.Struct, frozen=True):
    """What one source's missing targets became."""

    files: tuple[Draft, ...]
    placeholder: str = ""
    """What the source looks like, as text (``asset.Appearance``); "" when nobody asked, or nothing can be seen."""
    warnings: tuple[str, ...] = ()
    """One sentence each: what was lost or is odd ("left out: 2 audio streams"). Those that none of ``files`` has are
    about the asset as a whole: the same whichever of its files are made, and so when none is."""
    left_out: tuple[str, ...] = ()
    """Names of targets that cannot be made of this source, though others can; a warning says why."""

    @property
    def whole(self) -> tuple[str, ...]:
        """Return the warnings about the asset as a whole."""
        theirs = {text for draft in self.files for text in draft.warnings}
        return tuple(text for text in self.warnings if text not in theirs)


def every(whole: Iterable[str], files: Iterable[Draft]) -> tuple[str, ...]:
    """Return the warnings about an asset as a whole and those about its files, each once."""
    return tuple(dict.fromkeys((*whole, *(text for draft in files for text in draft.warnings))))
