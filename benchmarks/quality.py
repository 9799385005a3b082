"""What quality and effort cost and give: bytes, time, SSIM; and mediactl's variants against sharp's at equal bytes.

  quality.py                  one table a format: each effort at the default quality, each quality at the default
                              effort, encoded from one full-quality resize
  quality.py --auto           what quality = "auto" chooses for several targets
  quality.py --against-sharp  SSIM of every default variant, and of sharp's at the same bytes (needs node, sharp and
                              ImageMagick, whose Lanczos resize is the reference that both are compared with);
                              SSIMULACRA2 beside it where that is installed (PyPI: pip install ssimulacra2)

Pictures: the photographs of the corpus (MEDIACTL_CORPUS) and the two Kodak pictures in it, each scene once.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]

import argparse
import functools
import itertools
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from benchmarks.measure import ROOT, table
from mediactl.core.files import fingerprint
from mediactl.media.drafts import Request, Temporary
from mediactl.media.image import auto_quality, load, render, save
from mediactl.media.image.similarity import luma, ssim
from mediactl.media.image.vips import VipsImage, pyvips
from mediactl.model.jobs import MakeTask
from mediactl.model.media import Kind, Limits, Source
from mediactl.outputs.base import EXTENSIONS
from mediactl.outputs.image import DEFAULT_EFFORT, DEFAULT_QUALITY, ImageOutput, StillParams
from mediactl.planning.keys import targets
from mediactl.recipe.loader import recipe

HERE = Path(__file__).resolve().parent
EFFORTS = {"jpeg": (0, 1, 5), "webp": (0, 1, 2, 3, 4, 5, 6), "avif": (0, 1, 2, 3, 4), "png": (1, 3, 6, 9)}
QUALITIES = {"jpeg": range(70, 95, 5), "webp": range(70, 95, 5), "avif": range(45, 75, 5), "png": (100,)}
TARGETS = (0.94, 0.95, 0.96, 0.97, 0.98, 0.985)


def pictures(corpus: Path) -> list[Path]:
    """Each scene once: of the orientation samples, those that lie upright."""
    photos = [*(corpus / "photos").glob("*.jpg"), *(corpus / "photos" / "orientation").glob("*_1.jpg")]
    found = [*sorted(photos), corpus / "images" / "01.png", corpus / "images" / "15.png"]
    if len(found) < 3:
        sys.exit(f"No photos in {corpus / 'photos'}: set MEDIACTL_CORPUS or --corpus.")
    return found


def resized(path: Path, width: int) -> VipsImage:
    """The picture at this width in one step, as mediactl reads and shrinks it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        format_ = path.suffix[1:].replace("jpg", "jpeg")
        head = load.header(fd, format_, Limits())
        scale = min(1.0, width / head.width)
        size = round(head.width * scale), max(1, round(head.height * scale))
        return load.still(load.content_of(fd), format_, *size, Limits(), lambda _: None)
    finally:
        os.close(fd)


def decoded(data: bytes) -> VipsImage:
    """The pixels of a file of ours or sharp's, in memory."""
    loader = {b"RIFF": "webpload", b"\x89PNG": "pngload"}.get(data[:4], "jpegload")
    loader = "heifload" if data[4:8] == b"ftyp" else loader
    return getattr(pyvips.Image, f"{loader}_buffer")(data).copy_memory()


def encoders(found: list[Path], width: int, formats: list[str]) -> None:
    """One table a format."""
    sources = [resized(path, width) for path in found]
    lumas = [luma(each).copy_memory() for each in sources]
    print(f"{len(sources)} pictures at {width} px, means\n")
    for format_ in formats:
        rows = []
        for effort in EFFORTS[format_]:
            default = effort == DEFAULT_EFFORT[format_]
            for quality in QUALITIES[format_] if default else (DEFAULT_QUALITY[format_],):
                size = seconds = alike = 0.0
                for source, wanted in zip(sources, lumas, strict=True):
                    params = still(source, format_, quality, effort)
                    begin = time.process_time()
                    data = save.encode(source, params)
                    seconds += time.process_time() - begin
                    size += len(data)
                    alike += ssim(wanted, luma(decoded(data)))
                mark = "*" if default and quality == DEFAULT_QUALITY[format_] else ""
                number = len(sources)
                row = [f"{1000 * seconds / number:.0f}", f"{size / number / 1000:.1f}", f"{alike / number:.4f}"]
                rows.append([f"effort {effort}, quality {quality}{mark}", *row])
        print(table([f"{format_} (* default)", "CPU ms", "kB", "SSIM"], rows), flush=True)
        print()


