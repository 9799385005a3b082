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
    """Of the file, without its extension."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file, or of the one that stands for several."""
        raise NotImplementedError


class ImageOutput(Output, frozen=True, forbid_unknown_fields=True):
    """One still or animated variant; never enlarged."""

    format: ImageFormat = "webp"
    """What it is written as."""
    width: Pixels | None = None
    """Pixels across, at most; not bounded if left out."""
    height: Pixels | None = None
    """Pixels down, at most; not bounded if left out."""
    quality: Quality | Literal["auto"] | None = None
    """1 to 100; "auto": the smallest file that looks like the original to ``similarity``. Default by format."""
    effort: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    """0 (fast) to 10; default by format."""
    fit: Literal["inside", "cover", "exact"] = "inside"
    """inside: all of it, within width x height. cover: width x height filled, the rest is cut off. exact: stretched to
    width x height. The last two need both; where they would enlarge, the same proportions are kept smaller."""
    position: Literal["attention", "entropy", "centre", "top", "bottom", "left", "right"] = "attention"
    """Of cover: what is kept."""
    similarity: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.97
    """Of quality "auto": SSIM with the same picture before it was encoded. The default is what quality 80 gives photos
    on average; why: docs/pictures.md."""
    animate: bool = True
    """Whether what moves stays an animation, where the format can (webp)."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class AnimationOutput(Output, frozen=True, forbid_unknown_fields=True):
    """A picture that moves (GIF, WebP, APNG) as a silent MP4; pictures that do not move get none."""

    format: Literal["mp4"] = "mp4"
    """What it is written as: H.264 in MP4."""
    width: Pixels | None = None
    """Pixels across, at most; not bounded if left out."""
    height: Pixels | None = None
    """Pixels down, at most; not bounded if left out."""
    crf: Annotated[int, msgspec.Meta(ge=0, le=51)] = 23
    """Less is better and larger."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.mp4"


class VmafQuality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``quality = { vmaf = 94 }``: the CRF that reaches this score on samples of the film."""

    vmaf: Annotated[float, msgspec.Meta(ge=50, le=99)]
    """Mean score, 0 to 100; 94 is hard to tell from the original."""


class Encoding(Output, frozen=True, forbid_unknown_fields=True):
    """How films are encoded."""

    codec: VideoCodec = "h264"
    """h264 plays everywhere; hevc and av1 are smaller and take longer."""
    crf: Annotated[int, msgspec.Meta(ge=0, le=63)] | None = None
    """Less is better. Default: 23 (h264), 26 (hevc), 32 (av1)."""
    quality: VmafQuality | None = None
    """Instead of crf."""
    preset: str | None = None
    """The encoder's own: "veryfast" (default, h264), "fast" (default, hevc), "0" to "13" (av1; default "10")."""
    encoder: Encoder = "software"
    """"auto" takes a hardware encoder that works here, if there is one; "nvenc", "qsv", "vaapi" and "videotoolbox" that
    one. Where it does not work, software does it, and the asset tells."""
    hdr: Literal["sdr", "keep"] = "sdr"
    """sdr: HDR is mapped to standard range. keep: it stays HDR10 or HLG (hevc and av1 only)."""
    audio_bitrate: Bitrate = 128
    """kbit/s of AAC, two channels."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

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
    """One MP4 to download or to play as a whole."""

    format: Literal["mp4"] = "mp4"
    """What it is written as."""
    height: Lines = 720
    """Lines of a 16:9 frame that it fits into, lying or upright: 720 is 1280 x 720, or 720 x 1280. Never enlarged."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.mp4"


class HlsOutput(Encoding, frozen=True, forbid_unknown_fields=True):
    """A ladder of renditions for streaming: CMAF tracks, a playlist for each, and ``name``.m3u8 above them."""

    heights: Annotated[tuple[Lines, ...], msgspec.Meta(min_length=1)] = (1080, 720, 480, 360)
    """A rendition each, like the height of [[video]]. What would enlarge the source is left out, but for one rendition
    of its own size."""
    segment: Annotated[float, msgspec.Meta(ge=1, le=30)] = 6.0
    """Seconds of a segment, about: it ends at a key frame (every 2 s)."""
    audio: Literal["all", "first", "none"] = "all"
    """Which sound tracks."""
    subtitles: bool = True
    """Whether text subtitles become WebVTT tracks of it."""

    @property
    def file_name(self) -> str:
        """Name of the master playlist."""
        return f"{self.name}.m3u8"


