"""Why ffmpeg failed: whether the source is to blame, or a retry may succeed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import av
import av.codec

from mediactl.core import machine
from mediactl.core.errors import MediactlError, RejectedInput
from mediactl.media.ffmpeg import process
from mediactl.media.inspect import demux
from mediactl.model.media import Limits

DAMAGED = 2
"""Complaints of ffmpeg from which on a source is called damaged: one odd packet at either end is usual."""

_NO_FRAME = (
    "Header missing", "invalid sync code", "invalid frame header", "decode_frame() failed", "frame sync error",
    "Error decoding AAC frame header", "Decoding error: Invalid data", "Error submitting packet to decoder",
)  # fmt: skip
"""What decoders of audio complain about when they are given something that is no frame, such as a tag."""
_TAGS = (b"TAG", b"ID3", b"3DI", b"APETAGEX", b"LYRICSBEGIN")
"""What tags of MP3 and other files begin with (ID3v1, ID3v2 and its footer, APE, Lyrics3): joined files have them in
the middle."""
_MISSING = {"mp3": 0.03}
"""Container -> seconds that may be missing between frames without anything being lost: where two MP3 files were joined,
one frame is none. Elsewhere: what time stamps in milliseconds are rounded by."""
_ROUNDED = 0.002
_SOURCE = re.compile(r"\[(\S+?)\]")
"""What a line of ffmpeg is about: "[aac]", "[in#0/mov,mp4]", "[aist#0:1/aac]"."""
_AUDIO_STREAM = "aist#"
_OUTPUT = re.compile(r"\[(?:out|[av]ost)#|.* to muxer in stream |\[\.\.\.\]$")
"""Lines about what ffmpeg writes: where its filters restart, for one, time stamps go back. And what stands for more."""
_JUDGED = 3_000
"""Packets that are decoded to find whether a source is damaged."""


def cause(error: process.FfmpegFailed, fd: int, limits: Limits) -> MediactlError:
    """Return RejectedInput when ffmpeg failed because the source is damaged, else the error, which is worth a retry."""
    if error.status > 0 and (error.blames_input or _is_damaged(fd, limits)):
        return RejectedInput(f"cannot be decoded: {process.last_message(error.stderr)}")
    return error


def about_audio(complaints: Sequence[str]) -> list[str]:
    """Return those of ffmpeg's error lines that decoders of audio, or what feeds them, have written."""
    return [line for line in complaints if _is_about_audio(line)]


def is_video_damaged(complaints: Sequence[str]) -> bool:
    """Return whether ``complaints``, ffmpeg's error lines, call a video damaged; those about its audio do not."""
    return sum(not (_is_about_audio(line) or _OUTPUT.match(line)) for line in complaints) >= DAMAGED


def is_audio_damaged(complaints: Sequence[str], fd: int, index: int, limits: Limits) -> bool:
    """Return whether ``complaints``, ffmpeg's error lines, mean that something of an audio stream was lost: tags and
    junk at its end, and tags in its middle, are none of it, nor is anything about outputs."""
    relevant = [line for line in complaints if not _OUTPUT.match(line)]
    if len(relevant) < DAMAGED:
        return False
    return not all(any(words in line for words in _NO_FRAME) for line in relevant) or _lost(fd, index, limits)


def _lost(fd: int, index: int, limits: Limits) -> bool:
    """Return whether packets between others cannot be decoded, or are missing."""
    decoded, end, start, failed = 0.0, 0.0, None, False
    with demux.opened(fd, limits) as container:
        allowed = _MISSING.get(container.format.name, _ROUNDED)
        for packet in demux.packets(container, container.streams[index]):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                machine.pass_on(error)
                tag = bytes(packet).startswith(_TAGS)
                failed |= not tag
                decoded += float((packet.duration or 0) * (packet.time_base or 0)) if tag else 0.0
                continue
            if not frames and bytes(packet).startswith(_TAGS):
                decoded += float((packet.duration or 0) * (packet.time_base or 0))
            if frames and failed:
                return True
            for frame in frames:
                length = frame.samples / frame.sample_rate
                decoded += length
                if frame.time is not None:
                    start = frame.time if start is None else start
                    end = max(end, frame.time + length)
    return end - (start or 0.0) - decoded > allowed


def _is_about_audio(line: str) -> bool:
    found = _SOURCE.match(line)
    return found is not None and (found[1].startswith(_AUDIO_STREAM) or _is_audio_codec(found[1]))


@cache
def _is_audio_codec(name: str) -> bool:
    """Return whether libav has a decoder of audio of this name."""
    try:
        return av.codec.Codec(name, "r").type == "audio"
    except ValueError:
        return False


def _is_damaged(fd: int, limits: Limits) -> bool:
    """Return whether a decoder fails within the first packets."""
    with demux.opened(fd, limits) as container:
        media = [stream for stream in container.streams if stream.type in ("video", "audio") and stream.codec_context]
        for number, packet in enumerate(demux.packets(container, *media)):
            try:
                packet.decode()
            except av.FFmpegError as error:
                machine.pass_on(error)
                return True
            if number >= _JUDGED:
                break
    return False
