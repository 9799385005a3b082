"""Colour tags of videos: what cannot be true reaches neither the scaler nor an output; what is true is kept."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from conftest import CASES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import ImageStat
from support.films import make
from support.looks import Looks
from support.sample_entries import put

from mediactl.media.inspect.frames.colour_tags import UNKNOWN, ColourTags, valid
from mediactl.model.media import Treatment

PATTERN = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=0.3,format=yuv420p")
ENCODERS = {
    "mpeg4": ("-c:v", "mpeg4", "-q:v", "2"),
    "mjpeg": ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"),
    "h264": ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10"),
    "qtrle": ("-c:v", "qtrle", "-pix_fmt", "rgb24"),
}
BOTH = 'name = "b"\n[[video]]\nname = "video"\ncrf = 12\n[[hls]]\nname = "hls"\nheights = [720]\n'
RESERVED = {
    "primaries": frozenset({0, 3, *range(13, 22), *range(23, 256)}),
    "transfer": frozenset({0, 3, *range(19, 256)}),
    "matrix": frozenset({3, *range(18, 256)}),
}
"""ITU-T H.273 (07/2024), tables 2 to 4."""
codes = st.one_of(st.integers(0, 23), st.integers(0, 255), st.sampled_from([0, 255, 65535]))


def tagged(folder: Path, encoder: str, tags: tuple[int, int, int] | None) -> Path:
    """A MOV with these tags in a colr box (QuickTime's nclc); None: without one."""
    path = make(folder / f"{encoder}.mov", *PATTERN, *ENCODERS[encoder])
    return put(path, b"colr", b"nclc" + struct.pack(">HHH", *tags)) if tags else path


def mean(looks: Looks) -> list[float]:
    """Mean red, green and blue, as a player shows them."""
    return ImageStat.Stat(looks.frames()[0]).mean


def assert_sane(looks: Looks, names: tuple[str, ...] = ("video.mp4",)) -> None:
    """The tags of the outputs are known, convertible, and the same in all of them."""
    for name in names:
        primaries, transfer, matrix = looks.tags(name)
        assert primaries not in RESERVED["primaries"]
        assert transfer not in RESERVED["transfer"] | {UNKNOWN}
        assert matrix in (1, 4, 5, 6, 7, 9)
        assert looks.tags(name) == looks.tags()


@pytest.fixture(scope="module")
def untagged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """The mean colour of each kind without tags."""
    folder = tmp_path_factory.mktemp("untagged")
    return {encoder: mean(Looks(tagged(folder, encoder, None), only_video=True)) for encoder in ENCODERS}


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ENCODERS)), st.tuples(codes, codes, codes))
@example("mpeg4", (3, 1, 3))
@example("mjpeg", (0, 0, 0))
@example("mpeg4", (1, 0, 1))
@example("mpeg4", (1, 1, 14))
@example("mpeg4", (1, 1, 8))
@example("h264", (1, 1, 3))
@example("qtrle", (1, 1, 3))
@example("mpeg4", (9, 14, 10))
@example("mpeg4", (255, 255, 10))
def test_any_tags_are_rendered_at_once(
    tmp_path: Path, untagged: dict[str, list[float]], encoder: str, tags: tuple[int, int, int]
) -> None:
    looks = Looks(tagged(tmp_path, encoder, tags), only_video=True)
    assert_sane(looks)
    assert len(looks.frames()) == 3
    invalid = any(code in RESERVED[name] for name, code in zip(RESERVED, tags, strict=True))
    # libav reports some reserved codes as unknown; beside those, a valid matrix is believed.
    if invalid and tags[1] not in (16, 18) and tags[2] != 9:
        assert all(abs(one - other) <= 6 for one, other in zip(mean(looks), untagged[encoder], strict=True))


@pytest.mark.parametrize("tags", ["0:0:0", "3:3:3", "1:1:3", "1:1:0", "1:1:8", "1:9:1", "22:17:14"])
def test_tags_in_the_bitstream_are_judged_as_well(tags: str, tmp_path: Path, untagged: dict[str, list[float]]) -> None:
    plain = make(tmp_path / "plain.mp4", *PATTERN, *ENCODERS["h264"])
    primaries, transfer, matrix = tags.split(":")
    vui = f"h264_metadata=colour_primaries={primaries}:transfer_characteristics={transfer}:matrix_coefficients={matrix}"
    looks = Looks(make(tmp_path / "a.mp4", "-i", str(plain), "-c", "copy", "-bsf:v", vui), recipe=BOTH)
    assert_sane(looks, ("video.mp4", "hls-720.mp4"))
    assert all(abs(one - other) <= 6 for one, other in zip(mean(looks), untagged["h264"], strict=True))


@given(st.tuples(codes, codes, codes), st.booleans())
def test_nothing_reserved_is_ever_believed(tags: tuple[int, int, int], rgb: bool) -> None:
    found = valid(ColourTags(*tags), rgb=rgb)
    assert found.primaries not in RESERVED["primaries"]
    assert found.transfer not in RESERVED["transfer"]
    assert found.matrix not in RESERVED["matrix"] and (rgb or found.matrix != 0)
    assert valid(found, rgb=rgb) == found


@pytest.mark.parametrize(
    "tags", [(1, 1, 1), (6, 6, 6), (5, 6, 5), (9, 16, 9), (9, 18, 9), (12, 13, 1), (2, 2, 2), (1, 1, 2)]
)
def test_what_is_true_is_left_alone(tags: tuple[int, int, int]) -> None:
    assert valid(ColourTags(*tags), rgb=False) == ColourTags(*tags)


def test_a_broken_matrix_does_not_hide_high_dynamic_range() -> None:
    assert valid(ColourTags(9, 16, 3), rgb=False) == ColourTags(9, 16, UNKNOWN)


def test_valid_tags_leave_keys_as_they_were_and_others_get_their_own(tmp_path: Path) -> None:
    assert Looks(tagged(tmp_path, "mpeg4", (1, 1, 1)), only_video=True).info.treatment == ()
    looks = Looks(tagged(tmp_path, "mpeg4", (1, 0, 1)), only_video=True)
    assert looks.info.treatment == (Treatment.RETAGGED,)


CASE_FILES = [
    *(
        f"23-reserved-colour-space/{name}"
        for name in ("all-0.mp4", "all-3.mp4", "matrix-3.mp4", "matrix-and-primaries-3.mp4", "colr-box-3-mpeg4.mov")
    ),
    *(f"extra/colr/{name}.mov" for name in ("prim3", "trc0", "trc3", "all0", "matrix8-ycgco")),
]


@pytest.mark.parametrize("case", CASE_FILES)
@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")
def test_given_reserved_tags(case: str, tmp_path: Path) -> None:
    source = tmp_path / os.path.basename(case)
    source.write_bytes((CASES / case).read_bytes())
    looks = Looks(source, only_video=True)
    assert_sane(looks)
    assert len(looks.frames()) in (75, 100)
