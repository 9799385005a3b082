"""Which channels an audio file gets: by where those of its source belong, for codecs have but a few layouts.

Channels and layouts have ffmpeg's names. A channel keeps its own position where the codec has a layout with it; side
and back are one position where a layout has only one of them. Otherwise it moves to a free position on its side, or is
mixed into its neighbours: both are reported.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mediactl.model.media import AudioStream

_M4A = {
    "mono": "FC", "stereo": "FL FR", "2.1": "FL FR LFE", "3.0": "FL FR FC", "3.0(back)": "FL FR BC",
    "4.0": "FL FR FC BC", "quad": "FL FR BL BR", "3.1": "FL FR FC LFE", "5.0": "FL FR FC BL BR",
    "4.1": "FL FR FC LFE BC", "5.1": "FL FR FC LFE BL BR", "hexagonal": "FL FR FC BL BR BC",
    "6.0(front)": "FL FR FLC FRC BL BR", "6.1": "FL FR FC LFE BC BL BR", "6.1(front)": "FL FR LFE FLC FRC BL BR",
    "7.0": "FL FR FC BL BR SL SR", "7.0(front)": "FL FR FC FLC FRC BL BR", "7.1": "FL FR FC LFE BL BR SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC", "5.1.2(back)": "FL FR FC LFE BL BR TFL TFR",
    "octagonal": "FL FR FC BL BR BC SL SR",
}  # fmt: skip
"""What ffmpeg's AAC encoder writes so that each channel is decoded at its position: ISO/IEC 14496-3, table 1.19, and
program config elements. Its pair on the side is decoded as the one in the back where a layout has one such pair."""
_OPUS = {
    "mono": "FC", "stereo": "FL FR", "3.0": "FL FR FC", "quad": "FL FR BL BR", "5.0": "FL FR FC BL BR",
    "5.1": "FL FR FC LFE BL BR", "6.1": "FL FR FC LFE BC SL SR", "7.1": "FL FR FC LFE BL BR SL SR",
}  # fmt: skip
"""Mapping family 1 (RFC 7845, section 5.1.1.2), and no others: players should not play family 255."""
LAYOUTS = {
    format_: {name: tuple(channels.split()) for name, channels in table.items()}
    for format_, table in (("m4a", _M4A), ("opus", _OPUS))
}
"""By format of the output: name -> channels."""
USUAL = {
    "m4a": ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1"),
    "opus": ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"),
}
"""By number of channels, from 1 on: what channels without positions are taken for."""
_PERMUTED = {"opus": (5, 7)}
"""Numbers of channels that libopus takes in another order than ffmpeg, unless the mapping family is named."""


def _mirrored(channel: str) -> str:
    """Return the channel on the right for one on the left."""
    return channel.replace("L", "R")


_HALF_POWER = 0.5**0.5
_LEFT = ("FL", "BL", "SL", "FLC", "TFL", "TBL", "DL", "WL", "SDL", "TSL", "BFL", "SSL", "TTL", "BIL")
_SAME = {"SL": "BL", "BL": "SL", "DL": "FL", "BIL": "FL", "SDL": "SL", "SSL": "SL"}
_SAME |= {_mirrored(each): _mirrored(same) for each, same in _SAME.items()} | {"LFE2": "LFE"}
"""Another name of a position, where a layout does not have the first."""
_FREE: dict[str, tuple[str, ...]] = dict.fromkeys(_LEFT, ("SL", "BL", "FLC"))
_FREE |= {_mirrored(each): tuple(map(_mirrored, homes)) for each, homes in _FREE.items()}
"""Positions that a channel may take if its own is missing, in this order."""
_FRONT, _SIDE, _BACK = ("FL", "FR"), ("SL", "SR"), ("BL", "BR")
_INTO: dict[str, tuple[tuple[str, ...], ...]] = dict.fromkeys(_LEFT, (("FL",),))
_INTO |= dict.fromkeys(("TBL", "BL"), (("BL",), ("SL",), ("FL",)))
_INTO |= dict.fromkeys(("SL", "TSL", "TTL", "SDL", "SSL"), (("SL",), ("BL",), ("FL",)))
_INTO |= {_mirrored(each): tuple(tuple(map(_mirrored, homes)) for homes in _INTO[each]) for each in _LEFT}
_INTO |= dict.fromkeys(("TFC", "BFC", "LFE"), (("FC",), _FRONT))
_INTO |= {"FC": (_FRONT,), "TC": (_FRONT,), "LFE2": (("LFE",), ("FC",), _FRONT)}
_INTO |= {"BC": (_BACK, _SIDE, _FRONT), "TBC": (("BC",), _BACK, _SIDE, _FRONT)}
"""What a channel is mixed into: the first of these that a layout has."""
_LIBAV_NEEDS = frozenset(("FL", "FR", "FC"))
"""libswresample rejects a layout without any of these (sane_layout, libswresample/rematrix.c)."""
_LIBAV_DROPS = frozenset(
    "TBL TBR TSL TSR TC TFC TBC BFC BFL BFR WL WR SDL SDR SSL SSR TTL TTR BIL BIR LFE2".split()  # libswresample
)
"""Positions that libswresample leaves out without a warning, or rejects, when it mixes to stereo."""
_AMBISONIC = {"AMBI0": (0.5, 0.5), "AMBI1": (0.5, -0.5)}
"""Left and right of W and Y (ACN order): two cardioids that face the sides."""


class Fit(msgspec.Struct, frozen=True):
    """How the channels of a source become those of an output."""

    layout: str
    """ffmpeg's name of it."""
    gains: tuple[tuple[float, ...], ...]
    """For each channel of the layout, the factor of each channel of the source. No row adds up to more than 1."""
    moved: tuple[tuple[str, str], ...] = ()
    """Channels that are at another position, and which."""
    mixed: tuple[str, ...] = ()
    """Channels without one of their own."""
    silent: tuple[str, ...] = ()
    """Channels of the layout that the source does not have."""


