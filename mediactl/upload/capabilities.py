"""Capabilities of a store, learned by using it: conditional writes, and whether ETags are MD5 sums."""

from __future__ import annotations

import re
from collections.abc import Callable

_MD5 = re.compile(r'"?([0-9a-f]{32})"?', re.IGNORECASE)
DOUBTS = 3
"""Bodies whose ETag is not their MD5, none before having had one that is, after which ETags are taken for something
else. A few needless resends, once a process."""


class Capabilities:
    """Capabilities of one store. Fields are set by many threads, in any order."""

    def __init__(self, plain: bool) -> None:
        """``plain``: it is reached without TLS, so that bytes may change on the way."""
        self.conditions = True
        """False: conditional writes were refused where others were not."""
        self._compare = plain
        self._seen = False
        self._doubts = 0

    def intact(self, etag: str, md5: Callable[[], bytes]) -> bool:
        """Return whether the bytes with that MD5 arrived as they were sent, as far as their ETag shows.

        Over plain http only, and where the store has not repeated the CRC32: rclone's ``serve s3`` and moto compare
        neither that nor the SHA-256 of the signature with what they get. Over https TLS does it, and a store with
        KMS keys has ETags that are no MD5.
        """
        found = _MD5.fullmatch(etag)
        if not self._compare or found is None:
            return True
        if bytes.fromhex(found[1]) == md5():
            self._seen = True
            return True
        if not self._seen:
            self._doubts += 1
            self._compare = self._doubts < DOUBTS
        return False
