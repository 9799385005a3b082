"""Films: all missing renditions and the poster in one ffmpeg run, each verified before it is handed on.

H.264 with AAC in an MP4 that plays while it loads; upright, square pixels, standard dynamic range, no metadata.
"""

from __future__ import annotations

import os
from typing import Any

import ffmpeg as graph

from mediactl.errors import JobFailed, RejectedInput
from mediactl.files import remove_if_there
from mediactl.media import audio, ffmpeg, lengths, tracks
from mediactl.media.drafts import Draft, Drafts, Temporary
from mediactl.media.execute import Report
from mediactl.media.tracks import HDR, Picture, Tracks
from mediactl.media.video_filters import SCALER, Weave, prepared, scaled
from mediactl.model import Limits, MakeTask, Target

ENCODERS = frozenset({"libx264", "aac", "png"})
"""What ``ffmpeg.check`` must find before films are rendered."""

_TIME_BASE = "1:120000"
"""Frame times stay what they are, so VFR stays VFR, at a resolution that is exact for 24 to 120 frames a second, for
their 1000/1001 variants, and for Matroska's milliseconds."""
_KEY_FRAMES = "expr:gte(t,n_forced*5)"
"""A key frame at least every 5 s whatever the frame rate: so exact is a viewer's seek."""
_POSTER_STEP = 0.5
"""Seconds between the frames that a poster is chosen from."""
_POSTER_FRAMES = 12
_POSTER_SEARCH = 60
"""Seconds of film in which a frame that is not black is looked for."""
_POSTER_MEMORY = 64 << 20
"""Bytes for those frames together; of large ones fewer are looked at."""
_BLACK_LUMA = 32
"""A pixel is black below this luma (video black is 16, white 235) ..."""
_BLACK_SHARE = 90
"""... and a frame from this per cent of black pixels on."""
_ENCODED = 0.95
"""Share of the progress that encoding is; the rest are poster and verification."""


def render(fd: int, task: MakeTask, targets: tuple[Target, ...], temporary: Temporary, report: Report) -> Drafts:
    """Make and verify the "video" and "poster" targets of an open film; drafts come in the order of ``targets``.

    Raises RejectedInput when the film is broken ("broken after 12.3 s of 30.0 s"), JobFailed when ffmpeg failed
    otherwise or an output is not what was asked for, MachineBlocked when the disk is full.
    """
    found = tracks.inspect(fd, task.source.format, task.limits)
    if found.picture is None:
        raise RejectedInput("has no film track that can be decoded")
    places = {target.name: temporary(target.name) for target in targets}
    # The names of artefacts have one dot, so these are free.
    stills = {each.name: temporary(f"{each.name}.still.png") for each in targets if each.operation == "poster"}
    try:
        for path in (*stills.values(), *places.values()):
            remove_if_there(path)  # What an earlier attempt left must not be taken for this one's.
        complaints = ffmpeg.run(
            ffmpeg.arguments(*_outputs(fd, task, found, found.picture, targets, places, stills), threads=task.threads),
            input_fd=fd,
            folder=os.path.dirname(places[targets[0].name]),
            expected=found.info.duration or found.picture.end,
            rate=found.picture.rate,
            report=lambda fraction: report(fraction * _ENCODED),
        )
        damaged = len(complaints) >= tracks.DAMAGED
        drafts, warnings, placeholder = [], _warnings(found, task, damaged), ""
        for number, target in enumerate(targets, 1):
            place = places[target.name]
            if target.operation == "poster":
                drafts.append(_poster(target, stills[target.name], place))
                if not (task.placeholder or placeholder):
                    placeholder = _placeholder(stills[target.name])
            else:
                drafts.append(_verified(target, found, place, task, damaged, warnings))
            report(_ENCODED + (1 - _ENCODED) * number / len(targets))
    except ffmpeg.FfmpegFailed as error:
        raise tracks.judged(error, fd, task.limits) from error
    finally:
        for path in stills.values():
            remove_if_there(path)
    return Drafts(tuple(drafts), placeholder, tuple(dict.fromkeys(filter(None, warnings))))


def _outputs(
    fd: int,
    task: MakeTask,
    found: Tracks,
    picture: Picture,
    targets: tuple[Target, ...],
    places: dict[str, bytes],
    stills: dict[str, bytes],
) -> list[Any]:
    """The ffmpeg-python output nodes of one run."""
    source = ffmpeg.source(fd, task.threads, max_pixels=task.limits.pixels)
    weave = Weave(flagged=True) if picture.interlaced else None
    branches = prepared(source[str(picture.index)], found, picture, len(targets), weave=weave)
    heard = [target.name for target in targets if found.sound and target.params.get("sound")]
    sounds = audio.filled(source, found.sound, len(heard)) if found.sound and heard else []
    outputs = []
    for target, branch in zip(targets, branches, strict=True):
        if target.operation == "poster":
            outputs.append(_poster_output(branch, picture, target, stills[target.name], task.limits))
        else:
            sound = sounds[heard.index(target.name)] if target.name in heard else None
            outputs.append(_rendition(branch, sound, found, picture, target, places[target.name], task))
    return outputs


