"""Decoders that are not needed are not used, by PyAV nor by ffmpeg, and all that are needed are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import films

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.media.ffmpeg import binary, command, process
from mediactl.media.ffmpeg.allowed import DECODERS
from mediactl.media.inspect import streams
from mediactl.model.media import Limits

CLIP = ("-f", "lavfi", "-i", "testsrc2=s=32x32:r=5:d=1")


def test_a_codec_of_still_images_that_no_camera_writes_is_not_decoded(tmp_path: Path) -> None:
    source = films.make(tmp_path / "x.mov", *CLIP, "-c:v", "sgi")
    assert "sgi" in binary.decoders() - DECODERS
    with source.open("rb") as file, pytest.raises(RejectedInput, match="no playable stream: cannot decode sgi"):
        streams.probe(file.fileno(), "mp4", Limits())
    with source.open("rb") as file, pytest.raises(JobFailed):
        node = command.output([command.source(file.fileno(), 1)], os.fsencode(tmp_path / "v.mp4"), "mp4", Limits())
        process.run(
            command.arguments(node, threads=1), input_fd=file.fileno(), folder=os.fsencode(tmp_path), expected=1.0,
            rate=None, report=lambda _: None,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("x.mov", "prores_ks"), ("x.mov", "mjpeg"), ("x.mov", "svq1"), ("x.mov", "qtrle"), ("x.mov", "cinepak"),
        ("x.mkv", "ffv1"), ("x.avi", "huffyuv"), ("x.avi", "utvideo"), ("x.avi", "zmbv"), ("x.wmv", "wmv2"),
    ],
)  # fmt: skip
def test_codecs_of_editors_and_archives_are_decoded(name: str, codec: str, tmp_path: Path) -> None:
    source = films.make(tmp_path / name, *CLIP, "-c:v", codec)
    with source.open("rb") as file:
        assert streams.probe(file.fileno(), "x", Limits()).video


def test_none_of_them_reads_other_files_or_languages() -> None:
    assert not DECODERS & {"librsvg", "wrapped_avframe", "anull", "vnull", "psd", "xbm", "ansi", "exr"}
