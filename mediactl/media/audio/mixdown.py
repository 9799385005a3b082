"""Audio streams as ffmpeg filters and outputs; the audio of videos: each stream encoded once, whole, in its own file.

All filters of one run must be in one graph: given several (``-af`` for each output), ffmpeg 9 deadlocks on some
streams with gaps. ffmpeg-python makes one graph of all nodes of a run, so nodes are what is passed around here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.media.audio import finite, resync, statistics
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import command, process
from mediactl.media.inspect import diagnosis, verify
from mediactl.media.inspect.streams import InputAudio, Streams
from mediactl.media.inspect.timing import durations
from mediactl.model.assets import Operation, Target
from mediactl.model.channels import USUAL, Fit, downmix, kept, stereo
from mediactl.model.media import AudioStream, Limits
from mediactl.outputs.audio import AudioParams
from mediactl.outputs.hls import AudioTrackParams
from mediactl.outputs.video import VideoParams

_AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sample rates that every AAC decoder supports (ISO/IEC 14496-3, table 1.18, up to what browsers are tested with)."""
_OPUS_RATE = 48_000
_ENCODERS = {"m4a": "aac", "opus": "libopus"}
_CUT = 0.2
"""Seconds of audio after the end of a video that are cut off without a warning."""
_LAST_PACKET = 0.03
"""Seconds that a stream's last packet may extend beyond the audio: 1024 samples at 44.1 kHz are 23 ms."""


class AudioRequest(msgspec.Struct, frozen=True):
    """One audio stream to be encoded for a video."""

    ordinal: int
    """Which of ``MediaInfo.audio``."""
    bitrate: int
    """kbit/s of AAC."""
    channels: int


def requests(found: Streams, targets: Sequence[Target[Operation]]) -> tuple[AudioRequest, ...]:
    """Return the distinct audio streams that these targets are muxed from."""
    each = (of_operation(found, target.params) for target in targets)
    return tuple(dict.fromkeys(audio for audio in each if audio))


def of_operation(found: Streams, operation: Operation) -> AudioRequest | None:
    """Return the audio stream that an artefact contains; None when it contains none."""
    match operation:
        case AudioTrackParams(track=number, bitrate=bitrate, channels=channels):
            return AudioRequest(number, bitrate, channels)
        case VideoParams(sound=True, audio_bitrate=bitrate) if found.audio:
            return AudioRequest(found.audio.ordinal, bitrate, min(2, found.audio.stream.channels))
    return None


def video_audio(
    source: Any, found: Streams, requested: Sequence[AudioRequest], paths: Mapping[AudioRequest, bytes], limits: Limits
) -> list[Any]:
    """Return output nodes for a run that reads ``source``: each requested stream as AAC in an MP4 (.m4a) of its own.

    Each begins at 0 of the video. Gaps become silence, and so does what is missing up to the video's end, whether it
    never existed or cannot be decoded; what continues after the end of both is cut off (``checked`` warns).

    Raises JobFailed when a requested stream cannot be played.
    """
    outputs = []
    for ordinal, several in _by_track(requested).items():
        audio = _playable(found, ordinal)
        end = max(audio.end, found.video.end if found.video else 0.0)
        first = paths[several[0]]
        stream = statistics.measuring(straight(source, audio, first), first)
        stream = stream.filter("apad", whole_dur=f"{end:.6f}").filter("atrim", end=f"{end:.6f}")
        for each, branch in zip(several, split(stream, len(several)), strict=True):
            chosen = options("aac", each.bitrate, audio)
            stream = finite.encodable(mixed_down(branch, audio.stream, each.channels), audio, "aac")
            outputs.append(command.output([stream], paths[each], "mp4", limits, movflags="+faststart", **chosen))
    return outputs


def encode_audio(
    fd: int,
    found: Streams,
    requested: Sequence[AudioRequest],
    paths: Mapping[AudioRequest, bytes],
    *,
    threads: int,
    limits: Limits,
    folder: bytes,
    report: Report,
) -> list[str]:
    """Do the same in a run of its own, for a job that makes only the audio of a video. Return ffmpeg's error lines.

    Raises RejectedInput, JobFailed or MachineBlocked.
    """
    outputs = video_audio(command.source(fd, threads, **found.input_options), found, requested, paths, limits)
    expected = max(_playable(found, each.ordinal).end for each in requested)
    try:
        return process.run(
            # A video is worth having even if its audio is damaged; ffmpeg would give up at two thirds of the packets.
            ["-max_error_rate", "1", *command.arguments(*outputs, threads=threads)],
            input_fd=fd,
            folder=folder,
            expected=expected,
            rate=None,
            report=report,
        )
    except process.FfmpegFailed as error:
        forget(paths)
        raise diagnosis.cause(error, fd, limits) from error


