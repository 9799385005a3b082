"""What this mediactl can read: which files an earlier one rejected are worth another attempt. Loads no decoder."""

from __future__ import annotations

import hashlib
from functools import cache

from mediactl import __version__
from mediactl.core import distributions
from mediactl.core.distributions import Requirement
from mediactl.media.ffmpeg.bundled import series
from mediactl.model.events import ExtraRequired
from mediactl.model.formats import BY_NAME, FORMATS, RECOGNITION
from mediactl.model.media import Kind

_PACKAGES = {
    Kind.IMAGE: ("pyvips-binary", "pillow", "pi-heif"),
    Kind.VIDEO: ("av", "imageio-ffmpeg"),
    Kind.AUDIO: ("av", "imageio-ffmpeg"),
}
"""Those that bring decoders; an extra's come on top."""


@cache
def digest(format: str) -> str:
    """Return a digest of what recognises and decodes files of a format, of none ("unknown") too.

    It changes with the version of mediactl, with ``formats.RECOGNITION``, and with the series of each package that
    decodes the format, whether that appears, disappears or is updated.
    """
    parts = [__version__, str(RECOGNITION)]
    if found := BY_NAME.get(format):
        names = (*_PACKAGES[found.kind], *(each.name for each in _requirements(found.extra)))
        parts += [f"{name} {series(distributions.version(name) or '')}" for name in names]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def missing_extra(format: str) -> str:
    """Return the extra that decodes a format and is not installed; "" for none."""
    found = BY_NAME.get(format)
    if found is None or all(distributions.version(each.name) for each in _requirements(found.extra)):
        return ""
    return found.extra


def required(extra: str, sources: int) -> ExtraRequired:
    """Return the event that reports so many sources that were rejected because an extra is missing."""
    titles = ", ".join(each.title for each in FORMATS if each.extra == extra)
    install = "; ".join(map(distributions.install_command, _requirements(extra)))
    return ExtraRequired(extra=extra, format=titles, sources=sources, install=install)


def _requirements(extra: str) -> list[Requirement]:
    return [each for each in distributions.requirements("mediactl") if extra and each.extra == extra]
