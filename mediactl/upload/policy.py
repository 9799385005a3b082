"""Whose object is at a key, and may it be overwritten? Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from mediactl.model.uploads import ARTEFACT, PART_SIZE, SHA256, TOKEN, IfExists, UploadTask
from mediactl.upload.store import Stored


class Standing(Enum):
    """What an object at the key is to an upload."""

    ABSENT = "absent"
    MINE = "mine"
    """This very upload made it, and it is whole."""
    SAME = "same"
    """It has our marks and this content, by another upload of ours or of another host's."""
    OLD = "old"
    """It has our marks and other content."""
    FOREIGN = "foreign"
    """It does not have our marks."""


def standing(there: Stored | None, task: UploadTask, same: Callable[[Stored], bool], token: str) -> Standing:
    """Return what HEAD's answer means for an upload of the content with that token ("" for none).

    ``same``: whether an object of ours has that content; asked only where nothing else decides.
    """
    if there is None:
        return Standing.ABSENT
    marks = there.metadata
    if TOKEN not in marks or not marks.keys() & {SHA256, PART_SIZE}:
        return Standing.FOREIGN
    if there.size != task.size or (task.artefact and marks.get(ARTEFACT) != task.artefact):
        return Standing.OLD
    mine = bool(token) and marks[TOKEN] == token
    if not (mine and SHA256 not in marks) and not same(there):
        return Standing.OLD
    return Standing.MINE if mine else Standing.SAME


def conflict(found: Standing, policy: IfExists) -> bool:
    """Return whether the object must be kept, though it is not what was to be uploaded."""
    if policy is IfExists.REPLACE:
        return False
    return found is Standing.FOREIGN or (found is Standing.OLD and policy is IfExists.FAIL)


def complete(found: Standing, policy: IfExists) -> bool:
    """Return whether nothing is to be done. REPLACE overwrites equal content (headers may differ), but not itself."""
    return found is Standing.MINE or (found is Standing.SAME and policy is not IfExists.REPLACE)


def reason(task: UploadTask, found: Standing) -> str:
    """Return the line that reports a conflict."""
    if task.if_exists is IfExists.REPLACE:
        return f"{task.url} was written by another program meanwhile; kept: run again to replace that too"
    what = "another version" if found is Standing.OLD else "another program's object"
    return f"{task.url} is {what}; kept (--if-exists replace overwrites it)"
