"""Manifests: lists of sources in a file (.jsonl, .csv, .txt) or on standard input."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.faults import internal_error
from mediactl.core.files import LONGEST_NAME, shown
from mediactl.model.jobs import Priority
from mediactl.recipe import loader
from mediactl.sources import scan

DIRECTORIES = 4096
"""Directories whose real paths are kept: the rows of a manifest are in few, and one after the other."""
EXTENSIONS = (b".jsonl", b".csv", b".txt")
CHUNK = 1 << 16
"""Bytes that are read at once."""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One source of a manifest; ``name`` is where its outputs go, relative to OUT."""

    path: str
    priority: str | None = None
    recipe: str | None = None
    name: str | None = None


Walk = Callable[[bytes, bytes], Iterator[scan.Found]]
"""Yields what is in a directory, given its absolute path and the directory under OUT of its outputs."""


def read(file: IO[bytes], origin: bytes, root: bytes, *, allow_outside: bool, walk: Walk) -> Iterator[scan.Found]:
    """Batches of one file each, or of a directory that a row names, in the order of rows; a bad row is a Trouble that
    names its line.

    ``file`` is at its start and can be read twice; it is closed at the end. Paths are relative to ``root``, the
    manifest's own directory; those that lie outside of it are refused unless ``allow_outside``. Raises UsageError
    where the file cannot be read.
    """
    real_root = os.path.realpath(root)
    real_directory = lru_cache(DIRECTORIES)(os.path.realpath)
    recipes: set[str] = set()
    for number, row in _readable(file, origin):
        label = origin + b" line %d" % number
        if isinstance(row, str):
            yield scan.Trouble(label, row)
            continue
        try:
            if row.recipe is not None and row.recipe not in recipes:
                loader.load(row.recipe)
                recipes.add(row.recipe)
            yield from _found(row, root, real_root, real_directory, allow_outside, walk)
        except UsageError as error:
            yield scan.Trouble(label, str(error))
        except Exception as error:  # noqa: BLE001 - the other rows are none of its business
            yield scan.Trouble(label, internal_error(error))


def _found(
    row: Row, root: bytes, real_root: bytes, real_directory: Callable[[bytes], bytes], allow_outside: bool, walk: Walk
) -> Iterator[scan.Found]:
    path = _name(row.path)
    if not path:
        raise UsageError("path: must not be empty")
    absolute = os.path.normpath(os.path.join(root, path))
    above, last = os.path.split(absolute)
    real = os.path.join(real_directory(above), last)
    if os.path.islink(real):
        real = os.path.realpath(real)
    inside = real == real_root or real.startswith(real_root.rstrip(b"/") + b"/")
    if not inside and not allow_outside:
        raise UsageError(f"{shown(path)}: outside the manifest's directory; --allow-outside lets it in")
    if row.name is not None:
        output = output_path(_name(row.name))
    else:
        output = os.path.relpath(absolute, root)
        if output.startswith(b"../"):
            output = absolute.lstrip(b"/")
    priority = None
    if row.priority is not None:
        try:
            priority = Priority[row.priority.upper()]
        except KeyError:
            known = ", ".join(each.name.lower() for each in Priority)
            raise UsageError(f"unknown priority {shown(row.priority)!r}; known: {known}") from None
    if not os.path.isdir(real):
        yield scan.explicit(absolute, output, real=real, priority=priority, recipe=row.recipe)
        return
    for found in walk(real, b"" if output == b"." else output):
        match found:
            case scan.Batch():
                yield msgspec.structs.replace(found, priority=priority, recipe=row.recipe)
            case _:
                yield found


def output_path(name: bytes) -> bytes:
    """Return the name of a directory of outputs, relative to OUT, as it was given. Raises UsageError."""
    if name.startswith(b"/") or not _safe(name):
        raise UsageError(f"name {shown(name)!r}: must be a relative path without '..' and not hidden")
    if any(len(part) > LONGEST_NAME for part in name.split(b"/")):
        raise UsageError(f"name {shown(name)!r}: has a part of more than {LONGEST_NAME} bytes")
    return name


def _name(text: str) -> bytes:
    try:
        name = os.fsencode(text)
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        name = b"\0"
    if b"\0" in name:
        raise UsageError(f"{shown(text)}: no file can have this name")
    return name


def _safe(output: bytes) -> bool:
    return all(part and not part.startswith(b".") for part in output.split(b"/"))


def _readable(file: IO[bytes], origin: bytes) -> Iterator[tuple[int, Row | str]]:
    try:
        with file:
            yield from _rows(file, origin)
    except OSError as error:
        raise UsageError(f"manifest {shown(origin)}: cannot be read: {error.strerror or error}") from None


def _rows(file: IO[bytes], origin: bytes) -> Iterator[tuple[int, Row | str]]:
    if origin.endswith(b".csv"):
        yield from _csv(file)
    elif origin.endswith(b".jsonl") or (origin == b"-" and _begins_with_brace(file)):
        yield from _jsonl(file)
    else:
        for number, name in enumerate(_zero_terminated(file) if _has_zero(file) else _lines(file), 1):
            if name:
                yield number, Row(os.fsdecode(name))


def _begins_with_brace(file: IO[bytes]) -> bool:
    found = next((line.lstrip()[:1] for line in file if line.strip()), b"")
    file.seek(0)
    return found == b"{"


def _has_zero(file: IO[bytes]) -> bool:
    """Return whether names end with a zero byte: ``find -print0`` may name anything."""
    found = any(b"\0" in chunk for chunk in iter(lambda: file.read(CHUNK), b""))
    file.seek(0)
    return found


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    for line in file:
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def _zero_terminated(file: IO[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    for chunk in iter(lambda: file.read(CHUNK), b""):
        first, *others = chunk.split(b"\0")
        begun.append(first)
        for name in others:
            yield b"".join(begun)
            begun = [name]
    yield b"".join(begun)


def _jsonl(file: IO[bytes]) -> Iterator[tuple[int, Row | str]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                # The standard library's decoder, for it takes the lone surrogates that stand for undecodable bytes.
                yield number, msgspec.convert(json.loads(line), Row)
            except (ValueError, RecursionError) as error:
                yield number, f"not a valid row: {_one_line(error)}"


def _csv(file: IO[bytes]) -> Iterator[tuple[int, Row | str]]:
    import csv  # 2 ms, and most runs read no manifest

    reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline=""), strict=True)
    try:
        if "path" not in (reader.fieldnames or ()):
            yield 1, "has no column 'path' in its first line"
            return
        for cells in reader:
            values = {key: value for key, value in cells.items() if value not in (None, "")}
            try:
                if None in cells:
                    raise ValueError("more cells than columns")
                yield reader.line_num, msgspec.convert(values, Row)
            except ValueError as error:
                yield reader.line_num, f"not a valid row: {_one_line(error)}"
    except csv.Error as error:
        yield reader.line_num, f"not valid CSV: {_one_line(error)}; the rest is not read"


def _one_line(error: Exception) -> str:
    return shown(str(error))
