"""Subtitle tracks of videos as WebVTT: italics, bold and underlining are kept, all other styling is dropped.

Written from what libav's decoders give, one cue a packet, so that no untrusted text reaches a player as markup.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import av
import msgspec
from av.stream import Discard

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.core.files import removed_on_error
from mediactl.media.drafts import Draft
from mediactl.media.inspect import demux
from mediactl.media.inspect.streams import InputSubtitle, Streams
from mediactl.media.video import charsets
from mediactl.model.assets import Target
from mediactl.model.media import Limits
from mediactl.outputs.subtitles import TextParams

MEDIA_TYPE = "text/vtt"

_UNTIMED = 4.0
"""Seconds that a cue without an end is shown, unless the next one comes before."""
_MOST_CUES = 100_000
_MOST_TEXT = 32 << 20
"""Characters of all tracks of a video together; packed, they may take little in the file."""
_SAMPLE = 1 << 18
"""Bytes that a charset is detected by."""
_LONGEST = 2_000
"""Characters of a cue."""
_OVERRIDES = re.compile(r"\{[^{}]*\}")
_SWITCH = re.compile(r"\\(?:([biu])(\d+)(?![\w(])|(r)(?![a-z])|(p)(\d+))")
_TAG = re.compile(r"</?[biu]>|\s")
_INVISIBLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\ufeff]")
"""Controls and what is no character, but for the newline. Marks of direction stay: Arabic and Hebrew need them."""


class _Unread(msgspec.Struct, frozen=True):
    """A packet whose text is not UTF-8, which libav's decoders refuse, or has zeros, at which they end."""

    packet: Any
    """PyAV's."""
    begin: float
    length: float
    """Both in seconds; no length: not known."""

    @property
    def text(self) -> bytes:
        """What it says."""
        return _said(self.packet)

    def decoded(self, charset: str) -> str:
        """Return the markup. Raises FFmpegError."""
        text = self.text.decode(charset, "replace").replace("\0", "").encode()
        stream, content = self.packet.stream, len(text).to_bytes(2) + text if _is_of_mp4(self.packet) else text
        again = av.Packet(content)
        again.stream, again.time_base = stream, self.packet.time_base
        again.pts, again.dts, again.duration = self.packet.pts, self.packet.dts, self.packet.duration
        return _text(again.decode())


class Cue(msgspec.Struct, frozen=True, order=True):
    """A text, shown from ``start`` to ``end`` (seconds from the video's start). ``text`` is WebVTT's markup."""

    start: float
    end: float
    text: str


def rendered(
    fd: int, found: Streams, targets: Sequence[Target[TextParams]], paths: Mapping[str, bytes], limits: Limits
) -> tuple[list[Draft], list[str]]:
    """Make the "text" targets of an open video in one pass, at ``paths`` (by name); drafts in the targets' order.

    A track without a readable word becomes a valid file without a cue, and a warning. Raises JobFailed when a target's
    track is none of text, OSError on writing.
    """
    wanted = {target.params.track for target in targets}
    texts = [text for text in found.subtitles if text.ordinal in wanted and text.stream.text]
    if missing := sorted(wanted - {text.ordinal for text in texts}):
        raise JobFailed(f"subtitle stream {missing[0] + 1} is not text, though it was planned")
    cues, warnings = read(fd, texts, found.info.duration or 0.0, limits)
    drafts = []
    for target in targets:
        content = written(cues[target.params.track])
        path = paths[target.name]
        with removed_on_error(path), open(path, "wb") as file:
            file.write(content)
        if os.stat(path).st_size != len(content):
            raise JobFailed(f"{target.name}: file is shorter than written")
        drafts.append(Draft(target, path, MEDIA_TYPE, duration=found.info.duration))
    return drafts, warnings


