"""Keys: every file has one of its own, and none lies outside of the prefix."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.core.errors import UsageError
from mediactl.upload.keys import MAX_KEY, object_key, parse

PREFIXES = st.sampled_from(["", "derived", "a/b", "ü" * 200])
# Bytes that meet what is special in keys often: escapes, slashes, dots, halves of characters, combining marks.
PIECES = st.sampled_from(
    [
        *(
            b"%",
            b"%2",
            b"%25",
            b"%2E",
            b"%2F",
            b"%7E",
            b"4",
            b"A",
            b"F",
            b"/",
            b"//",
            b".",
            b"..",
            b"\x00",
            b"\n",
            b"~",
        ),
        *(b"\x7f", b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b" ", b"+", b"\xc2\x85", b"\xef\xbf\xbf", b"a" * 300),
        *(text.encode() for text in ("\u00e9", "e\u0301", "\u0301", "\u2028", "日本", "😀")),
    ]
)
PATHS = st.lists(PIECES, max_size=8).map(b"".join) | st.binary(max_size=40)
NAMES = st.sampled_from(["w800.webp", "asset.json", "a/b", "..", ".", "ü.jpg", "x" * 300 + ".tar.gz", ".hidden", "%2E"])


def same_text(one: bytes, other: bytes) -> bool:
    """Equal but for what Unicode calls the same text."""

    def nfc(path: bytes) -> str:
        return unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape"))

    return nfc(one) == nfc(other)


def read_back(key: str) -> bytes:
    """The bytes that the components of a key stand for."""
    return re.sub(rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), key.encode())


@REPEATABLE
@given(PREFIXES, PATHS, NAMES | st.none())
def test_a_key_is_short_normal_printable_and_under_its_prefix(prefix: str, path: bytes, name: str | None) -> None:
    key = object_key(prefix, path, name)
    assert len(key.encode()) <= MAX_KEY
    assert unicodedata.normalize("NFC", key) == key
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in key)
    if prefix:
        assert key.startswith(prefix + "/")
    assert not {"", ".", ".."} & set(key.removeprefix(prefix + "/").split("/"))


@REPEATABLE
@given(PREFIXES, PATHS, NAMES, PATHS, NAMES)
@example("", b"\xc3", "é", "Ã".encode(), "é")
@example("", b"a%00", "n", b"a\x00", "n")
@example("", b"a%", "n", b"a%25", "n")
@example("", b"a/./b", "n", b"a/%2E/b", "n")
@example("", b"a//b", "n", b"a/%2F/b", "n")
def test_two_files_never_share_a_key(prefix: str, path: bytes, name: str, other: bytes, another: str) -> None:
    if not same_text(path, other) or name != another:
        assert object_key(prefix, path, name) != object_key(prefix, other, another)


@REPEATABLE
@given(st.lists(PIECES, max_size=4).map(b"".join))
def test_a_key_reads_back_as_the_path(path: bytes) -> None:
    key = object_key("", path, None)
    if "%7E" not in key:
        expected = unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape"))
        told = read_back(key).decode("utf-8", "surrogateescape")
        # An empty component stands as a slash of its own.
        assert re.sub("/+", "/", told).strip("/") == re.sub("/+", "/", expected).strip("/")


@REPEATABLE
@given(PATHS)
def test_what_a_shortened_key_says_is_no_other_path_s_key(path: bytes) -> None:
    key = object_key("", path * 40, "w800.webp")
    folder = key.rpartition("/")[0]
    if "%7E" in key:
        assert object_key("", folder.encode(), "w800.webp") != key


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"trip/IMG_1.jpg", "p/trip/IMG_1.jpg/w800.webp"),
        (b"100% real +plus & more?.jpg", "p/100% real +plus & more?.jpg/w800.webp"),
        (b"50%41.jpg", "p/50%2541.jpg/w800.webp"),
        ("e\u0301te\u0301.jpg".encode(), "p/été.jpg/w800.webp"),
        (b"caf\xe9.jpg", "p/caf%E9.jpg/w800.webp"),
        (b"a\nb", "p/a%0Ab/w800.webp"),
        (b"../../etc", "p/%2E%2E/%2E%2E/etc/w800.webp"),
        (b"/etc", "p/%2F/etc/w800.webp"),
        (b"a//b", "p/a/%2F/b/w800.webp"),
        (b"...", "p/.../w800.webp"),
        (b"", "p/%2F/w800.webp"),
    ],
)
def test_a_path_becomes_a_key(path: bytes, key: str) -> None:
    assert object_key("p", path, "w800.webp") == key


def test_without_a_name_the_path_is_the_key() -> None:
    assert object_key("p", b"film.mp4") == "p/film.mp4"
    assert object_key("", b"film.mp4") == "film.mp4"


def test_what_belongs_to_a_long_path_stays_together_and_keeps_its_names() -> None:
    path = b"d/" * 600 + b"IMG.jpg"
    one, other = object_key("p", path, "w800.webp"), object_key("p", path, "w1600.webp")
    assert one.endswith("/w800.webp")
    assert other.endswith("/w1600.webp")
    assert one.rpartition("/")[0][:900] == other.rpartition("/")[0][:900]
    assert one.rpartition("/")[0] != object_key("p", path + b"2", "w800.webp").rpartition("/")[0]


def test_a_long_name_is_cut_and_keeps_its_extension() -> None:
    key = object_key("p", b"d/" * 600, "x" * 400 + ".webp")
    assert key.endswith(".webp")
    assert len(key.encode()) <= MAX_KEY
    assert key != object_key("p", b"d/" * 600, "x" * 401 + ".webp")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://my.bucket-1/a/b/", ("my.bucket-1", "a/b")),
        ("s3://bucket/e\u0301t\u00e9 1", ("bucket", "ét\u00e9 1")),
    ],
)
def test_a_url_is_a_bucket_and_a_prefix(url: str, place: tuple[str, str]) -> None:
    assert parse(url) == place


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("bucket/prefix", "not of the form s3://"),
        ("", "not of the form s3://"),
        ("https://bucket.s3.amazonaws.com/p", "--endpoint-url"),
        ("s3://", "no bucket"),
        ("s3:///prefix", "no bucket"),
        ("s3://b/p", "invalid bucket name"),
        ("s3://my bucket/p", "invalid bucket name"),
        ("s3://bu..cket/p", "invalid bucket name"),
        ("s3://-bucket/p", "invalid bucket name"),
        ("s3://key:secret@bucket/p", "logins, "),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/p", "access points and ARNs are not supported"),
        ("s3://localhost:9000/bucket", "--endpoint-url"),
        ("s3://fast--euc1-az1--x-s3/p", "directory buckets"),
        ("s3://bucket/p?versionId=1", "? is not supported"),
        ("s3://bucket/p#1", "# is not supported"),
        ("s3://bucket/a//b", "empty part"),
        ("s3://bucket/../b", ".."),
        ("s3://bucket/./b", "empty part, . or .."),
        ("s3://bucket/a\nb", "control characters"),
        ("s3://bucket/a\udcff", "not UTF-8"),
        ("s3://bucket/" + "p" * 513, "longer than 512 bytes"),
    ],
)
def test_what_is_no_place_is_refused_with_the_reason(url: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()
