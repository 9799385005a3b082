"""One file that a scan found, as a source: what it is by its first bytes, and whether the journal knows it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from mediactl.core.files import LONGEST_NAME, LONGEST_OUTPUT_FOLDER, LONGEST_PATH, digest_file, shown
from mediactl.jobs.sources import Known
from mediactl.model.events import Reason, SourceLeftOut
from mediactl.model.media import REMOTE, UNREADABLE, Kind, Source
from mediactl.sources import scan, sniff


def read(batch: scan.Batch, entry: scan.Entry, *, links: bool) -> tuple[Source, str | None]:
    """Return a file as a source, by its first bytes, and why it is ignored if it is none.

    Links are followed only with ``links``: what is one now was none when it was found.
    """
    source = Source(
        root=batch.root,
        path=os.path.join(batch.folder, entry.name),
        directory=batch.output_of(entry),
        fingerprint=entry.fingerprint,
        kind=Kind.IMAGE,
        format="unknown",
    )
    if source.is_remote:  # what it is, its first bytes will say
        guess = sniff.sniff(b"", entry.name)
        source = msgspec.structs.replace(
            source, kind=guess[0] if guess else Kind.IMAGE, format=guess[1] if guess else ""
        )
        return source, None if entry.size else "empty file"
    try:
        head = sniff.head(source.root, source.path, links=links)
    except OSError:
        found = sniff.sniff(b"", entry.name) or (Kind.IMAGE, "unknown")
        return msgspec.structs.replace(source, kind=found[0], format=UNREADABLE), None  # its probe says why
    named = sniff.sniff(head, entry.name)
    if named is None:
        return source, "empty file" if not head else sniff.NO_MEDIA
    return msgspec.structs.replace(source, kind=named[0], format=named[1]), None


def is_unchanged(row: Known, root: bytes, entry: scan.Entry) -> bool:
    """Return whether a file is the one in the journal, unchanged."""
    return (
        row.mtime_ns == entry.mtime_ns
        and row.size == entry.size
        and row.ctime_ns == entry.ctime_ns
        and row.inode == entry.inode
        and row.root == root
    )


def collision(row: Known, batch: scan.Batch, entry: scan.Entry) -> str | None:
    """Return why a file is not taken: it would overwrite the outputs of another one, which is still there."""
    here = batch.path_of(entry)
    there = os.path.join(row.root, row.path)
    if not row.root or os.path.normpath(here) == os.path.normpath(there):
        return None
    if not row.root.startswith(REMOTE) and not os.path.lexists(there):
        return None
    return (
        f"{shown(here)} and {shown(there)} would both be written to {shown(batch.output_of(entry))};"
        " give each an --out of its own, or use --keep-root to put each folder's own name in front"
    )


def is_copy(digest: str | None, row: Known, batch: scan.Batch, entry: scan.Entry) -> bool:
    """Return whether a file has the content that the outputs of another one are made from: its SHA-256, if it is known.

    Reads the whole file when its size is the same.
    """
    if entry.fingerprint.size != row.size:
        return False
    try:
        return digest_file(batch.path_of(entry)) == (digest or digest_file(os.path.join(row.root, row.path)))
    except OSError:
        return False


def without_long_paths(batch: scan.Batch, out: bytes) -> tuple[list[scan.Entry], list[scan.Trouble]]:
    """Return the files of a batch whose outputs have paths that Linux takes, and why the others are not taken."""
    room = LONGEST_OUTPUT_FOLDER - len(out) - len(batch.directory) - 2
    if room >= LONGEST_NAME:
        return batch.files, []
    reason = f"paths of its outputs would be longer than {LONGEST_PATH:,} bytes: use a shorter --out"
    fitting = [entry for entry in batch.files if len(batch.output_name(entry)) <= room]
    others = [entry for entry in batch.files if len(batch.output_name(entry)) > room]
    return fitting, [scan.Trouble(batch.path_of(entry), reason) for entry in others]


def difference(before: str, plan: str) -> Reason:
    """Return why a source needs another plan: its recipe's part differs, or only that of the encoders' versions."""
    return Reason.ENCODER_CHANGED if before.partition(":")[0] == plan.partition(":")[0] else Reason.RECIPE_CHANGED


def left_out_events(found: scan.LeftOut) -> Iterator[SourceLeftOut]:
    """Yield an event for each file and directory that is left out."""
    above = shown(os.path.join(found.folder, b"")) if found.folder else ""
    for name, rule in found.names:
        yield SourceLeftOut(path=above + shown(name), reason=rule.by, rule=rule.text)
