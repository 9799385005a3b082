"""The CRF that gives a stream the quality that a recipe asks for, as VMAF judges it, found on samples of the video.

The samples are scaled as the stream will be, and kept without loss; then they are encoded at a few CRFs and compared
with themselves, at the stream's own size: what is judged is what encoding costs, not what a smaller size does. The
search is that of ``ab-av1 crf-search``: interpolation between what was tried.
"""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction
from typing import Any

import msgspec

from mediactl.core import files
from mediactl.core.errors import JobFailed
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import binary, codecs, command, process
from mediactl.media.filters import interlacing
from mediactl.media.filters.video_filters import input_options, prepared, scaled
from mediactl.media.inspect.streams import Streams
from mediactl.media.video.encode import Stream, encoder_options, keeps_hdr, resolved
from mediactl.model.media import Limits
from mediactl.outputs.encoding import DEFAULT_CRF

_SAMPLES = 3
_SAMPLE = 4.0
"""Seconds of a sample, a whole number of the seconds between key frames; videos no longer than all of them together are
measured whole."""
_MOST_PIXELS = 1_000_000_000
"""Of all samples together: kept without loss they take about half a byte for each, on disk."""
_RANGE = {"h264": (8.0, 45.0), "hevc": (8.0, 45.0), "av1": (8.0, 60.0)}
"""CRFs that are measured."""
_STEP = {"h264": 0.5, "hevc": 0.5, "av1": 1.0}
"""Differences of CRF that matter; SVT-AV1 takes whole ones."""
_SLOPE = {"h264": 1.2, "hevc": 1.2, "av1": 0.8}
"""VMAF that one CRF costs, about: where the second look is."""
_TRIES = 5
_NEAR = 0.3
"""Distance from the requested VMAF that ends the search."""
_EVERY = 3
"""Of so many frames one is compared: they look alike, and comparing takes longer than encoding."""
_LARGE = 1440
"""Lines above which VMAF's model for 4K is the right one."""


class Choice(msgspec.Struct, frozen=True):
    """A CRF that was found."""

    crf: float
    vmaf: float
    """What the samples reach with it (0 to 100); 0: it was not looked for."""
    note: str = ""
    """For a person: why it is not what was asked for; "" when it is."""


def crf_for(
    fd: int,
    found: Streams,
    stream: Stream,
    *,
    threads: int,
    limits: Limits,
    folder: bytes,
    report: Report = lambda fraction: None,
) -> Choice:
    """The largest CRF, within its step, with which samples of the video reach ``stream.vmaf``. The same answer for the
    same video, stream and number of threads; temporary files are made in ``folder``, and removed.

    Raises FfmpegFailed (see ``diagnosis.cause``), JobFailed, MachineBlocked.
    """
    assert found.video is not None
    assert stream.vmaf is not None
    usual = float(DEFAULT_CRF[stream.codec])
    if "libvmaf" not in binary.filters():
        return Choice(
            usual, 0.0, f"this ffmpeg has no libvmaf: CRF {usual:g} was taken instead of VMAF {stream.vmaf:g}"
        )
    with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=folder) as scratch:
        bench = _Bench(fd, found, stream, threads, limits, scratch, report)
        names = bench.sampled()
        tried: dict[float, float] = {}
        crf = usual
        while len(tried) < _TRIES and crf not in tried:
            tried[crf] = bench.score(crf, names, len(tried))
            if abs(tried[crf] - stream.vmaf) <= _NEAR:
                break
            crf = _next(tried, stream.vmaf, stream.codec)
    return _best(tried, stream.vmaf)


def _next(tried: dict[float, float], wanted: float, codec: str) -> float:
    """The CRF to measure next: between the two nearest that are too good and too bad, else further out."""
    lowest, highest = _RANGE[codec]
    step = _STEP[codec]
    good = max((crf for crf, score in tried.items() if score >= wanted), default=None)
    bad = min((crf for crf, score in tried.items() if score < wanted), default=None)
    if good is not None and bad is not None and good < bad:
        share = (tried[good] - wanted) / max(tried[good] - tried[bad], 1e-6)
        crf = round((good + (bad - good) * share) / step) * step
        # Not one of the two again, unless nothing lies between.
        return min(max(crf, good + step), bad - step) if bad - good > step * 1.5 else good
    edge = good if good is not None else bad
    assert edge is not None
    # Further than the slope says, so that the next look is beyond.
    move = (tried[edge] - wanted) / _SLOPE[codec]
    move += step * 2 if move > 0 else -step * 2
    return min(max(round((edge + move) / step) * step, lowest), highest)


def _best(tried: dict[float, float], wanted: float) -> Choice:
    enough = [crf for crf, score in tried.items() if score >= wanted - _NEAR]
    crf = max(enough) if enough else min(tried)
    score = round(tried[crf], 2)
    note = "" if enough else f"VMAF {wanted:g} is not reached: {score:g} with CRF {crf:g}"
    return Choice(crf, score, note)


