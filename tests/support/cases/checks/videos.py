"""Checks of video.mp4, and of what goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from support.cases import measure
from support.cases.checks.ended import Check, Finding
from support.cases.outcomes import Outcome


def lasts(seconds: float, within: float = 0.05) -> Check:
    """Require the duration of the decoded frames of the MP4, and of HLS where it was made."""

    def check(outcome: Outcome) -> Finding:
        found = {"mp4": outcome.video.end - outcome.video.times[0]}
        ok = True
        for file in sorted(outcome.folder.glob("hls-[0-9]*.m3u8")):
            found["hls"] = sum(measure.playlist(file).segments) - outcome.video.times[0]
            number, end = measure.packets(file.with_suffix(".mp4"))  # the first one is shown from 0 s on
            found["its packets"] = end - outcome.video.times[0]
            ok &= number == len(outcome.video.times)
        ok &= all(abs(each - seconds) <= within for each in found.values())
        return Finding(ok, " / ".join(f"{name} {each:.2f} s" for name, each in found.items()))

    return check


def frames(number: int) -> Check:
    """Require so many frames."""

    def check(outcome: Outcome) -> Finding:
        found = len(outcome.video.times)
        return Finding(found == number, f"{found} frames")

    return check


def shown(width: int, height: int, within: int = 2) -> Check:
    """Require these pixels of the video, square ones, and the same proportions of the poster and in asset.json."""

    def check(outcome: Outcome) -> Finding:
        wide, tall = outcome.video.size
        wide = round(wide * outcome.video.aspect)
        about = outcome.asset["metadata"]
        poster = outcome.image.shape[1::-1]
        ok = all(
            abs(w - width) <= within and abs(h - height) <= within
            for w, h in ((wide, tall), (about["width"], about["height"]), poster)
        )
        return Finding(
            ok, f"{wide} x {tall}, asset.json {about['width']} x {about['height']}, poster {poster[0]} x {poster[1]}"
        )

    return check


def headers_agree(outcome: Outcome) -> Finding:
    """Require that all durations in the headers of the MP4 are those of its samples."""
    found = measure.headers(outcome.file("video.mp4"))
    if found.spread <= 0.02:
        return Finding(True, f"headers {found.stts:.2f} s")
    return Finding(False, ", ".join(f"{name} {value:.2f}" for name, value in found._asdict().items()))


def segments_fit(outcome: Outcome) -> Finding:
    """Require that no segment is longer than the target duration."""
    found = [measure.playlist(file) for file in sorted(outcome.folder.glob("hls-*.m3u8"))]
    ok = all(round(each) <= one.target for one in found for each in one.segments)
    return Finding(ok, f"EXTINF up to {max((max(one.segments) for one in found), default=0):.2f} s")


def times(*seconds: float, within: float = 0.02) -> Check:
    """Require the first frames at these times."""

    def check(outcome: Outcome) -> Finding:
        found = outcome.video.times[: len(seconds)]
        ok = len(found) == len(seconds) and all(abs(a - b) <= within for a, b in zip(found, seconds, strict=True))
        return Finding(ok, "frames at " + " ".join(f"{each:.2f}" for each in found))

    return check


def colour_at(seconds: float, across: float, down: float, colour: tuple[int, int, int], within: int = 6) -> Check:
    """Require a colour of the video, at a time and a place in fractions of its sides."""

    def check(outcome: Outcome) -> Finding:
        frame = outcome.video.at(seconds)
        found = frame[round(down * (frame.shape[0] - 1)), round(across * (frame.shape[1] - 1))].astype(int)
        return Finding(bool(np.abs(found - colour).max() <= within), "video rgb " + " ".join(map(str, found)))

    return check


def valid_tags(outcome: Outcome) -> Finding:
    """Require colour tags that H.273 does not reserve, and no identity matrix (which 4:2:0 cannot have)."""
    video = outcome.video
    found = (video.primaries, video.transfer, video.matrix)
    ok = video.primaries not in (0, 3) and video.transfer not in (0, 3) and video.matrix not in (0, 3)
    return Finding(ok, f"tags {found[0]} {found[1]} {found[2]}")


def colours_like(path: str, within: float = 6) -> Check:
    """Require the mean colours of another outcome's video and poster."""

    def check(outcome: Outcome) -> Finding:
        other = outcome.others[path]
        pairs = [(outcome.video.frames[30], other.video.frames[30]), (outcome.image[:, :, :3], other.image[:, :, :3])]
        apart = max(float(np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))).max()) for a, b in pairs)
        return Finding(apart <= within, f"colours {apart:.1f} from untagged")

    return check


