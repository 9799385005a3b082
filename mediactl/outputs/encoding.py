"""How videos are encoded: what [[video]] and [[hls]] share."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple, Self, TypeVar

import msgspec

from mediactl.model.assets import Operation, Prior, PriorArtefact
from mediactl.model.media import MediaInfo, Treatment
from mediactl.model.speed import Speed
from mediactl.outputs.base import VIDEO_MAKER, AssetPlan, Bitrate, Output, Params
from mediactl.outputs.cutting import KEY_FRAMES, piece_frames
from mediactl.outputs.geometry import frame

Lines = Annotated[int, msgspec.Meta(ge=16, le=4320)]
VideoCodec = Literal["h264", "hevc", "av1"]
Encoder = Literal["software", "auto", "nvenc", "qsv", "vaapi", "videotoolbox"]

SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
"""Codec -> its encoder in software, which does what no hardware encoder does here."""
_X26 = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
PRESETS = {"h264": _X26, "hevc": _X26, "av1": tuple(str(number) for number in range(14))}
"""What each software encoder (x264, x265, SVT-AV1) has as presets."""
MOST_CRF = {"h264": 51, "hevc": 51, "av1": 63}
DEFAULT_CRF = {"h264": 23, "hevc": 26, "av1": 32}
DEFAULT_PRESET = {"h264": "veryfast", "hevc": "fast", "av1": "10"}


class Pace(NamedTuple):
    """Preset and CRF of a speed."""

    preset: str
    crf: int


SPEED_PACE: dict[Speed, dict[str, Pace]] = {
    "fast": {"h264": Pace("superfast", 25), "hevc": Pace("veryfast", 26)},
    "small": {"h264": Pace("slow", 27), "hevc": Pace("slow", 29), "av1": Pace("6", 37)},
}
"""Instead of these defaults, at a speed, with about the same VMAF (measured in docs/recipes.md). SVT-AV1 4.2 has no
preset that is noticeably faster than its default here."""
_FULL_HD_RATE = {"h264": 6_000, "hevc": 4_200, "av1": 3_600}
"""kbit/s that 1080p at 30 frames a second may take at most; Apple's ladder has 6,000 and 4,500 (HEVC) there."""
_RATE_GROWTH = 0.75
"""Bit rates, and the bytes of videos at one CRF, grow by this power of the pixels."""

HD = 1280 * 720
SECONDS_A_SECOND = {"h264": 0.33, "hevc": 1.3, "av1": 0.7}
"""Of encoding a second of 720p at the default presets; one core."""
_DECODING = 0.07
"""Seconds a second of 720p."""
_MUXING = 0.1
"""Seconds for a file of what is encoded already."""
SECONDS_A_SECOND_OF_AUDIO = 0.015
_RATE_SHARE = 0.5
"""Part of the highest bit rate that videos take on average."""
_BYTES_A_CODEC = {"h264": 1.0, "hevc": 0.7, "av1": 0.6}
"""Against H.264 that looks alike."""
_USUAL = "h264"
"""Codec that a video is taken for when nothing says which it is: what recipes have unless they say otherwise."""


class EncodedParams(Params, frozen=True, kw_only=True):
    """A video stream that is encoded; artefacts for which all of these are equal share one encoding."""

    version = 1
    encoders = ("ffmpeg",)
    maker = VIDEO_MAKER

    codec: VideoCodec
    width: int
    height: int
    """Both even."""
    crf: int | None = None
    vmaf: float | None = None
    """One of the two is given."""
    preset: str
    encoder: Encoder
    maxrate: int
    """kbit/s."""
    hdr: bool
    """Whether high dynamic range is kept."""
    gop: float
    """Seconds between key frames."""
    piece: int
    """Frames of a piece; 0: encoded whole."""
    treatment: tuple[Treatment, ...] = ()

    def expected_seconds(self, info: MediaInfo) -> float:
        """Return the expected seconds of writing the file, once its streams are encoded."""
        return _MUXING

    def shared_seconds(self, info: MediaInfo) -> Mapping[Hashable, float]:
        """Return what decoding and encoding take, which other renditions may need as well."""
        duration = info.duration or 0.0
        encoding = (self.codec, self.width, self.height, self.crf, self.vmaf, self.preset, self.hdr)
        samples = 1.5 if self.vmaf is not None else 1.0
        return {
            "decoding": _DECODING * duration * (info.width or 0) * (info.height or 0) / HD,
            encoding: SECONDS_A_SECOND[self.codec] * duration * self.width * self.height / HD * samples,
        }

    def expected_bytes(self, info: MediaInfo, prior: Prior) -> float:
        """Return the expected size: from the video that it replaces, else from the nearest, else from its bit rate."""
        pixels = self.width * self.height
        near, codec = self._before(pixels, prior)
        if near is None:
            return 125.0 * self.maxrate * _RATE_SHARE * (info.duration or 0.0) + self.audio_bytes(info)
        growth = math.pow(pixels / near.pixels, _RATE_GROWTH)
        return near.bytes * _BYTES_A_CODEC[self.codec] / _BYTES_A_CODEC[codec] * growth

    def audio_bytes(self, info: MediaInfo) -> float:
        """Return the expected bytes of audio in the file."""
        return 0.0

    def _before(self, pixels: int, prior: Prior) -> tuple[PriorArtefact | None, str]:
        """Return the rendition to start from, and its codec: one of the same name is taken to be of the same."""
        if (own := prior.replaced) and own.role in ("rendition", "stream") and own.width and own.height:
            return own, self.codec
        near = prior.nearest("rendition", pixels) or prior.nearest("stream", pixels)
        known = prior.wanted.get(near.key) if near else None
        return near, _codec(known)


