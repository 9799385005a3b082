"""Encoding of video streams: one ffmpeg run, one decode, every stream into an MP4 of its own; whole or an exact piece.

The files made here are never published as they are: ``package`` joins them, with the audio, into artefacts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import av
import msgspec

from mediactl.core.errors import JobFailed
from mediactl.core.files import remove_if_there
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import codecs, command, process
from mediactl.media.filters import interlacing
from mediactl.media.filters.video_filters import TICKS, Cut, Weave, input_options, prepared, scaled
from mediactl.media.inspect import demux
from mediactl.media.inspect.frames.colour_tags import HDR
from mediactl.media.inspect.streams import InputVideo, Streams
from mediactl.media.mp4 import joined
from mediactl.model.assets import Operation, Target, made_by
from mediactl.model.media import Limits
from mediactl.outputs.encoding import EncodedParams

_MARGINS = (1.0, 6.0, 30.0, 120.0)
"""Seconds before a piece where a frame to start decoding at is looked for, in turn. The first is more than frames
may be reordered by (16 in H.264), the second what most encoders leave between key frames at most."""
_MOST_PACKETS = 20_000
"""Packets within which it must come."""
_START_TROUBLE = (
    "reference picture missing", "Missing reference picture", "co located POCs", "Could not find ref with",
    "mmco: unref short failure", "number of reference frames",
)  # fmt: skip
"""What decoders complain about after they were made to start in the middle of a video; the source is not damaged."""


class PieceNotExact(JobFailed):
    """A piece of a video does not have exactly its frames: encode the video whole."""


class Stream(msgspec.Struct, frozen=True):
    """What is encoded once, however many artefacts hold it. Fields as in ``EncodedParams``."""

    codec: str
    width: int
    height: int
    crf: float | None = None
    vmaf: float | None = None
    """Instead of a CRF, which ``vmaf.crf_for`` finds for it before it is encoded."""
    preset: str = "veryfast"
    encoder: str = "software"
    maxrate: int = 0
    """kbit/s; 0: none."""
    hdr: bool = False
    gop: float = 2.0
    """Seconds between key frames."""
    piece: int = 0
    """Frames of a piece; 0: encoded whole."""

    @property
    def name(self) -> str:
        """A file name for it, the same whenever its fields are: "h264-1280x720-1f0c6a52"."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:8]
        return f"{self.codec}-{self.width}x{self.height}-{digest}"


class Piece(msgspec.Struct, frozen=True):
    """Frames ``first`` to ``first + frames`` of an even video (``VideoStream.even``)."""

    number: int
    """Counted from 0."""
    first: int
    frames: int


class Encoded(msgspec.Struct, frozen=True):
    """What an encoding gave."""

    frames: tuple[int, ...]
    """Frames of each stream, in their order."""
    complaints: tuple[str, ...] = ()
    """What ffmpeg logged about the source; see ``diagnosis.DAMAGED``."""
    notes: tuple[str, ...] = ()
    """For a person: that an encoder which was asked for does not work here."""


def stream_of(params: EncodedParams) -> Stream:
    """Return what an artefact needs encoded."""
    return msgspec.convert(params, Stream, from_attributes=True)


def streams_of(targets: Sequence[Target[Operation]]) -> tuple[Stream, ...]:
    """Return what these targets need encoded, each once, in their order."""
    return tuple(dict.fromkeys(stream_of(target.params) for target in made_by(targets, EncodedParams)))


def resolved(stream: Stream, crf: float) -> Stream:
    """A stream with the CRF that its VMAF was found to need."""
    return msgspec.structs.replace(stream, crf=crf, vmaf=None)


def group_frames(stream: Stream, found: Streams) -> int | None:
    """Frames between the key frames of an even video; None: its key frames are set by time."""
    video = found.info.video
    return max(1, round(Fraction(video.rate) * Fraction(stream.gop))) if video and video.even and video.rate else None