def moving(begin: float, end: float) -> Check:
    """Require that hardly a frame equals the one before it."""

    def check(outcome: Outcome) -> Finding:
        some = [f for t, f in zip(outcome.video.times, outcome.video.frames, strict=True) if begin <= t < end]
        still = sum(measure.difference(a, b) < 0.05 for a, b in pairwise(some))
        return Finding(still <= len(some) / 10, f"{still} of {len(some)} frames still")

    return check


def bars_beside(seconds: float) -> Check:
    """Require black at the left and the right of a frame, and none above and below."""

    def check(outcome: Outcome) -> Finding:
        frame = outcome.video.at(seconds)
        _, _, width, height = measure.bounds(frame.max(axis=2) > 40)
        ok = width < frame.shape[1] * 0.6 and height > frame.shape[0] * 0.9
        return Finding(ok, f"content {width} x {height} of {frame.shape[1]} x {frame.shape[0]} at {seconds:g} s")

    return check


def storyboard_shows(outcome: Outcome) -> Finding:
    """Require that each tile is a frame of the video that is on screen while its cue lasts."""
    video = outcome.video
    sheet = measure.picture(outcome.file("storyboard.webp"))[:, :, :3].astype(int)
    tiles = measure.cues(outcome.file("storyboard.vtt"))
    wrong = []
    for (start, target), (end, _) in zip(tiles, [*tiles[1:], (video.end, "")], strict=True):
        x, y, w, h = map(int, target.rpartition("=")[2].split(","))
        tile = sheet[y : y + h, x : x + w]
        apart = np.array([np.abs(each.astype(int) - tile).mean() for each in _thumbnails(video.frames, w, h)])
        on_screen = [
            n
            for n, (begin, over) in enumerate(zip(video.times, [*video.times[1:], video.end], strict=True))
            if begin < end and over > start
        ]
        if min(apart[on_screen]) > apart.min() + 1:
            wrong.append(f"{start:g} s shows {video.times[int(apart.argmin())]:.2f} s")
    return Finding(not wrong and bool(tiles), f"{len(tiles)} tiles" + (f", {'; '.join(wrong)}" if wrong else " right"))


def _thumbnails(frames: Sequence[measure.Pixels], width: int, height: int) -> list[measure.Pixels]:
    box = Image.Resampling.BOX
    return [np.asarray(Image.fromarray(frame).resize((width, height), box)) for frame in frames]


def starts(seconds: float, within: float = 0.1) -> Check:
    """Require the first frame of the video at a time."""

    def check(outcome: Outcome) -> Finding:
        found = outcome.video.times[0]
        return Finding(abs(found - seconds) <= within, f"video from {found:.2f} to {outcome.video.end:.2f} s")

    return check


def square_box(side: int, within: int = 3) -> Check:
    """Require a white box of equal sides in the middle of the video."""

    def check(outcome: Outcome) -> Finding:
        frame = outcome.video.frames[len(outcome.video.frames) // 2]
        tall, wide = frame.shape[:2]
        around = frame[tall // 2 - 70 : tall // 2 + 70, wide // 2 - 70 : wide // 2 + 70].min(axis=2) > 200
        _, _, width, height = measure.bounds(around)
        return Finding(abs(width - side) <= within and abs(height - side) <= within, f"box {width} x {height}")

    return check


def in_step(within: float = 0.005) -> Check:
    """Require each beep of video.mp4 at its flash, within so many seconds."""

    def check(outcome: Outcome) -> Finding:
        video, sound = outcome.video, outcome.sounds["video.mp4"]
        bright = np.array([frame.mean() > 128 for frame in video.frames])
        flashes = [
            time
            for time, now, before in zip(video.times, bright, [False, *bright[:-1]], strict=True)
            if now and not before
        ]
        loud = np.abs(sound.between(sound.start, sound.end)) > 0.02
        beeps: list[float] = []
        last = 0.0
        for at in np.flatnonzero(loud) / sound.rate + sound.start:
            if not beeps or at - last > 0.1:
                beeps.append(at)
            last = at
        # The first one is cut in two by the gap that the case is about, each part at its own time stamp.
        apart = [min((beep - flash for flash in flashes), key=abs) for beep in beeps if beep > 0.5]
        ok = len(beeps) > 5 and all(abs(each) <= within for each in apart)
        return Finding(
            ok, f"{len(beeps)} beeps, {min(apart) * 1000:.0f} to {max(apart) * 1000:.0f} ms from their flashes"
        )

    return check
