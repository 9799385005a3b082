"""botocore's client for a bucket, and where its requests go: ours take the same address, region and credentials."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ClientError
from urllib3 import HTTPResponse

from mediactl.core.files import shown, without_login
from mediactl.model.uploads import Location
from mediactl.upload.s3.http import CONNECT_TIMEOUT
from mediactl.upload.store import Refused

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class Address(NamedTuple):
    """Where a bucket is: scheme and host[:port], the path before a key, the region to sign for."""

    scheme: str
    host: str
    path: str
    region: str


def client(core: botocore.session.Session, location: Location, connections: int, read_timeout: float) -> S3Client:
    """botocore's client: without retries of its own, without checksums that nobody asked for, staying in its region.

    Raises Refused for an endpoint that is no http(s) address, and what botocore raises.
    """
    if location.endpoint_url is not None:
        url = urlsplit(location.endpoint_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise Refused(
                f"--endpoint-url {shown(without_login(location.endpoint_url))}: not of the form https://host[:port]"
            )
    path_style = location.path_style if location.path_style is not None or location.endpoint_url is None else True
    config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        max_pool_connections=connections,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=None if path_style is None else {"addressing_style": "path" if path_style else "virtual"},
    )
    # Not by boto3: 25 ms to import, and nothing of it is used.
    made = cast(
        "S3Client",
        core.create_client(
            "s3",
            region_name=location.region,
            endpoint_url=location.endpoint_url,
            verify=location.ca_bundle,
            config=config,
        ),
    )
    made.meta.events.register_first("needs-retry.s3", _stay)
    return made


def address(made: S3Client, bucket: str) -> Address:
    """Return where ``made`` sends what is for ``bucket``: seen from a request that is signed but never leaves."""
    seen: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest, **_: Any) -> Any:
        seen.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), HTTPResponse(BytesIO(), preload_content=False))

    made.meta.events.register("before-send.s3.HeadObject", keep)
    try:
        made.head_object(Bucket=bucket, Key="-")
    finally:
        made.meta.events.unregister("before-send.s3.HeadObject", keep)
    url = urlsplit(seen[0].url)
    authorization = seen[0].headers["Authorization"]
    if isinstance(authorization, bytes):
        authorization = authorization.decode()
    # ... Credential=KEY/DAY/REGION/s3/aws4_request, SignedHeaders=...
    scope = authorization.partition("Credential=")[2].partition(",")[0]
    return Address(url.scheme, url.netloc, url.path.removesuffix("/-"), scope.rsplit("/", 3)[1])


def _stay(response: tuple[Any, dict[str, Any]] | None, operation: Any, **_: Any) -> None:
    """Stop botocore from following a bucket to another region: our own requests would not, and it asks twice each
    time. The error names the region instead."""
    if response is None or response[0] is None:
        return
    code = response[1].get("Error", {}).get("Code")
    if response[0].status_code in (301, 302, 307) or code == "AuthorizationHeaderMalformed":
        raise ClientError(response[1], operation.name)  # type: ignore[arg-type]
