"""Long videos piece by piece: what is encoded stays in a folder until the video is whole, and survives a kill.

A file of that folder says by its name all that decided its bytes: the content, the encoder's versions, what was asked
for, and which piece it is. It appears by a rename, after it was verified and forced to disk. So whoever finds it may
use it, and whoever does not encodes it: jobs for pieces (``encode_one``) only make that happen earlier, side by side.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import av
import msgspec

from mediactl.core import files
from mediactl.core.errors import JobFailed
from mediactl.media import timestamps
from mediactl.media.audio import mixdown
from mediactl.media.audio.mixdown import AudioRequest
from mediactl.media.drafts import Report, Unfinished
from mediactl.media.ffmpeg import binary, codecs, process
from mediactl.media.filters import interlacing
from mediactl.media.filters.video_filters import Weave
from mediactl.media.inspect import diagnosis, streams
from mediactl.media.inspect.streams import Streams
from mediactl.media.opening import check_unchanged
from mediactl.media.video import encode
from mediactl.media.video.encode import Piece, PieceNotExact, Stream
from mediactl.model.jobs import PieceTask
from mediactl.model.media import Limits, MediaInfo
from mediactl.outputs.hls import AudioTrackParams, StreamParams
from mediactl.outputs.video import VideoParams

T = TypeVar("T")


class Remarks(msgspec.Struct, frozen=True):
    """Warnings about a video, noticed while a part of it was encoded."""

    damaged: bool = False
    """Whether ffmpeg complained of the source more than is usual."""
    warnings: tuple[str, ...] = ()


class Work:
    """The folder of a video's pieces, and how what is missing in it is made."""

    def __init__(
        self, fd: int, found: Streams, unfinished: Unfinished, digest: str, limits: Limits, threads: int,
        unchanged: Callable[[], None],
    ) -> None:  # fmt: skip
        """``unchanged`` raises SourceChanged when the open video is not what it was."""
        self._fd = fd
        self._found = found
        self._unfinished = unfinished
        self._folder = os.path.dirname(unfinished.temporary("x"))
        self._limits = limits
        self._threads = threads
        self._unchanged = unchanged
        versions = [operation.version for operation in (VideoParams, StreamParams, AudioTrackParams)]
        made_by = msgspec.json.encode([digest, binary.version(), versions, *found.info.treatment])
        self._made_by = hashlib.sha256(made_by).hexdigest()[:16]

    def pieces(self, streams: Iterable[Stream], number: int, report: Report) -> dict[Stream, bytes]:
        """The file of each stream's piece; those that are missing are encoded, in one run. Equal streams are one.

        Raises PieceNotExact, RejectedInput, SourceChanged, JobFailed or MachineBlocked.
        """
        streams = tuple(dict.fromkeys(streams))
        piece = cut(self._found.info, streams[0].piece, number)
        # Pieces of two encoders cannot be joined, and what works may differ between two workers: sessions are few.
        paths = {
            stream: self._path(f"{stream.name}-{codecs.chosen(stream.codec, stream.encoder)[0].name}-{number:05}.mp4")
            for stream in streams
        }
        missing = [stream for stream in streams if not _is_there(paths[stream], piece.frames)]
        if missing:
            temporary = {stream: self._temporary(paths[stream]) for stream in missing}
            try:
                encoded = encode.encode(
                    self._fd, self._found, missing, piece, list(temporary.values()), threads=self._threads,
                    limits=self._limits, folder=self._folder, report=report, weave=self._weave,
                )  # fmt: skip
                for stream in missing:
                    if not _is_whole(temporary[stream], piece.frames):
                        raise JobFailed(f"piece {number} of the video: invalid output")
                self._unchanged()
                self._note(str(number), Remarks(diagnosis.is_video_damaged(encoded.complaints), encoded.notes))
                self._keep(*temporary.values())
            except process.FfmpegFailed as error:
                raise diagnosis.cause(error, self._fd, self._limits) from error
            finally:
                for path in temporary.values():
                    files.remove_if_there(path)
        return paths

    def audio(self, requested: Sequence[AudioRequest], report: Report) -> dict[AudioRequest, bytes]:
        """Return the files of all audio streams, each whole; those that are missing are encoded.

        Raises RejectedInput, SourceChanged, JobFailed or MachineBlocked.
        """
        paths = {
            each: self._path(f"sound-{each.ordinal}-{each.channels}-{each.bitrate}.m4a") for each in requested
        }  # fmt: skip
        missing = [each for each in requested if not _is_audio(paths[each])]
        if missing:
            temporary = {each: self._temporary(paths[each]) for each in missing}
            try:
                complaints = mixdown.encode_audio(
                    self._fd, self._found, missing, temporary, threads=self._threads, limits=self._limits,
                    folder=self._folder, report=report,
                )  # fmt: skip
                warnings = mixdown.checked(
                    self._found, missing, temporary, self._limits, complaints, self._fd, self._threads, report
                )
                self._unchanged()
                self._note("sound", Remarks(diagnosis.is_video_damaged(complaints), tuple(warnings)))
                self._keep(*temporary.values())
            finally:
                mixdown.forget(temporary)
                for path in temporary.values():
                    files.remove_if_there(path)
        return paths

    def searched(self, streams: Sequence[Stream], report: Report) -> dict[Stream, Stream]:
        """Each stream with the CRF that its visual quality needs: searched by whoever comes first, and remembered.

        Raises RejectedInput, SourceChanged, JobFailed or MachineBlocked.
        """
        try:
            return {stream: self._searched(stream, report) for stream in streams}
        except process.FfmpegFailed as error:
            raise diagnosis.cause(error, self._fd, self._limits) from error

    def _searched(self, stream: Stream, report: Report) -> Stream:
        if stream.crf is not None:
            return stream
        name = f"crf-{stream.name}.json"
        for crf, _ in self._read(tuple[float, str], name):
            return encode.resolved(stream, crf)
        crf, note = search(self._fd, self._found, stream, self._threads, self._limits, self._folder, report)
        self._unchanged()
        self._write(self._path(name), msgspec.json.encode((crf, note)))
        return encode.resolved(stream, crf)

    def _weave(self) -> Weave | None:
        """How the video is interlaced: examined by whoever comes first, and remembered."""
        if not interlacing.is_possible(self._found):
            return None
        name = "weave.json"
        for (weave,) in self._read(tuple[Weave | None], name):
            return weave
        weave = interlacing.detected(
            self._fd, self._found, threads=self._threads, limits=self._limits, folder=self._folder
        )
        self._unchanged()
        self._write(self._path(name), msgspec.json.encode((weave,)))
        return weave

    def refuse(self, reason: str) -> None:
        """Remember that this video cannot be cut exactly, so that nobody tries it again."""
        self._write(self._path("whole"), reason.encode())

    @property
    def refused(self) -> bool:
        """Whether it was found that this video cannot be cut exactly."""
        return os.path.exists(self._path("whole"))

    def remarks(self, count: int, streams: Sequence[Stream]) -> Remarks:
        """What was noticed of all pieces of these streams, as they were asked for, and of the audio."""
        noted = [*self._read(Remarks, *(f"{part}.json" for part in (*range(count), "sound")))]
        searched = self._read(tuple[float, str], *(f"crf-{stream.name}.json" for stream in streams))
        warnings = [*(note for _, note in searched), *(warning for each in noted for warning in each.warnings)]
        return Remarks(any(each.damaged for each in noted), tuple(dict.fromkeys(filter(None, warnings))))

    def _read(self, kind: type[T], *names: str) -> Iterator[T]:
        """Return what is recorded in these files, without those that are missing or torn."""
        for name in names:
            try:
                with open(self._path(name), "rb") as file:
                    yield msgspec.json.decode(file.read(), type=kind)
            except (FileNotFoundError, msgspec.DecodeError):
                continue

    def _note(self, part: str, remarks: Remarks) -> None:
        """Add to what was noticed of a part, for some of its streams may have been encoded before."""
        name = f"{part}.json"
        before = next(self._read(Remarks, name), Remarks())
        warnings = tuple(dict.fromkeys((*before.warnings, *remarks.warnings)))
        remarks = Remarks(remarks.damaged or before.damaged, warnings)
        if remarks != before:
            self._write(self._path(name), msgspec.json.encode(remarks))

    def _write(self, path: bytes, content: bytes) -> None:
        temporary = self._temporary(path)
        with open(temporary, "wb") as file:
            file.write(content)
        self._keep(temporary)

    def _keep(self, *temporaries: bytes) -> None:
        self._unfinished.keep(tuple(os.fsdecode(os.path.basename(each)) for each in temporaries))

    def _path(self, name: str) -> bytes:
        return os.path.join(self._unfinished.folder, f"{self._made_by}-{name}".encode())

    def _temporary(self, path: bytes) -> bytes:
        return self._unfinished.temporary(os.fsdecode(os.path.basename(path)))


