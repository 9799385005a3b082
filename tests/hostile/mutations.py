"""Seeded mutations of bytes, as fuzzers make them: the same seed gives the same inputs on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_ODD = (
    b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
    b"\0\0\0\1", b"\1\0\0\0", b"\x80\0\0\0", b"%03d", b"../", b"\n", b'"', b"{", b"[" * 50, b"1e999", b"-1",
    b"9" * 30, b"\\ud800", b"\xed\xa0\x80", b"\xe2\x80\xae", b"null", b"NaN", b"{}", b"\x1b[2J",
)  # fmt: skip
"""Numbers at the ends of their ranges, and what means something to a parser."""


def mutants(seeds: Sequence[bytes], number: int, seed: int) -> Iterator[bytes]:
    """Yield so many mutants of ``seeds``."""
    chance = random.Random(seed)
    for _ in range(number):
        content = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            _change(content, seeds, chance)
        yield bytes(content)


def _change(content: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    # Headers are in front, so half of all changes are.
    end = len(content) if chance.random() < 0.5 else min(len(content), 256)
    at = chance.randrange(end + 1)
    match chance.randrange(8):
        case 0 if at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(content):
            content[at] = chance.randrange(256)
        case 2:
            odd = chance.choice(_ODD)
            content[at : at + len(odd)] = odd
        case 3:
            content[at:at] = chance.choice(_ODD)
        case 4:
            del content[at : at + chance.choice((1, 2, 4, 16, 200))]
        case 5:
            part = content[at : at + chance.choice((1, 4, 8, 64))]
            content[at:at] = part * chance.choice((1, 2, 50))
        case 6:
            other = chance.choice(seeds)
            begin = chance.randrange(len(other) + 1)
            content[at : at + 64] = other[begin : begin + chance.choice((4, 16, 64))]
        case _:
            del content[at:]
