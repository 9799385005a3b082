"""Languages of streams: three letters in MP4 (ISO 639-2/T), the shortest code on the web (BCP 47), an English name."""

from __future__ import annotations

from functools import cache

_NAMES = dict(
    row.split(" ", 1)
    for row in (
        "af Afrikaans|am Amharic|ar Arabic|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali|bo Tibetan|bs Bosnian|"
        "ca Catalan|cs Czech|cy Welsh|da Danish|de German|el Greek|en English|eo Esperanto|es Spanish|et Estonian|"
        "eu Basque|fa Persian|fi Finnish|fo Faroese|fr French|ga Irish|gd Gaelic|gl Galician|gu Gujarati|ha Hausa|"
        "he Hebrew|hi Hindi|hr Croatian|hu Hungarian|hy Armenian|id Indonesian|is Icelandic|it Italian|ja Japanese|"
        "ka Georgian|kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz|la Latin|lb Luxembourgish|lo Lao|"
        "lt Lithuanian|lv Latvian|mg Malagasy|mi Maori|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|"
        "mt Maltese|my Burmese|nb Norwegian Bokmål|ne Nepali|nl Dutch|nn Norwegian Nynorsk|no Norwegian|pa Punjabi|"
        "pl Polish|ps Pashto|pt Portuguese|rm Romansh|ro Romanian|ru Russian|sa Sanskrit|si Sinhala|sk Slovak|"
        "sl Slovenian|so Somali|sq Albanian|sr Serbian|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|"
        "tl Tagalog|tr Turkish|uk Ukrainian|ur Urdu|uz Uzbek|vi Vietnamese|xh Xhosa|yi Yiddish|yo Yoruba|zh Chinese|"
        "zu Zulu"
    ).split("|")
)
"""English names by shortest code. (langcodes has them in a package of its own, of 23 MB.)"""
_KEPT = {"tgl": "tl", "tl": "tl", "cnr": "cnr"}
"""Codes that CLDR, and so langcodes, replaces by another language's: Filipino, Serbian of Montenegro."""


def tag(language: str) -> str:
    """Return BCP 47: "en" for "eng" and "en", "de" for "ger", "pt-BR" as it is; "" for none, or a malformed one."""
    first, _, rest = language.strip().replace("_", "-").partition("-")
    first = first.lower()
    if not (first.isascii() and first.isalpha() and 2 <= len(first) <= 8) or first == "und":
        return ""
    rest = "-" + rest if rest and rest.replace("-", "").isalnum() and rest.isascii() else ""
    return _shortest(first) + rest


def three_letters(language: str) -> str:
    """Return ISO 639-2/T: "deu" for "ger", "de" and "de-AT"; "und" where there is none."""
    return _three_letters(tag(language).partition("-")[0])


def name(language: str) -> str:
    """Return the English name, "German"; the code itself where it has none here, "" where no language is given."""
    code = tag(language)
    return _NAMES.get(code.partition("-")[0], code)


@cache
def _shortest(code: str) -> str:
    import langcodes  # Here and below: it takes 80 ms, which only streams with a language pay for.

    return _KEPT.get(code) or (langcodes.standardize_tag(code) if len(code) <= 3 else code)


@cache
def _three_letters(code: str) -> str:
    import langcodes

    if not 2 <= len(code) <= 3:
        return "und"
    try:
        return langcodes.Language.get(code, normalize=False).to_alpha3()
    except LookupError:
        return code if len(code) == 3 else "und"
