"""Whose object is at a key, and may it be overwritten? Pure."""

from __future__ import annotations

from enum import Enum

from mediactl.model.uploads import ARTEFACT, SHA256, TOKEN, IfExists, UploadTask
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


def standing(there: Stored | None, task: UploadTask, sha256: str, token: str) -> Standing:
    """Return what HEAD's answer means for the upload of that content with that token ("" for none)."""
    if there is None:
        return Standing.ABSENT
    marks = there.metadata
    if TOKEN not in marks or SHA256 not in marks:
        return Standing.FOREIGN
    if marks[SHA256] != sha256 or there.size != task.size or (task.artefact and marks.get(ARTEFACT) != task.artefact):
        return Standing.OLD
    return Standing.MINE if token and marks[TOKEN] == token else Standing.SAME


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
