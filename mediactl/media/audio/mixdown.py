"""InputAudio tracks as ffmpeg filters and outputs; the sound of films: each track encoded once, whole, in its own file.

All filters of one run must be in one graph: given several (``-af`` for each output), ffmpeg 9 deadlocks on some
sounds with gaps. ffmpeg-python makes one graph of all nodes of a run, so nodes are what is passed around here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mediactl.core.errors import JobFailed
from mediactl.media.audio import resync, statistics
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import command, process
from mediactl.media.inspect import diagnosis, durations, verify
from mediactl.media.inspect.streams import InputAudio, Streams
from mediactl.model.assets import Target
from mediactl.model.media import Limits

_AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Samples a second that every AAC decoder knows (ISO/IEC 14496-3, table 1.18, up to what browsers are tested with)."""
_OPUS_RATE = 48_000
_AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")
"""By number of channels: those of ISO/IEC 14496-3, table 1.19, where there is one; 6.1 takes a PCE."""
_OPUS_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The same for mapping family 1 (RFC 7845, section 5.1.1.2)."""
_CUT = 0.2
"""Seconds of sound behind the end of a film that go unmentioned."""
_OFF = 0.005
"""Seconds that a sound may be off before it is brought back; stamps in milliseconds are half of one off."""
_CATCHING_UP = 240
"""Samples a second that it may be played faster or slower by: one in two hundred, a twelfth of a semitone."""
_LAST_PACKET = 0.03
"""Seconds that a track's last packet may reach beyond the sound: 1024 samples at 44.1 kHz are 23 ms."""


class AudioRequest(msgspec.Struct, frozen=True):
    """One sound track to be encoded for a film."""

    ordinal: int
    """Which of ``MediaInfo.audio``."""
    bitrate: int
    """kbit/s of AAC."""
    channels: int


def wanted(found: Streams, targets: Sequence[Target]) -> tuple[AudioRequest, ...]:
    """The distinct sound tracks that these targets ("video" with sound, "sound") are put together from."""
    each = (of_target(found, target) for target in targets)
    return tuple(dict.fromkeys(audio for audio in each if audio))


def of_target(found: Streams, target: Target) -> AudioRequest | None:
    """The sound track that a target holds; None when it holds none."""
    params = target.params
    if target.operation == "sound":
        return AudioRequest(int(params["track"]), int(params["bitrate"]), int(params["channels"]))
    if target.operation == "video" and params.get("sound") and found.audio:
        track = found.audio
        return AudioRequest(track.ordinal, int(params["audio_bitrate"]), min(2, track.stream.channels))
    return None


def video_audio(
    source: Any, found: Streams, wanted: Sequence[AudioRequest], paths: Mapping[AudioRequest, bytes], limits: Limits
) -> list[Any]:
    """Output nodes for a run that reads ``source``: each wanted sound as AAC in an MP4 (.m4a) of its own at its place.

    Each begins at 0 of the film; gaps are silence, and so is what is missing up to the film's end, whether it never was
    there or cannot be decoded; what goes on behind the end of track and film is cut off (``checked`` tells).

    Raises JobFailed when a wanted track is none that can be played.
    """
    outputs = []
    for ordinal, several in _by_track(wanted).items():
        audio = _playable(found, ordinal)
        end = max(audio.end, found.video.end if found.video else 0.0)
        stream = statistics.measuring(straight(source, audio), paths[several[0]])
        stream = stream.filter("apad", whole_dur=f"{end:.6f}").filter("atrim", end=f"{end:.6f}")
        for each, branch in zip(several, split(stream, len(several)), strict=True):
            chosen = options("aac", each.bitrate, audio)
            mixed_ = mixed(branch, "aac", each.channels)
            outputs.append(command.output([mixed_], paths[each], "mp4", limits, movflags="+faststart", **chosen))
    return outputs


def encode_audio(
    fd: int,
    found: Streams,
    wanted: Sequence[AudioRequest],
    paths: Mapping[AudioRequest, bytes],
    *,
    threads: int,
    limits: Limits,
    folder: bytes,
    report: Report,
) -> list[str]:
    """The same in a run of its own, for a job that makes only the sound of a film. Returns ffmpeg's complaints.

    Raises RejectedInput, JobFailed or MachineBlocked.
    """
    outputs = video_audio(command.source(fd, threads), found, wanted, paths, limits)
    expected = max(_playable(found, each.ordinal).end for each in wanted)
    try:
        return process.run(
            # However much of a sound is broken, a film is worth having; ffmpeg gives up at two thirds of the packets.
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
    wanted: Sequence[AudioRequest],
    paths: Mapping[AudioRequest, bytes],
    limits: Limits,
    damaged: bool,
    fd: int | None = None,
    threads: int = 1,
    report: Report = lambda _: None,
) -> list[str]:
    """Warnings about the sounds of a film that were just written, after each was opened again.

    A sound that breaks off does not make a film useless: it is a warning. Raises JobFailed when a file is not what
    was wanted. ``damaged``: whether ffmpeg complained of the source. ``fd``: the film, with which a sound that changes
    its channels in the middle, as television does, is made anew; without it such a sound is a failure.
    """
    warnings: list[str] = []
    for ordinal, several in _by_track(wanted).items():
        audio = _playable(found, ordinal)
        what = "the sound" if len(found.audios) == 1 else f"sound track {ordinal + 1}"
        if fd is not None and any(resync.jumps(paths[each]) for each in several):
            _resynced(fd, found, several, paths, threads, limits, report)
            warnings.append(f"{what} changes its channels or its rate in the middle: it was made uniform")
        measured = statistics.measured(paths[several[0]], audio.stream.sample_rate, audio.stream.channels)
        if measured:
            warnings += statistics.remarks(measured, what)
            missing = audio.end - measured.end
            if missing > durations.slack(audio.end, damaged):
                warnings.append(
                    f"{what} is broken after {measured.end:.1f} s of {audio.end:.1f} s: it is silent from there on"
                )
        end = max(audio.end, found.video.end if found.video else 0.0)
        if measured and measured.end - end > _CUT:
            warnings.append(f"{what} lasts {measured.end:.2f} s, the film {end:.2f} s: the rest of it is cut off")
        for each in several:
            _check(each, paths[each], end, limits)
    return warnings


