"""Keys of a bucket as paths, and lists of them as directories: each key its own path, and what gitignore says."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from mediactl.core.files import LONGEST_NAME
from mediactl.model.media import Fingerprint
from mediactl.sources.filters import Filter
from mediactl.sources.objects import Object, Walk, key_of, output_of, path_of
from mediactl.sources.scan import Batch, Found, LeftOut, Trouble

ROOT = b"s3://bucket/p"
PARTS = st.sampled_from(["", ".", "..", "a", "b.jpg", "%%2E", "%2E", "-x", "\0", "\n", "é", "~", "a" * 300, ".m", "!"])
KEYS = st.one_of(st.lists(PARTS, min_size=1, max_size=5).map("/".join), st.text(max_size=30)).filter(bool)


def walked(keys: dict[str, bytes], rules: Filter | None = None) -> list[Found]:
    """What a walk over these objects yields."""
    objects = [Object(key, Fingerprint(len(body), 1, 0, 0)) for key, body in sorted(
        (key.encode("utf-8", "surrogatepass"), body) for key, body in keys.items())]  # fmt: skip
    content = {path_of(key.encode("utf-8", "surrogatepass")): body for key, body in keys.items()}
    walk = Walk(ROOT, b"", rules or Filter.of(), content.__getitem__, lambda _: False)
    return list(walk.found(objects))


def taken(found: list[Found]) -> dict[bytes, bytes]:
    """Path -> output directory of the sources."""
    return {
        os.path.join(each.folder, entry.name): each.output_of(entry)
        for each in found
        if isinstance(each, Batch)
        for entry in each.files
    }


@given(key=KEYS)
def test_a_path_says_its_key_and_stays_inside(key: str) -> None:
    raw = key.encode("utf-8", "surrogatepass")
    path = path_of(raw)
    assert key_of(path) == raw
    assert b"\0" not in path
    assert all(part not in (b"", b".", b"..") for part in path.split(b"/"))
    assert os.path.normpath(os.path.join(b"/out", path)).startswith(b"/out/")
    assert all(len(part) <= LONGEST_NAME for part in output_of(path).split(b"/"))


@given(keys=st.sets(KEYS, max_size=12))
def test_every_key_is_taken_or_reported_and_no_two_share_outputs(keys: set[str]) -> None:
    found = walked(dict.fromkeys(keys, b"x"), Filter.of(defaults=False))
    sources = taken(found)
    assert len(set(sources.values())) == len(sources)
    troubles = sum(isinstance(each, Trouble) for each in found)
    hidden = [key for key in keys if any(part.startswith(".") and part not in (".", "..") for part in key.split("/"))]
    assert len(sources) + troubles + len(hidden) >= len(keys)
    assert {key_of(path).decode("utf-8", "surrogatepass") for path in sources} <= keys


def test_rules_hold_as_in_directories_whatever_comes_before_the_file_of_rules() -> None:
    keys = [
        "!early.jpg",
        "-d/deep.jpg",
        "a.jpg",
        "sub/b.jpg",
        "sub/keep/c.jpg",
        "sub/-x/d.jpg",
        "z.tmp",
        ".hidden/e.jpg",
    ]
    rules = {".mediactlignore": b"!early.jpg\n\\!early.jpg\n/-d/\n", "sub/.mediactlignore": b"*.jpg\n!c.jpg\n"}
    found = walked({**dict.fromkeys(keys, b"x"), **rules})
    assert set(taken(found)) == {b"a.jpg", b"sub/keep/c.jpg"}
    left = {os.path.join(each.folder, name): rule.text for each in found if isinstance(each, LeftOut)
            for name, rule in each.names}  # fmt: skip
    assert set(left) == {b"!early.jpg", b"-d/", b"sub/b.jpg", b"sub/-x/d.jpg", b"z.tmp", b".hidden/"}
    assert left[b"sub/b.jpg"] == "sub/.mediactlignore:1: *.jpg"


def test_an_object_that_is_a_directory_too_is_reported() -> None:
    found = walked(
        {"a": b"x", "a!": b"x", "a/b": b"x", "c/": b"", "d/": b"content", "out/.mediactl/index": b"x", "out/z": b"x"}
    )
    assert set(taken(found)) == {b"a!", b"a/b"}
    assert [each.name for each in found if isinstance(each, Trouble)] == [ROOT + b"/d/", ROOT + b"/a"]
