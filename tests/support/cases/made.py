"""The sources of a run: the given files, and inputs made beside them that the README asks for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mediactl.media.ffmpeg import binary

TEXTS = (
    b"\xff\xfe\x50\x00", b"MAC a", b"caff", b"ID3 t", b"BLP1 p", b"GIF87 i", b"P1 n", b"The free", b"icns a", b"DDS o",
    b"wvpk;", b"The skip", b"and wide",
)  # fmt: skip
"""What a text can begin with that a signature of a format begins with, too."""
UNTAGGED = "colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"


def plant(sources: Path, cases: Path, paths: Iterable[str]) -> None:
    """Copy the given files below ``sources``, and write those of them that are below made/."""
    paths = set(paths)
    _make(sources / "made", cases)
    for made in (sources / "made").iterdir():
        if f"made/{made.name}" not in paths:
            made.unlink()
    for path in sorted(paths):
        if not path.startswith("made/"):
            (sources / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(cases / path, sources / path)


def _make(folder: Path, cases: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    whole = (cases / "02-avif-trailing-bytes/plain.avif").read_bytes()
    (folder / "02-cut.avif").write_bytes(whole[:-300])
    for number, text in enumerate(TEXTS):
        words = b"" if text.startswith(b"\xff\xfe") else b" and so on, as in any note.\n" * 40
        (folder / f"16-{number}.txt").write_bytes(text + words)
    source, plain = cases / "23-reserved-colour-space/all-3.mp4", folder / "23-untagged.mp4"
    command = [binary.find(), "-nostdin", "-loglevel", "error", "-y", "-i", str(source), "-c", "copy"]
    subprocess.run([*command, "-bsf:v", f"h264_metadata={UNTAGGED}", str(plain)], check=True)
    for tagged in (plain, cases / "23-reserved-colour-space/colr-box-3-mpeg4.mov"):
        (folder / f"23-untagged{tagged.suffix}").write_bytes(tagged.read_bytes().replace(b"colr", b"free"))
