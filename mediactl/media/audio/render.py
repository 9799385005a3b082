"""Audio: all missing outputs of an audio file in one ffmpeg run, each verified.

AAC in .m4a that plays while it is downloaded, Opus in .opus (Ogg); title, artist and the like, chapters and the cover
are kept, nothing else is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.core.files import remove_if_there
from mediactl.media import timestamps
from mediactl.media.audio import cover, finite, loudness, mixdown, resync, statistics, waveform
from mediactl.media.audio.cover import Cover
from mediactl.media.audio.loudness import Change, Loudness
from mediactl.media.drafts import About, Draft, Drafts, Report, Request, every
from mediactl.media.ffmpeg import command, process
from mediactl.media.inspect import diagnosis, verify
from mediactl.media.inspect.containers import isobmff
from mediactl.media.inspect.streams import InputAudio, Streams
from mediactl.media.inspect.timing import durations
from mediactl.media.mp4 import labels
from mediactl.model.assets import Operation, Target, made_by
from mediactl.model.channels import remarks
from mediactl.model.jobs import MakeTask
from mediactl.outputs.audio import AudioParams
from mediactl.outputs.encoding import EncodedParams
from mediactl.outputs.hls import AudioTrackParams
from mediactl.outputs.subtitles import TextParams
from mediactl.outputs.video import VideoParams
from mediactl.outputs.waveform import WaveformParams

FORMATS = {
    "m4a": ("aac", "aac", "ipod", "audio/mp4"),
    "opus": ("libopus", "opus", "opus", "audio/ogg; codecs=opus"),
}
"""A target's format: encoder, codec, ffmpeg's muxer, media type."""

_MEASURED, _ENCODED = 0.25, 0.95
"""Fractions of the progress at which measuring and encoding end."""


class _Mix(NamedTuple):
    """What a change of loudness depends on."""

    encoder: str
    channels: int
    layout: str
    target: float
    """LUFS."""


def render(request: Request) -> Drafts:
    """Make and verify the audio files and waveforms of an open file; drafts come in the order of its targets.

    Raises RejectedInput when the source is damaged ("broken after 12.3 s of 30.0 s"), JobFailed when ffmpeg failed
    otherwise or an output is invalid, MachineBlocked when the disk is full.
    """
    fd, task, targets = request.fd, request.task, request.targets
    found = timestamps.inspected(request)
    if found.audio is None:
        raise RejectedInput("has no audio stream that can be decoded")
    if not targets:
        return Drafts((), warnings=tuple(left_out(found, task.targets)))
    paths = {target.name: request.temporary(target.name) for target in targets}
    work = _Work(request.source, fd, task, found, found.audio, paths)
    try:
        return work.done(targets, request.report)
    finally:
        work.clean()


class _Work:
    """The outputs of one audio file."""

    def __init__(
        self, original: int, fd: int, task: MakeTask, found: Streams, audio: InputAudio, paths: dict[str, bytes]
    ) -> None:
        """``original``: the source, which has the cover; ``fd``: that, or a copy whose time stamps continue."""
        self._original = original
        self._fd, self._task, self._found, self._audio, self._paths = fd, task, found, audio, paths
        self._first = next(iter(paths.values()))
        self._also: list[tuple[str, bytes]] = []
        """Files of ours that ffmpeg reads: its inputs from number 1 on."""
        self._about = About()
        self._cover: Cover | None = None

    def done(self, targets: tuple[Target[Operation], ...], report: Report) -> Drafts:
        """Make all targets in one run, after a run for each loudness to be measured."""
        files = made_by(targets, AudioParams)
        self._read_cover(files)
        changes = self._changes(files, lambda fraction: report(fraction * _MEASURED))
        begun = _MEASURED if changes else 0.0

        def encoding(fraction: float) -> None:
            report(begun + fraction * (_ENCODED - begun))

        complaints = self._encode(self._fd, self._audio, targets, changes, encoding)
        if any(resync.jumps(self._paths[target.name]) for target in files):
            source = command.source(self._fd, self._task.threads, **self._audio.input_options)[str(self._audio.index)]
            stream = mixdown.mixed(
                source.filter("aresample", **{"async": 1}), "aac", min(8, self._audio.stream.channels)
            )
            self._about.warn(files, "the audio changes its channels or its sample rate: it was made uniform")
            with resync.uniform(self._fd, stream, self._audio, self._first, self._task.threads, self._task.limits) as (
                other,
                index,
                _,
            ):
                usual = msgspec.structs.replace(self._audio.stream, layout=(), first_gap=0.0)
                audio = msgspec.structs.replace(self._audio, index=index, stream=usual, input_options={})
                self._encode(other, audio, targets, changes, encoding)
        damaged = diagnosis.is_audio_damaged(complaints, self._fd, self._audio.index, self._task.limits)
        return self._verify(targets, changes, damaged, report)

    def _encode(
        self,
        fd: int,
        audio: InputAudio,
        targets: tuple[Target[Operation], ...],
        changes: dict[_Mix, Change],
        report: Report,
    ) -> list[str]:
        """Write all targets from a stream of this file; return ffmpeg's error lines."""
        self._also = []
        source = command.source(fd, self._task.threads, **audio.input_options)
        stream = statistics.measuring(mixdown.straight(source, audio, self._first), self._first)
        outputs = []
        for target, branch in zip(targets, mixdown.split(stream, len(targets)), strict=True):
            path = self._paths[target.name]
            match target.params:
                case WaveformParams() as params:
                    outputs.append(waveform.listening(branch, audio, params, path, self._task.limits))
                case AudioParams() as params:
                    outputs.append(self._output(branch, audio, params, path, changes.get(_mix(params))))
        try:
            return process.run(
                command.arguments(*outputs, threads=self._task.threads, also=self._also),
                input_fd=fd,
                folder=os.path.dirname(self._first),
                expected=audio.end,
                rate=None,
                report=report,
            )
        except process.FfmpegFailed as error:
            raise diagnosis.cause(error, fd, self._task.limits) from error

    def clean(self) -> None:
        """Remove temporary files beside the outputs."""
        for _, file in self._also:
            remove_if_there(file)
        for path in self._paths.values():
            finite.forget(path)
            statistics.forget(path)
            waveform.forget(path)

    def _verify(
        self, targets: tuple[Target[Operation], ...], changes: dict[_Mix, Change], damaged: bool, report: Report
    ) -> Drafts:
        audio, drafts = self._audio, dict[str, Draft]()
        if damaged:
            self._about.warn(targets, "parts of the audio are damaged and may be distorted")
        silenced = finite.remarks(self._first, "the audio")
        self._about.warn(targets, *silenced)
        measured = statistics.measured(self._first, audio.stream.sample_rate, audio.stream.channels)
        if measured:
            durations.compare("the audio", audio.end, measured.end, 0.0, damaged)
            self._about.warn(targets, *statistics.remarks(measured, "the audio", silenced=bool(silenced)))
            as_loud = [file for file in made_by(targets, AudioParams) if file.params.loudness is None]
            self._about.warn(as_loud, statistics.excess(measured, "the audio"))
        for drawn in made_by(targets, WaveformParams):
            drafts[drawn.name] = waveform.written(drawn, audio, self._paths[drawn.name])
            report(_ENCODED + (1 - _ENCODED) * len(drafts) / len(targets))
        for target in made_by(targets, AudioParams):
            if fit := mixdown.fit_of(target.params, audio.stream):
                lost = remarks(target.params.format, audio.stream, fit)
                self._about.warn((target,), *(f"the audio {each}" for each in lost))
            drafts[target.name] = self._verified(target, damaged, changes.get(_mix(target.params)))
            report(_ENCODED + (1 - _ENCODED) * len(drafts) / len(targets))
        warned = tuple(self._about.added(drafts[target.name]) for target in targets)
        return Drafts(warned, warnings=every(left_out(self._found, self._task.targets), warned))

    def _verified(self, target: Target[AudioParams], damaged: bool, change: Change | None) -> Draft:
        """Return the draft of an audio file, verified: codec, channels, duration, some frames, loudness."""
        _, codec, muxer, media_type = FORMATS[target.params.format]
        channels, path = target.params.channels, self._paths[target.name]
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            made = verify.verified(fd, target.name, self._task.limits)
            streamable = muxer != "ipod" or isobmff.is_faststart(fd)
            if made.video or not made.audio or made.audio.stream.codec != codec:
                raise JobFailed(f"{target.name}: invalid output: other streams than requested")
            if made.audio.stream.channels != channels:
                raise JobFailed(f"{target.name}: invalid output: {made.audio.stream.channels} channels")
            if not streamable:
                raise JobFailed(f"{target.name}: invalid output: its index is at the end")
            if change and change.doubtful:
                as_it_is = msgspec.structs.replace(target.params, layout="")
                reached = self._measured(fd, made.audio, as_it_is, lambda _: None)
                if remark := loudness.shortfall(reached, target.params.loudness or 0.0):
                    self._about.warn((target,), f"{target.name} {remark}")
        finally:
            os.close(fd)
        self._about.warn((target,), durations.compare("the audio", self._audio.end, made.audio.end, 0.0, damaged))
        return Draft(target, path, media_type, duration=made.info.duration)

    def _changes(self, files: Sequence[Target[AudioParams]], report: Report) -> dict[_Mix, Change]:
        """Return how the loudness of each different mix has to be changed."""
        mixes = {_mix(file.params): file.params for file in files if file.params.loudness is not None}
        made: dict[_Mix, Change] = {}
        for number, (mix, params) in enumerate(mixes.items()):

            def part(fraction: float, done: int = number) -> None:
                report((done + fraction) / len(mixes))

            made[mix] = how = loudness.change(self._measured(self._fd, self._audio, params, part), mix.target)
            if how.remark:
                alike = (file for file in files if file.params.loudness is not None and _mix(file.params) == mix)
                self._about.warn(alike, f"the audio {how.remark}")
        return made

    def _measured(self, fd: int, audio: InputAudio, params: AudioParams, report: Report) -> Loudness:
        folder, limits = os.path.dirname(self._first), self._task.limits
        return loudness.measure(
            fd, audio, params, threads=self._task.threads, limits=limits, folder=folder, report=report
        )

    def _read_cover(self, files: Sequence[Target[AudioParams]]) -> None:
        if self._found.covers and any(file.params.cover for file in files):
            self._cover = cover.extracted(self._original, self._found.covers, self._task.limits)
            if not self._cover:
                having = (file for file in files if file.params.cover)
                self._about.warn(having, "left out: the cover art, which cannot be decoded")

    def _output(self, stream: Any, audio: InputAudio, params: AudioParams, path: bytes, change: Change | None) -> Any:
        encoder, _, muxer, _ = FORMATS[params.format]
        stream = mixdown.fitted(stream, params, audio.stream)
        stream = loudness.changed(stream, change) if change else stream
        stream = finite.encodable(stream, audio, encoder)
        chosen = mixdown.options(encoder, params.bitrate, audio)
        if encoder == "libopus" and params.layout and params.channels > 2:
            chosen["mapping_family"] = 1  # Otherwise libopus takes the channels of 5.0 and 6.1 in another order.
        drawn = self._cover if params.cover else None
        if muxer == "opus":
            block = labels.picture_block(drawn.jpeg, drawn.width, drawn.height) if drawn else ""
            content = labels.vorbis_comments(self._found.info, block)
            chosen["map_metadata"] = self._beside("ffmetadata", path + b".tags", content)
        else:
            number = self._beside("ffmetadata", path + b".tags", labels.ffmetadata(self._found.info))
            chosen |= {"map_metadata": number, "map_chapters": number, "movflags": "+faststart"}
            if drawn:
                number = self._beside("mjpeg", path + b".cover", drawn.jpeg)
                chosen |= {"map": f"{number}:v", "c:v": "copy", "disposition:v:0": "attached_pic"}
        return command.output([stream], path, muxer, self._task.limits, **chosen)

    def _beside(self, format: str, file: bytes, content: bytes) -> int:
        """Write a file with this content, and return its number as an input."""
        with open(file, "wb") as opened:
            opened.write(content)
        self._also.append((format, file))
        return len(self._also)


def _mix(params: AudioParams) -> _Mix:
    """Return what the loudness depends on, and its target."""
    return _Mix(FORMATS[params.format][0], params.channels, params.layout, params.loudness or 0.0)


def left_out(found: Streams, targets: Sequence[Target[Operation]]) -> list[str]:
    """Return a warning that names the streams which no target contains; none when no target contains any."""
    audio_files = made_by(targets, AudioParams)
    of_videos = made_by(targets, EncodedParams, AudioTrackParams)
    if not (audio_files or of_videos):
        return []
    used = {target.params.track for target in made_by(targets, AudioTrackParams)}
    if found.audio and (audio_files or any(target.params.sound for target in made_by(targets, VideoParams))):
        used.add(found.audio.ordinal)
    read = {target.params.track for target in made_by(targets, TextParams)}
    kept_cover = any(target.params.cover for target in audio_files)
    counts = [
        (len(found.info.audio) - len(used), "audio stream"),
        (found.video_count - bool(found.video), "video stream"),
        (len(found.info.texts) - len(read), "subtitle stream"),
        (found.data_count, "data stream"),
    ]
    parts = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count > 0]
    parts += ["the cover art"] if found.covers and not kept_cover else []
    return ["left out: " + ", ".join(parts)] if parts else []
