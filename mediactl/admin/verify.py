"""verify: compare outputs and objects, byte for byte, with what the journal calls done."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

import msgspec

from mediactl.admin.edit import opened
from mediactl.assets import document
from mediactl.core import files
from mediactl.core.files import shown
from mediactl.core.threads import in_order
from mediactl.jobs import report as journal_report
from mediactl.jobs.report import Published
from mediactl.jobs.uploads import Remembered
from mediactl.model.media import Kind
from mediactl.model.uploads import Location, UploadStatus
from mediactl.pipeline.publish import object_digest
from mediactl.planning.keys import effective_kind
from mediactl.upload.store import StoreError

Marks = tuple[int, int]
"""Device and inode: names that are links of one file are read once."""


class Finding(msgspec.Struct, frozen=True):
    """A file or object that differs from the journal; the fields of a line of ``verify --json``."""

    what: str
    """"file", "object" or "journal"."""
    name: str
    """Path in OUT, URL, or whatever violates an invariant."""
    problem: str
    """"missing" or "wrong"; the invariant (``Rule``) of a journal."""
    reason: str


class Verified(msgspec.Struct):
    """What was checked, and what has to be rebuilt or sent again."""

    files: int = 0
    objects: int = 0
    findings: int = 0
    violated: int = 0
    """Invariants of the journal that do not hold; no repair helps there."""
    distrusted: dict[int, list[str]] = {}
    """Source -> names of its missing or invalid artefacts."""
    in_bucket: int = 0
    """Sources of which no output is expected in OUT."""
    lost: list[Remembered] = []
    unverified: list[StoreError] = []
    """Errors of buckets that could not be checked."""


def local(state: str, out: bytes, threads: int, report: Callable[[Finding], None], result: Verified) -> None:
    """Hash every artefact of every done source, several in parallel, and compare asset.json with the journal."""
    digests = _Digests()

    def check(source: Published) -> list[tuple[str, str, str]]:
        return list(_check(source, os.path.join(out, source.directory), digests))

    with journal_report.read(state) as rows:
        result.in_bucket = rows.in_bucket()
        for source, wrong in in_order(threads, check, rows.published()):
            result.files += len(source.artefacts) + 1
            for name, problem, reason in wrong:
                result.findings += 1
                result.distrusted.setdefault(source.id, []).append(name)
                report(Finding("file", shown(os.path.join(source.directory, os.fsencode(name))), problem, reason))


def remote(state: str, report: Callable[[Finding], None], result: Verified) -> None:
    """Ask the buckets for every object that was uploaded."""
    from mediactl.upload.bucket_audit import Bucket, Expected

    with journal_report.read(state) as rows:
        done = [each for each in rows.uploads(live=False) if each.row.status == UploadStatus.DONE]
    groups: dict[Location, dict[str, Remembered]] = defaultdict(dict)
    for each in done:
        groups[_reached(each.row.location)][each.row.key] = each
    for location, objects in groups.items():
        expected = [
            Expected(key, each.row.file, each.row.size, each.state.etag, each.state.token, each.state.sha256)
            for key, each in objects.items()
        ]
        try:
            for found, reason in Bucket(location).spoilt(expected):
                result.findings += 1
                result.lost.append(objects[found.key])
                url = shown(f"s3://{location.bucket}/{found.key}")
                report(Finding("object", url, "wrong" if reason else "missing", reason or "not in the bucket"))
            result.objects += len(objects)
        except StoreError as error:
            result.unverified.append(error)


def pending(state: str) -> int:
    """Return the number of uploads that are still to be sent."""
    with journal_report.read(state) as rows:
        return sum(1 for _ in rows.upload_jobs())


def repair(state: str, out: bytes, result: Verified) -> int:
    """Mark what is missing or invalid to be rebuilt by the next run; return the number of sources and objects."""
    if not (result.distrusted or result.lost):
        return 0
    with opened(state) as journal, journal.transaction():
        number = sum(journal.sources.distrust(source, names) for source, names in result.distrusted.items())
        return number + journal.uploads.lost(((each, object_digest(each.task)) for each in result.lost), out)


class _Digests:
    """SHA-256 of files by name; each inode is read once, however many threads ask."""

    def __init__(self) -> None:
        self._known: dict[Marks, Future[str]] = {}
        self._lock = threading.Lock()

    def of(self, path: bytes) -> str:
        """Return the SHA-256 of a file. Raises OSError."""
        status = os.stat(path, follow_symlinks=False)
        if status.st_nlink == 1:
            return files.digest_file(path)
        mark = status.st_dev, status.st_ino
        with self._lock:
            known = self._known.get(mark)
            mine = None if known else self._known.setdefault(mark, Future())
        if known:
            return known.result()  # another thread reads it
        assert mine is not None
        try:
            mine.set_result(files.digest_file(path))
        except OSError as error:
            mine.set_exception(error)
        return mine.result()


def _check(source: Published, folder: bytes, digests: _Digests) -> Iterator[tuple[str, str, str]]:
    """Yield (name, problem, reason) of each output that differs from the journal."""
    for artefact in source.artefacts:
        path = os.path.join(folder, artefact.name.encode())
        try:
            if digests.of(path) != artefact.sha256:
                yield artefact.name, "wrong", "content differs from the journal"
        except (FileNotFoundError, ValueError):  # ValueError: a name that no file can have
            yield artefact.name, "missing", "no such file"
        except OSError as error:
            yield artefact.name, "wrong", f"cannot be read: {error.strerror}"
    name = document.NAME.decode()
    try:
        with open(os.path.join(folder, document.NAME), "rb") as file:
            content = file.read()
        if not _matches(content, source):
            yield name, "wrong", "does not match the journal"
    except FileNotFoundError:
        yield name, "missing", "no such file"
    except OSError as error:
        yield name, "wrong", f"cannot be read: {error.strerror}"


def _matches(content: bytes, source: Published) -> bool:
    """Return whether an asset.json is the one of a source, to the byte."""
    try:
        found = document.decode(content)
    except ValueError:
        return False
    written = (
        found.source.digest, found.source.kind.value, document.path_of(found), found.artefacts, found.metadata,
        document.look_of(found), found.warnings, found.srcset, found.picture, found.video,
    )  # fmt: skip
    info, look = document.with_named_tags(source.info, source.metadata), document.Appearance.parse(source.placeholder)
    kind = effective_kind(Kind(source.kind), source.info).value  # a container of videos may hold audio alone
    expected = (
        source.digest, kind, source.path, source.artefacts, info, look, source.warnings,
        *document.markup_of(source.artefacts, info, look),
    )  # fmt: skip
    return written == expected and document.encode(found) == content


def _reached(location: Location) -> Location:
    """Return a location without the options that only matter when something is sent."""
    return msgspec.structs.replace(location, checksum="auto", storage_class=None, sse=None, acl=None)


def exit_code(result: Verified, bad: int) -> int:
    """Return 0 without problems, ``bad`` with findings, else the exit code of a bucket that could not be checked."""
    codes: Iterable[int] = (error.exit_code for error in result.unverified)
    return max(codes, default=bad if result.findings or result.violated else 0)