def read(
    fd: int, texts: Sequence[InputSubtitle], duration: float, limits: Limits
) -> tuple[dict[int, list[Cue]], list[str]]:
    """Return the cues of these streams by ordinal, in order of time; and warnings about what cannot be read."""
    collected = _Collected(limits, texts)
    warnings = []
    try:
        collected.collect(fd)
    except RejectedInput as error:
        warnings.append(f"the subtitles cannot be read to their end: {error}")
    cues: dict[int, list[Cue]] = {}
    for text in texts:
        what = f"subtitle stream {text.ordinal + 1}"
        cues[text.ordinal] = _timed(collected.cues[text.ordinal], duration)
        warnings += [f"{what}{remark}" for remark in collected.remarks[text.ordinal]]
        if broken := collected.broken[text.ordinal]:
            warnings.append(f"{what}: {broken} entries cannot be read and are left out")
        if text.ordinal in collected.cut:
            warnings.append(f"{what} is too long: its end is left out")
        if not cues[text.ordinal]:
            warnings.append(f"{what} holds no text")
    return cues, warnings


def written(cues: Sequence[Cue]) -> bytes:
    """A WebVTT file (W3C WebVTT, section 4)."""
    parts = ["WEBVTT\n"]
    parts += [f"\n{_stamp(cue.start)} --> {_stamp(cue.end)}\n{cue.text}\n" for cue in cues]
    return "".join(parts).encode()


def markup(dialogue: str) -> str:
    """WebVTT's markup for a line of ASS, as which libav hands out all subtitles: "{\\i1}so{\\i0}" is "<i>so</i>"."""
    shown: list[str] = []
    opened: list[str] = []
    drawing, position = False, 0

    def close(letter: str) -> None:
        # Tags nest: those inside are closed, and opened again.
        inner = opened[opened.index(letter) + 1 :]
        shown.extend(f"</{each}>" for each in (*reversed(inner), letter))
        del opened[opened.index(letter) :]
        for each in inner:
            shown.append(f"<{each}>")
            opened.append(each)

    for block in [*_OVERRIDES.finditer(dialogue), None]:
        plain = dialogue[position : block.start() if block else len(dialogue)]
        if not drawing:
            shown.append(_escaped(plain))
        if block is None:
            break
        position = block.end()
        for switch in _SWITCH.finditer(block[0]):
            letter, number, reset, draw, scale = switch.groups()
            if draw:
                drawing = int(scale) > 0
            elif reset:
                for each in list(reversed(opened)):
                    close(each)
            elif int(number) and letter not in opened:
                shown.append(f"<{letter}>")
                opened.append(letter)
            elif not int(number) and letter in opened:
                close(letter)
    shown.extend(f"</{each}>" for each in reversed(opened))
    # An empty line would end the cue, so its tags go to the next one.
    lines, carried = [], ""
    for line in "".join(shown).split("\n"):
        carried += line.strip()
        if _TAG.sub("", carried):
            lines.append(carried)
            carried = ""
    whole = "\n".join(lines) + (carried if lines else "")
    return re.sub(r"<([biu])></\1>", "", whole)


