"""Pictures that move become MP4s: every frame as long as it was, on white, and nothing half done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageStat

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.core.files import fingerprint
from mediactl.media.drafts import Drafts, Request
from mediactl.media.image import render as image
from mediactl.media.inspect.containers import isobmff
from mediactl.model.assets import Operation, Target
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, Limits, Source
from mediactl.outputs.animation import AnimationParams
from mediactl.outputs.image import ImageParams

RED, LIME, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
CLEAR = (0, 0, 0, 0)


def animated(path: Path, frames: list[tuple[int, ...]], delays: list[int], size: tuple[int, int] = (60, 40)) -> Path:
    """Frames of one colour each, shown for so many milliseconds."""
    pictures = [Image.new("RGBA", size, colour) for colour in frames]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=delays, loop=0, disposal=2, lossless=True
    )
    return path


def render(path: Path, *targets: Target[Operation]) -> Drafts:
    """Probe and render a picture as ``make`` does."""
    fd = os.open(path, os.O_RDONLY)
    try:
        format = "png" if path.suffix == ".png" else path.suffix[1:]
        info = image.probe(fd, format, Limits())
        source = Source(
            os.fsencode(path.parent), os.fsencode(path.name), b"a", fingerprint(os.fstat(fd)), Kind.IMAGE, format
        )
        task = MakeTask(source, "0" * 64, info, targets, (), os.fsencode(path.parent), "web", Limits())
        place: Callable[[str], bytes] = lambda name: os.fsencode(path.parent / f"made-{name}")  # noqa: E731
        return image.render(Request(fd, task, targets, place, lambda _: None, lambda _: None))
    finally:
        os.close(fd)


def film(width: int = 60, height: int = 40) -> Target[AnimationParams]:
    return Target("loop.mp4", "animation", AnimationParams("h264", width, height, crf=18), "loop")


def shown(drafts: Drafts) -> tuple[list[float], list[tuple[float, ...]]]:
    """Times and mean colours of the frames of the first draft."""
    with av.open(os.fsdecode(drafts.files[0].file)) as container:
        decoded: list[Any] = list(container.decode(video=0))
        frames = [(frame.time, frame.to_image()) for frame in decoded]
    return [time for time, _ in frames], [tuple(ImageStat.Stat(picture).mean) for _, picture in frames]


@pytest.mark.parametrize("name", ["loop.gif", "loop.webp", "loop.png"])
def test_every_frame_is_shown_as_long_as_in_the_picture(tmp_path: Path, name: str) -> None:
    delays = [100, 250, 40, 900]
    source = animated(tmp_path / name, [RED, LIME, BLUE, RED], delays)
    drafts = render(source, film())
    times, colours = shown(drafts)
    assert times[:4] == pytest.approx([0.0, 0.1, 0.35, 0.39])
    assert drafts.files[0].duration == pytest.approx(1.29, abs=0.002)
    assert [max(range(3), key=colour.__getitem__) for colour in colours[:4]] == [0, 1, 2, 0]
    assert [colour.index(max(colour)) for colour in colours[4:]] == [0] * len(colours[4:])  # The last one, held.


def test_what_browsers_show_for_a_tenth_of_a_second_is_shown_as_long_here(tmp_path: Path) -> None:
    source = animated(tmp_path / "fast.gif", [RED, LIME, BLUE], [0, 0, 0])
    assert render(source, film()).files[0].duration == pytest.approx(0.3, abs=0.002)


def test_an_mp4_of_a_picture_plays_everywhere(tmp_path: Path) -> None:
    source = animated(tmp_path / "loop.gif", [RED, LIME, BLUE] * 4, [50] * 12, size=(61, 41))
    drafts = render(source, film(60, 40))
    file = os.fsdecode(drafts.files[0].file)
    with av.open(file) as container:
        stream = container.streams.video[0]
        assert len(container.streams) == 1
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.frames) == (60, 40, 12)
        assert (stream.codec_context.color_primaries, stream.codec_context.colorspace) == (1, 1)
    fd = os.open(file, os.O_RDONLY)
    assert isobmff.is_faststart(fd)
    os.close(fd)


@pytest.mark.parametrize(("second", "told"), [(CLEAR, True), (LIME, False)])
def test_transparency_is_laid_on_white_and_told(tmp_path: Path, second: tuple[int, ...], told: bool) -> None:
    source = animated(tmp_path / "loop.webp", [second, RED, BLUE], [100] * 3)
    drafts = render(source, film())
    _, colours = shown(drafts)
    if told:
        assert min(colours[0]) > 250
    assert any("transparency was flattened onto white in loop.mp4" in each for each in drafts.warnings) is told


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    source = animated(tmp_path / "loop.gif", [RED, LIME, BLUE] * 10, [30, 70, 20] * 10)
    first = Path(os.fsdecode(render(source, film()).files[0].file)).read_bytes()
    assert Path(os.fsdecode(render(source, film()).files[0].file)).read_bytes() == first


def test_a_film_and_stills_of_one_picture_are_made_together(tmp_path: Path) -> None:
    source = animated(tmp_path / "loop.gif", [RED, LIME, BLUE], [100] * 3)
    params = ImageParams(format="webp", width=30, height=20, quality=80, effort=0, animated=True)
    still = Target("w30.webp", "variant", params, "still")
    drafts = render(source, still, film())
    assert sorted(draft.target.name for draft in drafts.files) == ["loop.mp4", "w30.webp"]
    assert drafts.placeholder


def test_a_picture_that_breaks_off_is_rejected_and_leaves_no_film(tmp_path: Path) -> None:
    source = tmp_path / "loop.webp"
    noise = [Image.effect_noise((200, 200), 90 + number).convert("RGB") for number in range(6)]
    noise[0].save(source, save_all=True, append_images=noise[1:], duration=100, lossless=True)
    whole = bytearray(source.read_bytes())
    half = len(whole) // 2
    whole[half : half + 20_000] = bytes(range(250)) * 80
    source.write_bytes(whole)
    with pytest.raises((RejectedInput, JobFailed), match="damaged|broken"):
        render(source, film(200, 200))
    assert os.listdir(tmp_path) == ["loop.webp"]
