"""S3 error codes, HTTP statuses and connection errors as StoreErrors; never decided by wording."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from xml.etree import ElementTree

import msgspec
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from mediactl.core.files import shown
from mediactl.upload.s3.answers import Answer
from mediactl.upload.s3.http import NotConnected
from mediactl.upload.store import (
    Altered,
    Busy,
    Corrupted,
    Denied,
    Exists,
    Expired,
    Gone,
    InvalidPart,
    NoSuchUpload,
    Refused,
    StoreError,
    Throttled,
    Unavailable,
    Unreachable,
)

SKEW = 900
"""Clock skew that S3 tolerates, in seconds. Beyond it some stores answer AccessDenied, and only their Date shows it."""
NO_S3 = "the endpoint does not speak S3; check --endpoint-url"
QUOTED = 200
"""Characters of a store's own message to quote."""
_ONE_OBJECT = "this object cannot be stored"

_BY_CODE: dict[str, tuple[type[StoreError], str]] = {
    # The store is busy or failing.
    "SlowDown": (Throttled, "the store asks to slow down"),
    "ServiceUnavailable": (Throttled, "the store is overloaded"),
    "TooManyRequests": (Throttled, "the store asks to slow down"),
    "RequestLimitExceeded": (Throttled, "the store asks to slow down"),
    "BandwidthLimitExceeded": (Throttled, "the store asks to slow down"),
    "Throttling": (Throttled, "the store asks to slow down"),
    "ThrottlingException": (Throttled, "the store asks to slow down"),
    "KMS.ThrottlingException": (Throttled, "the key service asks to slow down"),
    "InternalError": (Unavailable, "the store had an internal error"),
    "RequestTimeout": (Unavailable, "the store timed out waiting for the body"),
    "IncompleteBody": (Unavailable, "the store received an incomplete body"),
    "BadDigest": (Corrupted, "the store got other bytes than were sent"),
    "InvalidDigest": (Corrupted, "the store got other bytes than were sent"),
    "XAmzContentSHA256Mismatch": (Corrupted, "the store got other bytes than were sent"),
    "XAmzContentChecksumMismatch": (Corrupted, "the store got other bytes than were sent"),
    # Handled by the state machine of an upload.
    "NoSuchUpload": (NoSuchUpload, "the multipart upload does not exist any more"),
    "InvalidPart": (InvalidPart, "a part does not exist or has another ETag"),
    "InvalidPartOrder": (InvalidPart, "the parts are not in ascending order"),
    "EntityTooSmall": (InvalidPart, "a part is smaller than the store allows"),
    "PreconditionFailed": (Exists, "another object is there"),
    "NoSuchKey": (Exists, "the object to replace does not exist any more"),
    "ConditionalRequestConflict": (Busy, "conflict with a concurrent write of this object"),
    "OperationAborted": (Busy, "conflict with a concurrent write"),
    # Permanent, for this object only.
    "EntityTooLarge": (StoreError, f"{_ONE_OBJECT}: it is too large for the store"),
    "KeyTooLongError": (StoreError, f"{_ONE_OBJECT}: its key is too long for the store"),
    "MetadataTooLarge": (StoreError, f"{_ONE_OBJECT}: its metadata is too large for the store"),
    "InvalidURI": (StoreError, f"{_ONE_OBJECT}: the store rejects its key"),
    # Credentials.
    "ExpiredToken": (Expired, "the credentials have expired: get new ones and run again"),
    "ExpiredTokenException": (Expired, "the credentials have expired: get new ones and run again"),
    "TokenRefreshRequired": (Expired, "the credentials have expired: get new ones and run again"),
    "InvalidAccessKeyId": (Refused, "unknown access key; check the credentials or --profile"),
    "InvalidClientTokenId": (Refused, "unknown access key; check the credentials or --profile"),
    "UnrecognizedClientException": (Refused, "unknown access key; check the credentials or --profile"),
    "SignatureDoesNotMatch": (Refused, "the secret key does not match the access key; check the credentials"),
    "InvalidToken": (Refused, "invalid session token; check the credentials"),
    "InvalidSecurity": (Refused, "invalid credentials; check them"),
    "NotSignedUp": (Refused, "the account is not signed up for S3"),
    "AccountProblem": (Refused, "there is a problem with the account; contact the provider"),
    "AllAccessDisabled": (Refused, "all access to this bucket is disabled; contact the provider"),
    "RequestExpired": (Refused, "the request has expired; check this machine's clock"),
    # Bucket and options.
    "NoSuchBucket": (Refused, "no such bucket; create it, or correct its name"),
    "InvalidBucketName": (Refused, "invalid bucket name; correct it"),
    "InvalidBucketState": (Refused, "the state of the bucket does not allow it; check its settings"),
    "InvalidTag": (Refused, "the store rejects a tag; allowed are letters, digits, spaces and + - = . _ : / @"),
    "InvalidStorageClass": (Refused, "the store does not support this --storage-class"),
    "AccessControlListNotSupported": (Refused, "the bucket does not support ACLs; omit --acl"),
    "InvalidEncryptionAlgorithmError": (Refused, "the store does not support this --sse"),
    "MethodNotAllowed": (Refused, "the store does not allow this request; check --endpoint-url"),
    "QuotaExceeded": (Refused, "the account's quota is exceeded"),
}
_BY_STATUS: dict[int, tuple[type[StoreError], str]] = {
    408: (Unavailable, "the store timed out waiting for the request"),
    409: (Busy, "conflict with a concurrent write"),
    412: (Exists, "another object is there"),
    429: (Throttled, "the store asks to slow down"),
    503: (Throttled, "the store is overloaded"),
}
_ELSEWHERE = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "IncorrectEndpoint"})
_UNSUPPORTED = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})
"""Answers to a header that a provider does not support: Cloudflare R2 answers 501 NotImplemented, Backblaze B2 400
InvalidArgument, both to a checksum; AWS before 2024 answered NotImplemented to a condition."""
_OPTIONS = {
    "x-amz-checksum-crc32": "--s3-checksum none",
    "x-amz-checksum-algorithm": "--s3-checksum none",
    "if-none-match": "--if-exists replace",
    "if-match": "--if-exists replace",
    "x-amz-storage-class": "another --storage-class",
    "x-amz-server-side-encryption": "another --sse",
    "x-amz-acl": "another --acl",
    "x-amz-tagging": "no tags",
}
"""What removes each of the headers that not every store supports, the likeliest first."""
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reasons for an answer that is no TLS at all."""


class Reply(msgspec.Struct, frozen=True):
    """A store's error reply: HTTP status, S3's error code, the other fields of the error and the answer's headers."""

    status: int
    code: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    html: bool = False


