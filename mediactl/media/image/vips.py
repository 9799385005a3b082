"""libvips, set up before it is first used. ``pyvips`` is imported from here and nowhere else."""

from __future__ import annotations

import os
import re
from typing import Any

# libvips reads this once, when it is loaded. One thread an image: the pool runs many images side by side instead.
os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips as pyvips

VipsImage = Any
"""A pyvips.Image; pyvips has no types."""

LOADERS = {
    "jpeg": "jpegload_source",
    "png": "pngload_source",
    "webp": "webpload_source",
    "gif": "gifload_source",
    "tiff": "tiffload_source",
    "avif": "heifload_source",
}
"""Format as sniffed -> libvips operation. Named one by one: libvips never guesses what an untrusted file is."""

FAILURES = (pyvips.Error, UnicodeDecodeError)
"""What pyvips raises when libvips fails; the second when the message itself, or a field, quotes malformed text."""

_PREFIX = re.compile(r"^(?:\w*vips\w*|heif|[a-z]+load(?:_source)?|VipsJpeg): ", re.IGNORECASE)
_NOISE = re.compile(r"^\(|bad seek|TIFF_SETGET|unable to open source|: load error$|\.\.\.$")
"""Lines that do not help a person: error numbers, the search for an end, unknown TIFF tags, a message cut off, and what
libvips says after the cause when another of its threads asks a failed loader for more (foreign.c)."""
_ALLOWED = ("Jpeg", "Png", "Webp", "Nsgif", "Tiff", "Heif")

# Every image is different, so an operation cache only costs memory.
pyvips.cache_set_max(0)
pyvips.operation_block_set("VipsForeignLoad", True)
for _name in _ALLOWED:
    pyvips.operation_block_set(f"VipsForeignLoad{_name}", False)
pyvips.block_untrusted_set(True)


def open_image(content: bytes | int, format: str, fail_on: str = "error", **options: Any) -> VipsImage:
    """Return an image whose header is read and whose pixels come when they are requested, top to bottom, once.

    ``content`` is the file's bytes, which must outlive the image, or a descriptor, of which only one image may be
    in use at a time (they would share its position). ``fail_on="error"`` rejects truncated files and accepts harmless
    errors. Raises one of FAILURES.
    """
    if isinstance(content, int):
        os.lseek(content, 0, os.SEEK_SET)
        source = pyvips.Source.new_from_descriptor(content)
    else:
        source = pyvips.Source.new_from_memory(content)
    return pyvips.Operation.call(LOADERS[format], source, access="sequential", fail_on=fail_on, **options)


def field(image: VipsImage, name: str) -> Any:
    """Return a metadata field, None where there is none or it cannot be read."""
    try:
        return image.get(name) if image.get_typeof(name) else None
    except (*FAILURES, RuntimeError):  # RuntimeError: cffi's, for a field of no bytes
        return None


def with_field(image: VipsImage, kind: int, name: str, value: Any) -> VipsImage:
    """Return a copy with one more metadata field; ``kind`` is a ``pyvips.GValue`` type."""
    copy = image.copy()
    copy.set_type(kind, name, value)
    return copy


def reason(error: Exception) -> str:
    """Return one line from a library's error: the last useful one, without the function names before it."""
    text = str(error.detail) if isinstance(error, pyvips.Error) else str(error)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not _NOISE.search(line)]
    if not lines:
        return "its structure is malformed"
    line = _PREFIX.sub("", lines[-1])
    line = "".join(character for character in line if character.isprintable())[:200].rstrip(". ")
    # Libraries write sentences; ours continues after a colon. Names in capitals stay (JPEG, EXIF).
    return line if line[1:2].isupper() else line[:1].lower() + line[1:]


def version() -> str:
    """Return the version of libvips, "8.18.3"."""
    return ".".join(str(pyvips.version(part)) for part in range(3))


def describe() -> str:
    """Return the version of libvips and the formats that it reads here, for ``doctor``."""
    formats = [name for name, operation in LOADERS.items() if pyvips.type_find("VipsOperation", operation)]
    return f"{version()}, reads {', '.join(formats)}"
