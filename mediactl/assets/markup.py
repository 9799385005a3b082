"""Markup of an asset's artefacts, ready for a page: srcset, <picture>, <video>. Pure.

URLs are relative to the folder of asset.json: put that folder's URL in front of them, or a <base> into the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from mediactl.model.assets import Artefact
from mediactl.model.media import MediaInfo

SIZES = "100vw"
"""As wide as the page: what browsers assume, too. A page of another layout replaces it."""
_FIRST = ("image/avif", "image/webp")
"""Smallest first: a browser takes the first <source> that it can read."""
_LAST = ("image/jpeg", "image/png", "image/webp", "image/avif")
"""What <img> itself gets, the type that reads everywhere first."""
_REACHES = 1.25
"""A type whose smallest variant is wider than the smallest of all by more than this gets no <source>: AVIF takes some
20 % fewer bytes a pixel than WebP, so that a phone would be sent more bytes, not fewer."""
_HLS = "application/vnd.apple.mpegurl"
_TRACK = re.compile(r".*-(\d+)(?:-[a-z0-9]+)?\.vtt")
"""Name of a subtitle file: the number of its track, from 1, and perhaps its language."""
_LANGUAGES = {
    "ara": "ar", "bul": "bg", "cat": "ca", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl",
    "ell": "el", "eng": "en", "est": "et", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "gre": "el",
    "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kor": "ko",
    "lav": "lv", "lit": "lt", "nld": "nl", "nor": "no", "per": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro",
    "rus": "ru", "slk": "sk", "slo": "sk", "slv": "sl", "spa": "es", "srp": "sr", "swe": "sv", "tha": "th", "tur": "tr",
    "ukr": "uk", "vie": "vi", "zho": "zh",
}  # fmt: skip
"""ISO 639-2 (containers) -> 639-1: BCP 47 (pages) requires the shortest code there is. Others are left as they are."""


def srcset(artefacts: Iterable[Artefact], info: MediaInfo, *, base: str = "") -> str:
    """``"w320.webp 320w, w800.webp 800w"``: the variants of one image by width, each width once.

    Variants that are cropped otherwise than most are left out; "" when there are several formats: one srcset cannot mix
    them, ``picture`` has one for each. ``base`` is a URL to put in front of file names.
    """
    by_type = _variants(artefacts, info)
    return _srcset(next(iter(by_type.values())), base) if len(by_type) == 1 else ""


def picture(
    artefacts: Iterable[Artefact],
    info: MediaInfo,
    colour: str,
    *,
    base: str = "",
    alt: str = "",
    sizes: str = SIZES,
) -> str:
    """<picture>: AVIF, WebP, and an <img> for all else, with its proportions, so that the page does not jump.

    A browser takes the first <source> whose type it can read, whatever the screen. So a type that has only large
    variants is left out, and stills beside variants that move.
    ``colour`` ("#rrggbb") shows until the image is there, unless it has transparency. "" without variants.
    ``base`` is a URL to put in front of file names.
    """
    by_type = _variants(artefacts, info)
    if not by_type:
        return ""
    last = [each for each in (*_LAST, *by_type) if each in by_type]
    if info.alpha and "image/png" in by_type:
        last.insert(0, "image/png")  # a JPEG has no holes
    fallback = by_type[last[0]]
    most = _REACHES * min(_narrowest(each) for each in by_type.values())
    sources = [
        _tag("source", type=media_type, srcset=_srcset(by_type[media_type], base), sizes=sizes)
        for media_type in _FIRST
        if media_type in by_type and media_type != last[0] and _narrowest(by_type[media_type]) <= most
    ]
    largest = fallback[-1]
    image = _tag(
        "img", src=_url(largest, base), srcset=_srcset(fallback, base), sizes=sizes, width=largest.width,
        height=largest.height, alt=alt, loading="lazy", decoding="async",
        style=f"background:{colour}" if colour and not info.alpha else None,
    )  # fmt: skip
    return "\n".join(("<picture>", *(f"  {line}" for line in (*sources, image)), "</picture>"))


def video(artefacts: Iterable[Artefact], info: MediaInfo, *, base: str = "") -> str:
    """<video>: HLS where there is one (Safari and hls.js), MP4 for all others, poster, subtitles, storyboard.

    A browser takes the first <source> that it can play: the largest, of equally large ones that of the fewest bytes. A
    animation is a silent loop. "" when there is nothing to play.
    """
    made = list(artefacts)
    streams = [each for each in made if each.role == "master"]
    renditions = sorted(
        (each for each in made if each.role == "rendition"), key=lambda each: (-_area(each), each.bytes)
    )
    loops = [each for each in made if each.role == "animation"]
    if not (streams or renditions or loops):
        return ""
    shown = [*renditions, *loops, *(each for each in made if each.role == "stream")]
    width, height = (shown[0].width, shown[0].height) if shown else (info.width, info.height)
    if loops:
        head = _tag("video", autoplay=True, loop=True, muted=True, playsinline=True, width=width, height=height)
    else:
        posters = [each for each in made if each.role == "poster"]
        head = _tag(
            "video", controls=True, playsinline=True, preload="metadata", width=width, height=height,
            poster=_url(posters[0], base) if posters else None,
        )  # fmt: skip
    lines = [_tag("source", src=_url(each, base), type=_HLS) for each in streams]
    lines += [_tag("source", src=_url(each, base), type=each.media_type) for each in (*renditions, *loops)]
    lines += _tracks(made, info, base)
    return "\n".join((head, *(f"  {line}" for line in lines), "</video>"))


def _tracks(made: list[Artefact], info: MediaInfo, base: str) -> list[str]:
    lines = []
    seen: set[str] = set()
    for each in made:
        # The subtitles of HLS are the same file under another name: a page needs them once.
        if each.role == "subtitles" and each.key not in seen:
            seen.add(each.key)
            match = _TRACK.fullmatch(each.name)
            number = int(match.group(1)) if match else 0
            text = info.texts[number - 1] if 0 < number <= len(info.texts) else None
            language = _language(text.language) if text else ""
            label = (text.title if text else "") or language or f"{number or len(seen)}"
            lines.append(_tag("track", kind="subtitles", src=_url(each, base), srclang=language or "und", label=label))
        elif each.role == "chapters":
            lines.append(_tag("track", kind="chapters", src=_url(each, base)))
        elif each.role == "storyboard-map":
            lines.append(_tag("track", kind="metadata", src=_url(each, base), label="thumbnails"))
    return lines


def _variants(artefacts: Iterable[Artefact], info: MediaInfo) -> dict[str, list[Artefact]]:
    """Media type -> variants of the same proportions, by width, each width once.

    Those of the source's own proportions; where there are none, those of the largest variant's. Where some move, the
    stills are no other width of the same image.
    """
    variants = [each for each in artefacts if each.role == "variant" and each.width and each.height]
    variants = [each for each in variants if each.duration] or variants
    whole = [each for each in variants if _alike(each, info.width or 0, info.height or 0)]
    if variants and not whole:
        largest = max(variants, key=_area)
        whole = [each for each in variants if _alike(each, largest.width or 0, largest.height or 0)]
    widths: dict[tuple[str, int], Artefact] = {}
    for each in whole:
        widths.setdefault((each.media_type, each.width or 0), each)
    found: dict[str, list[Artefact]] = {}
    for (media_type, _), each in sorted(widths.items()):
        found.setdefault(media_type, []).append(each)
    return found


def _alike(variant: Artefact, width: int, height: int) -> bool:
    """Whether it has these proportions, to the pixel that rounding costs."""
    across, down = variant.width or 0, variant.height or 0
    return abs(across * height - down * width) <= max(width, height)


def _area(artefact: Artefact) -> int:
    return (artefact.width or 0) * (artefact.height or 0)


def _narrowest(variants: list[Artefact]) -> int:
    return min(each.width or 0 for each in variants)


def _srcset(variants: Iterable[Artefact], base: str) -> str:
    return ", ".join(f"{_url(each, base)} {each.width}w" for each in variants)


def _url(artefact: Artefact, base: str) -> str:
    return f"{base.rstrip('/')}/{quote(artefact.name)}" if base else quote(artefact.name)


def _language(code: str) -> str:
    return _LANGUAGES.get(code.lower(), code)


def _tag(name: str, **attributes: str | int | bool | None) -> str:
    """An opening tag; None and False leave an attribute out, True has no value."""
    words = [
        key if value is True else f'{key}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    ]
    return f"<{' '.join((name, *words))}>"
