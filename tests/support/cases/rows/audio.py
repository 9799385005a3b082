"""Cases of audio."""

from __future__ import annotations

from support.cases.checks.audio import (
    audible,
    channels,
    chapters,
    cover,
    cues,
    finite,
    hears,
    is_audio,
    loud,
    metadata,
    says,
    sounds,
    waveform,
)
from support.cases.checks.ended import done, either, rejected, reported, unreported
from support.cases.rows.base import DAMAGE, Case, two_tones

AUDIO = (
    Case(
        "39",
        "a cover as a video stream",
        "m4a, mka: audio of 10.0 s, cover kept or reported; mp4, mkv: 10 s of audio",
        {
            "39-cover-as-plain-video-track/song.m4a": (
                done,
                is_audio,
                sounds(10.0),
                hears({9.0: 440}),
                either((cover,), (reported("cover"),)),
            ),
            "39-cover-as-plain-video-track/song.mka": (
                done,
                is_audio,
                sounds(10.0),
                hears({9.0: 440}),
                either((cover,), (reported("cover"),)),
            ),
            "39-cover-as-plain-video-track/song.mp4": (done, sounds(10.0), hears({9.0: 440})),
            "39-cover-as-plain-video-track/cover-first.mkv": (done, sounds(10.0), hears({9.0: 440})),
        },
    ),
    Case(
        "40",
        "subtitles that are not UTF-8",
        "3 cues at 0.5, 2.0, 3.5 s, the text right or with U+FFFD and reported",
        {
            "40-subtitles-not-utf8/latin1.mkv": (
                done,
                either(
                    (cues((0.5, "Mädchen im Café"), (2.0, "plain words"), (3.5, ".")),),
                    (cues((0.5, "M�dchen im Caf�"), (2.0, "plain words"), (3.5, ".")), reported("subtitle")),
                ),
            ),
            "40-subtitles-not-utf8/one-bad-byte.mkv": (
                done,
                cues((0.5, "."), (2.0, "."), (3.5, ".")),
                reported("subtitle"),
            ),
        },
    ),
    Case(
        "42",
        "WAV sizes not filled in",
        "3.0 s",
        {
            f"42-wav-sizes-not-filled-in/{name}.wav": (done, sounds(3.0), says(3.0), hears({2.5: 440}), unreported())
            for name in (
                "all-ones",
                "data-zero-riff-right",
                "int32-max",
                "riff-zero-data-right",
                "two-gib-minus-one-frame",
                "zeros",
            )
        },
    ),
    Case(
        "43",
        "FLAC behind ID3",
        "format flac (aac), 5.00 s, no warning",
        {
            **{
                f"43-flac-behind-id3/{name}.flac": (done, metadata(format="flac"), sounds(5.0), says(5.0), unreported())
                for name in ("plain", "both", "id3v1-behind", "id3v2-before")
            },
            "43-flac-behind-id3/id3v2-before.aac": (
                done,
                metadata(format="aac"),
                sounds(5.0),
                says(5.03),
                unreported(),
            ),
        },
    ),
    Case(
        "44",
        "MP3 behind junk",
        "mp3, 5.0 s +-0.1",
        {
            f"44-mp3-after-junk/{name}.mp3": (
                done,
                metadata(format="mp3"),
                sounds(5.0),
                says(5.0, 0.1),
                hears({1.0: 440, 4.4: 440}),
            )
            for name in (
                "ape-and-id3v1-behind",
                "ff-bytes-before",
                "line-break-before",
                "riff-mp3",
                "vbr-without-xing",
                "zeros-before",
            )
        },
    ),
    Case(
        "45",
        "MP3 joined",
        "7.0 s +-0.15, 440 then 660 Hz +-1; no damage in two-parts",
        {
            "45-mp3-joined/two-parts-3s-4s.mp3": (
                done,
                sounds(7.0, 0.15),
                says(7.0, 0.15),
                two_tones(440, 660, 3.0, 7.0),
                unreported(DAMAGE),
            ),
            "45-mp3-joined/garbage-between-3s-4s.mp3": (
                done,
                sounds(7.0, 0.15),
                says(7.0, 0.15),
                two_tones(440, 660, 3.0, 7.0),
            ),
        },
    ),
    Case(
        "46",
        "Ogg chained",
        "7.0 s +-0.1 in all, 440 then 660 Hz; other-rate 7.0 s, 440 then 550 Hz, or rejected",
        {
            "46-ogg-chained/chained-3s-4s.ogg": (
                done,
                sounds(7.0),
                says(7.0, 0.1),
                waveform(7.0),
                two_tones(440, 660, 3.0, 7.0),
                unreported(DAMAGE),
            ),
            "46-ogg-chained/chained-other-rate-3s-4s.ogg": (
                either(
                    (done, sounds(7.0), says(7.0, 0.1), waveform(7.0), two_tones(440, 550, 3.0, 7.0)), (rejected("."),)
                ),
            ),
        },
    ),
    Case(
        "47",
        "floats beyond full scale",
        "-16 LUFS +-1; NaN: done, finite and audible, or rejected; no retries",
        {
            "47-float-beyond-full-scale/plus-12-lufs.wav": (done, sounds(12.0), loud()),
            "47-float-beyond-full-scale/nan-and-inf.wav": (
                either((done, sounds(12.0), finite, audible(2, 11)), (rejected("."),)),
            ),
            "47-float-beyond-full-scale/dc-offset.wav": (
                done,
                sounds(4.0),
                either((loud(),), (reported("quieter than requested"),)),
            ),
            "47-float-beyond-full-scale/one-sample.wav": (either((done,), (rejected("."),)),),
            "extra/loud/plus-25.wav": (done, sounds(12.0), loud()),
        },
    ),
    Case(
        "48",
        "300 chapters",
        "300.0 s, 300 chapters kept, nothing of a data stream",
        {
            f"48-m4b-300-chapters/book.{suffix}": (done, sounds(300.0), chapters(300), unreported("data stream"))
            for suffix in ("m4b", "mka", "mp3")
        },
    ),
    Case(
        "50",
        "surround layouts",
        "as many channels, the tone of each alone in its place",
        {
            "50-surround-layouts/5.1-side.flac": (
                done,
                sounds(2.0),
                channels(FL=200, FR=300, FC=400, LFE=500, SL=600, SR=700),
            ),
            "50-surround-layouts/5.1-side.mka": (
                done,
                sounds(2.0),
                channels(FL=200, FR=300, FC=400, LFE=500, SL=600, SR=700),
            ),
            "50-surround-layouts/quad-side.flac": (done, sounds(2.0), channels(FL=200, FR=300, SL=400, SR=500)),
            "50-surround-layouts/7.1-wide.flac": (
                done,
                sounds(2.0),
                channels(FL=200, FR=300, FC=400, LFE=500, BL=600, BR=700, ANY1=800, ANY2=900),
            ),
            "50-surround-layouts/5.1.2-back.wav": (
                done,
                sounds(2.0),
                channels(FL=200, FR=300, FC=400, LFE=500, BL=600, BR=700, ANY1=800, ANY2=900),
            ),
            "50-surround-layouts/six-channels-unsaid.wav": (
                either(
                    (done, sounds(2.0), channels(FL=200, FR=300, FC=400, LFE=500, BL=600, BR=700)), (rejected("."),)
                ),
            ),
        },
    ),
)
