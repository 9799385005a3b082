"""What a recipe may ask for: one frozen, validated value for each kind of output."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Names become file names and parts of URLs: lower case letters, digits, "-" and "_"."""
Pixels = Annotated[int, msgspec.Meta(ge=1, le=16_383)]
"""WebP's own limit for a side."""
Lines = Annotated[int, msgspec.Meta(ge=16, le=4320)]
Quality = Annotated[int, msgspec.Meta(ge=1, le=100)]
Bitrate = Annotated[int, msgspec.Meta(ge=8, le=1024)]
ImageFormat = Literal["webp", "jpeg", "png", "avif"]
VideoCodec = Literal["h264", "hevc", "av1"]
Encoder = Literal["software", "auto", "nvenc", "qsv", "vaapi", "videotoolbox"]

EXTENSIONS = {
    "webp": "webp", "jpeg": "jpg", "png": "png", "avif": "avif", "mp4": "mp4", "m4a": "m4a", "opus": "opus",
    "json": "json",
}  # fmt: skip

_X26 = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
PRESETS = {"h264": _X26, "hevc": _X26, "av1": tuple(str(number) for number in range(14))}
"""What each software encoder (x264, x265, SVT-AV1) knows as a preset."""
MOST_CRF = {"h264": 51, "hevc": 51, "av1": 63}


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all outputs have."""

    name: Name
    """File name without extension."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file, or of the one that stands for several."""
        raise NotImplementedError


class ImageOutput(Output, frozen=True, forbid_unknown_fields=True):
    """One still or animated variant; never enlarged."""

    format: ImageFormat = "webp"
    """Format of the file."""
    width: Pixels | None = None
    """Maximum width in pixels; default: unbounded."""
    height: Pixels | None = None
    """Maximum height in pixels; default: unbounded."""
    quality: Quality | Literal["auto"] | None = None
    """1 to 100, or "auto": the smallest file that reaches ``similarity``. Default by format."""
    effort: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    """0 (fast) to 10 (slow); default by format."""
    fit: Literal["inside", "cover", "exact"] = "inside"
    """inside: scaled to fit within width x height. cover: fills width x height, the rest is cropped. exact: stretched
    to width x height. The last two require both; instead of enlarging, they keep these proportions at a smaller
    size."""
    position: Literal["attention", "entropy", "centre", "top", "bottom", "left", "right"] = "attention"
    """For cover: which region to keep."""
    similarity: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.97
    """For quality "auto": SSIM to the image before encoding. The default is the average of photos at quality 80; see
    docs/images.md."""
    animate: bool = True
    """Whether animated images stay animated, if the format supports it (webp)."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class AnimationOutput(Output, frozen=True, forbid_unknown_fields=True):
    """An animated image (GIF, WebP, APNG) as an MP4 without audio; still images get none."""

    format: Literal["mp4"] = "mp4"
    """Format of the file: H.264 in MP4."""
    width: Pixels | None = None
    """Maximum width in pixels; default: unbounded."""
    height: Pixels | None = None
    """Maximum height in pixels; default: unbounded."""
    crf: Annotated[int, msgspec.Meta(ge=0, le=51)] = 23
    """Constant rate factor: lower is better and larger."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.mp4"


class VmafQuality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``quality = { vmaf = 94 }``: the CRF that reaches this score on samples of the video."""

    vmaf: Annotated[float, msgspec.Meta(ge=50, le=99)]
    """Mean score, 0 to 100; 94 is hard to distinguish from the original."""


class Encoding(Output, frozen=True, forbid_unknown_fields=True):
    """How films are encoded."""

    codec: VideoCodec = "h264"
    """h264 plays everywhere; hevc and av1 are smaller and slower to encode."""
    crf: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
    """Constant rate factor: lower is better and larger. Default: 23 (h264), 26 (hevc), 32 (av1)."""
    quality: VmafQuality | None = None
    """Target quality, instead of crf."""
    preset: str | None = None
    """Preset of the encoder: default "veryfast" (h264), "fast" (hevc), "10" of "0" to "13" (av1)."""
    encoder: Encoder = "software"
    """"auto" uses a working hardware encoder, if there is one; "nvenc", "qsv", "vaapi" and "videotoolbox" select one.
    If it does not work, the software encoder is used and asset.json has a warning."""
    hdr: Literal["sdr", "keep"] = "sdr"
    """sdr: HDR is tone-mapped to SDR. keep: it stays HDR10 or HLG (hevc and av1 only)."""
    audio_bitrate: Bitrate = 128
    """Bit rate of AAC in kbit/s, two channels."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    def trouble(self) -> tuple[str, str] | None:
        """Key and complaint where two values do not go together; None when all do."""
        if self.preset is not None and self.preset not in PRESETS[self.codec]:
            return "preset", f"{self.preset!r} is not known to {self.codec}; known: {', '.join(PRESETS[self.codec])}"
        if self.crf is not None and self.crf > MOST_CRF[self.codec]:
            return "crf", f"expected <= {MOST_CRF[self.codec]} for {self.codec}"
        if self.crf is not None and self.quality is not None:
            return "quality", "stands beside crf; leave one of them out"
        if self.hdr == "keep" and self.codec == "h264":
            return "hdr", 'h264 holds no HDR here; choose codec = "hevc" or "av1", or hdr = "sdr"'
        return None


