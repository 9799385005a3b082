"""Videos: everything that is made of one, in this order, each verified before it is handed on.

It is decoded once for all renditions; audio is encoded with it, each stream once. What was encoded is joined
by copy into the files that hold it. Posters and the like come from the source, in runs of their own; playlists last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache, partial
from typing import Any

import msgspec

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.core.files import remove_if_there
from mediactl.media import timestamps
from mediactl.media.audio import mixdown
from mediactl.media.audio import render as audio
from mediactl.media.audio.mixdown import AudioRequest
from mediactl.media.drafts import About, Draft, Drafts, Present, Report, Request, Unfinished, every
from mediactl.media.ffmpeg import binary, process
from mediactl.media.filters import interlacing
from mediactl.media.hls import ladder
from mediactl.media.inspect import diagnosis, verify
from mediactl.media.inspect.containers import isobmff
from mediactl.media.inspect.frames import frame_sizes
from mediactl.media.inspect.frames.colour_tags import HDR
from mediactl.media.inspect.streams import InputVideo, Streams
from mediactl.media.inspect.timing import durations
from mediactl.media.mp4 import fragments, package
from mediactl.media.mp4.joined import Extent
from mediactl.media.opening import check_unchanged
from mediactl.media.video import encode, pieces, subtitles
from mediactl.media.video.encode import PieceNotExact, Stream
from mediactl.media.video.pieces import Remarks, Work
from mediactl.model.assets import Operation, Target, made_by
from mediactl.model.media import Treatment, VideoStream
from mediactl.outputs.encoding import EncodedParams
from mediactl.outputs.hls import AudioTrackParams, MasterParams, PlaylistParams, StreamParams
from mediactl.outputs.subtitles import TextParams
from mediactl.outputs.video import VideoParams

_INDEXED = ("mp4", "mov", "matroska", "webm")
"""Formats, as they are sniffed, of the containers in ``cadence.SEEKABLE``."""
_ENCODED = 0.85
"""Share of the progress that encoding is, where anything is encoded; the rest is joining, verifying, and stills."""
_MUXED_AT_ONCE = 2
"""Files that are muxed and verified side by side, with the memory of a decoder each: the largest is half of it all."""

_TREATED = {
    Treatment.FLATTENED: "transparency was lost: the video was put on white",
    Treatment.LETTERBOXED: "the frames change their shape midway: bars were added to those unlike the first",
}
"""Warnings about what the source has and the outputs cannot have."""


class Encoded(msgspec.Struct, frozen=True):
    """The encoded streams that all files of a video are muxed from."""

    videos: dict[Stream, tuple[bytes, ...]]
    """The files of each stream, as it was asked for: one, or its pieces."""
    audio: dict[AudioRequest, bytes]
    remarks: Remarks
    start: float = 0.0
    """Seconds from the video's start to the first frame, where the files do not have it."""


def render(request: Request) -> Drafts:
    """Make and verify targets of an open video; drafts come in the order of the targets, but master playlists last.

    Raises RejectedInput when the video is broken ("broken after 12.3 s of 30.0 s"), JobFailed when ffmpeg failed
    otherwise or an output is not what was asked for, SourceChanged, MachineBlocked when the disk is full.
    """
    fd, task = request.fd, request.task
    found = timestamps.inspected(request)
    if found.video is None:
        raise RejectedInput("has no video stream that can be decoded")
    video = _Video(request, found)
    try:
        return video.render(request.targets, request.present, request.report)
    except process.FfmpegFailed as error:
        raise diagnosis.cause(error, fd, task.limits) from error
    finally:
        video.clean()


