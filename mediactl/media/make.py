"""Making an asset: what is missing is made, what is there is checked, asset.json is written last.

Order of the steps, each safe to be killed after: everything is written and verified under temporary names; all of it is
forced to disk; then it is renamed, asset.json last; then the folder is forced to disk. Only then is the answer sent
that lets the journal say "done". Forcing all before the first rename, not each before its own, lets a journaling file
system do it in one or two commits.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter

import msgspec

from mediactl.assets import document, warnings
from mediactl.core import files
from mediactl.core.errors import JobFailed, OutputForbidden
from mediactl.core.files import shown
from mediactl.core.sandbox.workspace import Workspace
from mediactl.media import decode, decoding, room
from mediactl.media.decoding import PREFIX, Decoder
from mediactl.media.drafts import Draft, Drafts, Report
from mediactl.media.opening import check_unchanged, open_source
from mediactl.media.unfinished import Kept
from mediactl.model.assets import Artefact, Operation, OutputFile, Reuse, Target, made_by
from mediactl.model.jobs import JobResult, MakeTask
from mediactl.outputs.poster import PosterParams


def make(
    task: MakeTask, reuse: tuple[Reuse, ...], token: bytes, report: Report, decoder: Decoder | None = None
) -> JobResult:
    """Complete an asset. Raises RejectedInput, SourceChanged, JobFailed, and OSError on writing."""
    fd = open_source(task.source)
    try:
        folder = _Folder(task, token)
        try:
            with decode.given(decoder) as decoder_:
                return _make(fd, task, reuse, folder, decoder_, report)
        finally:
            folder.clean()
    finally:
        os.close(fd)


def _make(
    fd: int, task: MakeTask, reuse: tuple[Reuse, ...], folder: _Folder, decoder: Decoder, report: Report
) -> JobResult:
    there = _check_kept(task, folder)
    elsewhere = {file.artefact.name: file for file in task.elsewhere if file.artefact.name not in there}
    kept = frozenset((*there, *elsewhere))
    about = {
        file.artefact.key: warnings.about(file.artefact.key, task.warnings)
        for file in (*there.values(), *elsewhere.values())
    }
    for target in task.targets:
        if target.name not in kept:
            _link(target, there, reuse, folder, about)
    todo = [target for target in task.targets if target.name not in there and target.name not in elsewhere]
    room.require(task.out, todo, task.info)
    # Distinct keys once: targets of equal parameters are one file under several names.
    distinct = {target.key: target for target in reversed(todo)}
    drafts = _drafts(fd, task, tuple(distinct.values())[::-1], folder, there, decoder, report)
    check_unchanged(fd, task.source)
    written = 0
    missing = {target.name: target for target in todo}
    for draft in drafts.files:
        target = missing[draft.target.name]
        there[target.name] = folder.stage_draft(draft, target, decoder.workspace)
        about[target.key] = draft.warnings
        written += there[target.name].artefact.bytes
    for target in todo:
        if target.name not in there:
            _link(target, there, (), folder, about)  # its twin by key was just made
    _compare(fd, task, there, folder, decoder)
    left_out = {target.key for target in todo if target.name in drafts.left_out}
    placeholder = drafts.placeholder or task.placeholder or _look_of_poster(there, task, folder, decoder)
    made = {**elsewhere, **there}
    files_ = tuple(made[target.name] for target in task.targets if target.key not in left_out)
    look = document.Appearance.parse(placeholder)
    if not task.thumbhash:
        look = msgspec.structs.replace(look, placeholder="")
    found = warnings.collected(
        task.info.warnings,
        drafts.whole,
        {file.artefact.key: about[file.artefact.key] for file in files_},
        _not_smaller(task, files_),
    )
    texts = tuple(each.text for each in found)
    whole = document.build(task, tuple(file.artefact for file in files_), look, texts)
    folder.stage_asset(document.encode(whole))
    return JobResult(
        files=files_,
        made=len(files_) - len(kept),
        bytes_made=written,
        roles=Counter(file.artefact.role for file in files_ if file.artefact.name not in kept),
        placeholder=look.text(),
        warnings=found,
        folder_mtime_ns=folder.publish(),
    )


def _drafts(
    fd: int,
    task: MakeTask,
    targets: tuple[Target[Operation], ...],
    folder: _Folder,
    there: dict[str, OutputFile],
    decoder: Decoder,
    report: Report,
) -> Drafts:
    """Have the missing targets made, with what is there already to be read."""
    if targets:
        folder.prepare()  # what is forbidden, is forbidden before anything is encoded
    present = tuple(there) if targets else ()
    for name in present:
        decoder.workspace.provide(PREFIX + name, folder.current(name))
    keep = decoding.refuse
    if targets and task.work:
        unfinished = Kept(
            task.work, task.limits, folder.token, decoder.workspace, lambda: check_unchanged(fd, task.source)
        )
        unfinished.provide()
        keep = unfinished.keep
    names = tuple(target.name for target in targets)
    drafts: Drafts = decoder(decoding.Make(task, names, present), fd, report, keep)
    return drafts


def _compare(fd: int, task: MakeTask, there: dict[str, OutputFile], folder: _Folder, decoder: Decoder) -> None:
    """Measure how similar to the source those artefacts are that are to be compared and were not as yet."""
    for name in task.compared:
        file = there.get(name)
        if file is not None and file.similarity is None:
            decoder.workspace.provide(PREFIX + name, folder.current(name))
            found = decoder(decoding.Compare(task, name), fd, lambda _: None, decoding.refuse)
            there[name] = msgspec.structs.replace(file, similarity=found.similarity)


def _look_of_poster(there: dict[str, OutputFile], task: MakeTask, folder: _Folder, decoder: Decoder) -> str:
    """What a video looks like by the poster that was there already; "" when it has none."""
    for poster in made_by(task.targets, PosterParams):
        if poster.name in there:
            name = PREFIX + poster.name
            decoder.workspace.provide(name, folder.current(poster.name))
            look = decoder(decoding.Describe(name, poster.params.format), None, lambda _: None, decoding.refuse)
            return str(look)
    return ""


def _not_smaller(task: MakeTask, made: tuple[OutputFile, ...]) -> list[str]:
    """Images of the original's own size and format that take no fewer bytes: a page is better off with the original.

    Reports all that are there, not only those made now, so that every run reports the same and none tries again.
    """
    whole = (f"image/{task.source.format}", task.info.width, task.info.height)
    return [
        f"{file.artefact.name} is not smaller than the original"
        for file in made
        if (file.artefact.media_type, file.artefact.width, file.artefact.height) == whole
        and file.artefact.bytes >= task.source.fingerprint.size
    ]


def _check_kept(task: MakeTask, folder: _Folder) -> dict[str, OutputFile]:
    """Artefacts that are there as they were published; those with another stat are hashed before they are believed."""
    there: dict[str, OutputFile] = {}
    wanted = {(target.name, target.key) for target in task.targets}
    for file in task.keep:
        if (file.artefact.name, file.artefact.key) not in wanted:
            continue
        path = folder.path(file.artefact.name)
        try:
            status = os.stat(path, follow_symlinks=False)
            size, mtime_ns, _, inode = files.marks(status)
            same = (size, mtime_ns, inode) == (file.artefact.bytes, file.mtime_ns, file.inode)
            if not same and files.digest_file(path) != file.artefact.sha256:
                continue
        except OSError:
            continue
        there[file.artefact.name] = OutputFile(file.artefact, mtime_ns, inode, file.similarity)
    return there


def _link(
    target: Target[Operation],
    there: dict[str, OutputFile],
    reuse: tuple[Reuse, ...],
    folder: _Folder,
    about: dict[str, tuple[str, ...]],
) -> None:
    """Put the target there as a link of a file with the same key: of this asset, or of a twin, hashed first.

    A twin's warnings about it (``about``, by key) come with it.
    """
    for file in there.values():
        if file.artefact.key == target.key:
            there[target.name] = folder.stage_link(folder.current(file.artefact.name), file.artefact, target)
            return
    for other in reuse:
        try:
            if other.key == target.key and files.digest_file(other.file) == other.artefact.sha256:
                there[target.name] = folder.stage_link(other.file, other.artefact, target)
                about[target.key] = tuple(each.replace(other.artefact.name, target.name) for each in other.warnings)
                return
        except OSError:
            continue  # gone or unreadable: made here instead


class _Folder:
    """The folder of an asset: files are staged in it under temporary names, then published together."""

    def __init__(self, task: MakeTask, token: bytes) -> None:
        self._out = task.out
        self._directory = os.path.join(task.out, task.source.directory)
        self.token = token
        self._ready = False
        self._new_folders: list[bytes] = []
        self._staged: dict[str, bytes] = {}
        """Final name -> temporary path, in the order of publication."""
        self._unsynced: dict[int | None, bytes] = {}
        """Inode (None: asset.json) -> path: several names of one file are forced to disk once."""

    def path(self, name: str) -> bytes:
        """Where an artefact lies, or will."""
        return os.path.join(self._directory, name.encode())

    def current(self, name: str) -> bytes:
        """Where an artefact lies now."""
        return self._staged.get(name) or self.path(name)

    def temporary(self, name: str) -> bytes:
        """Where to write something of this name."""
        self.prepare()
        return os.path.join(self._directory, files.TEMPORARY + self.token + b"-" + name.encode())

    def stage(self, temporary: bytes, artefact: Artefact) -> OutputFile:
        """Have a finished file published under its artefact's name."""
        self._staged[artefact.name] = temporary
        status = os.stat(temporary, follow_symlinks=False)
        _, mtime_ns, _, inode = files.marks(status)
        self._unsynced.setdefault(inode, temporary)
        return OutputFile(artefact, mtime_ns, inode)

    def stage_draft(self, draft: Draft, target: Target[Operation], workspace: Workspace) -> OutputFile:
        """The same for a file in a workspace, which nobody else can write to any more once it is hashed."""
        temporary = self.temporary(target.name)
        workspace.take(os.fsdecode(os.path.basename(draft.file)), temporary)
        artefact = Artefact(
            name=target.name,
            role=target.role,
            media_type=draft.media_type,
            bytes=os.stat(temporary, follow_symlinks=False).st_size,
            sha256=files.digest_file(temporary),
            key=target.key,
            width=draft.width,
            height=draft.height,
            duration=None if draft.duration is None else round(draft.duration, 3),
        )
        return self.stage(temporary, artefact)

    def stage_link(self, existing: bytes, artefact: Artefact, target: Target[Operation]) -> OutputFile:
        """The same for a second name of a file that is whole; a copy where links cannot be."""
        temporary = self.temporary(target.name)
        files.remove_if_there(temporary)
        try:
            os.link(existing, temporary, follow_symlinks=False)
        except OSError:
            shutil.copyfile(existing, temporary, follow_symlinks=False)
        renamed = msgspec.structs.replace(artefact, name=target.name, role=target.role, key=target.key)
        return self.stage(temporary, renamed)

    def stage_asset(self, content: bytes) -> None:
        """The same for asset.json, unless the very same one is there."""
        self.prepare()
        name = document.NAME.decode()
        try:
            with open(self.path(name), "rb") as file:
                if file.read() == content:
                    return
        except FileNotFoundError:
            pass  # the usual case: written now for the first time
        temporary = self.temporary(name)
        with open(temporary, "wb") as file:
            file.write(content)
        self._staged[name] = temporary
        self._unsynced[None] = temporary

    def publish(self) -> int:
        """Everything staged is on disk under its final name when this returns; the folder's mtime in ns."""
        files.fsync_files(self._unsynced.values())
        for name, temporary in self._staged.items():
            os.rename(temporary, self.path(name))
        # Nothing may touch the folder after its time is read, so temporaries go first.
        # Those of others too: whoever processes a source is alone with it, so theirs are a dead run's.
        files.sweep_temporaries(self._directory)
        files.fsync_folder(self._directory)
        for folder in self._new_folders:
            files.fsync_folder(os.path.dirname(folder))
        return files.storable(os.stat(self._directory).st_mtime_ns)

    def clean(self) -> None:
        """Leave no temporary behind, nor an empty folder."""
        if self._ready:
            files.sweep_temporaries(self._directory, self.token)
            try:
                os.rmdir(self._directory)
            except OSError:
                return  # not empty, as it should be after success

    def prepare(self) -> None:
        """Create it, unless it is there. Raises OutputForbidden, JobFailed, OSError."""
        if self._ready:
            return
        # A link planted in OUT must not lead us out of it.
        real = os.path.realpath(self._directory)
        if not real.startswith(os.path.realpath(self._out) + b"/"):
            raise JobFailed(
                f"{shown(self._directory)} leads out of the output folder, to {shown(real)}; remove the link"
            )
        try:
            self._new_folders = files.make_folders(self._directory)
        except (FileExistsError, NotADirectoryError):
            raise JobFailed(f"{shown(self._directory)}: is a file, not a folder; move it away") from None
        except PermissionError:
            self._refuse_one()
            raise
        if not os.access(self._directory, os.W_OK | os.X_OK, effective_ids=True):
            self._refuse_one()
        self._ready = True

    def _refuse_one(self) -> None:
        """Raise OutputForbidden where OUT itself can be written to: this source is left, and the run goes on."""
        if os.access(self._out, os.W_OK | os.X_OK, effective_ids=True):
            raise OutputForbidden(
                f"cannot write outputs: {shown(self._directory)}: not writable by user {os.geteuid()};"
                " change owner or permissions"
            ) from None
