"""Object keys of files: pure, and the same on every machine and in every run."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from mediactl.core.errors import UsageError
from mediactl.core.files import shown, without_login

MAX_KEY = 1024
"""Bytes of UTF-8 in a key, S3's limit."""
MAX_PREFIX = 512
"""Bytes of a prefix that leave room for a path and a name."""
MAX_NAME = 255
"""Bytes of an artefact's name in a key that has to be shortened; Linux has no longer ones."""
DIGEST = 32
"""Hex digits of the digest in a shortened key: 128 bits."""

SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
"""What boto3 accepts: AWS itself has been stricter since 2018, others and old buckets are not."""
_SHORTENED = "%7E"
"""A tilde, which is never escaped otherwise, so that no whole path looks like a shortened one."""
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_INSIDE_ESCAPE = re.compile(r"%[0-9A-F]?$")
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_NO_XML = "\ufffe\uffff"
"""Lists are XML, which cannot hold these two either."""


def parse(url: str) -> tuple[str, str]:
    """Bucket and prefix of s3://BUCKET[/PREFIX]; the prefix in NFC, without a slash at its end.

    Raises UsageError for anything else, saying what is invalid about it.
    """
    named = shown(without_login(url))
    if not url.startswith(SCHEME):
        hint = ""
        if url.startswith(("http://", "https://")):
            hint = "; give the store's address as --endpoint-url"
        raise UsageError(f"{named}: not of the form s3://BUCKET/PREFIX{hint}")
    bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise UsageError(f"{named}: no bucket; use s3://BUCKET/PREFIX")
    for mark in "?#":
        if mark in url:
            raise UsageError(f"{named}: {mark} is not supported; use s3://BUCKET/PREFIX")
    if "@" in bucket or bucket.startswith("arn:"):
        raise UsageError(f"{named}: logins, access points and ARNs are not supported; use the bucket's name")
    if ":" in bucket:
        raise UsageError(f"{named}: a bucket has no port; give the store's address as --endpoint-url")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise UsageError(f"{named}: invalid bucket name {shown(bucket)}; use 3 to 63 of a-z, 0-9, . and -")
    if bucket.endswith("--x-s3"):
        raise UsageError(f"{named}: directory buckets (S3 Express) are not supported")
    prefix = unicodedata.normalize("NFC", prefix.removesuffix("/"))
    if not prefix:
        return bucket, ""
    if any(part in ("", ".", "..") for part in prefix.split("/")):
        raise UsageError(f"{named}: the prefix has an empty part, . or ..")
    if any(_is_control(character) for character in prefix):
        raise UsageError(f"{named}: the prefix has control characters or is not UTF-8")
    if len(prefix.encode()) > MAX_PREFIX:
        raise UsageError(f"{named}: the prefix is longer than {MAX_PREFIX} bytes")
    return bucket, prefix


def object_key(prefix: str, path: bytes, name: str | None = None) -> str:
    """Return the key of the artefact ``name`` of the source ``path``: PREFIX/PATH/NAME, or PREFIX/PATH without a name.

    It is in NFC, has at most 1,024 bytes and always lies under ``prefix`` (as ``parse`` gives it). Bytes that are not
    UTF-8 and control characters are written %XX, byte by byte; so is a % before two hex digits of upper case (as %25),
    a component . or .. (%2E), and a slash in ``name`` (%2F, which also stands for an empty component). Reading the %XX
    back gives the bytes, so two pairs of path and name never share a key, but where Unicode says that they are the same
    text (NFC), or where a path alone spells out what another's name completes.

    A key that would be longer keeps the beginning of the path, then %7E (which nothing else is written as) and 128 bits
    of the SHA-256 of the whole path, so that what belongs to a source stays together; a name over 255 bytes is cut
    alike and keeps its extension.
    """
    start = f"{prefix}/" if prefix else ""
    written = "/".join(_component(part) for part in _text(path).split("/"))
    if name is None:
        return start + _shortened(written, MAX_KEY - len(start.encode()))
    last = _component(_text(name))
    if not name:
        raise ValueError("an artefact has a name")
    if len(f"{start}{written}/{last}".encode()) > MAX_KEY:
        stem, dot, extension = last.rpartition(".")
        if dot and stem and len(extension) < MAX_NAME // 4 and extension.isascii():
            last = _shortened(last, MAX_NAME, stem, f".{extension}")
        else:
            last = _shortened(last, MAX_NAME)
        written = _shortened(written, MAX_KEY - len(f"{start}/{last}".encode()))
    return f"{start}{written}/{last}"


def _text(path: bytes | str) -> str:
    """NFC, with surrogates for what is not UTF-8."""
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "surrogateescape"))


def _component(text: str) -> str:
    """Return one part of a key. ``text`` has slashes only where it is a name."""
    if not text:
        return "%2F"
    if text in (".", ".."):
        return text.replace(".", "%2E")
    written: list[str] = []
    for index, character in enumerate(text):
        literal = not (_is_control(character) or character == "/" or _ESCAPE.match(text, index))
        # After an escape's last digit a combining mark would make another letter of it, in NFC.
        if literal and unicodedata.category(character)[0] == "M" and written and len(written[-1]) > 1:
            literal = False
        written.append(character if literal else _escaped(character))
    return "".join(written)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS or character in _NO_XML


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def _shortened(text: str, room: int, head: str | None = None, tail: str = "") -> str:
    """``text`` if it has at most ``room`` bytes, else the beginning of ``head`` (of itself), a digest of all of it and
    ``tail``."""
    raw = text.encode()
    if len(raw) <= room:
        return text
    kept = (text if head is None else head).encode()[: room - len(_SHORTENED) - DIGEST - len(tail)]
    start = _INSIDE_ESCAPE.sub("", kept.decode("utf-8", "ignore")).rstrip("/")
    return f"{start}{_SHORTENED}{hashlib.sha256(raw).hexdigest()[:DIGEST]}{tail}"