def kept(format_: str, stream: AudioStream) -> Fit:
    """Return how all channels of a stream go into a file of this format, one each as far as it has layouts for that."""
    channels = stream.layout
    if "AMBI0" in channels or len(channels) == 2:
        return stereo(stream)
    if not channels:
        count = min(len(USUAL[format_]), stream.channels)
        return _fit(LAYOUTS[format_][USUAL[format_][count - 1]], USUAL[format_][count - 1], format_)
    every = [_fit(channels, name, format_) for name, layout in LAYOUTS[format_].items() if len(layout) > 2]
    return min(every, key=lambda fit: (len(fit.mixed), len(fit.moved), len(fit.silent)))


def stereo(stream: AudioStream) -> Fit:
    """Return the two-channel mix of a stream: ITU-R BS.775 (centre and surround 3 dB lower, no LFE)."""
    if "AMBI0" in stream.layout:
        sides = zip(*(_AMBISONIC.get(each, (0.0, 0.0)) for each in stream.layout), strict=True)
        return Fit("stereo", tuple(sides), mixed=stream.layout)
    return _fit(stream.layout or LAYOUTS["m4a"]["stereo"], "stereo", "m4a")


def named(format_: str, stream: AudioStream, most: int) -> str:
    """Return the layout of an output with ``most`` channels at most; "" for the usual one by their number, mixed by
    libav, where that loses none of them."""
    if min(most, stream.channels) <= 2:
        return "" if stream.channels == 1 or _is_mixed_by_libav(stream.layout) else "stereo"
    fit = kept(format_, stream)
    count = len(fit.gains)
    usual = not (fit.moved or fit.mixed or fit.silent) and fit.layout == USUAL[format_][count - 1]
    return "" if usual and _is_kept_by_libav(format_, stream.layout, count) else fit.layout


