"""Making an asset: what is missing is made, what is there is checked, asset.json is written last.

Order of the steps, each safe to be killed after: temporaries are written and verified; each is forced to disk, then
renamed to its final name; asset.json the same way, last; then the folder is forced to disk. Only then is the answer
sent that lets the journal say "done".
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mediactl import asset, files
from mediactl.errors import MachineBlocked
from mediactl.files import shown
from mediactl.media.drafts import Draft, Drafts
from mediactl.media.probe import check_unchanged, open_source
from mediactl.model import Artefact, Kind, Made, MakeTask, OutputFile, Reuse, Target

Report = Callable[[float], None]


def make(task: MakeTask, reuse: tuple[Reuse, ...], token: bytes, report: Report) -> Made:
    """Complete an asset. Raises RejectedInput, SourceChanged, JobFailed, MachineBlocked, and OSError on writing."""
    fd = open_source(task.source)
    try:
        folder = _Folder(task, token)
        try:
            return _make(fd, task, reuse, folder, report)
        finally:
            folder.clean()
    finally:
        os.close(fd)


def _make(fd: int, task: MakeTask, reuse: tuple[Reuse, ...], folder: _Folder, report: Report) -> Made:
    there = _check_kept(task, folder)
    todo: list[Target] = []
    for target in task.targets:
        if target.name not in there and (linked := _link(target, there, reuse, folder)) is not None:
            there[target.name] = linked
        elif target.name not in there:
            todo.append(target)
    placeholder, warnings = task.placeholder, task.info.warnings
    written: list[Artefact] = []
    kept = sum(1 for file in task.keep if file.artefact.name in there)
    if todo or not task.placeholder:
        # Distinct keys once: targets of equal parameters are one file under several names.
        distinct = tuple({target.key: target for target in reversed(todo)}.values())
        drafts = _render(fd, task, distinct[::-1], folder, report)
        check_unchanged(fd, task.source)
        written = _publish(drafts.files, there, folder)
        for target in todo:
            if target.name not in there:
                linked = _link(target, there, (), folder)
                assert linked is not None  # its twin by key was just published
                there[target.name] = linked
        placeholder = drafts.placeholder or placeholder
        warnings = (*warnings, *(each for each in drafts.warnings if each not in warnings))
    artefacts = tuple(there[target.name].artefact for target in task.targets)
    shown_placeholder = "" if placeholder == "none" else placeholder
    content = asset.encode(asset.build(task, artefacts, shown_placeholder, warnings))
    folder.write_asset(content)
    mtime_ns = folder.settle()
    return Made(
        files=tuple(there[target.name] for target in task.targets),
        made=len(task.targets) - kept,
        bytes_made=sum(artefact.bytes for artefact in written),
        placeholder=shown_placeholder,
        warnings=warnings,
        folder_mtime_ns=mtime_ns,
    )


def _render(fd: int, task: MakeTask, targets: tuple[Target, ...], folder: _Folder, report: Report) -> Drafts:
    # Imported here: a worker that only ever does images never loads what films need.
    if task.source.kind is Kind.IMAGE:
        from mediactl.media import image

        return image.render(fd, task, targets, folder.temporary, report)
    if not targets:
        return Drafts(())
    if task.source.kind is Kind.VIDEO:
        from mediactl.media import video

        return video.render(fd, task, targets, folder.temporary, report)
    from mediactl.media import audio

    return audio.render(fd, task, targets, folder.temporary, report)


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
            same = (status.st_size, status.st_mtime_ns, status.st_ino) == (
                file.artefact.bytes, file.mtime_ns, file.inode
            )  # fmt: skip
            if not same and files.digest_file(path) != file.artefact.sha256:
                continue
        except OSError:
            continue
        there[file.artefact.name] = OutputFile(file.artefact, status.st_mtime_ns, status.st_ino)
    return there


def _link(
    target: Target, there: dict[str, OutputFile], reuse: tuple[Reuse, ...], folder: _Folder
) -> OutputFile | None:
    """The target as a link of a file with the same key: of this asset, or of a twin, which is hashed first."""
    for file in there.values():
        if file.artefact.key == target.key:
            return folder.link(folder.path(file.artefact.name), file.artefact, target)
    for other in reuse:
        try:
            if other.key == target.key and files.digest_file(other.file) == other.artefact.sha256:
                return folder.link(other.file, other.artefact, target)
        except OSError:
            continue  # gone or unreadable: made here instead
    return None


def _publish(drafts: tuple[Draft, ...], there: dict[str, OutputFile], folder: _Folder) -> list[Artefact]:
    written: list[Artefact] = []
    for draft in drafts:
        target = draft.target
        artefact = Artefact(
            name=target.name,
            role=target.role,
            media_type=draft.media_type,
            bytes=os.stat(draft.file).st_size,
            sha256=files.digest_file(draft.file),
            key=target.key,
            width=draft.width,
            height=draft.height,
            duration=None if draft.duration is None else round(draft.duration, 3),
        )
        there[target.name] = folder.publish(draft.file, artefact)
        written.append(artefact)
    return written


class _Folder:
    """The folder of an asset: temporaries in it, and their way to final names. Made on the first write."""

    def __init__(self, task: MakeTask, token: bytes) -> None:
        self._out = task.out
        self._place = os.path.join(task.out, task.source.place)
        self._token = token
        self._ready = False

    def path(self, name: str) -> bytes:
        return os.path.join(self._place, name.encode())

    def temporary(self, name: str) -> bytes:
        self._prepare()
        return os.path.join(self._place, files.TEMPORARY + self._token + b"-" + name.encode())

    def publish(self, temporary: bytes, artefact: Artefact) -> OutputFile:
        files.fsync_file(temporary)
        path = self.path(artefact.name)
        os.rename(temporary, path)
        status = os.stat(path, follow_symlinks=False)
        return OutputFile(artefact, status.st_mtime_ns, status.st_ino)

    def link(self, existing: bytes, artefact: Artefact, target: Target) -> OutputFile:
        """A second name for a file that is whole and on disk; a copy where links cannot be."""
        temporary = self.temporary(target.name)
        files.remove_if_there(temporary)
        try:
            os.link(existing, temporary, follow_symlinks=False)
        except OSError:
            with open(existing, "rb") as source, open(temporary, "wb") as copy:
                while block := source.read(1 << 20):
                    copy.write(block)
        path = self.path(target.name)
        files.fsync_file(temporary)
        os.rename(temporary, path)
        # Renaming one link of a file onto another does nothing and leaves both: rename(2).
        files.remove_if_there(temporary)
        status = os.stat(path, follow_symlinks=False)
        renamed = Artefact(
            target.name, target.role, artefact.media_type, artefact.bytes, artefact.sha256, target.key,
            artefact.width, artefact.height, artefact.duration,
        )  # fmt: skip
        return OutputFile(renamed, status.st_mtime_ns, status.st_ino)

    def write_asset(self, content: bytes) -> None:
        self._prepare()
        path = self.path(asset.NAME.decode())
        try:
            with open(path, "rb") as file:
                if file.read() == content:
                    return
        except FileNotFoundError:
            pass  # the usual case: written now for the first time
        files.write_durably(path, content, self._token)

    def settle(self) -> int:
        # Nothing may touch the folder after its time is read, so temporaries go first.
        files.sweep_temporaries(self._place, self._token)
        files.fsync_folder(self._place)
        return os.stat(self._place).st_mtime_ns

    def clean(self) -> None:
        if self._ready:
            files.sweep_temporaries(self._place, self._token)
            try:
                os.rmdir(self._place)
            except OSError:
                return  # not empty, as it should be after success

    def _prepare(self) -> None:
        if self._ready:
            return
        try:
            files.make_folders(self._place)
        except (FileExistsError, NotADirectoryError):
            raise MachineBlocked(f"{shown(self._place)}: a file stands where a folder is needed; move it away") from None
        # A link planted in OUT must not lead us out of it.
        real = os.path.realpath(self._place)
        if not real.startswith(os.path.realpath(self._out) + b"/"):
            raise MachineBlocked(f"{shown(self._place)} leads out of the output folder, to {shown(real)}; remove the link")
        self._ready = True