def still(source: VipsImage, format_: str, quality: int | Literal["auto"], effort: int) -> StillParams:
    """How an image is encoded at its own size."""
    return StillParams(
        format=format_, width=source.width, height=source.height, quality=quality, effort=effort, animated=False
    )


def remembering(source: VipsImage, format_: str) -> Callable[[int], bytes]:
    """Encodes the picture at a quality, each only once."""
    params = still(source, format_, "auto", DEFAULT_EFFORT[format_])
    return functools.cache(lambda quality: save.encode_at(source, params, quality))


def automatic(found: list[Path], width: int, formats: list[str]) -> None:
    """What the search chooses for each target."""
    sources = [resized(path, width) for path in found]
    rows = []
    for format_ in formats:
        encode_all = [remembering(source, format_) for source in sources]
        for wanted in TARGETS:
            chosen, size = [], 0
            for source, encode in zip(sources, encode_all, strict=True):
                quality, data = auto_quality.search(source, format_, wanted, encode)
                chosen.append(quality)
                size += len(data)
            spread = f"{min(chosen)}-{max(chosen)}"
            middle = f"{sorted(chosen)[len(chosen) // 2]}"
            rows.append([f"{format_} {wanted}", f"{size / len(sources) / 1000:.1f}", middle, spread])
    print(table(["target", "kB", "median quality", "qualities"], rows))


def variants(path: Path, wanted: tuple[ImageOutput, ...], out: Path) -> dict[str, Path]:
    """mediactl's variants of one picture, made as the program makes them."""
    out.mkdir(parents=True, exist_ok=True)
    format_ = path.suffix[1:].replace("jpg", "jpeg")
    fd = os.open(path, os.O_RDONLY)
    try:
        info = render.probe(fd, format_, Limits())
        made = targets(recipe("quality", image=wanted), Kind.IMAGE, info, "", {"image": "", "ffmpeg": ""})
        name = os.fsencode(path.name)
        source = Source(os.fsencode(path.parent), name, name, fingerprint(os.fstat(fd)), Kind.IMAGE, format_)
        task = MakeTask(source, "", info, made, (), os.fsencode(out), "quality", Limits(), "none")
        temporary: Temporary = lambda name: os.fsencode(out / name)  # noqa: E731
        render.render(Request(fd, task, made, temporary, lambda _: None, lambda _: None))
        return {target.name: out / target.name for target in made if (out / target.name).exists()}
    finally:
        os.close(fd)


def resize_by_hand(path: Path, size: tuple[int, int], profile: Path, out: Path) -> None:
    """ImageMagick's resize from all pixels of the original, in the space that both contenders shrink in."""
    words = ["convert", f"{path}[0]", "-auto-orient", "-filter", "Lanczos", "-resize", f"{size[0]}x{size[1]}!"]
    subprocess.run([*words, "-intent", "perceptual", "-profile", profile, "-depth", "8", f"png24:{out}"], check=True)


def at_size(files: list[bytes], size: int, measure: Callable[[bytes], float]) -> float | None:
    """What is measured at this many bytes, on the line between the two nearest files (bytes as logarithm); None when
    outside."""
    for below, above in itertools.pairwise(sorted(files, key=len)):
        low, high = len(below), len(above)
        if low <= size <= high:
            share = 0.0 if high == low else math.log(size / low) / math.log(high / low)
            return measure(below) + share * (measure(above) - measure(below))
    return None


def measures(reference: Path, folder: Path) -> dict[str, Callable[[bytes], float]]:
    """What is measured of a file by this reference, by its name."""
    wanted = luma(pyvips.Image.pngload(str(reference))).copy_memory()
    found: dict[str, Callable[[bytes], float]] = {
        "SSIM": functools.cache(lambda data: ssim(wanted, luma(decoded(data))))
    }
    try:
        from ssimulacra2 import compute_ssimulacra2
    except ImportError:
        return found

    def ssimulacra2(data: bytes) -> float:
        picture = folder / "decoded.png"
        decoded(data).pngsave(str(picture), strip=True)
        return float(compute_ssimulacra2(str(reference), str(picture)))

    return {**found, "SSIMULACRA2": functools.cache(ssimulacra2)}


