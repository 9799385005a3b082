"""A recipe's outputs, resolved for one source: names, parameters, keys. Pure: the same values in, the same keys out.

Parameters (``Target.params``) by operation; sizes are pixels as shown, times seconds, bitrates kbit/s:

image, poster     format, width, height, quality (1 to 100, or "auto" with similarity), effort, animated; fit and
                  position when they are not "inside"
animation         codec, width, height (even), crf
video, stream     codec, width, height (even), crf or vmaf, preset, encoder, maxrate, hdr (whether it stays), gop
                  (seconds between key frames), piece (frames of a piece; 0: encoded whole): these decide what is
                  encoded, and two targets with equal ones share it.
                  video: sound (whether there is one), audio_bitrate.
                  stream (a CMAF track for HLS, picture only): segment (seconds)
sound             (a CMAF track for HLS) track (which of ``MediaInfo.audio``), bitrate, channels, segment
text              (WebVTT) track (which of ``MediaInfo.texts``)
playlist          of (name of the track's file), of_key (its key), segment (seconds) of a CMAF track, duration of others
master            of (names of the playlists, comma between), of_key (digest of their keys)
storyboard        format, width, height (of one picture), columns, count, interval, quality
storyboard-map    of, width, height, columns, count, interval, duration
preview           width, height, seconds, fps, quality
audio             format, bitrate, channels, loudness (LUFS, absent: as it is), cover
waveform          format, points, height
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

import msgspec

from mediactl.model.assets import Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs.tables import (
    AnimationOutput,
    AudioOutput,
    Cutting,
    Encoding,
    HlsOutput,
    ImageOutput,
    PosterOutput,
    PreviewOutput,
    StoryboardOutput,
    SubtitlesOutput,
    VideoOutput,
    WaveformOutput,
)
from mediactl.recipe.conditions import holds
from mediactl.recipe.loader import AnyOutput, Recipe

Versions = Mapping[str, str]
"""Encoder ("image", "ffmpeg") -> series, as ``media.versions`` tells it."""
Params = dict[str, int | float | str | bool]

OPERATION_VERSIONS = {
    "image": 2, "animation": 1, "poster": 2, "video": 2, "stream": 1, "sound": 1, "text": 1, "playlist": 1, "master": 1,
    "storyboard": 1, "storyboard-map": 1, "preview": 1, "audio": 2, "waveform": 1,
}  # fmt: skip
"""Raised when an operation of ours makes other bytes from the same parameters."""
ENCODERS = {
    "image": ("image",), "animation": ("image", "ffmpeg"), "poster": ("ffmpeg", "image"), "video": ("ffmpeg",),
    "stream": ("ffmpeg",), "sound": ("ffmpeg",), "text": ("ffmpeg",), "playlist": (), "master": (),
    "storyboard": ("ffmpeg", "image"), "storyboard-map": (), "preview": ("ffmpeg", "image"), "audio": ("ffmpeg",),
    "waveform": ("ffmpeg",),
}  # fmt: skip
OPERATIONS = {
    Kind.IMAGE: ("image", "animation"),
    Kind.VIDEO: tuple(name for name in ENCODERS if name not in ("image", "animation")),
    Kind.AUDIO: ("audio", "waveform"),
}
"""What may be done to a source of each kind; a film container may turn out to be a recording."""
MAX_SIDE = {"webp": 16_383, "jpeg": 65_500, "png": 1_000_000, "avif": 16_384}
"""Longest side in pixels that the encoder of each format writes (libwebp, libjpeg, libvips)."""
DEFAULT_QUALITY = {"webp": 80, "jpeg": 80, "png": 100, "avif": 60}
DEFAULT_EFFORT = {"webp": 4, "jpeg": 0, "png": 6, "avif": 3}
"""Measured (docs/pictures.md): WebP effort 4 takes 133 ms at 1600 px, effort 2 58 ms for 3 % more bytes and less
likeness, 0.003 SSIM at equal bytes. AVIF effort 3 takes 3 times the time of 1 for 0.003 to 0.004 more SSIM at equal
bytes, effort 4 another 4.5 times for 0.002 more. JPEG effort 0 (fixed tables) takes 6 ms for 210 kB, effort 1 16 ms
for 207 kB."""
DEFAULT_AUDIO_BITRATE = {"m4a": 128, "opus": 96}
"""kbit/s for two channels; Opus at 96 is judged as good as AAC at 128 in public listening tests."""
MOST_OPUS = 256
"""kbit/s a channel; libopus refuses more."""
DEFAULT_CRF = {"h264": 23, "hevc": 26, "av1": 32}
DEFAULT_PRESET = {"h264": "veryfast", "hevc": "fast", "av1": "10"}
KEY_FRAMES = 2.0
"""Seconds between key frames, as Apple's HLS authoring specification has it (1.13: every two seconds)."""
_NEARLY = 0.01
"""Part of a frame's lines by which a film may miss it and still be taken as it is."""
SHARED = 4
"""A film's pieces are a multiple of so many, and about equally long: two and four cores end together, and of the many
pieces of a long film more cores lose little."""
MOST_TRACKS = 32
"""Sound tracks of a film, and subtitle tracks: more than discs have; a forged file may have a thousand."""
MOST_TILES = 200
"""Pictures of a storyboard."""
_FULL_HD_RATE = {"h264": 6_000, "hevc": 4_200, "av1": 3_600}
"""kbit/s that 1080p at 30 frames a second may take at most; Apple's ladder has 6,000 and 4,500 (HEVC) there."""


