"""Outputs of ours opened again: whether they decode at their beginning, middle and end, and give away no location."""

from __future__ import annotations

from mediactl.core.errors import JobFailed, RejectedInput
from mediactl.media.inspect import demux
from mediactl.media.inspect.streams import LOCATION_KEYS, Streams, inspect
from mediactl.media.inspect.timing import durations
from mediactl.model.media import Limits

_DELAYED, _PATIENCE = 30, 2.0
"""Packets and seconds after which a decoder must have returned a frame: with B-frames and threads it delays some."""
_ROUNDED = 0.001


def verified(fd: int, name: str, limits: Limits) -> Streams:
    """Return the streams of an output of ours, after its first, middle and last frames were decoded.

    Raises JobFailed when it is damaged.
    """
    try:
        streams = inspect(fd, "", limits)
        _check_no_location(fd, name, limits)
        playable = ([streams.video] if streams.video else []) + list(streams.audios)
        duration = streams.info.duration or 0.0
        last = max(0.0, duration - durations.TOLERANCE)
        for part, second in (("first", 0.0), ("middle", duration / 2), ("last", last)):
            to_the_end = part == "last"
            indexes = [each.index for each in playable if to_the_end or each.end > second + durations.TOLERANCE]
            if not _decodes(fd, second, indexes, to_the_end=to_the_end):
                raise JobFailed(f"{name}: invalid output: its {part} frames cannot be decoded")
    except RejectedInput as error:
        raise JobFailed(f"{name}: invalid output: {error}") from error
    return streams


def _check_no_location(fd: int, name: str, limits: Limits) -> None:
    with demux.opened(fd, limits) as container:
        for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
            if any(key.lower().startswith(LOCATION_KEYS) for key in metadata):
                raise JobFailed(f"{name}: invalid output: it contains the GPS position of its source")


def _decodes(fd: int, second: float, indexes: list[int], *, to_the_end: bool) -> bool:
    """Return whether each stream soon yields a frame from ``second`` on, or before it if there is no packet then.

    ``to_the_end``: all that follows is decoded, and a frame of whatever time is enough.
    """
    missing = set(indexes)
    decoded: set[int] = set()
    later = dict.fromkeys(indexes, 0)
    with demux.opened(fd) as container:
        wanted = (container.start_time or 0) / 1e6 + second - _ROUNDED
        container.seek(int(second * 1e6))
        for packet in demux.packets(container, *(container.streams[index] for index in indexes)):
            index = packet.stream.index
            for frame in packet.decode():
                decoded.add(index)
                if to_the_end or frame.time is None or frame.time >= wanted:
                    missing.discard(index)
            if not missing and not to_the_end:
                break
            if packet.pts is None or not packet.time_base or float(packet.pts * packet.time_base) < wanted:
                continue
            later[index] += 1
            overdue = float(packet.pts * packet.time_base) > wanted + _PATIENCE
            if index in missing and later[index] > _DELAYED and overdue:
                return False
    return all(index in decoded and not later[index] for index in missing)
