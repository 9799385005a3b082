"""Fetch an object by its URL: without a run, a journal or a pool, for whoever is handed the URL of a source."""

from __future__ import annotations

import msgspec

from mediactl.model.fetches import Fetched, Fetching, FetchTask
from mediactl.model.uploads import Location
from mediactl.upload import keys
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Tuning
from mediactl.upload.execute import s3_store
from mediactl.upload.fetch.ranges import fetch


def fetch_object(url: str, file: bytes, fetching: Fetching = Fetching()) -> Fetched:  # noqa: B008 - frozen
    """Fetch s3://BUCKET/KEY into a file that is not there yet, and return what it is: FETCHED with its ETag, version
    and SHA-256, else GONE or DENIED.

    For callers without a run or journal; requests are retried and throttled as in one. The file's directory exists.
    Raises UsageError for an invalid URL, SourceChanged where the object is replaced again and again, and StoreError.
    """
    location, key = located(url, fetching.location)
    store = s3_store(location, fetching.concurrency)
    tuning = Tuning(concurrency=fetching.concurrency, budget=fetching.memory, bandwidth=fetching.bandwidth)
    task = FetchTask(location, key, file, request_payer=fetching.request_payer)
    plain = (location.endpoint_url or "").startswith("http://")
    return fetch(task, store, Capabilities(plain), Engine(tuning), lambda _: None)


def located(url: str, access: Location) -> tuple[Location, str]:
    """Return the bucket of s3://BUCKET/KEY, reached as ``access`` says, and the key, which may be any text; "" for the
    bucket itself. Raises UsageError."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    keys.parse(f"{scheme}://{bucket}" if rest else url)
    return msgspec.structs.replace(access, bucket=bucket, prefix=""), key