def encode(
    fd: int,
    found: Streams,
    streams: Sequence[Stream],
    piece: Piece | None,
    paths: Sequence[bytes],
    *,
    threads: int,
    limits: Limits,
    folder: bytes,
    report: Report,
    also: Callable[[Any], list[Any]] | None = None,
    pace: process.Pace | None = None,
    weave: Callable[[], Weave | None] | None = None,
) -> Encoded:
    """Encode ``streams`` of an open video into video-only MP4s at ``paths`` (all in ``folder``), time scale 120,000.

    ``piece``: those frames of an even video, from 0 on, each at the exact time that the video's rate gives. None: all
    of it, at the times that its frames have in the source, a late start included. ``also`` adds outputs to the run,
    made from the source's node; its times are the video's, so it goes with whole videos alone. ``weave`` returns how
    the video is interlaced; without it, frames are examined here.

    The files of all pieces of a stream have the same headers, and each begins with a frame that decoders start at.
    Raises PieceNotExact, JobFailed (streams of different length), FfmpegFailed, MachineBlocked.
    """
    video = found.video
    assert video is not None
    assert piece is None or also is None
    for path in paths:
        remove_if_there(path)  # What an earlier attempt left must not be taken for this one's.
    cut = _cut(found, piece) if piece else None
    coded = [_Coded(stream, *codecs.chosen(stream.codec, stream.encoder)) for stream in streams]
    examined = partial(interlacing.detected, fd, found, threads=threads, limits=limits, folder=folder)
    woven = (weave or examined)() if streams else None
    options = input_options(found, video, woven) | _sought(fd, video, cut, limits)
    source = command.source(fd, threads, max_pixels=limits.pixels, **options)
    branches = prepared(source[str(video.index)], found, video, len(streams), weave=woven, cut=cut) if coded else []
    outputs = [
        _output(each, branch, found, cut, path, threads, limits)
        for each, branch, path in zip(coded, branches, paths, strict=True)
    ]
    more = also(source) if also else []
    complaints = process.run_repeatably(
        [*_global_options(coded, cut, also is not None), *command.arguments(*outputs, *more, threads=threads)],
        input_fd=fd,
        folder=folder,
        expected=_expected(found, cut),
        rate=video.rate,
        report=report,
        pace=pace,
    )
    stamps = [_stamps(path) for path in paths]
    _check(stamps, cut, piece)
    return Encoded(
        frames=tuple(map(len, stamps)),
        complaints=_about_source(complaints, cut),
        notes=tuple(dict.fromkeys(each.note for each in coded if each.note)),
    )


class _Coded(msgspec.Struct, frozen=True):
    """A stream with the encoder that was chosen for it, and what is to be reported about that."""

    stream: Stream
    coder: codecs.Coder
    note: str


def _cut(found: Streams, piece: Piece) -> Cut:
    video = found.info.video
    assert video is not None
    assert video.even
    return Cut(video.start, Fraction(video.rate), piece.first, piece.frames)


def _global_options(coded: Sequence[_Coded], cut: Cut | None, tolerant: bool) -> Iterator[str]:
    """Yield ffmpeg's options of the whole run."""
    if tolerant:
        # However much of the audio is broken, the video is worth having; ffmpeg gives up at two thirds of the packets.
        yield from ("-max_error_rate", "1")
    for setup in dict.fromkeys(each.coder.setup for each in coded):
        yield from setup
    if cut:
        # Frames have the times of the source, from the file's start, wherever reading begins.
        yield from ("-copyts", "-start_at_zero")


def _expected(found: Streams, cut: Cut | None) -> float:
    """Return the seconds of video that come out."""
    if cut:
        return float(cut.frames / cut.rate)
    return found.info.duration or (found.video.end if found.video else 0.0)


def _about_source(complaints: Sequence[str], cut: Cut | None) -> tuple[str, ...]:
    """Return what ffmpeg complained about but what comes of starting to decode in the middle."""
    if not cut or not cut.first:
        return tuple(complaints)
    return tuple(line for line in complaints if not any(words in line for words in _START_TROUBLE))


