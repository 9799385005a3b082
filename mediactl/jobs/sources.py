"""The journal's rows of sources and their artefacts."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, starmap
from typing import Any, NamedTuple

import apsw
import msgspec

from mediactl.assets import document
from mediactl.jobs import database
from mediactl.model.assets import Artefact, AssetWarning, OutputFile, PriorArtefact, Reuse
from mediactl.model.jobs import JobResult
from mediactl.model.media import Fingerprint, Kind, MediaInfo, Source

_info = msgspec.json.Decoder(MediaInfo)
_warnings = msgspec.json.Decoder(tuple[AssetWarning | str, ...])

Outputs = tuple[tuple[bytes, int, int], ...]
"""(name, size, mtime_ns) of an asset's files, one an inode: what the quick check compares with stat."""


_SOURCE = operator.itemgetter(0, 1, 2, 3, 4, 5)


class Outcome(NamedTuple):
    """A done source and what it has."""

    path: bytes
    size: int
    kind: Kind
    digest: str
    info: MediaInfo
    had: list[PriorArtefact]


class Complete(msgspec.Struct, frozen=True, gc=False):
    """A source that needs nothing if file and outputs are unchanged. Fields in the order of the query "complete"."""

    name: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    id: int
    folder_mtime_ns: int
    outputs: bytes
    in_bucket: str
    """As in ``SourceRow``."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """What planning needs of a source seen before. Fields in the order of the query "known"."""

    id: int
    name: bytes
    root: bytes
    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    state: str
    plan: str
    folder_mtime_ns: int
    outputs: bytes | None
    kind: str
    upload_state: str
    uploaded: str
    format: str
    decoders: str
    """Of a rejected or ignored one: digest of what could have read it."""
    in_bucket: str
    """As in ``SourceRow``."""


class SourceRow(msgspec.Struct, frozen=True):
    """A source as it is in the journal."""

    id: int
    source: Source
    recipe: str
    plan: str
    state: str
    reason: str
    digest: str | None
    info: MediaInfo | None
    placeholder: str
    warnings: tuple[AssetWarning, ...]
    in_bucket: str = ""
    """Digest of the destination that has those of its artefacts that are not in OUT; "": all are, or were, in OUT."""


class Sources:
    """Sources and artefacts; changes stand inside the journal's transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._sql = database.statements()

    def known(self, folder: bytes) -> dict[bytes, Known]:
        """Return the sources whose outputs lie directly in this folder, by name."""
        return {row.name: row for row in starmap(Known, self._run("known", (folder,)))}

    def complete(
        self, folder: bytes, root: bytes, plans: Mapping[str, str], destination: str | None
    ) -> dict[bytes, Complete]:
        """Return those of them, by name, that are done for today's plan of their kind, from files in ``root``; with a
        destination, they are uploaded there, too.
        """
        bindings = (folder, root, *(plans.get(kind.value) for kind in Kind), destination)
        return {row.name: row for row in starmap(Complete, self._run("complete", bindings))}

    def known_one(self, folder: bytes, name: bytes) -> Known | None:
        """Return the one of them with this name, if there is one."""
        row = self._run("known_one", (folder, name)).fetchone()
        return None if row is None else Known(*row)

    def put(self, source: Source, recipe: str, plan: str, state: str, reason: str = "") -> int:
        """Add or replace the source of an output directory; digest, info and artefacts stay until replaced."""
        folder, name = os.path.split(source.directory)
        mark = source.fingerprint
        row = self._run(
            "put_source",
            (folder, name, source.root, source.path, mark.size, mark.mtime_ns, mark.ctime_ns, mark.inode,
             source.kind.value, source.format, recipe, plan, state, reason, ""),
        ).fetchone()  # fmt: skip
        assert row is not None
        return int(row[0])

    def put_ignored(self, source: Source, reason: str, decoders: str) -> int:
        """Remember a file that is not media, so that it is not opened again while it and the decoders stay as they are.

        ``decoders`` is a digest of them.
        """
        folder, name = os.path.split(source.directory)
        mark = source.fingerprint
        row = self._run(
            "put_source",
            (folder, name, source.root, source.path, mark.size, mark.mtime_ns, mark.ctime_ns, mark.inode,
             "none", source.format, "", "", "ignored", reason, decoders),
        ).fetchone()  # fmt: skip
        assert row is not None
        return int(row[0])

    def get(self, source: int) -> SourceRow:
        """A source by its id. Raises KeyError."""
        row = self._run("source", (source,)).fetchone()
        if row is None:
            raise KeyError(source)
        (number, folder, name, root, path, size, mtime, ctime, inode, kind, format_, recipe, plan, state, reason,
         digest, info, placeholder, warnings, in_bucket) = row  # fmt: skip
        return SourceRow(
            id=number,
            source=Source(
                root=root,
                path=path,
                directory=os.path.join(folder, name),
                fingerprint=Fingerprint(size, mtime, ctime, inode),
                kind=Kind(kind),
                format=format_,
            ),
            recipe=recipe,
            plan=plan,
            state=state,
            reason=reason,
            digest=digest,
            info=None if info is None else _info.decode(info),
            placeholder=placeholder,
            warnings=warnings_of(warnings),
            in_bucket=in_bucket,
        )

    def reason(self, source: int) -> str:
        """Return why a source is in its state; of one that is done, why its upload failed."""
        row = self._run("reason", (source,)).fetchone()
        return "" if row is None else str(row[0])

    def digest_of(self, source: int) -> str | None:
        """Return the SHA-256 of the content that a source had when it was probed; None if it was not."""
        row = self._run("source_digest", (source,)).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def set_state(self, source: int, state: str, reason: str) -> None:
        """Set a source's state; "done" is set by ``done`` alone."""
        self._run("source_state", (source, state, reason, "", ""))

    def reject(self, source: int, reason: str, decoders: str, requires: str) -> None:
        """Reject a source: ``decoders`` is a digest of what could not read it, ``requires`` the extra that could."""
        self._run("source_state", (source, "rejected", reason, decoders, requires))

    def probed(self, source: int, digest: str, info: MediaInfo, plan: str) -> None:
        """Keep what probing found, and the plan that its successor is made by."""
        self._run("source_probed", (source, digest, msgspec.json.encode(info), plan))

    def done(self, source: int, made: JobResult, plan: str, in_bucket: str = "") -> None:
        """Everything that ``made`` names is durable: the source is done, for this plan.

        ``in_bucket``: as in ``SourceRow``; what has no mtime is there.
        """
        self._run("clear_artefacts", (source,))
        self.put_artefacts(source, made.files)
        self._run(
            "source_done",
            (source, made.placeholder, msgspec.json.encode(made.warnings).decode(), made.folder_mtime_ns,
             msgspec.msgpack.encode(quick_check(made.files)), plan, in_bucket),
        )  # fmt: skip

    def put_artefacts(self, source: int, files: Iterable[OutputFile]) -> None:
        """Add artefacts of a source that has none."""
        self._connection.executemany(
            self._sql["put_artefact"],
            (
                (source, number, a.name, a.role, a.media_type, a.bytes, a.sha256, a.key, a.width, a.height, a.duration,
                 file.mtime_ns, file.inode, file.similarity)
                for number, file in enumerate(files)
                for a in (file.artefact,)
            ),
        )  # fmt: skip

    def artefacts(self, source: int) -> tuple[OutputFile, ...]:
        """The artefacts of a source as they were published."""
        return tuple(OutputFile(_artefact(row[:9]), *row[9:]) for row in self._run("artefacts", (source,)).fetchall())

    def measured_artefacts(
        self, plans: Mapping[str, str], source: int | None = None
    ) -> Iterator[tuple[bytes, str, str, int, float | None]]:
        """Yield path, name, role, bytes and similarity of the artefacts of done sources whose plan is that of their
        kind: of all, or of one."""
        wanted = msgspec.json.encode(plans).decode()
        if source is None:
            yield from self._run("measured_artefacts", (wanted,))
        else:
            yield from self._run("measured_artefacts_of", (wanted, source))

    def outcomes(self, of: Iterable[int] | None = None) -> Iterator[Outcome]:
        """What was made of done sources: of all, or of those with these ids, in their order."""
        rows = (
            self._run("outcomes", ())
            if of is None
            else self._run("outcomes_of", (msgspec.json.encode(list(of)).decode(),))
        )
        for (_, path, size, kind, digest, info), group in groupby(rows, _SOURCE):
            decoded = _info.decode(info)
            yield Outcome(path, size, Kind(kind), digest, decoded, [PriorArtefact._make(row[6:]) for row in group])

    def twins(self, source: int, digest: str, out: bytes) -> tuple[Reuse, ...]:
        """Artefacts of other sources with the same content."""
        return tuple(
            Reuse(
                row[5],
                os.path.join(out, row[9], row[10], row[0].encode()),
                _artefact(row[:9]),
                tuple(each.text for each in warnings_of(row[11]) if each.keys is None or row[5] in each.keys),
            )
            for row in self._run("twins", (digest, source)).fetchall()
        )

    def adopt(self, directory: bytes, adopted: document.Asset) -> None:
        """Enter the content of an asset.json; the source is probed and its files are hashed before they are trusted."""
        folder, name = os.path.split(directory)
        source = adopted.source
        # Probing reads it again, should the recipe of today name it.
        tags = {name: tag for name, tag in adopted.metadata.tags.items() if name != "place"}
        info = msgspec.structs.replace(adopted.metadata, tags=tags)
        row = self._run(
            "adopt_source",
            (folder, name, document.path_of(adopted), source.bytes, source.kind.value, source.digest,
             msgspec.json.encode(info), document.look_of(adopted).text(),
             msgspec.json.encode(adopted.warnings).decode()),
        ).fetchone()  # fmt: skip
        if row is not None:
            self.put_artefacts(row[0], (OutputFile(artefact, 0, 0) for artefact in adopted.artefacts))

    def distrust(self, source: int, names: Iterable[str]) -> bool:
        """Have the next run check a done source's outputs, and hash those of these names before it believes them;
        False: it is not done any more."""
        self._run("distrust_source", (source,))
        changed = self._connection.changes() == 1
        if changed:
            self._connection.executemany(self._sql["distrust_artefact"], ((source, name) for name in names))
        return changed

    def has_live_job(self, source: int, but: int = 0) -> bool:
        """Whether a job of this source is pending or running, uploads and the job ``but`` aside."""
        return bool(self._run("live_job", (source, but)).fetchone()[0])

    def supersede(self, source: int) -> None:
        """Supersede all pending jobs of a source that is planned again."""
        self._run("supersede", (source,))

    def has_live_piece(self, source: int, plan: str, cut: str) -> bool:
        """Return whether a piece of this video, cut like this for this plan, is ready or running."""
        return bool(self._run("live_pieces", (source, plan, cut)).fetchone()[0])

    def cancel_pieces(self, source: int, reason: str, plan: str | None = None, cut: str | None = None) -> None:
        """Cancel the ready pieces of a video: all of them, or those of one plan and cut."""
        self._run("cancel_pieces", (source, reason, plan, cut))

    def unfinished(self) -> set[str]:
        """Digests of sources that are not done, and may be again."""
        return {row[0] for row in self._run("unfinished_digests", ())}

    def mark_mine(self, sources: Iterable[int]) -> int:
        """Remember, for this run only, that these sources are among those it was asked for; how many are so now."""
        before = self._connection.total_changes()
        self._connection.executemany(self._sql["put_mine"], ((source,) for source in sources))
        return self._connection.total_changes() - before

    def is_mine(self, source: int) -> bool:
        """Return whether a source is among those that this run was asked for."""
        return bool(self._run("is_mine", (source,)).fetchone()[0])

    def pending_remote(self) -> Iterator[tuple[int, Source]]:
        """Yield the objects of buckets of which something is still to be made; nothing of them but what they are."""
        for number, root, path, size, mark in self._run("pending_remote", ()).fetchall():
            yield number, Source(root, path, b"", Fingerprint(size, mark, 0, 0), Kind.IMAGE, "")

    def mark_met(self, sources: Iterable[int]) -> None:
        """Remember, for this run only, that these sources were found, with nothing to be done for them."""
        self._connection.executemany(self._sql["put_met"], ((source,) for source in sources))

    def met(self) -> dict[str, int]:
        """State -> number, of the sources that were found and are not this run's."""
        return database.counts(self._run("met", ()))

    def mine(self, *, uploads: bool = False) -> dict[str, int]:
        """State -> number, of the sources marked as this run's; with ``uploads``, done means uploaded, too."""
        return database.counts(self._run("mine", (int(uploads),)))

    def any_pending(self, *, uploads: bool = False) -> bool:
        """Whether a source of this run is not final yet."""
        return bool(self._run("mine_pending", (int(uploads),)).fetchone()[0])

    def upload_state(self, source: int, state: str, destination: str) -> None:
        """Set how the upload of a source to a destination (its digest) stands."""
        self._run("source_upload", (source, state, destination))

    def upload_pending(self, source: int, destination: str) -> bool:
        """Whether a source is still to be uploaded there."""
        return bool(self._run("upload_pending", (source, destination)).fetchone())

    def has_live_upload(self, source: int) -> bool:
        """Whether an upload of this source waits or runs."""
        return bool(self._run("live_upload", (source,)).fetchone()[0])

    def cancel_uploads(self, source: int) -> None:
        """Cancel the pending uploads of a source."""
        self._run("cancel_uploads", (source,))

    def uploads_waiting(self, destination: str) -> tuple[int, int]:
        """Objects pending for a destination, each asset.json that comes after them included; their bytes,
        as far as they are known."""
        objects, size, later = self._run("uploads_waiting", (destination,)).fetchone()
        return objects + later, size

    def found_in(self, root: bytes) -> tuple[bytes, int]:
        """Return the mount point that a directory was on (b"" if unknown), and how many sources were found in it."""
        mount, number = self._run("root", (root,)).fetchone()
        return mount or b"", number

    def mount_of(self, root: bytes) -> bytes | None:
        """Return the mount point that a directory was on; None: it was never found."""
        mount: bytes | None = self._run("mount_of_root", (root,)).get
        return mount

    def put_mount(self, root: bytes, mount: bytes) -> None:
        """Remember the mount point that a directory is on."""
        self._run("put_root", (root, mount))

    def put_recipe(self, digest: str, content: str) -> None:
        """Keep a recipe's content, so that whoever settles a job can plan its successors."""
        self._run("put_recipe", (digest, content))

    def recipe(self, digest: str) -> str | None:
        """JSON of a recipe seen before."""
        row = self._run("recipe", (digest,)).fetchone()
        return None if row is None else str(row[0])

    def _run(self, name: str, bindings: tuple[Any, ...]) -> Any:
        """The cursor of a named statement; its columns are typed by the schema, not by apsw."""
        return self._connection.execute(self._sql[name], bindings)


def quick_check(files: Iterable[OutputFile]) -> Outputs:
    """One entry an inode of what is in OUT: names that are hard links of one file change together."""
    seen: dict[int, tuple[bytes, int, int]] = {}
    for file in files:
        if not file.mtime_ns:
            continue  # in the bucket
        seen.setdefault(file.inode, (file.artefact.name.encode(), file.artefact.bytes, file.mtime_ns))
    return tuple(seen.values())


def warnings_of(column: str) -> tuple[AssetWarning, ...]:
    """Return the warnings of a row; a mere text, of which it is not known what it is about, came from an asset.json or
    an earlier version."""
    found = _warnings.decode(column)
    return tuple(AssetWarning(each, None) if isinstance(each, str) else each for each in found)


def _artefact(row: tuple[Any, ...]) -> Artefact:
    name, role, media_type, size, sha256, key, width, height, duration = row
    return Artefact(name, role, media_type, size, sha256, key, width, height, duration)
