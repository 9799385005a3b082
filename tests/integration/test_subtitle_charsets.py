"""Subtitles that are not UTF-8 keep all cues: read in their own charset, or with U+FFFD, and it is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_subtitles import film, rendered

from mediactl.media.video import charsets

STARTS = ("00:00.500", "00:02.000", "00:03.000")
TEXTS = [
    ("cp1252", "ger", ("Das Mädchen im Café", "plain words", "schöne Grüße")),
    ("cp1252", "und", ("Où est la clé ?", "À bientôt, garçon.", "plain words")),
    ("cp1251", "rus", ("Привет, как дела?", "plain words", "Где ключ?")),
    ("cp1251", "und", ("Привет, как дела?", "Я не знаю, спроси его.", "Где мой ключ от дома?")),
    ("cp1251", "ger", ("Девочка в кафе", "привет всем", "Где ключ?")),
    ("cp1251", "und", ("Да.", "Нет!", "Кто там?")),
    ("koi8_r", "und", ("Где ключ?", "Я не знаю, спроси его.", "plain words")),
    ("cp1255", "und", ("שלום, מה שלומך?", "איפה המפתח?", "plain words")),
    ("cp1252", "rus", ("Das Mädchen im Café", "plain words", "schöne Grüße")),
    ("euc_jp", "und", ("こんにちは、元気ですか。", "鍵はどこですか。", "plain words")),
    ("koi8_r", "rus", ("Привет, как дела?", "Я не знаю, спроси его.", "Где мой ключ от дома?")),
    ("cp1250", "cze", ("Příliš žluťoučký kůň", "úpěl ďábelské ódy", "plain words")),
    ("cp1253", "gre", ("Γεια σου, τι κάνεις;", "Πού είναι το κλειδί;", "plain words")),
    ("cp1254", "tur", ("Merhaba, nasılsın?", "Anahtar nerede, şimdi?", "güzel kız")),
    ("cp1255", "heb", ("שלום, מה שלומך?", "איפה המפתח?", "plain words")),
    ("cp932", "jpn", ("こんにちは、元気ですか。", "鍵はどこですか。", "plain words")),
    ("gb18030", "chi", ("你好，你怎么样？", "钥匙在哪里？", "plain words")),
    ("cp949", "kor", ("안녕하세요, 잘 지내세요?", "열쇠는 어디에 있어요?", "plain words")),
]


def subtitled(path: Path, language: str, texts: tuple[bytes, ...], codec: str) -> Path:
    """A video with three cues of these bytes, whatever the muxer thinks of them."""
    plain = [b"%d" % number + b"#" * (len(text) - 1) for number, text in enumerate(texts)]
    times = ("00:00:00,500 --> 00:00:01,500", "00:00:02,000 --> 00:00:02,900", "00:00:03,000 --> 00:00:03,800")
    srt = path.with_suffix(".srt")
    srt.write_text(
        "\n".join(
            f"{number}\n{time}\n{line.decode()}\n"
            for number, (time, line) in enumerate(zip(times, plain, strict=True), 1)
        )
    )
    film(path, "-i", str(srt), "-map", "0", "-map", "1", "-c:s", codec, "-metadata:s:s:0", f"language={language}")
    content = path.read_bytes()
    for line, text in zip(plain, texts, strict=True):
        assert content.count(line) == 1
        content = content.replace(line, text)
    path.write_bytes(content)
    return path


def check(path: Path, words: tuple[str, ...]) -> list[str]:
    """Render the track; all three cues are at their times, with these words. Return the warnings."""
    (vtt,), warnings = rendered(path, 0)
    assert [block.partition(" ")[0] for block in vtt.split("\n\n")[1:]] == [f"00:{start}" for start in STARTS]
    assert [block.strip().partition("\n")[2] for block in vtt.split("\n\n")[1:]] == list(words)
    return warnings


@pytest.mark.parametrize(("charset", "language", "words"), TEXTS)
def test_the_charset_is_detected(charset: str, language: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = subtitled(tmp_path / "a.mkv", language, tuple(each.encode(charset) for each in words), "subrip")
    (warning,) = check(path, words)
    assert "is not UTF-8" in warning
    assert "entries were read as " in warning


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mov_text"), ("a.mkv", "ass"), ("a.mkv", "webvtt")])
def test_so_it_is_in_every_format(name: str, codec: str, tmp_path: Path) -> None:
    charset, language, words = TEXTS[0]
    path = subtitled(tmp_path / name, language, tuple(each.encode(charset) for each in words), codec)
    assert check(path, words) == ["subtitle stream 1 is not UTF-8: 2 entries were read as cp1252"]


@pytest.mark.parametrize("bad", [b"\xe4", b"\xff", b"\xc3"])
def test_one_bad_byte_among_utf8_becomes_a_replacement(bad: bytes, tmp_path: Path) -> None:
    texts = ("Das Mädchen".encode(), b"ein M" + bad + b"dchen", b"plain words")
    path = subtitled(tmp_path / "a.mkv", "ger", texts, "subrip")
    warnings = check(path, ("Das Mädchen", "ein M\ufffddchen", "plain words"))
    assert warnings == ["subtitle stream 1: 1 entries have bytes that are not UTF-8, which became U+FFFD"]


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("name", "codec", "words"),
    [
        ("a.mkv", "subrip", ("Das Mädchen im Café", "plain words", "schöne Grüße")),
        ("a.mkv", "webvtt", ("Где ключ?", "Нет", "plain words")),
        ("a.mp4", "mov_text", ("你好，你怎么样？", "钥匙 1 2", "Hello")),
        ("a.mkv", "subrip", ("こんにちは、元気ですか。", "鍵はどこですか。", "\ufeffplain words")),
    ],
)
def test_utf16_is_read_whole(charset: str, name: str, codec: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = subtitled(tmp_path / name, "und", tuple(each.encode(charset) for each in words), codec)
    warnings = check(path, tuple(each.strip("\ufeff") for each in words))
    assert warnings == [f"subtitle stream 1 is not UTF-8: 3 entries were read as {charset}"]


def test_zeros_neither_end_a_text_nor_are_they_reported(tmp_path: Path) -> None:
    path = subtitled(tmp_path / "a.mkv", "ger", (b"one\0two", "Mädchen\0\0".encode(), b"plain\1 words"), "subrip")
    assert check(path, ("onetwo", "Mädchen", "plain words")) == []


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.sampled_from(["Das Mädchen im Café, {}", "Где {}? Не знаю.", "Πού είναι {};", "איפה {}?", "鍵は{}どこですか。"]),
    st.integers(0, 999),
    st.sampled_from(["utf-16-le", "utf-16-be"]),
)
def test_utf16_is_recognised_in_either_order(words: str, number: int, charset: str) -> None:
    assert charsets.wide([words.format(number).encode(charset)]) == charset
