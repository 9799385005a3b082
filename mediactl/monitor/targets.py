"""Where notifications go: the ``[[notify]]`` tables of settings files."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mediactl.core.errors import UsageError


class Occasion(StrEnum):
    """What is notified of."""

    START = "start"
    FINISH = "finish"
    """A run has ended, whatever its exit code."""
    FAIL = "fail"
    """A run has ended with another exit code than 0."""
    OVERDUE = "overdue"
    """A pending job is overdue; once, until none is."""
    QUARANTINED = "quarantined"
    """Sources were quarantined; at most once a minute."""


class Format(StrEnum):
    """What is sent."""

    JSON = "json"
    """An object with type, timestamp and data; signed (Standard Webhooks) if there is a secret."""
    SLACK = "slack"
    NTFY = "ntfy"
    HEALTHCHECKS = "healthchecks"
    """Pings of healthchecks.io: /start, then /EXIT_CODE with the last lines."""
    APPRISE = "apprise"
    """What the service of an Apprise URL expects; requires the extra `apprise`."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ``[[notify]]`` table."""

    url: str
    on: tuple[Occasion, ...] = (Occasion.FAIL, Occasion.OVERDUE, Occasion.QUARANTINED)
    format: Format = Format.JSON
    secret: str = ""
    """Key of the signature, "whsec_" and base64."""

    @property
    def name(self) -> str:
        """Name for messages: the host alone, since path and query may be secret; of Apprise, which has tokens in place
        of the host, too, the scheme."""
        parts = urlsplit(self.url)
        return f"notify {parts.scheme if self.format is Format.APPRISE else parts.hostname}"

    @property
    def key(self) -> bytes:
        """The key of the signature; empty: none."""
        return base64.b64decode(self.secret.removeprefix("whsec_"), validate=True)


def parse(where: str, tables: Any) -> tuple[Target, ...]:
    """Return the targets of the tables in a settings file. Raises UsageError that shows no secret."""
    try:
        targets = msgspec.convert(tables, tuple[Target, ...])
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} notify: {error}") from None
    for number, target in enumerate(targets):
        if why := _problem(target):
            raise UsageError(f"{where} notify[{number}]: {why}")
    return targets


def _problem(target: Target) -> str:
    """Return what is wrong with a target, or ""."""
    if target.secret and target.format is not Format.JSON:
        return "secret: only format json is signed"
    try:
        parts = urlsplit(target.url)
        if target.format is Format.APPRISE:
            return "" if parts.scheme and "://" in target.url else "url: expected an Apprise URL, SERVICE://..."
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return "url: expected http://HOST/... or https://HOST/..."
    except ValueError:
        return "url: expected http://HOST/... or https://HOST/..."
    if parts.username is not None:
        return "url: must not hold a login"
    try:
        return "secret: is empty" if target.secret and not target.key else ""
    except (binascii.Error, ValueError):
        return 'secret: expected "whsec_" and base64'