def against_sharp(found: list[Path], sharp_dir: str, only: list[str], own_effort: bool) -> None:
    """The table of line 2: a mean for each variant."""
    outputs = [ImageOutput(name=f"w{width}", format="webp", width=width) for width in (320, 800, 1600)]
    outputs += [ImageOutput(name="a800", format="avif", width=800), ImageOutput(name="j800", format="jpeg", width=800)]
    chosen = tuple(output for output in outputs if output.format in only)
    with tempfile.TemporaryDirectory(prefix="mediactl-quality-") as name:
        folder = Path(name)
        profile = folder / "srgb.icc"
        blank = pyvips.Image.black(1, 1).copy(interpretation="srgb").icc_export(output_profile="srgb")
        profile.write_bytes(blank.get("icc-profile-data"))
        jobs: list[dict[str, Any]] = []
        ours: dict[tuple[int, str], Path] = {}
        for number, path in enumerate(found):
            made = variants(path, chosen, folder / str(number))
            for output in chosen:
                if (file := made.get(output.file_name)) is None:
                    continue  # the same as a larger one
                ours[number, output.name] = file
                middle = DEFAULT_QUALITY[output.format]
                jobs.append({
                    "file": str(path), "width": output.width, "format": output.format,
                    "effort": DEFAULT_EFFORT[output.format] if own_effort and output.format != "jpeg" else None,
                    "qualities": [middle + step for step in (-16, -12, -8, -5, -3, -1, 0, 1, 3, 5, 8, 12, 16)],
                    "out": str(folder / str(number) / f"sharp-{output.name}"),
                })  # fmt: skip
        words = ["node", str(HERE / "sharp_quality_peer.mjs"), sharp_dir]
        done = subprocess.run(words, input=json.dumps(jobs), text=True, check=True, capture_output=True)
        print(done.stdout.strip(), "at", "mediactl's effort" if own_effort else "its default effort")
        means: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
        for job in jobs:
            stem = Path(job["out"])
            number, output_name = int(stem.parent.name), stem.name.removeprefix("sharp-")
            data = ours[number, output_name].read_bytes()
            picture = decoded(data)
            resize_by_hand(Path(job["file"]), (picture.width, picture.height), profile, folder / "reference.png")
            peers = [Path(f"{stem}-{quality}").read_bytes() for quality in job["qualities"]]
            for name, measure in measures(folder / "reference.png", folder).items():
                if (theirs := at_size(peers, len(data), measure)) is None:
                    print(
                        f"{job['file']} {output_name}: sharp's qualities do not reach {len(data)} bytes",
                        file=sys.stderr,
                    )
                    break
                means.setdefault((output_name, name), []).append((len(data), measure(data), theirs))
    rows = []
    for key, all_ in means.items():
        number = len(all_)
        kilobytes, mine, other = (sum(each[at] for each in all_) / number for at in range(3))
        wins = sum(each[1] > each[2] for each in all_)
        row = [f"{kilobytes / 1000:.1f}", f"{mine:.4f}", f"{other:.4f}", f"{mine - other:+.4f}", f"{wins}/{number}"]
        rows.append([*key, *row])
    print(table(["variant", "measure", "kB", "mediactl", "sharp", "difference", "better in"], rows))


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    corpus = Path(os.environ.get("MEDIACTL_CORPUS") or ROOT.parent / "shared" / "media")
    parser.add_argument("--corpus", type=Path, default=corpus, help="folder with photos/ (default: MEDIACTL_CORPUS)")
    parser.add_argument("--width", type=int, default=1600, help="width of the tables' pictures (default: 1600)")
    parser.add_argument("--formats", default="jpeg,webp,avif,png", help="formats, separated by commas")
    parser.add_argument("--every", type=int, default=1, help="use only every so many picture")
    parser.add_argument("--auto", action="store_true", help='what quality = "auto" chooses')
    parser.add_argument("--against-sharp", action="store_true", help="at equal bytes")
    parser.add_argument("--same-effort", action="store_true", help="sharp with mediactl's effort, not its own")
    parser.add_argument("--sharp-dir", default=os.environ.get("SHARP_DIR", "."), help="folder that holds node_modules")
    options = parser.parse_args()
    formats = [each for each in options.formats.split(",") if each in EXTENSIONS]
    found = pictures(options.corpus)[:: options.every]
    if options.against_sharp:
        against_sharp(found, options.sharp_dir, formats, options.same_effort)
    elif options.auto:
        automatic(found, options.width, formats)
    else:
        encoders(found, options.width, formats)


if __name__ == "__main__":
    main()
