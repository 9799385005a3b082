"""Languages of tracks: three letters in MP4 (ISO 639-2/T), the shortest code on the web (BCP 47), a name for people."""

from __future__ import annotations

_KNOWN = (
    "af afr Afrikaans|am amh Amharic|ar ara Arabic|az aze Azerbaijani|be bel Belarusian|bg bul Bulgarian|"
    "bn ben Bengali|bo bod Tibetan tib|bs bos Bosnian|ca cat Catalan|cs ces Czech cze|cy cym Welsh wel|"
    "da dan Danish|de deu German ger|el ell Greek gre|en eng English|eo epo Esperanto|es spa Spanish|"
    "et est Estonian|eu eus Basque baq|fa fas Persian per|fi fin Finnish|fo fao Faroese|fr fra French fre|"
    "ga gle Irish|gd gla Gaelic|gl glg Galician|gu guj Gujarati|ha hau Hausa|he heb Hebrew|hi hin Hindi|"
    "hr hrv Croatian|hu hun Hungarian|hy hye Armenian arm|id ind Indonesian|is isl Icelandic ice|it ita Italian|"
    "ja jpn Japanese|ka kat Georgian geo|kk kaz Kazakh|km khm Khmer|kn kan Kannada|ko kor Korean|ku kur Kurdish|"
    "ky kir Kyrgyz|la lat Latin|lb ltz Luxembourgish|lo lao Lao|lt lit Lithuanian|lv lav Latvian|mg mlg Malagasy|"
    "mi mri Maori mao|mk mkd Macedonian mac|ml mal Malayalam|mn mon Mongolian|mr mar Marathi|ms msa Malay may|"
    "mt mlt Maltese|my mya Burmese bur|nb nob Norwegian Bokmål|ne nep Nepali|nl nld Dutch dut|"
    "nn nno Norwegian Nynorsk|no nor Norwegian|pa pan Punjabi|pl pol Polish|ps pus Pashto|pt por Portuguese|"
    "rm roh Romansh|ro ron Romanian rum|ru rus Russian|sa san Sanskrit|si sin Sinhala|sk slk Slovak slo|"
    "sl slv Slovenian|so som Somali|sq sqi Albanian alb|sr srp Serbian|sv swe Swedish|sw swa Swahili|"
    "ta tam Tamil|te tel Telugu|tg tgk Tajik|th tha Thai|tl tgl Tagalog|tr tur Turkish|uk ukr Ukrainian|"
    "ur urd Urdu|uz uzb Uzbek|vi vie Vietnamese|xh xho Xhosa|yi yid Yiddish|yo yor Yoruba|zh zho Chinese chi|"
    "zu zul Zulu"
)
"""ISO 639: two letters, three letters, name, and the bibliographic code where it differs."""
_TWO: dict[str, str] = {}
_THREE: dict[str, str] = {}
_NAMES: dict[str, str] = {}
for _row in _KNOWN.split("|"):
    _two, _three, *_words = _row.split(" ")
    for _code in (_two, _three, *(word for word in _words if word.islower())):
        _TWO[_code], _THREE[_code] = _two, _three
    _NAMES[_two] = " ".join(word for word in _words if not word.islower())


def tag(language: str) -> str:
    """BCP 47: "eng" and "en" to "en", "ger" to "de", "pt-BR" as it is; "" where none is told, or nothing like one."""
    first, _, rest = language.strip().replace("_", "-").partition("-")
    first = first.lower()
    if not (first.isascii() and first.isalpha() and 2 <= len(first) <= 8) or first == "und":
        return ""
    rest = "-" + rest if rest and rest.replace("-", "").isalnum() and rest.isascii() else ""
    return _TWO.get(first, first) + rest


def three_letters(language: str) -> str:
    """ISO 639-2/T: "ger", "de" and "de-AT" to "deu"; "und" where there is none."""
    first = tag(language).partition("-")[0]
    code = _THREE.get(first, first)
    return code if len(code) == 3 else "und"


def name(language: str) -> str:
    """English name, "German"; the code itself where it is not known, "" where none is told."""
    code = tag(language)
    return _NAMES.get(code.partition("-")[0], code)