def encode_one(fd: int, task: PieceTask, unfinished: Unfinished, report: Report) -> None:
    """Encode one piece of an open video, or all of its audio. Raises as ``Work.pieces``."""
    copy = unfinished.temporary("continuous")
    with timestamps.continuous(fd, task, copy) as (media, continuous):
        _encode(media, continuous, unfinished, lambda: check_unchanged(fd, task.source), report)


def _encode(fd: int, task: PieceTask, unfinished: Unfinished, unchanged: Callable[[], None], report: Report) -> None:
    found = streams.inspect(fd, task.source.format, task.limits, task.info)
    work = Work(fd, found, unfinished, task.digest, task.limits, task.threads, unchanged)
    if task.number < 0:
        work.audio(mixdown.requests(found, task.targets), report)
    elif not work.refused:
        try:
            resolved = work.searched(encode.streams_of(task.targets), report)
            work.pieces(resolved.values(), task.number, report)
        except PieceNotExact as error:
            work.refuse(str(error))


def search(
    fd: int, found: Streams, stream: Stream, threads: int, limits: Limits, folder: bytes, report: Report
) -> tuple[float, str]:
    """The CRF with which a stream reaches its visual quality; with a warning about it, or "".

    Each sign of life is one of no media time.
    """
    from mediactl.media.video import vmaf

    choice = vmaf.crf_for(
        fd, found, stream, threads=threads, limits=limits, folder=folder, report=lambda _: report(0.0)
    )  # fmt: skip
    return choice.crf, choice.note


