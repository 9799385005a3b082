"""Auditing a bucket, of a store that permits listing or not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stores import MemoryStore
from support.uploads import LOCATION

from mediactl.model.uploads import SHA256, TOKEN, About, Location
from mediactl.upload import bucket_audit
from mediactl.upload.body import Body
from mediactl.upload.bucket_audit import Bucket, Expected
from mediactl.upload.store import Condition, Listed, Refused, Store, Stored, Throttled

CONTENT = b"content"


class Lists:
    """A store of which each request and the lists' prefixes are kept; ``denied``: one that may not be listed."""

    def __init__(self, *, denied: bool = False, stumbles: int = 0) -> None:
        self.memory = MemoryStore()
        self.heads: list[str] = []
        self.prefixes: list[str] = []
        self._denied = denied
        self._stumbles = stumbles

    def listed(self, prefix: str) -> Iterator[Listed]:
        self.prefixes.append(prefix)
        if self._denied:
            raise Refused("access denied")
        if self._stumbles:
            self._stumbles -= 1
            raise Throttled("slow down")
        return self.memory.listed(prefix)

    def head(self, key: str) -> Stored | None:
        self.heads.append(key)
        return self.memory.head(key)

    def open(self, location: Location, connections: int) -> Store:
        return self  # type: ignore[return-value]

    def put(self, key: str, *, content: bytes = CONTENT, sha256: str = "s") -> Expected:
        about = About(metadata={TOKEN: "t", SHA256: sha256} if sha256 else {})
        etag = self.memory.put(key, Body(content), about, Condition())
        return Expected(key, b"/file", len(content), etag, "t", "s")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediactl.upload.bucket_audit.time.sleep", lambda seconds: None)


def spoilt(store: Lists, objects: list[Expected]) -> dict[str, str]:
    return {each.key: reason for each, reason in Bucket(LOCATION, store.open).spoilt(objects)}


@pytest.mark.parametrize("denied", [False, True])
def test_what_is_missing_or_another_is_found_with_and_without_a_list(denied: bool) -> None:
    store = Lists(denied=denied)
    keys = [f"prefix/{number}" for number in range(50)]
    objects = [store.put(key) for key in keys]
    store.memory.objects.pop("prefix/7")
    store.put("prefix/8", content=b"others'", sha256="")
    store.put("prefix/9", content=b"another", sha256="other")
    found = spoilt(store, objects)
    assert list(found) == ["prefix/7", "prefix/8", "prefix/9"]
    assert found["prefix/7"] == ""
    assert "an object of another writer" in found["prefix/8"]
    assert "another version" in found["prefix/9"]
    assert store.prefixes == ["prefix/"]
    assert sorted(store.heads) == (sorted(keys) if denied else ["prefix/8", "prefix/9"])


def test_an_etag_that_is_not_known_is_looked_up() -> None:
    store = Lists()
    known = store.put("prefix/a")
    unknown = Expected(known.key, known.file, known.size, "", known.token, known.sha256)
    assert spoilt(store, [unknown]) == {}
    assert store.heads == ["prefix/a"]


def test_a_store_that_stumbles_is_asked_again_but_not_for_ever() -> None:
    store = Lists(stumbles=bucket_audit.ATTEMPTS - 1)
    assert spoilt(store, [store.put("prefix/a")]) == {}
    assert len(store.prefixes) == bucket_audit.ATTEMPTS
    store = Lists(stumbles=bucket_audit.ATTEMPTS)
    with pytest.raises(Throttled):
        spoilt(store, [store.put("prefix/a")])