def _sought(fd: int, video: InputVideo, cut: Cut | None, limits: Limits) -> dict[str, Any]:
    """Options of the input: where reading begins for a piece. None is dropped by ffmpeg but by our own cut."""
    if cut is None or cut.first == 0:
        return {}
    second = _entry(fd, video.index, cut.second(cut.first), limits)
    return {"ss": f"{second:.6f}", "noaccurate_seek": None} if second > 0 else {}


def _entry(fd: int, index: int, first: float, limits: Limits) -> float:
    """Seconds from the file's start to seek to, so that decoding can begin there and has begun at ``first``.

    Containers without an index (MPEG-TS) are entered anywhere; so it is looked what comes there.
    """
    with demux.opened(fd, limits) as container:
        start = (container.start_time or 0) / 1e6
        for margin in _MARGINS:
            second = first - margin
            if second <= 0:
                break
            try:
                container.seek(int((start + second) * 1e6))
            except av.FFmpegError:
                break
            for number, packet in enumerate(demux.packets(container, container.streams[index])):
                if packet.is_keyframe and packet.pts is not None and packet.time_base:
                    if float(packet.pts * packet.time_base) - start <= first:
                        return second
                    break
                if number > _MOST_PACKETS:
                    break
    if first > 2 * _MARGINS[-1]:
        # Every piece would have to decode all that comes before it.
        raise PieceNotExact("its key frames are too far apart to begin between them")
    return 0.0


def encoder_options(stream: Stream, coder: codecs.Coder, found: Streams, *, hdr: bool, threads: int) -> dict[str, Any]:
    """ffmpeg's options for a stream of this video. Raises ValueError when its CRF was not searched."""
    if stream.crf is None:
        raise ValueError(f"{stream.name}: its CRF was not looked for")
    group = group_frames(stream, found)
    options = codecs.options(
        coder,
        stream.codec,
        crf=stream.crf,
        preset=stream.preset,
        maxrate=stream.maxrate,
        hdr=hdr,
        group=group,
        threads=threads,
    )
    if group is None:
        options["force_key_frames"] = f"expr:gte(t,n_forced*{stream.gop:g})"
    return options | {"enc_time_base": f"1:{TICKS}", "video_track_timescale": TICKS}


def keeps_hdr(stream: Stream, video: InputVideo) -> bool:
    """Whether a stream is of high dynamic range, as its source."""
    return stream.hdr and video.transfer in HDR


def _output(
    coded: _Coded, branch: Any, found: Streams, cut: Cut | None, path: bytes, threads: int, limits: Limits
) -> Any:
    """Return the output node of a stream."""
    assert found.video is not None
    stream, coder = coded.stream, coded.coder
    hdr = keeps_hdr(stream, found.video)
    shown = scaled(branch, found.video, stream.width, stream.height, hdr=hdr)
    options = encoder_options(stream, coder, found, hdr=hdr, threads=threads)
    if cut:
        # One more than there should be: enough to see that there are too many.
        options["frames:v"] = cut.frames + 1
    options["fps_mode"] = "passthrough" if cut else "vfr"
    return command.output([coder.fed(shown, ten_bit=hdr)], path, "mp4", limits, **options)


def _stamps(path: bytes) -> list[int]:
    """When each frame of a file of ours comes, in ticks, in order."""
    try:
        stamps, tick = joined.stamps(path)
    except (av.FFmpegError, IndexError, ValueError, FileNotFoundError):
        return []
    return [int(stamp * tick * TICKS) for stamp in stamps]


def _check(stamps: list[list[int]], cut: Cut | None, piece: Piece | None) -> None:
    if cut and piece:
        wanted = cut.stamps()
        for made in stamps:
            if made != wanted:
                raise PieceNotExact(
                    f"piece {piece.number} of the video has {len(made)} of {len(wanted)} frames"
                    if len(made) != len(wanted)
                    else f"piece {piece.number} of the video has frames at other times"
                )
    elif len(set(map(len, stamps))) > 1:
        counts = ", ".join(str(len(made)) for made in stamps)
        raise JobFailed(f"the renditions have different numbers of frames: {counts}")