def cut(info: MediaInfo, frames: int, number: int) -> Piece:
    """A piece of a video that is cut every so many frames; the last one may be shorter."""
    assert info.video is not None and info.video.frames
    first = number * frames
    return Piece(number, first, min(frames, info.video.frames - first))


def count(info: MediaInfo, frames: int) -> int:
    """Number of pieces of a video that is cut every so many frames."""
    assert info.video is not None and info.video.frames
    return -(-info.video.frames // frames)


def _is_there(path: bytes, frames: int) -> bool:
    """Whether a file is there that holds so many frames; it was verified before it got its name, and what it becomes a
    part of will be."""
    try:
        with av.open(os.fsdecode(path), "r", format="mp4") as container:
            return bool(container.streams.video) and container.streams.video[0].frames == frames
    except (av.FFmpegError, OSError):
        return False


def _is_whole(path: bytes, frames: int) -> bool:
    """Whether a file holds so many frames, and the first and the last group of them can be decoded."""
    try:
        with av.open(os.fsdecode(path), "r", format="mp4") as container:
            track = container.streams.video[0]
            stamps = [packet.pts for packet in container.demux(track) if packet.size]
            if len(stamps) != frames or None in stamps:
                return False
            for second in {min(stamps), max(stamps)}:  # type: ignore[type-var]
                container.seek(second, stream=track)  # type: ignore[arg-type]
                if not any(frame.pts == second for frame in container.decode(track)):
                    return False
    except (av.FFmpegError, OSError, IndexError):
        return False
    return True


def _is_audio(path: bytes) -> bool:
    """Whether a file is there that holds audio; it was verified before it got its name."""
    try:
        with av.open(os.fsdecode(path), "r", format="mp4") as container:
            return bool(container.streams.audio) and bool(container.streams.audio[0].frames)
    except (av.FFmpegError, OSError):
        return False