Encoded = TypeVar("Encoded", bound=EncodedParams)


class VmafQuality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``quality = { vmaf = 94 }``: the CRF that reaches this score on samples of the video."""

    vmaf: Annotated[float, msgspec.Meta(ge=50, le=99)]
    """Mean score, 0 to 100; 94 is hard to distinguish from the original."""


class Encoding(Output, frozen=True):
    """How videos are encoded."""

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

    def at_speed(self, speed: Speed) -> Self:
        """Return the output with the preset of a speed, and its CRF, unless the recipe sets them."""
        pace = SPEED_PACE.get(speed, {}).get(self.codec)
        if self.preset is not None or pace is None:
            return self
        crf = pace.crf if self.crf is None and self.quality is None else self.crf
        return msgspec.structs.replace(self, preset=pace.preset, crf=crf)

    def problem(self) -> tuple[str, str] | None:
        """Return what does not go together of codec, preset, CRF, quality and HDR."""
        if self.preset is not None and self.preset not in PRESETS[self.codec]:
            return "preset", f"unknown preset {self.preset!r} for {self.codec}; known: {', '.join(PRESETS[self.codec])}"
        if self.crf is not None and self.crf > MOST_CRF[self.codec]:
            return "crf", f"expected <= {MOST_CRF[self.codec]} for {self.codec}"
        if self.crf is not None and self.quality is not None:
            return "quality", "excludes crf; remove one of them"
        if self.hdr == "keep" and self.codec == "h264":
            return "hdr", 'h264 holds no HDR here; choose codec = "hevc" or "av1", or hdr = "sdr"'
        return None

    def ffmpeg_encoders(self) -> frozenset[str]:
        """Return the software encoder of the codec, whatever hardware there is, and AAC."""
        return frozenset({SOFTWARE[self.codec], "aac"})

    def params(self, operation: type[Encoded], asset: AssetPlan, lines: int, **more: object) -> Encoded:
        """Return the parameters of a rendition that fits into a 16:9 frame of so many lines."""
        info = asset.info
        width, height = frame(info.width or 2, info.height or 2, lines)
        hdr = self.hdr == "keep" and self.codec != "h264" and is_hdr(info)
        return operation(
            codec=self.codec,
            width=width,
            height=height,
            crf=None if self.quality else DEFAULT_CRF[self.codec] if self.crf is None else self.crf,
            vmaf=self.quality.vmaf if self.quality else None,
            preset=self.preset or DEFAULT_PRESET[self.codec],
            encoder=self.encoder,
            maxrate=_maxrate(self.codec, width * height, info, hdr=hdr),
            hdr=hdr,
            gop=KEY_FRAMES,
            piece=piece_frames(info, asset.cutting),
            treatment=info.treatment,
            **more,
        )


def gap_threshold(info: MediaInfo) -> float:
    """Return the largest of ``AudioStream.gap_threshold``, for outputs of the stream that is played."""
    return max((stream.gap_threshold for stream in info.audio), default=0.0)


def is_hdr(info: MediaInfo) -> bool:
    """Return whether a video is of high dynamic range."""
    return info.video is not None and info.video.transfer in ("smpte2084", "arib-std-b67")


def _maxrate(codec: str, pixels: int, info: MediaInfo, *, hdr: bool) -> int:
    """Return the kbit/s that a rendition may take at most."""
    rate = Fraction(info.video.rate) if info.video and info.video.rate else None
    full = _FULL_HD_RATE[codec] * (1.5 if rate and rate > 40 else 1.0) * (1.25 if hdr else 1.0)
    return max(200, round(full * float((pixels / (1920 * 1080)) ** _RATE_GROWTH) / 50) * 50)


def _codec(operation: Operation | None) -> str:
    return operation.codec if isinstance(operation, EncodedParams) else _USUAL