def checked(
    found: Streams,
    requested: Sequence[AudioRequest],
    paths: Mapping[AudioRequest, bytes],
    limits: Limits,
    complaints: Sequence[str] = (),
    fd: int | None = None,
    threads: int = 1,
    report: Report = lambda _: None,
) -> list[str]:
    """Return warnings about the audio files of a video that were just written, after each was opened again.

    Audio that ends early does not make a video useless: it is a warning. Raises JobFailed when a file is invalid.
    ``complaints``: ffmpeg's error lines. ``fd``: the video, where those about audio are checked, and from which a
    stream that changes its channels in the middle, as television does, is encoded again; without it, it is a failure.
    """
    warnings: list[str] = []
    about_audio = diagnosis.about_audio(complaints)
    for ordinal, several in _by_track(requested).items():
        audio = _playable(found, ordinal)
        what = "the audio" if len(found.audios) == 1 else f"audio stream {ordinal + 1}"
        restarted = fd is not None and _jumps(several, paths)
        if fd is not None and restarted:
            # Without the video: where its frames change, ffmpeg restarts the filters of all streams.
            folder = os.path.dirname(paths[several[0]])
            encode_audio(fd, found, several, paths, threads=threads, limits=limits, folder=folder, report=report)
        if fd is not None and restarted and _jumps(several, paths):
            _resynced(fd, found, several, paths, threads, limits, report)
            warnings.append(f"{what} changes its channels or its sample rate: it was made uniform")
        damaged = fd is not None and diagnosis.is_audio_damaged(about_audio, fd, audio.index, limits)
        warnings += [f"parts of {what} are damaged and may be distorted"] if damaged else []
        silenced = finite.remarks(paths[several[0]], what)
        warnings += silenced
        measured = statistics.measured(paths[several[0]], audio.stream.sample_rate, audio.stream.channels)
        if measured:
            warnings += statistics.remarks(measured, what, silenced=bool(silenced))
            warnings += filter(None, [statistics.excess(measured, what)])
            missing = audio.end - measured.end
            if missing > durations.slack(audio.end, damaged):
                warnings.append(
                    f"{what} is broken after {measured.end:.1f} s of {audio.end:.1f} s: it is silent from there on"
                )
        end = max(audio.end, found.video.end if found.video else 0.0)
        if measured and measured.end - end > _CUT:
            warnings.append(f"{what} lasts {measured.end:.2f} s, the video {end:.2f} s: the rest is cut off")
        for each in several:
            _check(each, paths[each], end, limits)
    return warnings


def _resynced(
    fd: int,
    found: Streams,
    requested: Sequence[AudioRequest],
    paths: Mapping[AudioRequest, bytes],
    threads: int,
    limits: Limits,
    report: Report,
) -> None:
    """Encode the files of one stream again."""
    audio, folder = _playable(found, requested[0].ordinal), os.path.dirname(paths[requested[0]])
    stream = source = command.source(fd, threads, **found.input_options)
    stream = mixed(source[str(audio.index)].filter("aresample", **{"async": 1}), "aac", requested[0].channels)
    with resync.uniform(fd, stream, audio, paths[requested[0]], threads, limits, report) as (other, index, start):
        # Its own start is where the stream begins in the video.
        source = command.source(other, threads, itsoffset=f"{start:.6f}")
        whole = msgspec.structs.replace(audio.stream, first_gap=0.0)
        moved = msgspec.structs.replace(audio, index=index, stream=whole)
        outputs = video_audio(source, msgspec.structs.replace(found, audios=(moved,)), requested, paths, limits)
        arguments = command.arguments(*outputs, threads=threads)
        process.run(arguments, input_fd=other, folder=folder, expected=audio.end, rate=None, report=report)


def forget(paths: Mapping[AudioRequest, bytes]) -> None:
    """Remove temporary files beside the outputs, of a run that failed."""
    for path in paths.values():
        statistics.forget(path)
        finite.forget(path)


def straight(source: Any, audio: InputAudio, path: bytes | None = None) -> Any:
    """Return the audio stream of an ffmpeg-python input so that it begins at 0, without gaps and overlaps, and without
    what is no number (counted beside ``path``, see ``finite``)."""
    return resync.aligned(finite.only(source[str(audio.index)], audio, path), audio.stream)


def split(stream: Any, count: int) -> list[Any]:
    """Return a stream ``count`` times."""
    if count == 1:
        return [stream]
    several = stream.filter_multi_output("asplit", count)
    return [several.stream(number) for number in range(count)]