def read(answer: Answer) -> Reply:
    """Return what an answer with an error, or without what it should have, says."""
    fields: dict[str, str] = {}
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError:
        root = None
    if root is not None and _local(root.tag) == "Error":
        fields = {_local(child.tag): (child.text or "").strip() for child in root}
    page = answer.body[:100].lstrip().lower().startswith((b"<!doctype html", b"<html"))
    html = not fields and (page or "html" in answer.headers.get("content-type", ""))
    return Reply(answer.status, fields.get("Code", ""), fields, answer.headers, html)


def refused(where: str, reply: Reply, sent: Mapping[str, str], now: float) -> StoreError:
    """Return the error that an answer amounts to.

    ``where`` begins its line. ``sent``: the request's headers, of which some can be left out. ``now``: seconds since
    1970, for the clock's difference.
    """
    kind, text = _judged(reply, sent, now)
    error = kind(f"{where}: {text} ({' '.join(filter(None, (str(reply.status), shown(reply.code)[:QUOTED])))})")
    error.code = reply.code or str(reply.status)
    return error


def unread(where: str, reply: Reply, now: float) -> StoreError:
    """Return the error that the answer to a GET of an object amounts to: what is about this object alone, is so."""
    kind: type[StoreError]
    if reply.code in ("NoSuchKey", "NoSuchVersion") or (reply.status == 404 and not reply.code):
        kind, text = Gone, "no such object"
    elif reply.status == 412:
        kind, text = Altered, "another object is there"
    elif reply.code == "InvalidObjectState":
        stored = shown(reply.fields.get("StorageClass", "an archive"))[:QUOTED]
        kind, text = Denied, f"archived in {stored}: restore it, then run again"
    elif reply.code == "AccessDenied" and abs(_late(reply, now) or 0) <= SKEW:
        kind, text = Denied, "access denied; it requires s3:GetObject, and kms:Decrypt where it is encrypted"
    else:
        return refused(where, reply, {}, now)
    return coded(kind, where, text, reply.code or str(reply.status))


