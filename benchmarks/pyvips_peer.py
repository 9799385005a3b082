"""The barest loop there is: a pool of processes, pyvips, three sizes of every JPEG of a folder, no bookkeeping.

``python benchmarks/pyvips_peer.py SOURCE OUT FORMAT QUALITY EFFORT PROCESSES WIDTH...``

Each picture is decoded once (shrunk while loading), brought to sRGB and then shrunk from size to size. What a
program does on top of this is what its bookkeeping costs.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import os
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

os.environ["VIPS_CONCURRENCY"] = "1"
import pyvips


def shrink(source: str, out: Path, suffix: str, options: dict[str, Any], widths: list[int]) -> None:
    """Write every width of one picture, the largest first, each made from the one before."""
    # Converting costs a third of a second, also where there is nothing to convert: only with a profile, as sharp does.
    tagged = "icc-profile-data" in pyvips.Image.new_from_file(source).get_fields()
    colour = {"output_profile": "srgb"} if tagged else {}
    picture = pyvips.Image.thumbnail(source, widths[0], height=10_000_000, size="down", **colour).copy_memory()
    for width in widths:
        if width < picture.width:
            picture = picture.thumbnail_image(width, height=10_000_000, size="down").copy_memory()
        picture.write_to_file(str(out / f"{Path(source).stem}-w{width}{suffix}"), keep="none", **options)


def main() -> None:
    """Share the folder's pictures out among the processes."""
    folder, out, format_, quality, effort, processes, *widths = sys.argv[1:]
    options: dict[str, Any] = {"Q": int(quality)}
    if format_ in ("webp", "avif"):
        options["effort"] = int(effort)
    work = partial(
        shrink,
        out=Path(out),
        suffix=".jpg" if format_ == "jpeg" else "." + format_,
        options=options,
        widths=sorted(map(int, widths), reverse=True),
    )
    with Pool(int(processes)) as pool:
        for _ in pool.imap_unordered(work, sorted(str(path) for path in Path(folder).glob("*.jpg"))):
            pass


if __name__ == "__main__":
    main()
