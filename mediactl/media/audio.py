"""Sound: all missing files of a recording in one ffmpeg run, each verified; and what films need for their sound.

AAC in .m4a that plays while it loads, Opus in .opus (Ogg); title, artist and the like are kept, nothing else is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mediactl.errors import JobFailed, RejectedInput
from mediactl.media import ffmpeg, lengths, sounds, tracks
from mediactl.media.drafts import Draft, Drafts, Temporary
from mediactl.media.execute import Report
from mediactl.media.sounds import SoundWanted as SoundWanted
from mediactl.media.sounds import checked as checked
from mediactl.media.sounds import encode_sounds as encode_sounds
from mediactl.media.sounds import film_sounds as film_sounds
from mediactl.media.tracks import Sound, Tracks
from mediactl.model import MakeTask, MediaInfo, Target

ENCODERS = frozenset({"aac", "libopus"})
"""What ``ffmpeg.check`` must find before recordings are rendered."""
FORMATS = {
    "m4a": ("aac", "aac", "ipod", "audio/mp4"),
    "opus": ("libopus", "opus", "opus", "audio/ogg; codecs=opus"),
}
"""A target's format: encoder, codec, ffmpeg's muxer, media type."""

_KEPT_TAGS = ("title", "artist", "album", "album_artist", "composer", "genre", "track", "date")
_HOLDING = frozenset({"video", "stream", "sound", "audio"})
"""Operations whose targets hold tracks."""
_ENCODED = 0.95


def render(fd: int, task: MakeTask, targets: tuple[Target, ...], temporary: Temporary, report: Report) -> Drafts:
    """Make and verify the "audio" targets of an open recording; drafts come in the order of ``targets``.

    Raises RejectedInput when the recording is broken ("broken after 12.3 s of 30.0 s"), JobFailed when ffmpeg failed
    otherwise or an output is not what was asked for, MachineBlocked when the disk is full.
    """
    found = tracks.inspect(fd, task.source.format, task.limits)
    if found.sound is None:
        raise RejectedInput("has no sound track that can be decoded")
    places = {target.name: temporary(target.name) for target in targets}
    streams = filled(ffmpeg.source(fd, task.threads), found.sound, len(targets))
    outputs = [
        _output(stream, found.sound, found.info, target, places[target.name], task)
        for stream, target in zip(streams, targets, strict=True)
    ]
    try:
        complaints = ffmpeg.run(
            ffmpeg.arguments(*outputs, threads=task.threads),
            input_fd=fd,
            folder=os.path.dirname(places[targets[0].name]),
            expected=found.sound.end,
            rate=None,
            report=lambda fraction: report(fraction * _ENCODED),
        )
    except ffmpeg.FfmpegFailed as error:
        raise tracks.judged(error, fd, task.limits) from error
    drafts, warnings = [], left_out(found, task.targets)
    damaged = len(complaints) >= tracks.DAMAGED
    if damaged:
        warnings.append("parts of the recording are damaged and may sound wrong")
    for number, target in enumerate(targets, 1):
        drafts.append(_verified(target, found.sound, places[target.name], task, damaged, warnings))
        report(_ENCODED + (1 - _ENCODED) * number / len(targets))
    return Drafts(tuple(drafts), "", tuple(dict.fromkeys(filter(None, warnings))))


def filled(source: Any, sound: Sound, count: int) -> list[Any]:
    """The sound track of an ffmpeg-python input, ``count`` times, as ``sounds.straight`` makes it."""
    return sounds.split(sounds.straight(source, sound), count)


def options(encoder: str, bitrate: int, channels: int, sound: Sound) -> dict[str, Any]:
    """ffmpeg options that encode a sound track; ``bitrate`` in kbit/s."""
    return {**sounds.options(encoder, bitrate, sound), "ac": channels}


def left_out(found: Tracks, targets: Sequence[Target]) -> list[str]:
    """A warning that names the tracks which none of these targets holds; none when no target holds any."""
    held = {target.operation for target in targets} & _HOLDING
    if not held:
        return []
    heard = {int(target.params["track"]) for target in targets if target.operation == "sound"}
    if found.sound and ("audio" in held or any(target.params.get("sound") for target in targets)):
        heard.add(found.sound.ordinal)
    read = {int(target.params["track"]) for target in targets if target.operation == "text"}
    kept_cover = any(target.operation == "audio" and target.params.get("cover") for target in targets)
    counts = [
        (len(found.info.audio) - len(heard), "sound track"),
        (found.videos - bool(found.picture), "film track"),
        (len(found.info.texts) - len(read), "subtitle track"),
        (found.data, "data track"),
    ]
    parts = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count > 0]
    parts += ["the cover art"] if found.cover and not kept_cover else []
    return ["left out: " + ", ".join(parts)] if parts else []


def _output(stream: Any, sound: Sound, info: MediaInfo, target: Target, place: bytes, task: MakeTask) -> Any:
    encoder, _, muxer, _ = FORMATS[str(target.params["format"])]
    chosen = options(encoder, int(target.params["bitrate"]), int(target.params["channels"]), sound)
    if kept := [f"{name}={info.tags[name]}" for name in _KEPT_TAGS if name in info.tags]:
        chosen["metadata"] = "\0".join(kept)
    if muxer == "ipod":
        chosen["movflags"] = "+faststart"
    return ffmpeg.output([stream], place, muxer, task.limits, **chosen)


def _verified(target: Target, sound: Sound, place: bytes, task: MakeTask, damaged: bool, warnings: list[str]) -> Draft:
    """The draft of a sound file, after it was opened again: codec, channels, duration, first and last frames."""
    _, codec, muxer, media_type = FORMATS[str(target.params["format"])]
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = tracks.reinspect(fd, target.name, task.limits)
        streamable = muxer != "ipod" or lengths.streamable(fd)
    finally:
        os.close(fd)
    if made.picture or not made.sound or made.sound.track.codec != codec:
        raise JobFailed(f"{target.name}: came out with other tracks than asked for")
    if made.sound.track.channels != target.params["channels"]:
        raise JobFailed(f"{target.name}: came out with {made.sound.track.channels} channels")
    if not streamable:
        raise JobFailed(f"{target.name}: came out with its index at the end")
    warnings.append(lengths.compared("the recording", sound.end, made.sound.end, 0.0, damaged))
    return Draft(target, place, media_type, duration=made.info.duration)
