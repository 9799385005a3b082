"""Writing reports: what ``report`` and ``process --report`` share. Imports are lazy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mediactl.core.errors import UsageError
from mediactl.core.files import shown

if TYPE_CHECKING:
    from mediactl.report.data import Data


def write(state: str, out: bytes, run: str | None, html: str | None, blob: str | None) -> None:
    """Write the report of a run, None: the last one, as a page and as a blob, where these are named.

    Raises UsageError.
    """
    from mediactl.jobs import report
    from mediactl.report import data, page
    from mediactl.report.pairs import of_run

    with report.read(state) as rows:
        row = data.find(rows, run)
        found = data.collect(rows, row, of_run(state, row.id, out))
    if html is not None:
        with written(html):
            page.write(found, html)
    if blob is not None:
        with written(blob):
            page.publish(data.encode(found), blob)


def read(file: str) -> Data:
    """Return the report in a blob. Raises UsageError."""
    from mediactl.report import data

    try:
        with open(file, "rb") as blob:
            return data.decode(blob.read(), file)
    except OSError as error:
        raise UsageError(f"{shown(file)}: cannot be read: {error.strerror}") from None


def require_writable(file: str | None) -> None:
    """Raise UsageError for a file in a directory that is not there or cannot be written to, before hours of work."""
    if file is not None and not os.access(os.path.dirname(file) or ".", os.W_OK | os.X_OK):
        raise UsageError(f"report {shown(file)}: its directory does not exist or is not writable")


@contextmanager
def written(file: str) -> Iterator[None]:
    """Raise UsageError for a file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"report {shown(file)}: cannot be written: {error.strerror}") from None
