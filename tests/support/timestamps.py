"""Media files whose headers and time stamps were changed after they were written; their samples stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"moof", b"traf", b"edts", b"mvex"})
_DURATIONS = {b"mvhd": 24, b"mdhd": 24, b"tkhd": 28}
"""Offset of the (32-bit) duration in the boxes of version 0 (ISO/IEC 14496-12, section 8)."""
_PACKET = 188
_WRAP = 1 << 33
_CUES = 0x1F0
"""PID of the cue messages."""


def boxes(content: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, offset, size) of all boxes of an MP4, and of those in them."""
    at, end = begin, len(content) if end is None else end
    while at + 8 <= end:
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if size < 8:
            return
        yield kind, at, size
        if kind in _CONTAINERS:
            yield from boxes(content, at + 8, at + size)
        at += size


def with_durations(content: bytes, kind: bytes, duration: int) -> bytes:
    """Return an MP4 whose boxes of this kind (mvhd, mdhd, tkhd, elst) claim another duration, in their time scale."""
    changed = bytearray(content)
    for found, at, _ in boxes(content):
        if found == kind:
            offset = at + (16 if kind == b"elst" else _DURATIONS[kind])
            changed[offset : offset + 4] = duration.to_bytes(4, "big")
    return bytes(changed)


def movie_scale(content: bytes) -> int:
    """Return the ticks a second of an MP4's mvhd, which edit lists and tkhd count in."""
    return next(int.from_bytes(content[at + 20 : at + 24], "big") for kind, at, _ in boxes(content) if kind == b"mvhd")


def with_late_fragments(content: bytes, track: int, first: int, ticks: int, until: int = 1 << 31) -> bytes:
    """Return a fragmented MP4 in which the fragments of a track come so many ticks late, from number ``first`` on and
    before ``until``."""
    changed, number, current = bytearray(content), 0, 0
    for kind, at, _ in boxes(content):
        if kind == b"tfhd":
            current = int.from_bytes(content[at + 12 : at + 16], "big")
        if kind == b"tfdt" and current == track:
            assert content[at + 8] == 1, "64 bits"
            if first <= number < until:
                value = int.from_bytes(content[at + 12 : at + 20], "big") + ticks
                changed[at + 12 : at + 20] = value.to_bytes(8, "big")
            number += 1
    assert first < number
    return bytes(changed)


def joined_ts(parts: list[tuple[bytes, int]]) -> bytes:
    """Return one transport stream of several, each with its clock moved by so many ticks of 90 kHz, which may wrap."""
    joined, counters = bytearray(), dict[int, int]()
    for content, ticks in parts:
        for at in range(0, len(content) - _PACKET + 1, _PACKET):
            packet = bytearray(content[at : at + _PACKET])
            _move_clock(packet, ticks)
            pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
            if packet[3] & 0x10:
                counters[pid] = (counters.get(pid, -1) + 1) & 0xF
            packet[3] = packet[3] & 0xF0 | counters.get(pid, 0)
            joined += packet
    return bytes(joined)


def _move_clock(packet: bytearray, ticks: int) -> None:
    """Move PCR, PTS and DTS of a packet (ISO/IEC 13818-1, sections 2.4.3.4 and 2.4.3.6)."""
    payload = 4
    if packet[3] & 0x20:
        payload = 5 + packet[4]
        if packet[4] and packet[5] & 0x10:
            base = (int.from_bytes(packet[6:11], "big") >> 7) + ticks
            low = int.from_bytes(packet[6:12], "big") & 0x7FFF
            packet[6:12] = ((base % _WRAP) << 15 | low).to_bytes(6, "big")
    if packet[1] & 0x40 and packet[3] & 0x10 and packet[payload : payload + 3] == b"\0\0\1":
        for number in range((packet[payload + 7] >> 7) + (packet[payload + 7] >> 6 & 1)):
            _move_stamp(packet, payload + 9 + 5 * number, ticks)


def _move_stamp(packet: bytearray, at: int, ticks: int) -> None:
    bits = int.from_bytes(packet[at : at + 5], "big")
    stamp = (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF
    stamp = (stamp + ticks) % _WRAP
    bits = bits >> 36 << 36 | (stamp >> 30) << 33 | 1 << 32 | (stamp >> 15 & 0x7FFF) << 17 | 1 << 16
    packet[at : at + 5] = (bits | (stamp & 0x7FFF) << 1 | 1).to_bytes(5, "big")


def with_cue_messages(content: bytes) -> bytes:
    """Return a transport stream with a stream of SCTE-35, whose first message follows the first PCR, before any PTS."""
    packets = [bytearray(content[at : at + _PACKET]) for at in range(0, len(content), _PACKET)]
    table = int.from_bytes(_sections(packets, 0)[0][10:12], "big") & 0x1FFF
    for packet in packets:
        if int.from_bytes(packet[1:3], "big") & 0x1FFF == table:
            packet[5:] = _with_cue_stream(bytes(packet[5:])).ljust(_PACKET - 5, b"\xff")
    message = _with_checksum(bytes.fromhex("fc3011 000000000000 00 fff000 00 0000").ljust(16, b"\0"))
    first = next(number for number, packet in enumerate(packets) if packet[3] & 0x20 and packet[4] and packet[5] & 0x10)
    cue = b"\x47" + (0x4000 | _CUES).to_bytes(2, "big") + b"\x10\0" + message
    packets.insert(first + 1, bytearray(cue.ljust(_PACKET, b"\xff")))
    return b"".join(packets)


def _sections(packets: list[bytearray], pid: int) -> list[bytes]:
    """Return the sections of a PID, each of which fits into a packet."""
    return [bytes(packet[5:]) for packet in packets if int.from_bytes(packet[1:3], "big") & 0x1FFF == pid]


def _with_cue_stream(section: bytes) -> bytes:
    """Return a program map (ISO/IEC 13818-1, section 2.4.4.8) with one more stream, of SCTE-35."""
    size = 3 + (int.from_bytes(section[1:3], "big") & 0xFFF)
    streams = section[12 + (int.from_bytes(section[10:12], "big") & 0xFFF) : size - 4]
    cues = b"\x86" + (0xE000 | _CUES).to_bytes(2, "big") + b"\xf0\0"
    body = section[3:10] + b"\xf0\x06\x05\x04CUEI" + streams + cues
    return _with_checksum(section[:1] + (0xB000 | len(body) + 4).to_bytes(2, "big") + body)


def _with_checksum(section: bytes) -> bytes:
    """Append the CRC of MPEG-2 sections."""
    value = 0xFFFF_FFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C1_1DB7 if value >> 31 else 0)) & 0xFFFF_FFFF
    return section + value.to_bytes(4, "big")
