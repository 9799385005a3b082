"""The charset of subtitles that are not UTF-8: legacy ones are common, and containers do not name them."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
_IN_LATIN = {_LATIN, *(name for names in _BY_LANGUAGE.values() for name in names)}
_COMMON = {
    "cp1251": "оеаинтсрвлк", "koi8_r": "оеаинтсрвлк", "cp1253": "αοιετσνηυρπκάίέό", "cp1255": "יוהלאמרתבנש",
    "cp1256": "اليمونترةهبك", "cp874": "านรอกเง่้ัมยดสวท", "cp949": "이다는의에을가어요하해고지나세안녕아게그니",
    **dict.fromkeys(("cp932", "euc_jp"), "いうのんしたかてなとはにをでするまがれもっこらだ"),
    **dict.fromkeys(("gb18030", "big5"), "的一是不了我你在有人好什怎么麼他她们們这這那吗嗎来來说說就要会會"),
}  # fmt: skip
"""Charset -> the letters that make up most of a text in the languages written in it: half and more of a text, but of
Chinese a fifth. What is read in a wrong charset has few of them."""
_MARKUP = re.compile(rb"<[^<>]*>|\{[^{}]*\}")
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_FOREIGN = re.compile(rb"[\x80-\xff]{2,}")
_MIXED = re.compile(rb"(?=.*[A-Za-z]).*[\x80-\xff]", re.DOTALL)
_HALF = 0.5
"""Share of bytes beyond ASCII up to which letters may be Latin; double-byte charsets have more."""
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WIDE = ("utf-16-le", "utf-16-be")
_WRITTEN = 0.95
"""Share of a text in UTF-16 that at least one charset of a single language has, too. Of two bytes that are something
else, one third at most."""


def detected(text: bytes, language: str) -> str:
    """Return Python's name of the charset of a text that is not UTF-8; "" when none fits.

    ``language``: as the container says it ("ger", "de-AT"), "" for unknown. Its charsets are preferred, unless the text
    is clearly not in its script.
    """
    import charset_normalizer  # Here: importing it takes 30 ms, and few videos need it.

    text = _MARKUP.sub(b"", text)
    matches = charset_normalizer.from_bytes(text, cp_isolation=_KNOWN)
    plausible = [name for match in matches for name in (match.encoding, *match.could_be_from_charset)]
    preferred = _usual(language) if language else (_LATIN,)
    latin, is_clear = _latin(text)

    def rank(name: str) -> tuple[bool, int, float]:
        in_other_script = (is_clear or not language) and (name in _IN_LATIN) is not latin
        return in_other_script, (*preferred, name).index(name), -_commonness(text, name)

    return min((name for name in plausible if name in _KNOWN), key=rank, default="")


def wide(texts: Sequence[bytes]) -> str:
    """Return the name of UTF-16 in the order of bytes that these texts are written in; "" where they are not."""
    if not any(has_controls(text) for text in texts):
        return ""
    shares = {name: _written("".join(text.decode(name, "replace") for text in texts)) for name in _WIDE}
    best = max(_WIDE, key=lambda name: shares[name])
    return best if shares[best] >= _WRITTEN else ""


def has_controls(text: bytes) -> bool:
    """Return whether a text has characters that none has, such as the zeros of UTF-16; those at its end are none."""
    return bool(_CONTROLS.search(text.rstrip(b"\0")))


def is_utf8(text: bytes) -> bool:
    """Return whether a text holds characters beyond ASCII in UTF-8, and nothing else."""
    try:
        return not text.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def _usual(language: str) -> tuple[str, ...]:
    """Return the charsets that a language is usually written in."""
    import langcodes  # Here: it takes 80 ms, which only subtitles that are not UTF-8 pay for.

    try:
        tag = langcodes.get(language).maximize()
    except ValueError:
        return ()
    return _BY_LANGUAGE.get(tag.language or "", _BY_SCRIPT.get(tag.script or "", ()))


def _latin(text: bytes) -> tuple[bool, bool]:
    """Return whether the letters beyond ASCII are Latin, by whether they are in words with others; and whether that is
    clear."""
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    beyond = sum(byte >= 0x80 for byte in text)
    mixed = sum(bool(_MIXED.match(word)) for word in words)
    foreign = sum(bool(_FOREIGN.fullmatch(word)) for word in words)
    return beyond <= _HALF * letters and mixed >= foreign, mixed != foreign


def _commonness(text: bytes, charset: str) -> float:
    """Return the share of common letters among those beyond ASCII."""
    common = _COMMON.get(charset, "")
    letters = [letter for letter in text.decode(charset, "replace").lower() if not letter.isascii()]
    return sum(letter in common for letter in letters) / len(letters) if letters else 0.0


def _written(text: str) -> float:
    """Return the largest share of a text that one charset has."""
    text = text.replace("\ufeff", "")
    printable = "".join(each for each in text if each.isprintable() or each in "\r\n\t")
    charsets = (*(name for name in _KNOWN if name != "gb18030"), "gb2312")  # That one has all of Unicode.
    shares = [len(printable.encode(name, "ignore").decode(name)) for name in charsets]
    return max(shares) / len(text) if text else 0.0
