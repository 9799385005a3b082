"""Jobs that fetch an object of a bucket, so that it can be read as a file."""

from __future__ import annotations

import hashlib

import msgspec

from mediactl.model.fetches import Fetching, FetchTask
from mediactl.model.jobs import NewJob, Priority
from mediactl.model.media import REMOTE, Source
from mediactl.model.uploads import Location
from mediactl.sources import objects, sniff

KIND, LANE = "fetch", "network"
TIME_LIMIT = 7 * 24 * 3600.0
"""Seconds; they end by what their requests do, as uploads do."""


def located(source: Source, access: Location) -> tuple[Location, str]:
    """Return the bucket of an object, and its key."""
    bucket, _, prefix = source.root[len(REMOTE) :].partition(b"/")
    key = (prefix + b"/" if prefix else b"") + objects.key_of(source.path)
    return msgspec.structs.replace(access, bucket=bucket.decode()), key.decode("utf-8", "surrogatepass")


def fetch_job(source: Source, row: int, fetching: Fetching, file: bytes, priority: Priority, *, whole: bool) -> NewJob:
    """Return the job that fetches an object into a file, or its first bytes: of what its name says is none of ours."""
    location, key = located(source, fetching.location)
    task = FetchTask(
        location, key, file, source.fingerprint, None if whole else sniff.HEAD, fetching.request_payer
    )  # fmt: skip
    named = b"fetch %d %d %s %s %s %d" % (
        whole, source.fingerprint.size, source.root, source.path, source.directory, source.fingerprint.mtime_ns,
    )  # fmt: skip
    return NewJob(
        key=hashlib.sha256(named).hexdigest()[:32],
        kind=KIND,
        payload=msgspec.json.encode(task),
        lane=LANE,
        source=row,
        size=source.fingerprint.size,
        priority=priority,
        time_limit=TIME_LIMIT,
    )