def targets(recipe: Recipe, kind: Kind, info: MediaInfo, digest: str, versions: Versions) -> tuple[Target, ...]:
    """Every artefact of a source, in the order of the recipe; playlists after what they name."""
    return tuple(target for _, made in by_output(recipe, kind, info, digest, versions) for target in made)


def by_output(
    recipe: Recipe, kind: Kind, info: MediaInfo, digest: str, versions: Versions
) -> Iterator[tuple[AnyOutput, list[Target]]]:
    """The same by output; those whose condition is false are left out."""
    for output in recipe.outputs(effective_kind(kind, info)):
        if holds(output.when, info):
            maker = _Maker(info, digest, versions, recipe.cutting)
            maker.add(output)
            yield output, maker.made


def effective_kind(kind: Kind, info: MediaInfo) -> Kind:
    """A film container without a moving picture is a recording."""
    return Kind.AUDIO if kind is Kind.VIDEO and info.video is None else kind


def key(digest: str, operation: str, params: Mapping[str, int | float | str | bool], versions: Versions) -> str:
    """An artefact's identity: what went in, what was done, by which code. 32 hex digits."""
    return _digest(
        digest, operation, sorted(params.items()), OPERATION_VERSIONS[operation],
        [versions[encoder] for encoder in ENCODERS[operation]],
    )  # fmt: skip


def fit(width: int, height: int, box_width: int | None, box_height: int | None, longest: int) -> tuple[int, int]:
    """Width and height scaled to fit a box, in whole pixels, never enlarged, no side over ``longest``."""
    scale = min(
        1.0,
        (box_width or width) / width,
        (box_height or height) / height,
        longest / max(width, height),
    )
    return max(1, round(width * scale)), max(1, round(height * scale))


