"""Our signature is botocore's, byte for byte."""

from __future__ import annotations

import datetime
import hashlib
from unittest.mock import patch
from urllib.parse import urlencode

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.upload.s3.sign import Signer, quoted

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip)
NAMES = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-"), min_size=1, max_size=10)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
SIGNER = Signer("eu-west-1")
"""One for all examples, so that its kept key is tested, too."""


@REPEATABLE
@given(
    st.sampled_from(["PUT", "POST", "HEAD"]),
    KEYS,
    st.dictionaries(NAMES, TEXT, max_size=2),
    st.dictionaries(NAMES.map("x-amz-meta-".__add__), TEXT, max_size=4),
    st.binary(max_size=20),
    st.sampled_from(["SECRET", "secret/+"]),
    st.none() | st.just("token=="),
    st.integers(0, 2**32),
)
def test_a_signature_is_botocores(
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    secret: str,
    token: str | None,
    now: int,
) -> None:
    path = f"/bucket/{quoted(key, safe='/')}"
    asked = urlencode(sorted(query.items()), quote_via=lambda text, *_: quoted(text))
    sent = {**headers, "host": "127.0.0.1:9000", "content-type": "image/webp"}
    payload = hashlib.sha256(body).hexdigest()
    ours = SIGNER.sign(("AKID", secret, token), method, path, asked, sent, payload, float(now))

    url = f"http://127.0.0.1:9000{path}" + (f"?{asked}" if asked else "")
    theirs = AWSRequest(method, url, {**headers, "content-type": "image/webp"}, data=body)
    then = datetime.datetime.fromtimestamp(now, datetime.UTC)
    with patch("botocore.auth.get_current_datetime", return_value=then):
        S3SigV4Auth(Credentials("AKID", secret, token), "s3", "eu-west-1").add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]
    for name in ("X-Amz-Date", "X-Amz-Content-SHA256", "X-Amz-Security-Token"):
        assert ours.get(name.lower()) == theirs.headers.get(name)
