"""A store in memory that keeps S3's rules."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterator

from mediactl.model.uploads import About
from mediactl.upload.body import Body
from mediactl.upload.multipart.parts import composite
from mediactl.upload.store import (
    Condition,
    Exists,
    InvalidPart,
    Listed,
    NoSuchUpload,
    OpenUpload,
    Stored,
    StoredPart,
)


class MemoryStore:
    """A bucket in memory. ``conditions`` and ``checksums``: whether it knows what some stores do not."""

    def __init__(self, conditions: bool = True, checksums: bool = True) -> None:
        self.conditions = conditions
        self.checksums = checksums
        self.objects: dict[str, tuple[bytes, About, str]] = {}
        self.uploads: dict[str, tuple[str, About, dict[int, tuple[bytes, StoredPart]]]] = {}
        self.requests: list[str] = []
        self.composites: dict[str, str] = {}
        """ETag -> checksum, of objects of parts."""
        self.modified: dict[str, float] = {}
        self.clock: Callable[[], float] = time.time
        self._lock = threading.Lock()

    def _check(self, key: str, condition: Condition) -> None:
        there = self.objects.get(key)
        if self.conditions and (
            (condition.if_absent and there) or (condition.if_etag and (not there or there[2] != condition.if_etag))
        ):
            raise Exists(f"412 {key}")

    def _upload(self, key: str, upload_id: str) -> tuple[About, dict[int, tuple[bytes, StoredPart]]]:
        if self.uploads.get(upload_id, ("",))[0] != key:
            raise NoSuchUpload(f"404 {upload_id}")
        _, about, parts = self.uploads[upload_id]
        return about, parts

    def head(self, key: str) -> Stored | None:
        with self._lock:
            self.requests.append("head")
            if key not in self.objects:
                return None
            body, about, etag = self.objects[key]
            return Stored(key, len(body), etag, about.metadata, self.composites.get(etag, ""))

    def whole(self, key: str, most: int) -> tuple[bytes, str] | None:
        with self._lock:
            self.requests.append("whole")
            if key not in self.objects:
                return None
            body, _, etag = self.objects[key]
            return body[:most], etag

    def put(self, key: str, body: Body, about: About, condition: Condition) -> str:
        with self._lock:
            self.requests.append("put")
            data = bytes(body.data)
            assert zlib.crc32(data) == body.crc32
            self._check(key, condition)
            etag = f'"{hashlib.md5(data).hexdigest()}"'
            self.objects[key] = data, about, etag
            self.modified[key] = self.clock()
            return etag

    def create(self, key: str, about: About) -> str:
        with self._lock:
            self.requests.append("create")
            upload_id = secrets.token_hex(8)
            self.uploads[upload_id] = key, about, {}
            return upload_id

    def put_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        with self._lock:
            self.requests.append(f"part {number}")
            data = bytes(body.data)
            assert zlib.crc32(data) == body.crc32
            _, parts = self._upload(key, upload_id)
            etag = f'"{hashlib.md5(data).hexdigest()}"'
            parts[number] = data, StoredPart(number, len(body), etag, body.crc32 if self.checksums else None)
            return etag

    def stored_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        with self._lock:
            self.requests.append("parts")
            return [part for _, (_, part) in sorted(self._upload(key, upload_id)[1].items())]

    def complete(self, key: str, upload_id: str, parts: list[StoredPart], condition: Condition) -> str:
        with self._lock:
            self.requests.append("complete")
            about, have = self._upload(key, upload_id)
            if any(part.number not in have or have[part.number][1].etag != part.etag for part in parts):
                raise InvalidPart(f"400 {upload_id}")
            self._check(key, condition)
            body = b"".join(have[part.number][0] for part in parts)
            md5s = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
            etag = f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"'
            self.objects[key] = body, about, etag
            if self.checksums:
                self.composites[etag] = composite(zlib.crc32(have[part.number][0]) for part in parts)
            del self.uploads[upload_id]
            return etag

    def abort(self, key: str, upload_id: str) -> None:
        with self._lock:
            self.requests.append("abort")
            self.uploads.pop(upload_id, None)

    def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
        for key, (body, _, etag) in sorted(self.objects.items()):
            if key.startswith(prefix) and key > after:
                yield Listed(key, len(body), etag, self.modified.get(key, 0.0))

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        self.requests.append("uploads")
        for upload_id, (key, _, _) in list(self.uploads.items()):
            if key.startswith(prefix):
                yield OpenUpload(key, upload_id, time.time())