class _Maker:
    """Collects the targets of one source."""

    def __init__(self, info: MediaInfo, digest: str, versions: Versions, cutting: Cutting) -> None:
        self._info = info
        self._digest = digest
        self._versions = versions
        self._cutting = cutting
        self.made: list[Target] = []

    def add(self, output: AnyOutput) -> None:
        info, name = self._info, output.file_name
        if isinstance(output, PosterOutput):
            self._target(name, "poster", "poster", _picture(output, info))
        elif isinstance(output, ImageOutput):
            self._target(name, "variant", "image", _picture(output, info))
        elif isinstance(output, AnimationOutput):
            if info.frames > 1:
                width, height = fit(info.width or 2, info.height or 2, output.width, output.height, 4096)
                width, height = _even(width, output.width), _even(height, output.height)
                params: Params = {"codec": "h264", "width": width, "height": height, "crf": output.crf}
                self._target(name, "animation", "animation", params)
        elif isinstance(output, HlsOutput):
            self._ladder(output)
        elif isinstance(output, VideoOutput):
            params = self._encoded(output, output.height)
            params |= {"sound": any(track.playable for track in info.audio), "audio_bitrate": output.audio_bitrate}
            self._target(name, "rendition", "video", params)
        elif isinstance(output, StoryboardOutput):
            self._storyboard(output)
        elif isinstance(output, PreviewOutput):
            width, height = fit(info.width or 2, info.height or 2, output.width, None, MAX_SIDE["webp"])
            seconds = min(output.seconds, info.duration or output.seconds)
            params = {"width": width, "height": height, "seconds": seconds, "fps": output.fps}
            self._target(name, "preview", "preview", {**params, "quality": output.quality})
        elif isinstance(output, SubtitlesOutput):
            for number, track in enumerate(info.texts[:MOST_TRACKS]):
                if track.text:
                    file = f"{output.name}-{_track_name(number, track.language)}.vtt"
                    self._target(file, "subtitles", "text", {"track": number})
        elif isinstance(output, AudioOutput):
            self._target(name, "audio", "audio", _sound(output, info))
        elif isinstance(output, WaveformOutput):
            params = {"format": output.format, "points": output.points}
            self._target(
                name, "waveform", "waveform", params | ({"height": output.height} if output.format == "png" else {})
            )

    def _target(self, name: str, role: str, operation: str, params: Params) -> Target:
        made = Target(name, role, operation, params, key(self._digest, operation, params, self._versions))
        self.made.append(made)
        return made

    def _ladder(self, output: HlsOutput) -> None:
        info = self._info
        playlists: list[Target] = []

        def track(base: str, role: str, operation: str, extension: str, params: Params, **more: float) -> None:
            file = self._target(f"{base}.{extension}", role, operation, params)
            of: Params = {"of": file.name, "of_key": file.key, **more}
            playlists.append(self._target(f"{base}.m3u8", "playlist", "playlist", of))

        sizes = set()
        for height in rungs(output.heights, lines_of(info.width or 2, info.height or 2)):
            params = self._encoded(output, height) | {"segment": output.segment}
            if (size := (params["width"], params["height"])) not in sizes:
                sizes.add(size)
                track(f"{output.name}-{height}", "stream", "stream", "mp4", params, segment=output.segment)
        sounds = [number for number, each in enumerate(info.audio) if each.playable][:MOST_TRACKS]
        for number in sounds[: {"all": len(sounds), "first": 1, "none": 0}[output.audio]]:
            params = {"track": number, "bitrate": output.audio_bitrate, "channels": min(2, info.audio[number].channels)}
            base = f"{output.name}-audio-{_track_name(number, info.audio[number].language)}"
            track(base, "sound", "sound", "mp4", {**params, "segment": output.segment}, segment=output.segment)
        for number, text in enumerate(info.texts[:MOST_TRACKS] if output.subtitles else ()):
            if text.text:
                base = f"{output.name}-text-{_track_name(number, text.language)}"
                track(base, "subtitles", "text", "vtt", {"track": number}, duration=info.duration or 0.0)
        names = ",".join(playlist.name for playlist in playlists)
        of_key = _digest([playlist.key for playlist in playlists])
        self._target(output.file_name, "master", "master", {"of": names, "of_key": of_key})

    def _encoded(self, output: Encoding, lines: int) -> Params:
        info = self._info
        width, height = frame(info.width or 2, info.height or 2, lines)
        video = info.video
        rate = Fraction(video.rate) if video and video.rate else None
        wanted: Params = {"crf": DEFAULT_CRF[output.codec] if output.crf is None else output.crf}
        if output.quality is not None:
            wanted = {"vmaf": output.quality.vmaf}
        keep = output.hdr == "keep" and output.codec != "h264" and bool(video) and is_hdr(info)
        full = _FULL_HD_RATE[output.codec] * (1.5 if rate and rate > 40 else 1.0) * (1.25 if keep else 1.0)
        return {
            "codec": output.codec,
            "width": width,
            "height": height,
            **wanted,
            "preset": output.preset or DEFAULT_PRESET[output.codec],
            "encoder": output.encoder,
            "maxrate": max(200, round(full * (width * height / (1920 * 1080)) ** 0.75 / 50) * 50),
            "hdr": keep,
            "gop": KEY_FRAMES,
            "piece": piece_frames(info, self._cutting),
        }

    def _storyboard(self, output: StoryboardOutput) -> None:
        info = self._info
        duration = info.duration or output.interval
        interval = max(output.interval, math.ceil(duration / MOST_TILES * 10) / 10)
        count = max(1, math.ceil(duration / interval - 1e-6))
        width, height = fit(info.width or 2, info.height or 2, output.width, None, 640)
        columns = min(count, 10)
        params: Params = {"width": width, "height": height, "columns": columns, "count": count, "interval": interval}
        sheet = {"format": output.format, **params, "quality": output.quality}
        self._target(output.file_name, "storyboard", "storyboard", sheet)
        named = {**params, "of": output.file_name, "duration": duration}
        self._target(f"{output.name}.vtt", "storyboard-map", "storyboard-map", named)


def lines_of(width: int, height: int) -> float:
    """Lines of the smallest 16:9 frame, lying or upright, that a film fits into: 1080 for 1920 x 1080, for 1920 x 800
    and for 1080 x 1920."""
    return max(min(width, height), max(width, height) * 9 / 16)


