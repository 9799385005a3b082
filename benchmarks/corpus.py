"""What becomes of every file of the corpus, and sheets of the outputs to be looked at by eye.

    python -m benchmarks.corpus CORPUS [--recipe web] [--only photos --only images] [--sheets DIR] [--out DIR]

Prints a Markdown table: file -> done, done with warnings, or rejected and why. With --sheets it writes one page of
pictures a folder and kind (variants, crops, posters, storyboards, frames of animations and films), names beneath.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from benchmarks.measure import MEDIACTL, ROOT
from mediactl.media.ffmpeg import binary

FOLDERS = ("photos", "images", "videos", "audio", "hostile")
CELL = 300
"""Pixels a side of a picture on a sheet."""
LABEL = 34
COLUMNS = 6
A_PAGE = COLUMNS * 5
FRAMES = 3
"""Of an animation or a film."""
CHECKER = ((200, 200, 200), (240, 240, 240))
"""Behind what is transparent."""
FINAL = ("job.done", "job.rejected", "job.quarantined")


def main() -> None:
    """Run, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--recipe", default="web", help="name or file")
    parser.add_argument("--only", action="append", choices=FOLDERS, help="folder to take; again for more")
    parser.add_argument("--out", type=Path, help="keep the outputs here")
    parser.add_argument("--sheets", type=Path, help="write contact sheets here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mediactl-corpus-") as temporary:
        out = arguments.out or Path(temporary)
        for folder in arguments.only or FOLDERS:
            rows = process(arguments.corpus / folder, out / folder, arguments.recipe)
            print(f"\n{table(folder, rows)}", flush=True)
            if arguments.sheets:
                arguments.sheets.mkdir(parents=True, exist_ok=True)
                for sheet in sheets(out / folder, arguments.sheets / folder):
                    print(sheet, file=sys.stderr, flush=True)


def process(source: Path, out: Path, recipe: str) -> list[tuple[str, str, str]]:
    """(file, what became of it, why or what is to be known) of every file of a folder."""
    command = [*MEDIACTL, "process", str(source), "--recipe", recipe, "--out", str(out), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"exit code {done.returncode}: {done.stderr[-500:]}")
    rows: dict[str, tuple[str, str]] = {}
    for line in done.stdout.splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "source.ignored":
            rows[event["path"]] = ("ignored", event["reason"])
        elif event["event"] == "scan.trouble":
            rows[event["path"]] = ("not read", event["reason"])
        elif event["event"] in FINAL and event["kind"] != "piece":
            rows[event["path"]] = _row(event)
    return [(path, *row) for path, row in sorted(rows.items())]


def _row(event: dict[str, Any]) -> tuple[str, str]:
    if event["event"] != "job.done":
        return event["event"].removeprefix("job."), event["reason"]
    warnings = "; ".join(event["warnings"])
    return ("done with warning" if warnings else "done"), warnings


def table(folder: str, rows: list[tuple[str, str, str]]) -> str:
    """The rows in Markdown, under how many there are of each."""
    counts = ", ".join(f"{number} {state}" for state, number in sorted(Counter(row[1] for row in rows).items()))
    lines = [f"**{folder}/**: {counts}", "", "| file | result | why |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)])


def sheets(out: Path, base: Path) -> Iterator[Path]:
    """Write the sheets of one folder of outputs."""
    by_kind: dict[str, list[tuple[str, Image.Image]]] = {}
    for file in sorted(out.rglob("asset.json")):
        asset = json.loads(file.read_text())
        for artefact in asset["artefacts"]:
            kind, pictures = _look(file.parent / artefact["name"], artefact, asset)
            name = f"{file.parent.relative_to(out)}\n{artefact['name']} {_sides(artefact)}"
            by_kind.setdefault(kind, []).extend((name, picture) for picture in pictures)
    for kind, named in by_kind.items():
        for number in range(0, len(named), A_PAGE):
            path = base.with_name(f"{base.name}-{kind}-{number // A_PAGE + 1}.png")
            _sheet(named[number : number + A_PAGE], path)
            yield path


def _sides(artefact: dict[str, Any]) -> str:
    return f"{artefact['width']}x{artefact['height']}" if artefact.get("width") else ""


def _look(file: Path, artefact: dict[str, Any], asset: dict[str, Any]) -> tuple[str, list[Image.Image]]:
    """Kind of sheet, and the pictures of one artefact: a few frames of what moves, the first of each set of widths."""
    role, media_type = artefact["role"], artefact["media_type"]
    if role == "variant":
        widths = [each["width"] for each in asset["artefacts"] if each["role"] == "variant"]
        if artefact["width"] == max(widths) != min(widths) and widths.count(artefact["width"]) == 1 and len(widths) > 2:
            return role, []  # the largest is a bigger one of the same
    if media_type.startswith("image/"):
        with Image.open(file) as image:
            number = getattr(image, "n_frames", 1)
            frames = []
            for frame in sorted({round(step * (number - 1) / (FRAMES - 1)) for step in range(FRAMES)}):
                image.seek(frame)
                frames.append(_on_checker(image.convert("RGBA")))
        return (role if number == 1 else "animated"), frames
    if media_type.startswith("video/") and artefact.get("duration"):
        return role, list(_film(file, artefact["duration"]))
    return role, []


def _film(file: Path, duration: float) -> Iterator[Image.Image]:
    for step in range(FRAMES):
        at = duration * (step + 0.5) / FRAMES
        command = [
            binary.find(), "-nostdin", "-loglevel", "error", "-ss", f"{at:.3f}", "-i", str(file), "-frames:v", "1",
            "-vf", f"scale={CELL}:{CELL}:force_original_aspect_ratio=decrease", "-f", "image2pipe", "-c:v", "ppm", "-",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=False)
        if done.stdout:
            header, pixels = done.stdout.split(b"\n255\n", 1)
            width, height = map(int, header.split()[1:3])
            yield Image.frombytes("RGB", (width, height), pixels[: width * height * 3])


def _on_checker(image: Image.Image) -> Image.Image:
    image = ImageOps.contain(image, (CELL, CELL)) if max(image.size) > CELL else image
    ground = Image.new("RGB", image.size, CHECKER[0])
    draw = ImageDraw.Draw(ground)
    for x in range(0, image.width, 16):
        for y in range(0, image.height, 16):
            if (x + y) // 16 % 2:
                draw.rectangle((x, y, x + 15, y + 15), CHECKER[1])
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _sheet(pictures: list[tuple[str, Image.Image]], path: Path) -> None:
    rows = math.ceil(len(pictures) / COLUMNS)
    page = Image.new("RGB", (COLUMNS * (CELL + 8), rows * (CELL + LABEL)), (30, 30, 30))
    draw = ImageDraw.Draw(page)
    for number, (name, picture) in enumerate(pictures):
        left, top = number % COLUMNS * (CELL + 8) + 4, number // COLUMNS * (CELL + LABEL) + 4
        page.paste(ImageOps.contain(picture, (CELL, CELL)) if max(picture.size) > CELL else picture, (left, top))
        for line, text in enumerate(name.split("\n")):
            draw.text((left, top + CELL + 1 + 13 * line), text[-48:], fill=(230, 230, 230))
    page.save(path)


if __name__ == "__main__":
    main()
