"""Checks of the audio of all outputs, of subtitles and of tags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import numpy as np

from support.cases import measure
from support.cases.checks.ended import Check, Finding
from support.cases.outcomes import Outcome


def is_audio(outcome: Outcome) -> Finding:
    """Require an asset of an audio file, not of a video."""
    kind = outcome.asset["source"]["kind"]
    return Finding(kind == "audio" and not outcome.file("video.mp4").exists(), f"kind {kind}")


def sounds(seconds: float, within: float = 0.1) -> Check:
    """Require the end of each audio stream that was made, from its samples."""

    def check(outcome: Outcome) -> Finding:
        found = {name: each.end for name, each in outcome.sounds.items()}
        ok = bool(found) and all(abs(each - seconds) <= within for each in found.values())
        return Finding(ok, "audio " + _brief(found, "{:.2f} s"))

    return check


def says(seconds: float, within: float = 0.05) -> Check:
    """Require the duration in asset.json."""

    def check(outcome: Outcome) -> Finding:
        found = outcome.asset["metadata"]["duration"]
        return Finding(abs(found - seconds) <= within, f"asset.json {found:.2f} s")

    return check


def hears(expected: Mapping[float, float], within: float = 1.0, window: float = 0.8, of: str = ".") -> Check:
    """Require a tone (hertz) around each time, in every audio stream whose name matches."""

    def check(outcome: Outcome) -> Finding:
        ok, found = bool(outcome.sounds), {}
        for name, sound in outcome.sounds.items():
            if not re.search(of, name):
                continue
            heard = [sound.tone(at - window / 2, at + window / 2) for at in expected]
            ok &= all(abs(a - b) <= within for a, b in zip(heard, expected.values(), strict=True))
            found[name] = " ".join(f"{each:.1f}" for each in heard)
        return Finding(ok, _brief(found, "{} Hz"))

    return check


def audible(begin: float, end: float, above: float = -40) -> Check:
    """Require a level above so many dBFS between two times."""

    def check(outcome: Outcome) -> Finding:
        found = {name: sound.level(begin, end) for name, sound in outcome.sounds.items()}
        return Finding(
            bool(found) and min(found.values()) > above, f"{begin:g} to {end:g} s " + _brief(found, "{:.0f} dBFS")
        )

    return check


def loud(target: float = -16, within: float = 1.0) -> Check:
    """Require the integrated loudness of the audio files with a target."""

    def check(outcome: Outcome) -> Finding:
        files = [outcome.file(name) for name in ("audio.m4a", "audio.opus") if outcome.file(name).exists()]
        found = {file.name: measure.loudness(file) for file in files}
        ok = bool(found) and all(abs(each - target) <= within for each, _ in found.values())
        return Finding(ok, _brief({n: f"{v[0]:.1f} LUFS, peak {v[1]:.1f} dB" for n, v in found.items()}, "{}"))

    return check


def finite(outcome: Outcome) -> Finding:
    """Require finite samples that can be heard."""
    ok = all(bool(np.isfinite(each.samples).all()) for each in outcome.sounds.values())
    return Finding(ok and bool(outcome.sounds), "finite" if ok else "not finite")


SAME_PLACE = {"SL": "BL", "SR": "BR", "BL": "SL", "BR": "SR"}
"""Side may become back (README of the cases), and the other way round."""


def channels(**expected: int) -> Check:
    """Require the tone of each channel (NAME=hertz, or ANY...=hertz) alone in its place, where all are kept."""

    def check(outcome: Outcome) -> Finding:
        ok = True
        found: dict[str, str] = {}
        for name, sound in outcome.sounds.items():
            if not name.startswith("keep."):
                continue
            heard = _tones_by_channel(sound)
            ok &= len(heard) == len(expected)
            for channel, hertz in expected.items():
                places = [each for each, tones in heard.items() if hertz in tones]
                if channel == "LFE" and not places:
                    continue  # encoders end it at some 120 Hz: AAC's always, libopus's in layouts of mapping family 1
                alone = len(places) == 1 and heard[places[0]] == [hertz]
                ok &= alone and (channel.startswith("ANY") or places[0] in (channel, SAME_PLACE.get(channel)))
            found[name] = " ".join(f"{channel} {'+'.join(map(str, tones)) or '-'}" for channel, tones in heard.items())
        return Finding(ok and bool(found), _brief(found, "{}"))

    return check


def _tones_by_channel(sound: measure.Sound) -> dict[str, list[int]]:
    """Return the tones of each channel that is not much quieter than the loudest one."""
    begin, end = 0.3, sound.end - 0.3
    levels = [sound.level(begin, end, number) for number in range(len(sound.channels))]
    return {
        channel: measure.tones(sound.between(begin, end, number), sound.rate)
        if levels[number] > max(levels) - 24
        else []
        for number, channel in enumerate(sound.channels)
    }


def streams(number: int) -> Check:
    """Require so many audio streams in HLS, or in the MP4 where no HLS was made."""

    def check(outcome: Outcome) -> Finding:
        made = len(sorted(outcome.folder.glob("hls-audio-*.mp4")))
        found = made if outcome.file("hls.m3u8").exists() else measure.has(outcome.file("video.mp4"), "audio")
        return Finding(found == number, f"{found} audio streams")

    return check


def cover(outcome: Outcome) -> Finding:
    """Require a cover in the audio file."""
    found = measure.has(outcome.file("audio.m4a"), "video")
    return Finding(found == 1, "cover kept" if found else "no cover")


def chapters(number: int) -> Check:
    """Require so many chapters in asset.json."""

    def check(outcome: Outcome) -> Finding:
        found = len(outcome.asset["metadata"].get("chapters", []))
        return Finding(found == number, f"{found} chapters")

    return check


def waveform(seconds: float, within: float = 0.1) -> Check:
    """Require that the points of the waveform cover so many seconds."""

    def check(outcome: Outcome) -> Finding:
        wave = json.loads(outcome.file("waveform.json").read_text())
        found = wave["length"] * wave["samples_per_pixel"] / wave["sample_rate"]
        return Finding(
            abs(found - seconds) <= within + wave["samples_per_pixel"] / wave["sample_rate"], f"waveform {found:.2f} s"
        )

    return check


def _brief(found: Mapping[str, object], form: str) -> str:
    """Return the values by name, once where all are equal."""
    texts = {name: form.format(value) for name, value in found.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{name} {text}" for name, text in texts.items()) or "none"


def cues(*expected: tuple[float, str]) -> Check:
    """Require the cues of the first subtitles: start in seconds and a pattern of the text."""

    def check(outcome: Outcome) -> Finding:
        found = measure.cues(next(iter(sorted(outcome.folder.glob("subtitles-*.vtt")))))
        ok = len(found) == len(expected) and all(
            abs(start - at) < 0.01 and re.search(text, words)
            for (start, words), (at, text) in zip(found, expected, strict=True)
        )
        return Finding(ok, f"{len(found)} cues: " + "; ".join(f"{start:g} s {words}" for start, words in found))

    return check


def metadata(**expected: str) -> Check:
    """Require the format, or a tag, in asset.json."""

    def check(outcome: Outcome) -> Finding:
        about = outcome.asset["metadata"]
        found = {name: about.get(name, about.get("tags", {}).get(name)) for name in expected}
        return Finding(found == expected, ", ".join(f"{name} {value!r}" for name, value in found.items()))

    return check
