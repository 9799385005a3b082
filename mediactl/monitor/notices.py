"""Notifications as each receiver expects them. Names of files come from others: they stay text in every format."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from mediactl.monitor.targets import Format, Occasion, Target

URGENT = (Occasion.FAIL, Occasion.OVERDUE, Occasion.QUARANTINED)


class Notice(NamedTuple):
    """Something to be notified of."""

    occasion: Occasion
    text: str
    """In words, some lines at most."""
    data: Mapping[str, Any]
    """The same for programs."""
    time: float
    """Seconds since 1970."""
    exit_code: int | None = None
    """Of a run that has ended."""


class Undelivered(Exception):
    """A receiver has not accepted a notification; ``again``: it may do so later."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Request(NamedTuple):
    """A POST request."""

    url: str
    body: bytes
    headers: dict[str, str]


def request(target: Target, notice: Notice, message_id: str) -> Request:
    """Return the request that brings a notice to a target; repeated, it has the same ID."""
    return _FORMATS[target.format](target, notice, message_id)


def _json(target: Target, notice: Notice, message_id: str) -> Request:
    moment = datetime.fromtimestamp(notice.time, UTC).isoformat()
    content = {"type": f"mediactl.{notice.occasion}", "timestamp": moment, "text": notice.text, "data": notice.data}
    body = msgspec.json.encode(content)
    headers = {"Content-Type": "application/json"}
    if target.secret:
        stamp = str(int(notice.time))
        headers |= {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(target.key, message_id, stamp, body),
        }
    return Request(target.url, body, headers)


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the symmetric signature of https://www.standardwebhooks.com/, version 1."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _slack(target: Target, notice: Notice, message_id: str) -> Request:
    escaped = notice.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = msgspec.json.encode({"text": escaped, "mrkdwn": False})
    return Request(target.url, body, {"Content-Type": "application/json"})


def _ntfy(target: Target, notice: Notice, message_id: str) -> Request:
    urgent = notice.occasion in URGENT
    headers = {"Title": f"mediactl: {notice.occasion}", "Priority": "high" if urgent else "default"}
    return Request(target.url, notice.text.encode(), headers | {"Content-Type": "text/plain; charset=utf-8"})


def _healthchecks(target: Target, notice: Notice, message_id: str) -> Request:
    suffix = "start" if notice.occasion is Occasion.START else "log"
    if notice.exit_code is not None:
        suffix = str(notice.exit_code)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Request(f"{target.url.rstrip('/')}/{suffix}", notice.text.encode(), headers)


_FORMATS = {Format.JSON: _json, Format.SLACK: _slack, Format.NTFY: _ntfy, Format.HEALTHCHECKS: _healthchecks}
