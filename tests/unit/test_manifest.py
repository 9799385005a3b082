"""Manifests: bad rows are told with their line, the rest goes on."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.model.jobs import Priority
from mediactl.sources import manifest, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest's folder with two files, and one beside it."""
    root = tmp_path / "list"
    for name in ("list/a.jpg", "list/sub/b c.jpg", "outside.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return root


def walk(path: bytes, prefix: bytes) -> Iterator[scan.Found]:
    """Walk a directory that a row names, as runs do."""
    return scan.folder(path, prefix=prefix, never=frozenset(), follow=False)


def rows(folder: Path, content: bytes | str, name: str = "m.jsonl", *, outside: bool = False) -> list[str]:
    """What a manifest gives: "place" of each file, "!line: message" of each bad row."""
    content = content.encode() if isinstance(content, str) else content
    told = []
    for each in manifest.read(
        io.BytesIO(content), name.encode(), os.fsencode(folder), allow_outside=outside, walk=walk
    ):
        if isinstance(each, scan.Trouble):
            assert "\n" not in each.message
            told.append(f"!{os.fsdecode(each.name).removeprefix(name)}: {each.message}")
        else:
            assert isinstance(each, scan.Batch)
            told += [os.fsdecode(each.output_of(file)) for file in each.files]
    return told


def first(folder: Path, **fields: object) -> scan.Batch:
    """The batch of a manifest of one good row."""
    (each,) = manifest.read(
        io.BytesIO(json.dumps(fields).encode()), b"-", os.fsencode(folder), allow_outside=True, walk=walk
    )
    assert isinstance(each, scan.Batch), each
    return each


def test_lines_of_json_name_files_relative_to_their_folder(folder: Path) -> None:
    content = '{"path": "a.jpg"}\n\n  \n{"path": "./sub/../sub/b c.jpg"}\r\n'
    assert rows(folder, content) == ["a.jpg", "sub/b c.jpg"]


def test_a_row_that_names_a_directory_stands_for_what_is_in_it(folder: Path) -> None:
    assert rows(folder, ".\nsub\nsub/\n./sub/b c.jpg\n", "m.txt") == ["a.jpg", *["sub/b c.jpg"] * 4]
    assert rows(folder, '{"path": "sub", "name": "x/y"}') == ["x/y/b c.jpg"]
    found = first(folder, path="sub", priority="urgent", recipe="thumbnails")
    assert (found.priority, found.recipe) == (Priority.URGENT, "thumbnails")


def test_csv_names_its_columns_and_may_leave_cells_empty(folder: Path) -> None:
    content = '\ufeffpriority,path,name\n,a.jpg,\nhigh,"sub/b c.jpg","x ""y""/z.jpg"\n'
    assert rows(folder, content, "m.csv") == ["a.jpg", 'x "y"/z.jpg']


def test_plain_text_has_a_path_a_line_whatever_the_line_ends_are(folder: Path) -> None:
    assert rows(folder, "a.jpg\r\nsub/b c.jpg\n\na.jpg", "m.txt") == ["a.jpg", "sub/b c.jpg", "a.jpg"]


def test_zero_bytes_between_paths_let_them_hold_line_breaks(folder: Path) -> None:
    (folder / "two\nlines.jpg").touch()
    assert rows(folder, "a.jpg\0two\nlines.jpg\0", "-") == ["a.jpg", "two\nlines.jpg"]


def test_standard_input_is_json_or_paths_by_its_first_character(folder: Path) -> None:
    assert rows(folder, '\n {"path": "a.jpg"}\n', "-") == ["a.jpg"]
    assert rows(folder, "a.jpg\n", "-") == ["a.jpg"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0\0"])
@pytest.mark.parametrize("name", ["m.jsonl", "m.txt", "-"])
def test_an_empty_manifest_names_nothing(folder: Path, content: bytes, name: str) -> None:
    assert rows(folder, content.replace(b"\0", b"\n") if name == "m.jsonl" else content, name) == []


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("nonsense", ["not a valid row"]),
        ("[1]", ["not a valid row", "Expected `object`"]),
        ("{}", ["not a valid row", "missing required field `path`"]),
        ('{"path": 3}', ["Expected `str`, got `int`", "$.path"]),
        ('{"path": "a.jpg", "prio": "high"}', ["unknown field `prio`"]),
        ('{"path": "a.jpg", "priority": "asap"}', ["'asap'", "urgent, high, normal, low, backfill"]),
        ('{"path": "a.jpg", "recipe": "wbe"}', ["'wbe'", "did you mean 'web'?"]),
        ('{"path": "a.jpg", "recipe": "a\\u0000"}', ["cannot be read"]),
        ('{"path": "none.jpg"}', ["none.jpg: no such file"]),
        ('{"path": ""}', ["must not be empty"]),
        ('{"path": "../outside.jpg"}', ["outside the manifest's directory", "--allow-outside"]),
        ('{"path": "/etc/passwd"}', ["outside the manifest's directory"]),
        ('{"path": "link.jpg"}', ["outside the manifest's directory"]),
        ('{"path": "a.jpg", "name": "../x"}', ["relative path without '..'"]),
        ('{"path": "a.jpg", "name": "/x"}', ["relative path"]),
        ('{"path": "a.jpg", "name": "x//y"}', ["relative path"]),
        ('{"path": "a.jpg", "name": "x/.mediactl"}', ["not hidden"]),
        ('{"path": "a.jpg", "name": ""}', ["relative path"]),
        ('{"path": "a.jpg", "name": "x\\u0000y"}', ["x\\x00y: "]),
        ('{"path": "a\\u0000.jpg"}', ["a\\x00.jpg: "]),
        ('{"path": "\\ud800.jpg"}', ["\\ud800.jpg: "]),
        ('{"path": "a.jpg", "name": "\\ud800"}', ["\\ud800"]),
        ("[" * 100_000, ["not a valid row"]),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_the_rest_goes_on(folder: Path, row: str, parts: list[str]) -> None:
    (folder / "link.jpg").symlink_to("../outside.jpg")
    before, told, after = rows(folder, '{"path": "a.jpg"}\n' + row + '\n{"path": "sub/b c.jpg"}\n')
    assert (before, after) == ("a.jpg", "sub/b c.jpg")
    assert told.startswith("! line 2: ")
    assert all(part in told for part in parts), told


def test_a_bad_csv_row_is_told_with_its_line_and_the_rest_goes_on(folder: Path) -> None:
    content = 'path,priority\na.jpg,high,extra\n"no such\n.jpg",\nsub/b c.jpg,\n'
    told = rows(folder, content, "m.csv")
    assert told[0] == "! line 2: not a valid row: more cells than columns"
    assert told[1].startswith("! line 4: ")
    assert told[1].endswith("/no such\\n.jpg: no such file or folder")
    assert told[2] == "sub/b c.jpg"


@pytest.mark.parametrize("content", ["file,priority\na.jpg,high\n", "", "a.jpg\n"])
def test_a_csv_without_paths_is_told_at_its_first_line(folder: Path, content: str) -> None:
    assert rows(folder, content, "m.csv") == ["! line 1: has no column 'path' in its first line"]


def test_a_torn_csv_is_told_where_it_is_torn(folder: Path) -> None:
    told = rows(folder, 'path\na.jpg\n"torn\n', "m.csv")
    assert told[0] == "a.jpg"
    assert told[1].startswith("! line 2: not valid CSV")


def test_paths_outside_are_let_in_when_that_was_asked_for(folder: Path) -> None:
    told = rows(folder, '{"path": "../outside.jpg"}', outside=True)
    assert told == [os.fspath(folder.parent / "outside.jpg").lstrip("/")]


def test_a_link_that_stays_inside_is_followed(folder: Path) -> None:
    (folder / "link.jpg").symlink_to("a.jpg")
    batch = first(folder, path="link.jpg")
    assert (batch.files[0].name, batch.rename) == (b"a.jpg", b"link.jpg")


def test_priority_recipe_and_name_are_the_rows_own(folder: Path) -> None:
    plain = first(folder, path="a.jpg")
    assert (plain.priority, plain.recipe, plain.directory, plain.rename) == (None, None, b"", None)
    chosen = first(folder, path="a.jpg", priority="Backfill", recipe="thumbnails", name="by/id/7")
    assert (chosen.priority, chosen.recipe) == (Priority.BACKFILL, "thumbnails")
    assert (chosen.directory, chosen.rename, chosen.files) == (b"by/id", b"7", plain.files)


def test_undecodable_names_travel_as_lone_surrogates_or_as_bytes(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).touch()
    for content, name in (
        ('{"path": "caf\\udce9.jpg"}', "m.jsonl"),
        (b"path\ncaf\xe9.jpg\n", "m.csv"),
        (b"caf\xe9.jpg\n", "m.txt"),
        (b"caf\xe9.jpg\0", "-"),
    ):
        assert rows(folder, content, name) == ["caf\udce9.jpg"], name


@REPEATABLE
@given(st.binary(max_size=200), st.sampled_from(["m.jsonl", "m.csv", "m.txt", "-"]))
def test_any_bytes_are_read_to_the_end_without_harm(content: bytes, name: str) -> None:
    found = rows(Path("/no/such/folder"), content, name)
    assert all(each.startswith("! line ") for each in found)


@REPEATABLE
@given(st.lists(st.binary(max_size=9), max_size=9).map(b"\0".join), st.integers(1, 5))
def test_names_are_split_wherever_a_chunk_ends(content: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "CHUNK", chunk)
        assert list(manifest._zero_terminated(io.BytesIO(content))) == content.split(b"\0")