def _rendition(
    branch: Any, sound: Any, found: Tracks, picture: Picture, target: Target, place: bytes, task: MakeTask
) -> Any:
    params = target.params
    streams = [scaled(branch, picture, int(params["width"]), int(params["height"]))]
    options: dict[str, Any] = {
        "c:v": "libx264",
        "profile:v": "high",
        "preset": params["preset"],
        "crf": params["crf"],
        "threads": task.threads,
        "fps_mode": "vfr",
        "enc_time_base": _TIME_BASE,
        "force_key_frames": _KEY_FRAMES,
        "flags:v": "+bitexact",
    }
    if sound and found.sound:
        streams.append(sound)
        channels = min(2, found.sound.track.channels)
        options |= audio.options("aac", int(params["audio_bitrate"]), channels, found.sound)
    return ffmpeg.output(streams, place, "mp4", task.limits, movflags="+faststart", **options)


def _poster_output(branch: Any, picture: Picture, target: Target, still: bytes, limits: Limits) -> Any:
    """One PNG: the most typical of the first frames that are not black; if all are, of the first frames.

    It ends with its one frame, so that a poster alone does not cost decoding the whole film.
    """
    width, height = int(target.params["width"]), int(target.params["height"])
    count = max(2, min(_POSTER_FRAMES, _POSTER_MEMORY // (width * height * 3)))
    chosen = branch.filter("select", f"isnan(prev_selected_t)+gte(t-prev_selected_t,{_POSTER_STEP})")
    split = scaled(chosen, picture, width, height).filter_multi_output("split", 2)
    key = "lavfi.blackframe.pblack"
    bright = split.stream(0).filter("trim", end=_POSTER_SEARCH).filter("blackframe", amount=0, threshold=_BLACK_LUMA)
    bright = bright.filter("metadata", mode="select", key=key, value=_BLACK_SHARE, function="less")
    first = split.stream(1).filter("thumbnail", n=count).filter("trim", end_frame=1)
    # concat turns to the second only when the first has ended without a frame.
    best = graph.concat(bright.filter("thumbnail", n=count), first)
    options = {"c:v": "png", "compression_level": 1, "frames:v": 1, "update": 1, "flags:v": "+bitexact"}
    return ffmpeg.output(
        [best.filter("scale", flags=SCALER).filter("format", "rgb24")], still, "image2", limits, **options
    )


def _poster(target: Target, still: bytes, place: bytes) -> Draft:
    from mediactl.media.image import encode_still  # Here: a worker that makes no posters never loads libvips.

    if not os.path.exists(still):
        raise RejectedInput("not one frame of the film can be decoded")
    return encode_still(still, target, place)


def _placeholder(still: bytes) -> str:
    from mediactl.media.image import placeholder_of

    return placeholder_of(still)


def _verified(target: Target, found: Tracks, place: bytes, task: MakeTask, damaged: bool, warnings: list[str]) -> Draft:
    """The draft of a rendition, after it was opened again: size, tracks, durations, first and last frames."""
    params, fd = target.params, os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        made = tracks.reinspect(fd, target.name, task.limits)
        streamable = lengths.streamable(fd)
    finally:
        os.close(fd)
    video, sound = made.info.video, bool(params["sound"] and found.sound)
    if not (video and made.picture and found.picture) or video.codec != params["codec"] or bool(made.sound) != sound:
        raise JobFailed(f"{target.name}: came out with other tracks than asked for")
    if (video.width, video.height, video.rotation) != (params["width"], params["height"], 0):
        raise JobFailed(
            f"{target.name}: came out {video.width}x{video.height} instead of {params['width']}x{params['height']}"
        )
    if not streamable:
        raise JobFailed(f"{target.name}: came out with its index at the end")
    frame = 1 / found.picture.rate if found.picture.rate else 0.0
    warnings.append(lengths.compared("the film", found.picture.end, made.picture.end, frame, damaged))
    if found.sound and made.sound:
        warnings.append(lengths.compared("the sound", found.sound.end, made.sound.end, 0.0, damaged))
    return Draft(target, place, "video/mp4", video.width, video.height, made.info.duration)


def _warnings(found: Tracks, task: MakeTask, damaged: bool) -> list[str]:
    """What the whole asset lost, whatever of it is made in this run."""
    warnings = []
    if found.picture and found.picture.transfer in HDR:
        name = HDR[found.picture.transfer]
        if "zscale" in ffmpeg.filters():
            warnings.append(f"high dynamic range ({name}) was mapped to standard range")
        else:
            warnings.append(f"high dynamic range ({name}) looks dull: this ffmpeg has no zscale filter to map it")
    if any(target.operation == "video" for target in task.targets):
        warnings += audio.left_out(found)
    if damaged:
        warnings.append("parts of the film are damaged and may look or sound wrong")
    return warnings