def downmix(stream: AudioStream, count: int) -> Fit | None:
    """Return how one or two channels are made of a stream's; None: as libav does it, with all of them."""
    if _is_mixed_by_libav(stream.layout) or stream.channels == 1:
        return None
    fit = stereo(stream)
    mono = tuple((left + right) / 2 for left, right in zip(*fit.gains, strict=True))
    return fit if count == 2 else Fit("mono", (mono,))


def remarks(format_: str, stream: AudioStream, fit: Fit) -> Iterator[str]:
    """Yield what did not stay as it was, for a warning."""
    if "AMBI0" in fit.mixed:
        yield "is ambisonic: it was mixed to stereo"
    elif fit.mixed and len(fit.gains) > 2:
        yield f"has channels that {format_} has none for: {', '.join(fit.mixed)} were mixed into those nearby"
    if fit.moved:
        moved = ", ".join(f"{here} is in {there}" for here, there in fit.moved)
        yield f"has channels at positions that {format_} does not have: {moved}"
    if fit.silent:
        yield f"has a silent {', '.join(fit.silent)} in {format_}, which has no layout of its channels alone"


def _is_kept_by_libav(format_: str, layout: tuple[str, ...], count: int) -> bool:
    """Return whether libav, asked for the usual layout of so many channels, has each of them at its position."""
    if count in _PERMUTED.get(format_, ()):
        return False
    usual = LAYOUTS["opus" if count > 6 else format_][USUAL[format_][count - 1]]  # What ffmpeg calls 6.1 has a side.
    if layout:
        back = {each.replace("S", "B") for each in layout} if not {"BL", "BR"}.intersection(layout) else set(layout)
        return set(layout) == set(usual) or (count <= 6 and back == set(usual))
    return count > 3 and usual == LAYOUTS["m4a"][USUAL["m4a"][count - 1]]  # What libav guesses.


def _is_mixed_by_libav(layout: tuple[str, ...]) -> bool:
    """Return whether libav mixes these channels to two, and leaves out none but the LFE."""
    if layout and not _LIBAV_NEEDS.intersection(layout):
        return False
    paired = all((left in layout) == (_mirrored(left) in layout) for left in _LEFT)
    return paired and not _LIBAV_DROPS.intersection(layout) and "AMBI0" not in layout


def _fit(channels: tuple[str, ...], name: str, format_: str) -> Fit:
    """Return how these channels go into a layout: to their own positions first, then to free ones, else mixed."""
    layout = LAYOUTS[format_][name]
    wide = len(layout) > 2
    home = {each: each for each in channels if each in layout}
    for each in channels:
        same = _SAME.get(each, "")
        if each not in home and same in layout and same not in home.values():
            home[each] = same
    moved = []
    for each in channels if wide else ():
        free = [there for there in _FREE.get(each, ()) if there in layout and there not in home.values()]
        if each not in home and free:
            home[each] = free[0]
            moved.append((each, free[0]))
    mixed = tuple(each for each in channels if each not in home and (wide or each not in ("LFE", "LFE2")))
    rows = [[0.0] * len(channels) for _ in layout]
    for each, there in home.items():
        rows[layout.index(there)][channels.index(each)] = 1.0
    for each in mixed:
        for there, gain in _neighbours(each, layout):
            rows[layout.index(there)][channels.index(each)] = gain
    highest = max(1.0, *(sum(row) for row in rows))
    silent = tuple(there for there, row in zip(layout, rows, strict=True) if not any(row))
    gains = tuple(tuple(gain / highest for gain in row) for row in rows)
    return Fit(name, gains, tuple(moved), mixed, silent)


def _neighbours(channel: str, layout: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Yield the channels that one is mixed into, and the factors."""
    into = next((homes for homes in _INTO.get(channel, ()) if set(homes) <= set(layout)), ())
    gain = 0.5 if channel in ("BC", "TBC") and into == _FRONT else _HALF_POWER
    yield from ((there, gain) for there in into)