class PosterOutput(ImageOutput, frozen=True, forbid_unknown_fields=True):
    """A picture of a film: the best of several key frames, not black and not blurred."""


class StoryboardOutput(Output, frozen=True, forbid_unknown_fields=True):
    """Small pictures of a film at even times in one sheet, and ``name``.vtt that says where each is."""

    format: Literal["webp", "jpeg"] = "webp"
    """What the sheet is written as."""
    width: Annotated[int, msgspec.Meta(ge=16, le=640)] = 160
    """Pixels of one picture."""
    interval: Annotated[float, msgspec.Meta(ge=0.5)] = 5.0
    """Seconds between two; more for films so long that there would be over 200."""
    quality: Quality = 60
    """1 to 100, of the sheet."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the sheet."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class PreviewOutput(Output, frozen=True, forbid_unknown_fields=True):
    """A short silent animation (WebP) of moments from all over a film."""

    format: Literal["webp"] = "webp"
    """What it is written as."""
    width: Annotated[int, msgspec.Meta(ge=16, le=1280)] = 320
    """Pixels across, at most."""
    seconds: Annotated[float, msgspec.Meta(ge=0.5, le=15)] = 3.0
    """How long it plays."""
    fps: Annotated[int, msgspec.Meta(ge=1, le=30)] = 8
    """Pictures a second."""
    quality: Quality = 50
    """1 to 100."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.webp"


class SubtitlesOutput(Output, frozen=True, forbid_unknown_fields=True):
    """Each text subtitle track as WebVTT: ``name``-1-eng.vtt."""

    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the file, without number and language of the track."""
        return f"{self.name}.vtt"


class AudioOutput(Output, frozen=True, forbid_unknown_fields=True):
    """A sound file: AAC in .m4a or Opus in .opus."""

    format: Literal["m4a", "opus"] = "m4a"
    """m4a is AAC and plays everywhere; opus is smaller."""
    bitrate: Bitrate | None = None
    """kbit/s for two channels. Default: 128 (AAC), 96 (Opus)."""
    channels: Literal["stereo", "keep"] = "stereo"
    """stereo: two at most. keep: as many as there are, up to 8."""
    loudness: Annotated[float, msgspec.Meta(ge=-40, le=-5)] | None = None
    """LUFS that it is brought to (EBU R128); not at all if left out."""
    cover: bool = True
    """Whether cover art is kept."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class WaveformOutput(Output, frozen=True, forbid_unknown_fields=True):
    """Peaks of a recording, to be drawn: JSON (as audiowaveform writes it) or a PNG."""

    format: Literal["json", "png"] = "json"
    """json: numbers to draw from. png: a picture."""
    points: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 1_000
    """Of JSON: pairs of lowest and highest value. Of PNG: pixels across."""
    height: Annotated[int, msgspec.Meta(ge=8, le=2_000)] = 120
    """Of PNG, in pixels."""
    when: str = ""
    """Condition, "width > 2000"; "" is always."""

    @property
    def file_name(self) -> str:
        """Name of the artefact's file."""
        return f"{self.name}.{EXTENSIONS[self.format]}"


class Cutting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long films are cut into pieces that are encoded, and remembered, one by one."""

    above: Annotated[float, msgspec.Meta(ge=0)] = 120.0
    """Seconds from which a film is cut."""
    piece: Annotated[float, msgspec.Meta(ge=2)] = 30.0
    """Seconds of a piece at most, about: it ends where a key frame is due."""


class RunLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one job of this recipe may take, where that is not to be learnt. No part of what is made: changing it makes
    nothing anew."""

    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Wall time of a job."""
    stall_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time that a film may be worked on without any progress."""
    memory_mib: Annotated[int, msgspec.Meta(ge=64)] | None = None
    """Memory of a worker with all that it started."""