class VideoOutput(Encoding, frozen=True, forbid_unknown_fields=True):
    """One MP4 for download or progressive playback."""

    format: Literal["mp4"] = "mp4"
    """Format of the file."""
    height: Lines = 720
    """Height of the 16:9 frame to fit into, landscape or portrait: 720 is 1280 x 720 or 720 x 1280. Never enlarged."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.mp4"


class HlsOutput(Encoding, frozen=True, forbid_unknown_fields=True):
    """A ladder of renditions for streaming: CMAF files, a media playlist for each, and the master playlist
    ``name``.m3u8."""

    heights: Annotated[tuple[Lines, ...], msgspec.Meta(min_length=1)] = (1080, 720, 480, 360)
    """One rendition each, like the height of [[video]]. Those that would enlarge the source are left out, except for
    one in its own dimensions."""
    segment: Annotated[float, msgspec.Meta(ge=1, le=30)] = 6.0
    """Approximate duration of a segment, in seconds: it ends at a key frame (every 2 s)."""
    audio: Literal["all", "first", "none"] = "all"
    """Which audio streams to include."""
    subtitles: bool = True
    """Whether to include text subtitles as WebVTT."""

    @property
    def file_name(self) -> str:
        """Name of the master playlist."""
        return f"{self.name}.m3u8"


class PosterOutput(ImageOutput, frozen=True, forbid_unknown_fields=True):
    """A still of a video: the best of several key frames, neither black nor blurred."""


class StoryboardOutput(Output, frozen=True, forbid_unknown_fields=True):
    """Thumbnails of a video at even intervals in one sheet, and ``name``.vtt with the region of each."""

    format: Literal["webp", "jpeg"] = "webp"
    """Format of the sheet."""
    width: Annotated[int, msgspec.Meta(ge=16, le=640)] = 160
    """Width of one thumbnail in pixels."""
    interval: Annotated[float, msgspec.Meta(ge=0.5)] = 5.0
    """Seconds between thumbnails; more for videos that would have over 200."""
    quality: Quality = 60
    """Quality of the sheet, 1 to 100."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the sheet."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class PreviewOutput(Output, frozen=True, forbid_unknown_fields=True):
    """A short animation (WebP) of moments from the whole video."""

    format: Literal["webp"] = "webp"
    """Format of the file."""
    width: Annotated[int, msgspec.Meta(ge=16, le=1280)] = 320
    """Maximum width in pixels."""
    seconds: Annotated[float, msgspec.Meta(ge=0.5, le=15)] = 3.0
    """Duration in seconds."""
    fps: Annotated[int, msgspec.Meta(ge=1, le=30)] = 8
    """Frames per second."""
    quality: Quality = 50
    """Quality, 1 to 100."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.webp"


class SubtitlesOutput(Output, frozen=True, forbid_unknown_fields=True):
    """Each text subtitle stream as WebVTT: ``name``-1-eng.vtt."""

    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the file, without number and language of the track."""
        return f"{self.name}.vtt"


class AudioOutput(Output, frozen=True, forbid_unknown_fields=True):
    """An audio file: AAC in .m4a or Opus in .opus."""

    format: Literal["m4a", "opus"] = "m4a"
    """m4a is AAC and plays everywhere; opus is smaller."""
    bitrate: Bitrate | None = None
    """Bit rate in kbit/s for two channels. Default: 128 (AAC), 96 (Opus)."""
    channels: Literal["stereo", "keep"] = "stereo"
    """stereo: at most two. keep: all, up to 8."""
    loudness: Annotated[float, msgspec.Meta(ge=-40, le=-5)] | None = None
    """Target loudness in LUFS (EBU R128); default: unchanged."""
    cover: bool = True
    """Whether to keep cover art."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class WaveformOutput(Output, frozen=True, forbid_unknown_fields=True):
    """Peaks of an audio file: JSON (in the format of audiowaveform) or PNG."""

    format: Literal["json", "png"] = "json"
    """json: peaks as numbers. png: an image."""
    points: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 1_000
    """JSON: number of minimum/maximum pairs. PNG: width in pixels."""
    height: Annotated[int, msgspec.Meta(ge=8, le=2_000)] = 120
    """PNG: height in pixels."""
    when: str = ""
    """Condition, e.g. "width > 2000"; "" is always true."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class Cutting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long videos are split into pieces that are encoded and journaled one by one."""

    above: Annotated[float, msgspec.Meta(ge=0)] = 120.0
    """Minimum duration of a video to be split, in seconds."""
    piece: Annotated[float, msgspec.Meta(ge=2)] = 30.0
    """Approximate maximum duration of a piece, in seconds: it ends at a key frame."""


class RunLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one job of this recipe, instead of those learned from history. Not part of an artefact's key: changing
    them rebuilds nothing."""

    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Wall time of a job, in seconds."""
    stall_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time without progress after which a video job is stopped, in seconds."""
    memory_mib: Annotated[int, msgspec.Meta(ge=64)] | None = None
    """Memory of a worker and its child processes, in MiB."""
