"""Dolby Vision and metadata of high dynamic range: refused by name, mapped, kept, or removed, never in silence."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.sidedata.sidedata import Type
from conftest import CASES
from support.films import inspected, make
from support.looks import Looks
from support.sample_entries import put

from mediactl.core.errors import RejectedInput
from mediactl.model.media import Treatment

MASTERING = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L({peak}0000,1):max-cll={peak},400"
PICTURE = ("-f", "lavfi", "-i", "gradients=s=160x90:r=10:d=0.4:c0=black:c1=white:seed=1,format=yuv420p10le")
TAGS = {"pq": "9:16:9", "hlg": "9:18:9", "sdr": "1:1:1"}


def encoded(path: Path, kind: str, peak: int = 0) -> Path:
    """An HEVC video of this range, with mastering metadata of this peak in cd/m²; 0: without."""
    names = ("colorprim", "transfer", "colormatrix")
    params = [f"{name}={code}" for name, code in zip(names, TAGS[kind].split(":"), strict=True)]
    params += ["log-level=error", *([MASTERING.format(peak=peak)] if peak else [])]
    options = ("-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params", ":".join(params))
    return make(path, *PICTURE, *options)


def side_data(path: Path) -> set[Type]:
    with av.open(str(path), format="mp4") as container:
        return {each.type for frame in container.decode(video=0) for each in frame.side_data}  # type: ignore[attr-defined]


def record(profile: int, compatibility: int) -> bytes:
    """Dolby's configuration record, of 24 bytes."""
    return bytes((1, 0, profile << 1, 0b0000_1101, compatibility << 4)) + bytes(19)


@pytest.mark.parametrize(
    ("profile", "compatibility", "refused"),
    [(5, 0, True), (10, 0, True), (20, 0, True), (8, 1, False), (8, 4, False), (7, 6, False), (10, 1, False)],
)
def test_dolby_vision_is_refused_where_its_base_layer_is_its_own(
    profile: int, compatibility: int, refused: bool, tmp_path: Path
) -> None:
    kind = b"dvcC" if profile <= 7 else b"dvvC" if profile <= 10 else b"dvwC"
    paths = [put(encoded(tmp_path / "a.mp4", "pq"), kind, record(profile, compatibility))]
    if profile <= 10:  # ffmpeg's muxer does not write the others.
        paths.append(make(tmp_path / "a.mkv", "-i", str(paths[0]), "-c", "copy", "-strict", "unofficial"))
    for path in paths:
        if refused:
            with pytest.raises(RejectedInput, match=f"is Dolby Vision profile {profile}, .* convert it to HDR10"):
                inspected(path)
        else:
            assert inspected(path).info.video


@pytest.mark.parametrize("kind", ["pq", "hlg", "sdr"])
def test_metadata_of_high_dynamic_range_never_stays_in_standard_range(kind: str, tmp_path: Path) -> None:
    looks = Looks(encoded(tmp_path / "a.mp4", kind, 1000), only_video=True)
    assert looks.info.treatment == ((Treatment.STRIPPED,) if kind == "sdr" else ())
    assert not side_data(looks.video) & {Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL}
    assert b"mdcv" not in looks.video.read_bytes() and b"clli" not in looks.video.read_bytes()
    assert looks.tags() == (1, 1, 1)


def test_high_dynamic_range_that_is_kept_keeps_its_metadata(tmp_path: Path) -> None:
    recipe = 'name = "k"\n[[video]]\nname = "video"\ncodec = "hevc"\nhdr = "keep"\npreset = "ultrafast"\n'
    looks = Looks(encoded(tmp_path / "a.mp4", "pq", 1000), recipe=recipe)
    assert {Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL} <= side_data(looks.video)
    assert looks.tags() == (9, 16, 9)


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases at {CASES} (MEDIACTL_CASES)")
def test_given_dolby_vision(tmp_path: Path) -> None:
    folder = CASES / "38-dolby-vision-profile-5"
    with pytest.raises(RejectedInput, match="is Dolby Vision profile 5"):
        inspected(folder / "profile-5.mp4")
    (tmp_path / "a.mp4").write_bytes((folder / "profile-8.4.mp4").read_bytes())
    looks = Looks(tmp_path / "a.mp4", only_video=True)
    assert looks.warnings == () and looks.info.duration == pytest.approx(3.0, abs=0.05)
