"""Structural similarity, and the quality that is searched by it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import CommandLine
from PIL import Image
from support.pictures import outputs, photo, render

from mediactl.media.ffmpeg.binary import find
from mediactl.media.image.save import encode, encode_at
from mediactl.media.image.similarity import luma, ssim
from mediactl.media.image.vips import VipsImage, pyvips
from mediactl.outputs.image import ImageFormat, ImageOutput, StillParams


def picture(width: int = 320, height: int = 240, seed: int = 1) -> VipsImage:
    made = photo(width, height, seed)
    return pyvips.Image.new_from_memory(made.tobytes(), width, height, 3, "uchar").copy(interpretation="srgb")


def decoded(data: bytes) -> VipsImage:
    made = Image.open(io.BytesIO(data)).convert("RGB")
    return pyvips.Image.new_from_memory(made.tobytes(), *made.size, 3, "uchar").copy(interpretation="srgb")


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("size", [(320, 240), (333, 251)])
def test_similarity_is_that_of_ffmpeg(tmp_path: Path, quality: int, size: tuple[int, int]) -> None:
    original = picture(*size)
    other = decoded(bytes(original.jpegsave_buffer(Q=quality)))
    files = []
    for number, each in enumerate((original, other)):
        files += ["-i", str(tmp_path / f"{number}.png")]
        luma(each).rint().cast("uchar").pngsave(files[-1])
    graph = "[0]format=gray[a];[1]format=gray[b];[a][b]ssim"
    words = [os.fsdecode(find(None)), *files, "-lavfi", graph, "-f", "null", "-"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    theirs = re.search(r"All:([\d.]+)", told)
    assert theirs is not None
    assert ssim(luma(original), luma(other)) == pytest.approx(float(theirs[1]), abs=0.004)


def test_similarity_of_equals_is_one_and_of_strangers_low() -> None:
    assert ssim(luma(picture()), luma(picture())) == pytest.approx(1.0, abs=1e-6)
    assert ssim(luma(picture()), luma(picture(seed=2))) < 0.4


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 3), (8, 8), (9, 4000)])
def test_similarity_of_the_smallest_pictures_is_defined(size: tuple[int, int]) -> None:
    flat = pyvips.Image.black(*size, bands=3).copy(interpretation="srgb")
    assert ssim(luma(flat), luma(flat)) == pytest.approx(1.0)
    assert ssim(luma(flat), luma((flat + 200).cast("uchar"))) < 0.1


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_auto_is_the_lowest_quality_that_is_similar_enough(format: ImageFormat) -> None:
    original = picture()
    params = StillParams(
        format=format, width=320, height=240, quality="auto", effort=1, animated=False, similarity=0.95
    )
    data = encode(original, params)
    assert encode(original, params) == data
    qualities = {quality: encode_at(original, params, quality) for quality in range(34, 97)}
    chosen = min(quality for quality, made in qualities.items() if made == data)
    wanted = luma(original)
    assert ssim(wanted, luma(decoded(data))) >= 0.949  # another library decodes it here
    assert ssim(wanted, luma(decoded(qualities[chosen - 1]))) < 0.951


def test_a_higher_target_costs_more_bytes_and_plain_pictures_few(tmp_path: Path) -> None:
    photo(400, 300).save(tmp_path / "in.png")
    wanted = [
        ImageOutput(name=f"s{round(100 * target)}", quality="auto", similarity=target) for target in (0.9, 0.95, 0.98)
    ]
    done = render(tmp_path / "in.png", *wanted)
    sizes = {draft.target.name: os.stat(draft.file).st_size for draft in done.drafts.files}
    assert sizes["s90.webp"] < sizes["s95.webp"] < sizes["s98.webp"]
    Image.new("RGB", (400, 300), (90, 120, 150)).save(tmp_path / "flat.png")
    flat = render(tmp_path / "flat.png", wanted[-1])
    assert os.stat(flat.drafts.files[0].file).st_size < sizes["s90.webp"] / 20


def test_png_stays_lossless_with_auto(tmp_path: Path) -> None:
    photo(120, 80).save(tmp_path / "in.png")
    done = render(tmp_path / "in.png", ImageOutput(name="a", format="png", quality="auto"))
    assert done.only.tobytes() == photo(120, 80).tobytes()


def test_an_animation_takes_the_quality_of_its_first_frame(tmp_path: Path) -> None:
    frames = [photo(160, 120, seed) for seed in (1, 2, 3)]
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:], duration=80)
    done = render(tmp_path / "in.png", *outputs(160, quality="auto", similarity=0.93))
    assert (done.only.size, getattr(done.only, "n_frames", 1)) == ((160, 120), 3)
    first = pyvips.Image.new_from_memory(done.only.convert("RGB").tobytes(), 160, 120, 3, "uchar")
    assert ssim(luma(picture(160, 120)), luma(first.copy(interpretation="srgb"))) > 0.9


def test_a_variant_that_is_not_smaller_than_the_original_is_told_of_once_and_not_tried_again(
    mediactl: CommandLine,
) -> None:
    (mediactl.folder / "in").mkdir()
    photo(300, 200).save(mediactl.folder / "in" / "a.jpg", quality=30)
    recipe = 'name = "r"\n' + "".join(
        f'[[image]]\nname = "w{width}"\nformat = "{format}"\nwidth = {width}\nquality = 95\n'
        for width, format in ((100, "jpeg"), (1600, "jpeg"), (1600, "png"))
    )
    (mediactl.folder / "r.toml").write_text(recipe)
    words = ("process", mediactl.folder / "in", "--out", mediactl.folder / "out", "--recipe", "r.toml", "--json")
    first, second = mediactl(*words), mediactl(*words)
    assert (first.code, second.code) == (0, 0), first.err
    (found,) = (mediactl.folder / "out").rglob("asset.json")
    told = json.loads(found.read_text())["warnings"]
    assert told == ["w1600.jpg is not smaller than the original"]
    assert second.summary["jobs"] == 0
    # One artefact more: the others are kept, and what is true of them stays told.
    (mediactl.folder / "r.toml").write_text(recipe + '[[image]]\nname = "w50"\nwidth = 50\n')
    third = mediactl(*words)
    assert third.summary["artefacts"] == 1
    assert json.loads(found.read_text())["warnings"] == told
