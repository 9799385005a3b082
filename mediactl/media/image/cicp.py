"""Colours described by code points (CICP, ITU-T H.273) instead of a profile: PNG's cICP chunk, nclx in HEIC and AVIF.

High dynamic range (PQ, HLG) is mapped to standard range, wide gamuts to sRGB's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from mediactl.media.image.container.structure import Read, png_chunk, reader
from mediactl.media.image.vips import VipsImage, pyvips

_P3, _BT2020 = (11, 12), (9,)
_PQ, _HLG, _LINEAR = 16, 18, 8
_GAMMAS = {4: 2.2, 5: 2.8}
_MOST_META = 4 << 20
"""Bytes of a HEIC's or AVIF's description that are read; those of phones have 4 kB."""
_CHUNKS = 256
_WHITE = 203.0
"""Nits of white in HDR, ITU-R BT.2408: it becomes the 1.0 that tone mapping begins from."""
_PEAK = 1000.0
"""Nits of the reference display of HLG, and of the one that PQ images are graded on most often (BT.2408)."""
_KNEE = 0.5
"""Linear light up to which values are kept exactly."""
_TO_SRGB = {
    # Linear light to linear BT.709, both D65; from the primaries in H.273, rows of the matrix.
    "p3": ((1.22494, -0.22494, 0.0), (-0.04206, 1.04206, 0.0), (-0.01964, -0.07864, 1.09827)),
    "bt2020": ((1.66049, -0.58764, -0.07285), (-0.12455, 1.1329, -0.00835), (-0.01815, -0.10058, 1.11873)),
}


class Cicp(NamedTuple):
    """Code points of H.273."""

    primaries: int
    transfer: int

    @property
    def hdr(self) -> str:
        """ "PQ", "HLG" or ""."""
        return {_PQ: "PQ", _HLG: "HLG"}.get(self.transfer, "")

    @property
    def odd(self) -> bool:
        """Whether the values have to be converted to sRGB. Camera curves (BT.709, 601, 2020) count as sRGB's, as in
        browsers: images are graded on a screen."""
        return bool(self.hdr) or self.primaries in _P3 + _BT2020 or self.transfer in (_LINEAR, *_GAMMAS)


def read(content: bytes | int, format: str) -> Cicp | None:
    """Return the code points of a PNG, AVIF or HEIC (its bytes or descriptor); None when it has none."""
    at = reader(content)
    if format in ("png", "apng"):
        return _of_png(at)
    return _of_boxes(_meta(at)) if format in ("avif", "heic") else None


def to_srgb(image: VipsImage, cicp: Cicp) -> VipsImage:
    """Convert an image with these code points, 8 or 16 bit, alpha not premultiplied, to 8-bit sRGB."""
    alpha = image.extract_band(image.bands - 1) if image.hasalpha() else None
    wide = image.format == "ushort"
    colours = image.extract_band(0, n=3) if image.bands > 2 else image.extract_band(0).bandjoin([image[0]] * 2)
    light = colours.maplut(_curve(cicp.transfer, wide))
    if cicp.transfer == _HLG:
        # The system gamma of BT.2100: HLG's values are scene-referred, a display adds contrast.
        luminance = light.recomb(pyvips.Image.new_from_array([[0.2627, 0.6780, 0.0593]]))
        light = light * (luminance**0.2) * (_PEAK / _WHITE)
    gamut = "p3" if cicp.primaries in _P3 else "bt2020" if cicp.primaries in _BT2020 else ""
    if gamut:
        light = light.recomb(pyvips.Image.new_from_array([list(row) for row in _TO_SRGB[gamut]]))
    if cicp.hdr:
        light = _toned(light)
    shown = light.copy(interpretation="scrgb").colourspace("srgb")
    if alpha is None:
        return shown
    return shown.bandjoin((alpha >> 8).cast("uchar") if wide else alpha)


def _toned(light: VipsImage) -> VipsImage:
    """Tone-map linear light, 1.0 being white, so that the peak becomes 1.0: dark and middle tones are kept.

    The curve is the Moebius transform that ffmpeg's tonemap filter has too, on the largest of the three, so that hues
    stay.
    """
    knee, peak = _KNEE, _PEAK / _WHITE
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    light = (light > 0).ifthenelse(light, 0)
    most = light[0].bandrank([light[1], light[2]], index=2)
    most = (most < peak).ifthenelse(most, peak)
    mapped = (b**2 + 2 * b * knee + knee**2) / (b - a) * (most + a) / (most + b)
    return light * (most > knee).ifthenelse(mapped / most, 1.0)


@lru_cache(maxsize=8)
def _curve(transfer: int, wide: bool) -> VipsImage:
    """Return the table from values (8 or 16 bit) to linear light; white is 1.0 (PQ: 203 nits; HLG: of the scene)."""
    most = 65535 if wide else 255
    value = pyvips.Image.identity(ushort=wide).linear(1 / most, 0)
    if transfer == _PQ:  # SMPTE ST 2084
        power = value ** (32 / 2523)
        ratio = (power - 3424 / 4096) / (2413 / 128 - power * (2392 / 128))
        light = (ratio > 0).ifthenelse(ratio, 0) ** (16384 / 2610) * (10000 / _WHITE)
    elif transfer == _HLG:  # ARIB STD-B67
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = (value <= 0.5).ifthenelse(value * value / 3, (((value - c) / a).exp() + b) / 12)
    elif transfer == _LINEAR:
        light = value
    elif transfer in _GAMMAS:
        light = value ** _GAMMAS[transfer]
    else:
        light = (value <= 0.04045).ifthenelse(value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light.cast("float").copy_memory()


def _of_png(read: Read) -> Cicp | None:
    points = png_chunk(read, b"cICP")
    return Cicp(points[0], points[1]) if points else None


def _of_boxes(meta: bytes) -> Cicp | None:
    """Return the colour property of the primary image in a "meta" box's content."""
    try:
        top = dict(_boxes(meta, 4))
        pitm, parts = top[b"pitm"], dict(_boxes(top[b"iprp"], 0))
        primary = int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8])
        properties = list(_boxes(parts[b"ipco"], 0))
        for index in _properties_of(primary, parts[b"ipma"]):
            kind, body = properties[index - 1] if 0 < index <= len(properties) else (b"", b"")
            if kind == b"colr" and body[:4] == b"nclx":
                return Cicp(*struct.unpack_from(">HH", body, 4))
    except (KeyError, IndexError, struct.error):
        pass  # malformed; its decoder decides whether it is damaged
    return None


def _properties_of(item: int, ipma: bytes) -> Iterator[int]:
    version, flags, count = ipma[0], ipma[3], int.from_bytes(ipma[4:8])
    at, wide, long = 8, 4 if version else 2, 2 if flags & 1 else 1
    for _ in range(count):
        found, number = int.from_bytes(ipma[at : at + wide]), ipma[at + wide]
        at += wide + 1
        if found == item:
            for index_at in range(at, at + number * long, long):
                yield int.from_bytes(ipma[index_at : index_at + long]) & (0x7FFF if long == 2 else 0x7F)
        at += number * long


def _meta(read: Read) -> bytes:
    at = 0
    for _ in range(_CHUNKS):
        head = read(at, 8)
        size = int.from_bytes(head[:4])
        if size < 8:
            return b""
        if head[4:8] == b"meta":
            return read(at + 8, min(size - 8, _MOST_META))
        at += size
    return b""


def _boxes(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        if size < 8:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size
