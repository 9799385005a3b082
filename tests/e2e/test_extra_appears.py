"""Files that require an extra have one line for all, and are done by the first run after it was installed."""

from __future__ import annotations

from pathlib import Path

from conftest import ROOT, CommandLine
from test_process import picture

JXL = bytes.fromhex(
    "ff0acb0600138802002401b59f200000152aa38c1bbc9cebf9f24387c5b48deb0c6db56d610963b3bd304808800b78575e8c17af51ace30018"
    "f46681fb68a6a6e940b2100693110140500ac5cdfeb9401e6d2509"
)
"""64 x 48 pixels, by libjxl."""
PLUGIN = """
from PIL import Image, ImageFile

class JXL(ImageFile.ImageFile):
    format = "JXL"

    def _open(self):
        self._size, self._mode = (64, 48), "RGB"

    def load(self):
        self.im = Image.new("RGB", self.size, (200, 30, 30)).im
        return Image.Image.load(self)

Image.register_open("JXL", JXL, lambda head: head[:2] == b"\\xff\\x0a")
"""
"""In place of pillow-jxl-plugin, which no test can install: it knows the one image that there is."""
RECIPE = 'name = "small"\n[[image]]\nname = "w"\nwidth = 8\n'


def install(folder: Path) -> dict[str, str]:
    """Put the extra's package into a folder; the environment in which it is installed."""
    (folder / "pillow_jxl").mkdir(parents=True)
    (folder / "pillow_jxl" / "__init__.py").touch()
    (folder / "pillow_jxl" / "JpegXLImagePlugin.py").write_text(PLUGIN)
    (folder / "pillow_jxl_plugin-1.3.8.dist-info").mkdir()
    return {"PYTHONPATH": f"{ROOT}:{folder}"}


def test_an_extra_that_is_installed_retries_what_was_rejected_for_want_of_it(mediactl: CommandLine) -> None:
    photos = mediactl.folder / "photos"
    cut = picture(photos / "cut.jpg").read_bytes()[:200]
    picture(photos / "good.jpg")
    (photos / "cut.jpg").write_bytes(cut)
    (photos / "notes.txt").write_text("no media\n")
    for number in range(3):
        (photos / f"{number}.jxl").write_bytes(JXL)
    (mediactl.folder / "small.toml").write_text(RECIPE)
    process = ("process", "photos", "--recipe", "small.toml", "--log-format", "plain")

    first = mediactl(*process, "--quiet", "--log", "events.ndjson")
    assert (first.code, first.err, first.out.count("\n")) == (1, "", 2), first
    rejected, required = first.out.splitlines()
    assert rejected.startswith("rejected: cut.jpg: is truncated")
    assert required.startswith("3 JPEG XL files require the extra jxl: ") and "pillow-jxl-plugin" in required
    log = (mediactl.folder / "events.ndjson").read_text()
    assert log.count('"requires":"jxl"') == 3 and log.count('"event":"extra.required"') == 1
    assert required in mediactl("status").out

    nothing = mediactl(*process, "--quiet")
    assert (nothing.code, nothing.out) == (0, "")

    second = mediactl(*process, "--json", environment=install(mediactl.folder / "extra"))
    planned = {event["path"]: event["reason"] for event in second.events if event["event"] == "source.planned"}
    assert planned == {f"{number}.jxl": "decoder changed" for number in range(3)}
    assert (second.summary["done"], second.summary["up_to_date"], second.summary["rejected"]) == (3, 1, 1)
    assert (mediactl.folder / "derived" / "0.jxl" / "w.webp").exists()
    assert "jxl:" not in mediactl("status").out