def _resynced(
    fd: int,
    found: Streams,
    wanted: Sequence[AudioRequest],
    paths: Mapping[AudioRequest, bytes],
    threads: int,
    limits: Limits,
    report: Report,
) -> None:
    """Make the files of one track anew."""
    audio, folder = _playable(found, wanted[0].ordinal), os.path.dirname(paths[wanted[0]])
    stream = source = command.source(fd, threads)
    stream = mixed(source[str(audio.index)].filter("aresample", **{"async": 1}), "aac", wanted[0].channels)
    with resync.uniform(fd, stream, audio, paths[wanted[0]], threads, limits, report) as (other, index, start):
        # Its own start is where the track begins in the film.
        source = command.source(other, threads, itsoffset=f"{start:.6f}")
        moved = msgspec.structs.replace(audio, index=index)
        outputs = video_audio(source, msgspec.structs.replace(found, audios=(moved,)), wanted, paths, limits)
        arguments = command.arguments(*outputs, threads=threads)
        process.run(arguments, input_fd=other, folder=folder, expected=audio.end, rate=None, report=report)


def forget(paths: Mapping[AudioRequest, bytes]) -> None:
    """Remove what lies beside the places, of a run that failed."""
    for path in paths.values():
        statistics.forget(path)


def straight(source: Any, audio: InputAudio) -> Any:
    """The sound track of an ffmpeg-python input: it begins at 0, gaps are silence, overlaps are cut.

    What is less than a tenth of a second off is brought back by playing it a little faster or slower: small gaps, as
    joined recordings have them, would else add up to that before anything is done.
    """
    return source[str(audio.index)].filter("aresample", **{"async": _CATCHING_UP, "min_comp": _OFF, "first_pts": 0})


def split(stream: Any, count: int) -> list[Any]:
    """A sound ``count`` times."""
    if count == 1:
        return [stream]
    several = stream.filter_multi_output("asplit", count)
    return [several.stream(number) for number in range(count)]


def mixed(stream: Any, encoder: str, channels: int) -> Any:
    """A sound with so many channels in the layout that the encoder knows.

    Mixed down as ITU-R BS.775 has it (centre and surround 3 dB lower, no LFE), and so much lower in all that it cannot
    clip, which libswresample leaves out by itself for floating-point samples.
    """
    layouts = _OPUS_LAYOUTS if encoder == "libopus" else _AAC_LAYOUTS
    stream = stream.filter("aresample", out_chlayout=layouts[channels - 1], rematrix_maxval=1)
    return stream.filter("aformat", channel_layouts=layouts[channels - 1])


def options(encoder: str, bitrate: int, audio: InputAudio) -> dict[str, Any]:
    """ffmpeg options that encode a sound track; ``bitrate`` in kbit/s."""
    chosen: dict[str, Any] = {
        "c:a": encoder,
        "b:a": f"{bitrate}k",
        "ar": _OPUS_RATE if encoder == "libopus" else _aac_rate(audio.stream.sample_rate),
        "flags:a": "+bitexact",
    }
    if audio.stream.language:
        chosen["metadata:s:a:0"] = f"language={audio.stream.language}"
    return chosen


def _by_track(wanted: Sequence[AudioRequest]) -> dict[int, list[AudioRequest]]:
    found: dict[int, list[AudioRequest]] = {}
    for each in wanted:
        found.setdefault(each.ordinal, []).append(each)
    return found


def _check(wanted: AudioRequest, path: bytes, end: float, limits: Limits) -> None:
    name = f"sound track {wanted.ordinal + 1}"
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = verify.verified(fd, name, limits)
    finally:
        os.close(fd)
    if made.video or not made.audio or made.audio.stream.codec != "aac":
        raise JobFailed(f"{name}: came out with other tracks than asked for")
    if made.audio.stream.channels != wanted.channels:
        raise JobFailed(f"{name}: came out with {made.audio.stream.channels} channels instead of {wanted.channels}")
    if resync.jumps(path):
        raise JobFailed(f"{name}: came out of step: its channels or its rate change in the middle")
    if abs(made.audio.end - end) > durations.TOLERANCE + _LAST_PACKET:
        raise JobFailed(f"{name}: came out {made.audio.end:.2f} s long instead of {end:.2f} s")


def _playable(found: Streams, ordinal: int) -> InputAudio:
    for audio in found.audios:
        if audio.ordinal == ordinal:
            return audio
    raise JobFailed(f"sound track {ordinal + 1} cannot be played, though it was planned")


def _aac_rate(rate: int) -> int:
    """The source's rate if AAC has it, else the next higher one, 48 kHz at most."""
    return next((known for known in _AAC_RATES if known >= rate), _AAC_RATES[-1])
