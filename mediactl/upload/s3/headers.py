"""The headers that an object is stored with, and the forms of values in them: pure."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

from mediactl.core.files import shown
from mediactl.model.uploads import About, Location

CRC32 = "x-amz-checksum-crc32"
META = "x-amz-meta-"


def fixed(location: Location) -> dict[str, str]:
    """Return the headers that every object of a bucket is stored with."""
    headers = {}
    if location.storage_class:
        headers["x-amz-storage-class"] = location.storage_class
    if location.acl:
        headers["x-amz-acl"] = location.acl
    if location.sse:
        # aws:kms:KEY, where KEY may be an ARN with colons of its own.
        parts = location.sse.split(":", 2)
        kind, key = ("aws:kms", parts[2]) if len(parts) == 3 else (location.sse, "")
        headers["x-amz-server-side-encryption"] = kind
        if key:
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = key
    return _sendable(headers)


def described(about: About) -> dict[str, str]:
    """Return the headers that describe an object. Raises ValueError for what no header can carry."""
    headers = {"content-type": about.media_type}
    if about.cache_control is not None:
        headers["cache-control"] = about.cache_control
    for name, value in about.metadata.items():
        headers[META + name.lower()] = value
    if about.tags:
        headers["x-amz-tagging"] = urlencode(about.tags)
    return _sendable(headers)


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and value.isprintable() and value == value.strip()):
            raise ValueError(f"{shown(name)}: {shown(value)} cannot be sent in a header")
    return headers


def quoted_etag(etag: str) -> str:
    """Return an ETag with its quotes, which rclone leaves out of its lists."""
    return etag if etag.endswith('"') else f'"{etag}"'


def crc32_text(crc32: int) -> str:
    """Return a CRC32 as S3 writes it."""
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def crc32_number(text: str | None) -> int | None:
    """Return the CRC32 that S3 wrote so."""
    return int.from_bytes(base64.b64decode(text), "big") if text else None
