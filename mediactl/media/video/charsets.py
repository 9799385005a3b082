"""The charset of subtitles that are not UTF-8: legacy ones are common, and containers do not name them."""

from __future__ import annotations

import langcodes

_LATIN = "cp1252"
_BY_LANGUAGE = {
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "hr", "bs", "ro", "sq"), ("cp1250", "iso8859_2")),
    **dict.fromkeys(("tr", "az"), ("cp1254",)),
    **dict.fromkeys(("et", "lv", "lt"), ("cp1257",)),
    "vi": ("cp1258",),
}
"""Of languages in Latin script; the others have Windows-1252."""
_BY_SCRIPT = {
    "Latn": (_LATIN,), "Cyrl": ("cp1251", "koi8_r"), "Grek": ("cp1253",), "Hebr": ("cp1255",), "Arab": ("cp1256",),
    "Jpan": ("cp932", "euc_jp"), "Hans": ("gb18030", "big5"), "Hant": ("big5", "gb18030"), "Kore": ("cp949",),
    "Thai": ("cp874",),
}  # fmt: skip
"""Script (ISO 15924) -> charsets under Python's names, the usual one first."""
_KNOWN = sorted({name for names in (*_BY_LANGUAGE.values(), *_BY_SCRIPT.values()) for name in names})
_FEW = 0.25
"""Share of letters beyond ASCII up to which a text of an unknown language is in Latin script."""


def detected(text: bytes, language: str) -> str:
    """Return Python's name of the charset of a text that is not UTF-8; "" when none fits.

    ``language``: as the container says it ("ger", "de-AT"), "" for unknown.
    """
    import charset_normalizer  # Here: importing it takes 30 ms, and few videos need it.

    matches = charset_normalizer.from_bytes(text, cp_isolation=_KNOWN)
    plausible = [name for match in matches for name in (match.encoding, *match.could_be_from_charset)]
    letters = sum(byte >= 0x80 or chr(byte).isalpha() for byte in text)
    few = sum(byte >= 0x80 for byte in text) <= _FEW * letters
    preferred = _usual(language) if language else (_LATIN,) if few else ()
    return next((name for name in (*preferred, *plausible) if name in plausible), "")


def is_utf8(text: bytes) -> bool:
    """Return whether a text holds characters beyond ASCII in UTF-8, and nothing else."""
    try:
        return not text.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def _usual(language: str) -> tuple[str, ...]:
    """Return the charsets that a language is usually written in."""
    try:
        tag = langcodes.get(language).maximize()
    except ValueError:
        return ()
    return _BY_LANGUAGE.get(tag.language or "", _BY_SCRIPT.get(tag.script or "", ()))