class _Bench(msgspec.Struct):
    """One video's samples, and their VMAF at a CRF."""

    fd: int
    found: Streams
    stream: Stream
    threads: int
    limits: Limits
    folder: bytes
    report: Report

    def sampled(self) -> list[str]:
        """Names of the samples' files: scaled, without loss."""
        assert self.found.video is not None
        length = self.found.video.end
        rate = self.found.video.rate or 30.0
        room = _MOST_PIXELS / (self.stream.width * self.stream.height)
        if length <= _SAMPLES * _SAMPLE:
            spans = [(0.0, max(1, int(min(length * rate + 1, room))))]
        else:
            frames = max(1, int(min(self._sample_frames(rate), room / _SAMPLES)))
            spans = [(length * (number + 0.5) / _SAMPLES - _SAMPLE / 2, frames) for number in range(_SAMPLES)]
        weave = interlacing.detected(self.fd, self.found, threads=self.threads, limits=self.limits, folder=self.folder)
        names = []
        for number, (second, frames) in enumerate(spans):
            seek: dict[str, Any] = {"ss": f"{second:.3f}"} if second else {}
            options = input_options(self.found, self.found.video, weave) | seek
            source = command.source(self.fd, self.threads, max_pixels=self.limits.pixels, **options)
            node = prepared(source[str(self.found.video.index)], self.found, self.found.video, 1, weave=weave)[0]
            node = node.filter("trim", end_frame=frames)
            hdr = keeps_hdr(self.stream, self.found.video)
            node = scaled(node, self.found.video, self.stream.width, self.stream.height, hdr=hdr)
            name = f"sample-{number}.mkv"
            options = {"c:v": "libx264", "qp": 0, "preset": "ultrafast", "threads": self.threads, "fps_mode": "vfr"}
            self._run(command.output([node], name.encode(), "matroska", self.limits, **options))
            names.append(name)
        return names

    def score(self, crf: float, names: list[str], tries: int) -> float:
        """VMAF of the samples at this CRF, the mean over all frames."""
        assert self.found.video is not None
        stream = resolved(self.stream, crf)
        hdr = keeps_hdr(stream, self.found.video)
        coder, _ = codecs.chosen(stream.codec, stream.encoder)
        options = encoder_options(stream, coder, self.found, hdr=hdr, threads=self.threads)
        node = coder.fed(_shown(names), ten_bit=hdr)
        self._run(command.output([node], b"tried.mp4", "mp4", self.limits, fps_mode="vfr", **options), *coder.setup)
        self.report((2 * tries + 1) / (2 * _TRIES))
        made, kept = _counted(_shown(["tried.mp4"])), _counted(_shown(names))
        model = "vmaf_4k_v0.6.1" if min(stream.width, stream.height) > _LARGE else "vmaf_v0.6.1"
        log = {"log_path": "vmaf.json", "log_fmt": "json", "model": f"version={model}"}
        node = _together(made, kept, "libvmaf", n_threads=self.threads, n_subsample=_EVERY, shortest=1, **log)
        self._run(command.output([node], b"-", "null", self.limits))
        self.report((2 * tries + 2) / (2 * _TRIES))
        with open(os.path.join(self.folder, b"vmaf.json"), "rb") as file:
            judged = msgspec.json.decode(file.read())
        try:
            return float(judged["pooled_metrics"]["vmaf"]["mean"])
        except (KeyError, TypeError, ValueError) as error:
            raise JobFailed(f"VMAF could not be measured: {error}") from error

    def _sample_frames(self, rate: float) -> int:
        video = self.found.info.video
        exact = Fraction(video.rate) if video and video.rate else Fraction(rate)
        return max(1, round(exact * Fraction(self.stream.gop))) * max(1, round(_SAMPLE / self.stream.gop))

    def _run(self, output: Any, *setup: str) -> None:
        process.run(
            [*setup, *command.arguments(output, threads=self.threads)],
            input_fd=self.fd,
            folder=self.folder,
            expected=1.0,
            rate=None,
            report=lambda _: None,
        )


def _shown(names: list[str]) -> Any:
    """Files of ours, one after the other."""
    import ffmpeg as graph

    nodes = [graph.input(f"file:{name}")["v"] for name in names]
    return nodes[0] if len(nodes) == 1 else graph.concat(*nodes)


def _counted(node: Any) -> Any:
    """With a second for each frame, so that those of equal number are compared."""
    return node.filter("settb", "1").filter("setpts", "N")


def _together(first: Any, second: Any, name: str, **options: Any) -> Any:
    import ffmpeg as graph

    return graph.filter([first, second], name, **options)