def mixed(stream: Any, encoder: str, channels: int) -> Any:
    """Return a stream with so many channels in the usual layout, which the encoder supports.

    Mixed down by ITU-R BS.775 (centre and surround 3 dB lower, no LFE), and attenuated as a whole so that it cannot
    clip, which libswresample does not do by itself for floating-point samples.
    """
    return _in_layout(stream, USUAL["opus" if encoder == "libopus" else "m4a"][channels - 1])


def mixed_down(stream: Any, source: AudioStream, channels: int) -> Any:
    """Return a stream with one channel or two, whatever those of the source are."""
    fit = downmix(source, channels)
    return _fitted(stream, fit, source) if fit else mixed(stream, "aac", channels)


def fitted(stream: Any, params: AudioParams, source: AudioStream) -> Any:
    """Return a stream with the channels of an audio file, each made of those of the source that belong there."""
    fit = fit_of(params, source)
    if fit is None:
        return mixed(stream, _ENCODERS[params.format], params.channels)
    if fit.layout != params.layout:  # Planned for another stream, or for what it was before it was made uniform.
        return _in_layout(stream, params.layout)
    return _fitted(stream, fit, source)


def _fitted(stream: Any, fit: Fit, source: AudioStream) -> Any:
    if source.layout:
        stream = stream.filter("aformat", channel_layouts="+".join(source.layout))
    if all(sorted(row)[-2:] == [0.0, 1.0] for row in fit.gains):  # libswresample would mix by its own rules in pan.
        numbers = "|".join(f"{row.index(1.0)}-{number}" for number, row in enumerate(fit.gains))
        return stream.filter("channelmap", map=numbers, channel_layout=fit.layout)
    rows = ["+".join(f"{gain:.6g}*c{number}" for number, gain in enumerate(row) if gain) for row in fit.gains]
    made = [f"c{number}={row.replace('+-', '-')}" for number, row in enumerate(rows) if row]
    return stream.filter("pan", args="|".join([fit.layout, *made]))


def fit_of(params: AudioParams, source: AudioStream) -> Fit | None:
    """Return how the channels of a source become those of an audio file; None: as libav mixes them."""
    if not params.layout:
        return None
    return kept(params.format, source) if params.channels > 2 else stereo(source)


def _in_layout(stream: Any, layout: str) -> Any:
    stream = stream.filter("aresample", out_chlayout=layout, rematrix_maxval=1)
    return stream.filter("aformat", channel_layouts=layout)


def options(encoder: str, bitrate: int, audio: InputAudio) -> dict[str, Any]:
    """Return the ffmpeg options that encode an audio stream; ``bitrate`` in kbit/s."""
    chosen: dict[str, Any] = {
        "c:a": encoder,
        "b:a": f"{bitrate}k",
        "ar": _OPUS_RATE if encoder == "libopus" else _aac_rate(audio.stream.sample_rate),
        "flags:a": "+bitexact",
    }
    if audio.stream.language:
        chosen["metadata:s:a:0"] = f"language={audio.stream.language}"
    return chosen


def _jumps(requested: Sequence[AudioRequest], paths: Mapping[AudioRequest, bytes]) -> bool:
    return any(resync.jumps(paths[each]) for each in requested)


def _by_track(requested: Sequence[AudioRequest]) -> dict[int, list[AudioRequest]]:
    found: dict[int, list[AudioRequest]] = {}
    for each in requested:
        found.setdefault(each.ordinal, []).append(each)
    return found


def _check(requested: AudioRequest, path: bytes, end: float, limits: Limits) -> None:
    name = f"audio stream {requested.ordinal + 1}"
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = verify.verified(fd, name, limits)
    finally:
        os.close(fd)
    if made.video or not made.audio or made.audio.stream.codec != "aac":
        raise JobFailed(f"{name}: invalid output: other streams than requested")
    if made.audio.stream.channels != requested.channels:
        raise JobFailed(
            f"{name}: invalid output: {made.audio.stream.channels} channels instead of {requested.channels}"
        )
    if resync.jumps(path):
        raise JobFailed(f"{name}: invalid output: its channels or its sample rate change")
    if abs(made.audio.end - end) > durations.TOLERANCE + _LAST_PACKET:
        raise JobFailed(f"{name}: invalid output: {made.audio.end:.2f} s instead of {end:.2f} s")


def _playable(found: Streams, ordinal: int) -> InputAudio:
    for audio in found.audios:
        if audio.ordinal == ordinal:
            return audio
    raise JobFailed(f"audio stream {ordinal + 1} cannot be decoded, though it was planned")


def _aac_rate(rate: int) -> int:
    """Return the source's sample rate if AAC has it, else the next higher one, 48 kHz at most."""
    return next((known for known in _AAC_RATES if known >= rate), _AAC_RATES[-1])
