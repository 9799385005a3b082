"""The limits of a recipe: what exceeds one is rejected by its name."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from mediactl.core import machine
from mediactl.core.errors import RejectedInput
from mediactl.model.media import Limits


def require(number: float, limits: Limits, key: str, what: str) -> None:
    """Raise RejectedInput where a source has a larger number of ``what`` than limits.``key`` allows."""
    limit = getattr(limits, key)
    if number > limit:
        raise exceeded(f"{number:,} {what}", limits, key)


def exceeded(what: str, limits: Limits, key: str) -> RejectedInput:
    """Return the error for a source that is larger than limits.``key`` allows."""
    return RejectedInput(f"is too large: {what}, the recipe allows {getattr(limits, key):,} (limits.{key})")


@contextmanager
def bounded_files(limits: Limits) -> Iterator[None]:
    """Let no file that is written in the block, by child processes too, grow beyond limits.output_bytes.

    Raises RejectedInput where one would.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    lower = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
    # Python ignores SIGXFSZ: a write fails with EFBIG.
    resource.setrlimit(resource.RLIMIT_FSIZE, (min([limits.output_bytes, *lower]), hard))
    try:
        yield
    except Exception as error:
        if any(getattr(each, "errno", None) == errno.EFBIG for each in machine.causes(error)):
            raise exceeded("a file made of it is larger", limits, "output_bytes") from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