class _Collected:
    """The cues of subtitle streams, in the file's order, by ordinal."""

    def __init__(self, limits: Limits, texts: Sequence[InputSubtitle]) -> None:
        self._limits, self._texts = limits, texts
        self._room = _MOST_TEXT
        self._unread: dict[int, list[_Unread]] = {text.ordinal: [] for text in texts}
        self._is_utf8: set[int] = set()
        self.cues: dict[int, list[Cue]] = {text.ordinal: [] for text in texts}
        self.broken = dict.fromkeys(self.cues, 0)
        """Number of entries that cannot be decoded."""
        self.remarks: dict[int, list[str]] = {text.ordinal: [] for text in texts}
        self.cut: set[int] = set()
        """Streams that are too long."""

    def collect(self, fd: int) -> None:
        """Read the packets of an open file. Raises RejectedInput."""
        with demux.opened(fd, self._limits) as container:
            by_index = {text.index: text.ordinal for text in self._texts}
            start = (container.start_time or 0) / 1e6
            for stream in container.streams:
                if stream.index not in by_index:
                    stream.discard = Discard.all  # An indexed video is then not read as a whole for its few words.
            for packet in demux.packets(container, *(container.streams[index] for index in by_index)):
                if packet.pts is None or not packet.size or not packet.time_base:
                    continue
                begin = float(packet.pts * packet.time_base) - start
                self._read(by_index[packet.stream.index], packet, begin)
            for text in self._texts:
                self._read_again(text)

    def _read(self, ordinal: int, packet: Any, begin: float) -> None:
        length = float((packet.duration or 0) * packet.time_base)
        try:
            text = None if charsets.has_controls(_said(packet)) else _text(packet.decode())
        except (av.FFmpegError, ValueError):
            text = None
        if text is None:
            if self._room < packet.size:
                self.cut.add(ordinal)
            else:
                self._room -= packet.size
                self._unread[ordinal].append(_Unread(packet, begin, length))
            return
        if ordinal not in self._is_utf8 and not text.isascii():
            self._is_utf8.add(ordinal)
        self._add(ordinal, begin, length, text)

    def _read_again(self, text: InputSubtitle) -> None:
        """Add what is not UTF-8: in the charset that all of it has, else with U+FFFD for invalid bytes."""
        ordinal, unread = text.ordinal, self._unread[text.ordinal]
        if not unread:
            return
        charset = self._charset(text, [each.text for each in unread])
        count = 0
        for each in unread:
            try:
                self._add(ordinal, each.begin, each.length, each.decoded(charset or "utf-8"))
                count += bool(charset) or not _is_valid(each.text)
            except (av.FFmpegError, ValueError):
                self.broken[ordinal] += 1
        if count and charset:
            self.remarks[ordinal].append(f" is not UTF-8: {count} entries were read as {charset}")
        elif count:
            self.remarks[ordinal].append(f": {count} entries have bytes that are not UTF-8, which became U+FFFD")

    def _charset(self, text: InputSubtitle, unread: Sequence[bytes]) -> str:
        """Return the charset of what is unread of a stream; "" for UTF-8."""
        if text.ordinal in self._is_utf8:
            return ""
        if charset := charsets.wide(unread):
            return charset
        invalid = [each for each in unread if not _is_valid(each)]
        if not invalid or any(charsets.is_utf8(each) for each in unread):
            return ""
        return charsets.detected(b"\n".join(invalid)[:_SAMPLE], text.stream.language)

    def _add(self, ordinal: int, begin: float, length: float, text: str) -> None:
        end = begin + length if length > 0 else -1.0
        if self._room < len(text) or len(self.cues[ordinal]) >= _MOST_CUES:
            self.cut.add(ordinal)
        elif text and (end < 0 or end > 0) and begin < self._limits.duration:
            self._room -= len(text)
            self.cues[ordinal].append(Cue(max(0.0, begin), end, text))


def _said(packet: Any) -> bytes:
    """Return the text of a packet, without the length that begins one of MP4."""
    content = bytes(packet)
    return content[2 : 2 + int.from_bytes(content[:2])] if _is_of_mp4(packet) else content


def _is_of_mp4(packet: Any) -> bool:
    return str(packet.stream.codec_context.name) == "mov_text"


def _is_valid(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text(decoded: Sequence[object]) -> str:
    lines = []
    for each in decoded:
        dialogue = getattr(each, "dialogue", b"")
        line = dialogue.decode("utf-8", "replace") if isinstance(dialogue, bytes) else str(dialogue)
        lines.append(markup(line[:_LONGEST]))
    return "\n".join(line for line in lines if line)


def _escaped(text: str) -> str:
    text = text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ").replace("\r", "\n")
    text = _INVISIBLE.sub("", text.replace("\t", " "))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _timed(cues: list[Cue], duration: float) -> list[Cue]:
    """Cues in order, each with an end behind its start, none beyond the video."""
    timed: list[Cue] = []
    following = later = duration
    for cue in sorted(cues, key=lambda cue: cue.start, reverse=True):
        if cue.start < later:  # Of several that begin at once, none ends with the next of them.
            following, later = later, cue.start
        end = cue.end if cue.end >= 0 else min(cue.start + _UNTIMED, max(following, cue.start))
        end = min(end, duration) if duration else end
        if round(end, 3) > round(cue.start, 3):
            timed.append(Cue(cue.start, end, cue.text))
    return timed[::-1]


def _stamp(second: float) -> str:
    whole = round(second * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}.{whole % 1000:03}"