def _judged(reply: Reply, sent: Mapping[str, str], now: float) -> tuple[type[StoreError], str]:
    region = reply.headers.get("x-amz-bucket-region") or reply.fields.get("Region")
    if reply.status in (301, 302, 307, 308) or (region and reply.code in _ELSEWHERE):
        if region:
            return Refused, f"the bucket is in another region; use --region {shown(region)}"
        return Refused, "the bucket is in another region; check --region and --endpoint-url"
    if reply.code == "RequestTimeTooSkewed":
        return Refused, _clock(reply, now)
    if found := _BY_CODE.get(reply.code):
        return found
    if reply.code.startswith("KMS."):
        return Refused, f"the key of --sse cannot be used{_words(reply)}"
    if reply.code in _UNSUPPORTED or reply.status == 501:
        return Refused, f"the store does not support the request{_words(reply)}; {_way_out(reply, sent)}"
    if found := _BY_STATUS.get(reply.status):
        return found
    if reply.status >= 500:
        return Unavailable, "the store had an error"
    if reply.html or 200 < reply.status < 300:
        return Refused, NO_S3
    if reply.status == 200:
        return Unavailable, "malformed response"
    if reply.status in (401, 403) or reply.code == "AccessDenied":
        if abs(_late(reply, now) or 0) > SKEW:
            return Refused, _clock(reply, now)
        rights = "s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload, s3:ListMultipartUploadParts"
        if sent.get("x-amz-server-side-encryption") == "aws:kms":
            rights += ", kms:GenerateDataKey, kms:Decrypt"
        return Refused, f"access denied; the credentials require {rights}"
    return Refused, f"the store rejects the request{_words(reply)}"


def _way_out(reply: Reply, sent: Mapping[str, str]) -> str:
    """Return the flags that omit what the store does not support: the header that it names, else all candidates."""
    named = (
        {reply.fields.get(field, "").lower() for field in ("Header", "ArgumentName")} & _OPTIONS.keys() & sent.keys()
    )
    options = dict.fromkeys(text for name, text in _OPTIONS.items() if name in (named or sent))
    return f"try {' or '.join(options)}" if options else "check --endpoint-url"


def _late(reply: Reply, now: float) -> int | None:
    """Return the seconds that our clock is behind the store's; None: the response has no time."""
    try:
        if stamp := reply.fields.get("ServerTime"):
            theirs = datetime.fromisoformat(stamp)
        else:
            theirs = parsedate_to_datetime(reply.headers["date"])
        return round(theirs.timestamp() - now)
    except (KeyError, ValueError):
        return None


def _clock(reply: Reply, now: float) -> str:
    late = _late(reply, now)
    if late is None:
        return "this machine's clock is off; set it"
    return f"this machine's clock is {abs(late)} s {'slow' if late > 0 else 'fast'}; set it"


def _words(reply: Reply) -> str:
    message = shown(reply.fields.get("Message", ""))[:QUOTED].rstrip(".")
    return f": {message}" if message else ""


def broken(where: str, error: Exception) -> StoreError:
    """Return the error that a connection's failure, or one of botocore's own, amounts to. Raises what is neither."""
    cause = _tls_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return coded(Refused, where, f"its certificate is not trusted ({cause.verify_message}): see --ca-bundle", error)
    if cause is not None and cause.reason in _NOT_TLS:
        return coded(Refused, where, "what answers does not speak TLS: check --endpoint-url", error)
    if isinstance(
        error, (NotConnected, boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
    ):
        return coded(Unreachable, where, f"no connection: {_reason(error)}", error)
    if isinstance(error, (OSError, HTTPException, boto.HTTPClientError)):
        return coded(Unavailable, where, f"the connection broke: {_reason(error)}", error)
    for kinds, kind, text in _BY_CLASS:
        if isinstance(error, kinds):
            return coded(kind, where, text or shown(str(error))[:QUOTED], error)
    raise error


_BY_CLASS: tuple[tuple[tuple[type[Exception], ...], type[StoreError], str], ...] = (
    ((ResponseParserError,), Unavailable, "what was answered cannot be read"),
    (
        (boto.NoCredentialsError, boto.PartialCredentialsError),
        Refused,
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or run `aws configure`",
    ),
    (
        (boto.UnauthorizedSSOTokenError, boto.SSOTokenLoadError, boto.TokenRetrievalError),
        Expired,
        "the single sign-on has expired: run `aws sso login` and begin again",
    ),
    ((boto.CredentialRetrievalError, boto.MetadataRetrievalError), Expired, ""),
    ((boto.PaginationError,), Unavailable, "the store's list does not end"),
    ((boto.BotoCoreError,), Refused, ""),
)


def coded(kind: type[StoreError], where: str, text: str, code: object) -> StoreError:
    """Return an error with its line, and its code: what is given, or the name of that exception's class."""
    found = kind(f"{where}: {text}")
    found.code = code if isinstance(code, str) else type(code).__name__
    return found


def _reason(error: BaseException) -> str:
    """Return the words of what lies deepest: the operating system's."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return shown(str(error) or type(error).__name__)[:QUOTED]


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _local(tag: str) -> str:
    """Return an XML name without its namespace."""
    return tag.rpartition("}")[2]