class _Video:
    """A video while its targets are made."""

    def __init__(self, request: Request, found: Streams) -> None:
        self._fd = request.fd
        self._task = request.task
        self._found = found
        self._temporary = request.temporary
        self._unfinished = request.unfinished
        self._unchanged = partial(check_unchanged, request.source, request.task.source)
        self._scratch: list[bytes] = []
        self._weave = cache(
            partial(
                interlacing.detected, request.fd, found, threads=request.task.threads, limits=request.task.limits,
                folder=os.path.dirname(request.temporary("x")),
            )
        )  # fmt: skip
        self._about = About()

    def render(self, targets: tuple[Target[Operation], ...], present: Present, report: Report) -> Drafts:
        """Make all of it; see the function of this name."""
        from mediactl.media.stills import stills  # Here: a worker that makes no stills never loads libvips.

        for target in targets:
            remove_if_there(self._temporary(target.name))  # An earlier attempt's must not be taken for this one's.
        held = made_by(targets, EncodedParams, AudioTrackParams)
        share = _ENCODED if held else 0.0
        encoded = self._encode(held, lambda part: report(part * share)) if held else None
        drafts: dict[str, Draft] = {}
        if encoded:
            self._about.warn(held, *encoded.remarks.warnings)
            if encoded.remarks.damaged:
                self._about.warn(held, "parts of the video are damaged and may be distorted")
            for draft in self._held(held, encoded):
                drafts[draft.target.name] = draft
                report(share + (0.95 - share) / 2 * len(drafts) / len(held))
        done, made = (share + 0.95) / 2, Drafts(())
        if seen := made_by(targets, *stills.OPERATIONS):
            made = stills.render(
                self._fd, self._found, seen, self._temporary, limits=self._task.limits, threads=self._task.threads,
                placeholder=not self._task.placeholder, report=lambda part: report(done + (0.95 - done) * part),
                weave=self._weave,
            )  # fmt: skip
            drafts |= {draft.target.name: draft for draft in made.files}
            if len(made.left_out) == len(self._task.targets):
                raise RejectedInput("not one frame of the video can be decoded")
        if written := made_by(targets, TextParams):
            drafts |= self._texts(written)
        masters = made_by(targets, MasterParams)
        playlists = ladder.Ladder(self._task, self._found, drafts, present)
        for playlist in made_by(targets, PlaylistParams):
            drafts[playlist.name] = playlists.playlist(playlist, self._temporary(playlist.name))
        for master in masters:
            drafts[master.name] = playlists.master(master, self._temporary(master.name))
        report(1.0)
        last = {master.name for master in masters}
        order = [target.name for target in sorted(targets, key=lambda target: target.name in last)]
        files = tuple(self._about.added(drafts[name]) for name in order if name not in made.left_out)
        return Drafts(files, made.placeholder, every((*self._losses(), *made.warnings), files), made.left_out)

    def clean(self) -> None:
        """Remove what no artefact is."""
        for path in self._scratch:
            remove_if_there(path)

    # -- encoding --------------------------------------------------------------------------------------------------

    def _encode(self, held: tuple[Target[Operation], ...], report: Report) -> Encoded:
        streams = encode.streams_of(held)
        requested = mixdown.requests(self._found, held)
        in_pieces = any(target.params.piece for target in made_by(self._task.targets, EncodedParams))
        if in_pieces and self._unfinished is not None:
            cut = self._cut(held, streams, requested, self._unfinished, report)
            if cut is not None:
                return cut
        elif self._task.long and streams:
            even = self._task.source.format in _INDEXED
            why = "its frames do not come at even times" if even else "its container cannot be entered at exact times"
            self._about.warn(made_by(held, EncodedParams), f"encoded in one piece: {why}")
        return self._whole(held, streams, requested, report)

    def _cut(
        self,
        held: tuple[Target[Operation], ...],
        streams: tuple[Stream, ...],
        requested: tuple[AudioRequest, ...],
        unfinished: Unfinished,
        report: Report,
    ) -> Encoded | None:
        """From pieces: those that lie there, and those that are missing. None: it cannot be cut exactly."""
        task, video = self._task, self._found.info.video
        assert video is not None
        work = Work(self._fd, self._found, unfinished, task.digest, task.limits, task.threads, self._unchanged)
        number, parts = pieces.count(self._found.info, streams[0].piece) if streams else 0, 0

        def part(fraction: float) -> None:
            report((parts + fraction) / (number + 1))

        videos: list[dict[Stream, bytes]] = []
        resolved: dict[Stream, Stream] = {}
        try:
            if streams and work.refused:
                raise PieceNotExact("found before")
            resolved = work.searched(streams, part)
            for parts in range(number):
                videos.append(work.pieces(resolved.values(), parts, part))
                part(1.0)
        except PieceNotExact as error:
            work.refuse(str(error))
            self._about.warn(made_by(held, EncodedParams), "encoded in one piece: it cannot be cut exactly")
            return None
        parts = number
        made = work.audio(requested, part) if requested else {}
        return Encoded(
            {asked: tuple(files[stream] for files in videos) for asked, stream in resolved.items()},
            made,
            work.remarks(number, streams),
            video.start,
        )

    def _whole(
        self,
        held: tuple[Target[Operation], ...],
        streams: tuple[Stream, ...],
        requested: tuple[AudioRequest, ...],
        report: Report,
    ) -> Encoded:
        """In one run of ffmpeg."""
        task, found = self._task, self._found
        resolved = {
            stream: stream if stream.crf is not None else encode.resolved(stream, self._search(held, stream, report))
            for stream in streams
        }
        videos = {stream: self._aside(f"{stream.name}.track.mp4") for stream in dict.fromkeys(resolved.values())}
        paths = {each: self._aside(f"audio-{number}.track.m4a") for number, each in enumerate(requested)}
        folder = os.path.dirname(self._temporary("x"))
        also: Callable[[Any], list[Any]] | None = None
        if paths:

            def also(source: Any) -> list[Any]:
                return mixdown.video_audio(source, found, requested, paths, task.limits)

        notes: tuple[str, ...] = ()
        try:
            if videos:
                encoded = encode.encode(
                    self._fd, found, tuple(videos), None, list(videos.values()), threads=task.threads,
                    limits=task.limits, folder=folder, also=also, report=report, weave=self._weave,
                )  # fmt: skip
                complaints, notes = encoded.complaints, encoded.notes
            else:
                complaints = tuple(
                    mixdown.encode_audio(
                        self._fd, found, requested, paths, threads=task.threads, limits=task.limits, folder=folder,
                        report=report,
                    )
                )  # fmt: skip
            warnings = mixdown.checked(found, requested, paths, task.limits, complaints, self._fd, task.threads, report)
        finally:
            mixdown.forget(paths)
        remarks = Remarks(diagnosis.is_video_damaged(complaints), (*notes, *warnings))
        return Encoded({asked: (videos[stream],) for asked, stream in resolved.items()}, paths, remarks)

    def _search(self, held: tuple[Target[Operation], ...], stream: Stream, report: Report) -> float:
        folder = os.path.dirname(self._temporary("x"))
        crf, note = pieces.search(self._fd, self._found, stream, self._task.threads, self._task.limits, folder, report)
        self._about.warn(
            (each for each in made_by(held, EncodedParams) if encode.stream_of(each.params) == stream), note
        )
        return crf

    # -- artefacts -------------------------------------------------------------------------------------------------

    def _held(self, targets: tuple[Target[Operation], ...], encoded: Encoded) -> Iterator[Draft]:
        """Yield the files that hold what was encoded, in the order of the targets."""
        # When this ends, no thread is left that writes a file, not even after an error.
        with ThreadPoolExecutor(min(_MUXED_AT_ONCE, self._task.threads)) as pool:
            yield from pool.map(partial(self._holding, encoded), targets)

    def _holding(self, encoded: Encoded, target: Target[Operation]) -> Draft:
        match target.params:
            case AudioTrackParams() as params:
                return self._audio_track(target, params, encoded)
            case StreamParams() as params:
                return self._stream(target, params, encoded)
            case VideoParams() as params:
                return self._video(target, params, encoded)
        raise TypeError(f"{target.name}: holds no video and no audio")

    def _audio_track(self, target: Target[Operation], params: AudioTrackParams, encoded: Encoded) -> Draft:
        """An audio stream as a CMAF track."""
        path, requested = self._temporary(target.name), mixdown.of_operation(self._found, params)
        assert requested is not None
        package.audio_track(
            encoded.audio[requested], path, segment=params.segment,
            language=self._audio_file(requested, encoded).language, rate=self._rate,
        )  # fmt: skip
        fragments.read(path)
        return self._audio_verified(target, path, requested)

    def _stream(self, target: Target[Operation], params: StreamParams, encoded: Encoded) -> Draft:
        """A rendition as a CMAF track."""
        path, stream = self._temporary(target.name), encode.stream_of(params)
        package.video_track(
            encoded.videos[stream], path, segment=params.segment, start=encoded.start, rate=self._rate,
            source=self._extent(encoded), gop=stream.gop,
        )  # fmt: skip
        fragments.read(path)
        return self._verified(target, params, path, None, encoded)

    def _video(self, target: Target[Operation], params: VideoParams, encoded: Encoded) -> Draft:
        """Mux a rendition and its audio into one MP4. Its media type names the codecs (RFC 6381): a browser with MP4
        may support one of them and not another."""
        path, requested = self._temporary(target.name), mixdown.of_operation(self._found, params)
        audio_files = [self._audio_file(requested, encoded)] if requested else []
        package.mp4(
            encoded.videos[encode.stream_of(params)], audio_files, path, start=encoded.start, rate=self._rate,
            source=self._extent(encoded), chapters=self._found.info.chapters,
        )  # fmt: skip
        draft = self._verified(target, params, path, requested, encoded)
        codecs = ",".join(fragments.codecs(path))
        return msgspec.structs.replace(draft, media_type=f'{draft.media_type}; codecs="{codecs}"')

    @property
    def _rate(self) -> Fraction | None:
        """Frames a second of an even video."""
        video = self._found.info.video
        return Fraction(video.rate) if video and video.even else None

    def _extent(self, encoded: Encoded) -> Extent | None:
        """How much there is of the video."""
        original, video = self._found.video, self._found.info.video
        return Extent(video.frames, original.end - encoded.start) if original and video else None

    def _audio_file(self, requested: AudioRequest, encoded: Encoded) -> package.AudioFile:
        track = self._found.info.audio[requested.ordinal]
        return package.AudioFile(encoded.audio[requested], track.language, track.title)

    def _texts(self, targets: tuple[Target[TextParams], ...]) -> dict[str, Draft]:
        paths = {target.name: self._temporary(target.name) for target in targets}
        made, warnings = subtitles.rendered(self._fd, self._found, targets, paths, self._task.limits)
        self._about.warn(targets, *warnings)
        return {draft.target.name: draft for draft in made}

    def _aside(self, name: str) -> bytes:
        """A file that is none of the artefacts, whose names have one dot."""
        path = self._temporary(name)
        self._scratch.append(path)
        remove_if_there(path)
        return path

    # -- verifying -------------------------------------------------------------------------------------------------

    def _verified(
        self,
        target: Target[Operation],
        params: EncodedParams,
        path: bytes,
        requested: AudioRequest | None,
        encoded: Encoded,
    ) -> Draft:
        """Return the draft of a video after reopening it to check size, streams, frames, durations; first, middle and
        last frames were decoded."""
        original, source = self._found.video, self._found.info.video
        made, streamable = self._reopened(target, path)
        video = made.info.video
        if (
            not (video and made.video and original and source)
            or video.codec != params.codec
            or bool(made.audio) != bool(requested)
        ):
            raise JobFailed(f"{target.name}: invalid output: other streams than requested")
        if (video.width, video.height, video.rotation) != (params.width, params.height, 0):
            raise JobFailed(
                f"{target.name}: invalid output: {video.width}x{video.height} instead of {params.width}x{params.height}"
            )
        if not streamable:
            raise JobFailed(f"{target.name}: invalid output: its index is at the end")
        damaged = encoded.remarks.damaged
        missing = (source.frames or 0) - (video.frames or 0)
        if source.frames and (missing if source.even else missing > _few(source)):
            counts = f"{video.frames} of {source.frames} frames"
            if any(len(files) > 1 for files in encoded.videos.values()):
                raise JobFailed(f"{target.name}: invalid output: {counts}")
            self._about.warn((target,), "" if damaged else f"the video has {counts} in its outputs")
        frame = 1 / original.rate if original.rate else 0.0
        self._about.warn((target,), durations.compare("the video", original.end, made.video.end, frame, damaged))
        return Draft(target, path, "video/mp4", video.width, video.height, made.info.duration)

    def _audio_verified(self, target: Target[Operation], path: bytes, requested: AudioRequest) -> Draft:
        made, _ = self._reopened(target, path)
        if made.video or not made.audio or made.audio.stream.channels != requested.channels:
            raise JobFailed(f"{target.name}: invalid output: other streams than requested")
        return Draft(target, path, "audio/mp4", duration=made.info.duration)

    def _reopened(self, target: Target[Operation], path: bytes) -> tuple[Streams, bool]:
        """The streams of a file of ours, and whether it plays while it loads."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return verify.verified(fd, target.name, self._task.limits), isobmff.is_faststart(fd)
        finally:
            os.close(fd)

    def _losses(self) -> Iterator[str]:
        """Yield what the whole asset lost, whatever of it is made in this run."""
        renditions = made_by(self._task.targets, EncodedParams)
        video, shown = self._found.video, self._found.info.video
        if video and video.transfer in HDR and not (renditions and all(each.params.hdr for each in renditions)):
            name = HDR[video.transfer]
            if "zscale" in binary.filters():
                yield f"high dynamic range ({name}) was mapped to standard range"
            else:
                yield f"high dynamic range ({name}) is not tone-mapped: this ffmpeg has no zscale filter"
        yield from _treated(video) if video else ()
        if shown and frame_sizes.are_ambiguous(shown.shapes):
            yield "the aspect ratio changes midway, the size does not: the first is kept"
        yield from audio.left_out(self._found, self._task.targets)


def _few(video: VideoStream) -> int:
    """Return the frames of an uneven video that may be missing: repeated ones, and those before the first key frame."""
    return max(1, (video.frames or 0) // 100)


def _treated(video: InputVideo) -> Iterator[str]:
    """Yield warnings about what the outputs cannot have of a video."""
    for each in video.treatment:
        if each is Treatment.FLATTENED and video.decoder and video.decoder not in binary.decoders():
            yield f"transparency is not decoded: this ffmpeg has no decoder {video.decoder}"
        elif each in _TREATED:
            yield _TREATED[each]