def frame(width: int, height: int, lines: int) -> tuple[int, int]:
    """A film's size on a rung, even, never enlarged: what fits into a 16:9 frame of so many lines, lying or upright.

    So a "720p" rendition of a wide film is 1280 x 534, as players, levels and bit rates expect it, and not 1728 x 720.
    A film within 1 % of the frame keeps its size (856 x 480, 1920 x 1088): scaling would cost sharpness for nothing.
    """
    scale = lines / lines_of(width, height)
    if scale < 1 - _NEARLY:
        return _even(width * scale), _even(height * scale)
    return _even(width), _even(height)


def rungs(heights: tuple[int, ...], own: float) -> list[int]:
    """The rungs of a ladder for a film of ``own`` lines (``lines_of``), largest first: those that do not enlarge it,
    and the next one (which becomes its own size) when the film lies well above them, or below all."""
    wanted = sorted(set(heights), reverse=True)
    below = [height for height in wanted if height <= own * (1 + _NEARLY)]
    above = [height for height in wanted if height > own * (1 + _NEARLY)]
    if above and (not below or own >= below[0] * 1.2):
        below.insert(0, above[-1])
    return below


def piece_frames(info: MediaInfo, cutting: Cutting) -> int:
    """Frames of a piece, a whole number of key frame intervals; 0: the film is encoded whole."""
    video = info.video
    if video is None or not video.even or not video.rate or not is_long(info, cutting):
        return 0
    gop = round(Fraction(video.rate) * Fraction(KEY_FRAMES))
    if not gop:
        return 0  # slides, each shown for longer than a key frame interval: there is too little to encode
    most = max(1, round(cutting.piece / KEY_FRAMES))
    groups = -(-(video.frames or 0) // gop)
    if groups <= most:
        return 0
    pieces = -(-groups // most)
    pieces = -(-pieces // SHARED) * SHARED
    return gop * -(-groups // pieces)


def is_long(info: MediaInfo, cutting: Cutting) -> bool:
    """Whether a film is so long that it is cut where it can be."""
    return (info.duration or 0.0) >= max(cutting.above, 2 * KEY_FRAMES)


def is_hdr(info: MediaInfo) -> bool:
    """Whether a film is of high dynamic range."""
    return info.video is not None and info.video.transfer in ("smpte2084", "arib-std-b67")


def _track_name(number: int, language: str) -> str:
    letters = "".join(each for each in language.lower() if each.isascii() and each.isalnum())[:8]
    return f"{number + 1}-{letters}" if letters else f"{number + 1}"


def _picture(output: ImageOutput, info: MediaInfo) -> Params:
    own_width, own_height, longest = info.width or 1, info.height or 1, MAX_SIDE[output.format]
    width, height = fit(own_width, own_height, output.width, output.height, longest)
    if output.fit != "inside" and output.width and output.height:
        scale = min(
            1.0, own_width / output.width, own_height / output.height, longest / max(output.width, output.height)
        )
        width, height = max(1, round(output.width * scale)), max(1, round(output.height * scale))
    animated = output.animate and output.format == "webp" and info.frames > 1 and info.video is None
    params: Params = {
        "format": output.format,
        "width": width,
        "height": height,
        "quality": DEFAULT_QUALITY[output.format] if output.quality is None else output.quality,
        "effort": DEFAULT_EFFORT[output.format] if output.effort is None else output.effort,
        "animated": animated,
    }
    if output.quality == "auto":
        params["similarity"] = output.similarity
    if output.fit != "inside":
        params["fit"] = output.fit
        if output.fit == "cover":
            params["position"] = output.position
    return params


def _sound(output: AudioOutput, info: MediaInfo) -> Params:
    there = next((track.channels for track in info.audio if track.playable), 2)
    channels = min(8 if output.channels == "keep" else 2, there)
    full = DEFAULT_AUDIO_BITRATE[output.format] if output.bitrate is None else output.bitrate
    bitrate = max(8, full * 5 // 8) if channels == 1 else full * max(1, channels // 2)
    if output.format == "opus":
        bitrate = min(bitrate, MOST_OPUS * channels)
    params: Params = {"format": output.format, "bitrate": bitrate, "channels": channels, "cover": output.cover}
    return params if output.loudness is None else params | {"loudness": output.loudness}


def _even(side: float, most: int | None = None) -> int:
    # 4:2:0 halves both sides.
    even = round(side / 2) * 2
    return max(2, even if most is None or even <= most else most // 2 * 2)


def _digest(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
