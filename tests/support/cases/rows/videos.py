"""Cases of videos."""

from __future__ import annotations

from support.cases.checks.audio import audible, hears, says, sounds, streams
from support.cases.checks.ended import done, either, rejected, reported, unreported
from support.cases.checks.images import pixel
from support.cases.checks.videos import (
    bars_beside,
    colour_at,
    colours_like,
    frames,
    headers_agree,
    lasts,
    moving,
    segments_fit,
    shown,
    square_box,
    storyboard_shows,
    times,
    valid_tags,
)
from support.cases.rows.base import WHITE, Case, two_tones

TRANSPARENT = "transparen"

VIDEOS = (
    Case(
        "21",
        "APAC beside AAC",
        "done, the AAC stream is heard; that APAC is left out is reported",
        {
            "21-apac-spatial-audio/aac-then-apac.mov": (
                done,
                lasts(4.0),
                hears({1.0: 440}),
                reported("1 audio stream"),
            ),
            "21-apac-spatial-audio/apac-then-aac.mov": (
                done,
                lasts(4.0),
                audible(0.5, 3.5),
                reported("1 audio stream"),
            ),
            "21-apac-spatial-audio/apac-alone.mov": (done, lasts(3.0), reported("1 audio stream")),
        },
    ),
    Case(
        "22",
        "dual mono, positions said",
        "done, each stream audible",
        {
            "22-dual-mono-positional-pcm/fl-and-fr.mov": (
                done,
                lasts(4.0),
                streams(2),
                audible(0.5, 3.5),
                hears({1.0: 440}, of="video|-1"),
                hears({1.0: 880}, of="-2"),
            ),
            "22-dual-mono-positional-pcm/lfe-alone.mov": (done, lasts(4.0), audible(0.5, 3.5), hears({1.0: 440})),
        },
    ),
    Case(
        "23",
        "reserved colour tags",
        "done at the first attempt, 4 s (colr: 3 s), colours within 6 of a copy without tags",
        {
            "23-reserved-colour-space/all-0.mp4": (done, lasts(4.0), colours_like("made/23-untagged.mp4"), valid_tags),
            "23-reserved-colour-space/all-3.mp4": (done, lasts(4.0), colours_like("made/23-untagged.mp4"), valid_tags),
            "23-reserved-colour-space/matrix-3.mp4": (
                done,
                lasts(4.0),
                colours_like("made/23-untagged.mp4"),
                valid_tags,
            ),
            "23-reserved-colour-space/matrix-and-primaries-3.mp4": (
                done,
                lasts(4.0),
                colours_like("made/23-untagged.mp4"),
                valid_tags,
            ),
            "23-reserved-colour-space/colr-box-3-mpeg4.mov": (
                done,
                lasts(3.0),
                colours_like("made/23-untagged.mov"),
                valid_tags,
            ),
            **{
                f"extra/colr/{name}.mov": (done, lasts(3.0), colours_like("made/23-untagged.mov"), valid_tags)
                for name in ("all0", "prim3", "trc0", "trc3")
            },
            "extra/colr/matrix8-ycgco.mov": (done, lasts(3.0), valid_tags),
        },
    ),
    Case(
        "24",
        "cropped by the container",
        "with-display-size and clap 640 x 272, white box 40 x 40; left-right 16 : 9 without bars at its sides",
        {
            "24-mkv-cropped-by-container/crop-with-display-size.mkv": (
                done,
                shown(640, 272),
                square_box(40),
                lasts(4.0),
            ),
            "24-mkv-cropped-by-container/crop-left-right.mkv": (done, shown(640, 360, 4), lasts(4.0)),
            "24-mkv-cropped-by-container/not-cropped.mp4": (done, shown(640, 360), square_box(40), lasts(4.0)),
            "extra/clap/clap.mov": (done, shown(640, 272), square_box(40), lasts(2.08, 0.05)),
        },
    ),
    Case(
        "25",
        "mdhd in the wrong time scale",
        "8.00 s +-0.05, 192 frames, audio above -40 dBFS in the last second",
        {
            "25-mdhd-in-wrong-timescale/mdhd-in-ms.mp4": (
                done,
                lasts(8.0),
                frames(192),
                says(8.0),
                audible(7.0, 8.0),
                sounds(8.0),
                headers_agree,
            ),
            "25-mdhd-in-wrong-timescale/right.mp4": (
                done,
                lasts(8.0),
                frames(192),
                says(8.0),
                audible(7.0, 8.0),
                sounds(8.0),
                headers_agree,
                unreported(),
            ),
            "25-mdhd-in-wrong-timescale/fragmented-mdhd-in-ms.mp4": (
                done,
                lasts(8.0),
                frames(192),
                says(8.04, 0.09),
                audible(7.0, 8.0),
                headers_agree,
            ),
        },
    ),
    Case(
        "26",
        "an absurd time in a fragment",
        "6 s +-0.5, or rejected naming the time stamps",
        {
            "26-fmp4-absurd-time/good.mp4": (done, lasts(6.0), says(6.0, 0.1), unreported()),
            "26-fmp4-absurd-time/last-sound-fragment-26h-late.mp4": (
                either((rejected("time ?stamp"),), (done, lasts(6.0, 0.5), sounds(6.0, 0.5), says(6.0, 0.5))),
            ),
            "extra/late/last-sound-10min-late.mp4": (
                either((rejected("time ?stamp"),), (done, lasts(6.0, 0.5), sounds(6.0, 0.5), says(6.0, 0.5))),
            ),
        },
    ),
    Case(
        "27",
        "MPEG-TS clock that jumps",
        "6.0 s +-0.2, 440 then 660 Hz, test image then bars, in MP4 and HLS",
        {
            f"27-ts-clock-jumps/{name}.ts": (
                done,
                lasts(6.0, 0.2),
                sounds(6.0, 0.2),
                says(6.0, 0.2),
                two_tones(440, 660, 3.0, 6.0),
                frames(150),
                colour_at(1.5, 0.99, 0.02, (0, 255, 255), 12),
                colour_at(4.5, 0.01, 0.02, (192, 183, 196), 20),
                unreported("cut off"),
            )
            for name in ("clock-starts-again", "clock-jumps-10h-ahead")
        },
    ),
    Case(
        "28",
        "MPEG-TS clock that wraps",
        "6.0 s +-0.1, 440 Hz to the end, no warning",
        {
            "28-ts-33-bit-wrap/wraps-after-3s.ts": (
                done,
                lasts(6.0, 0.1),
                sounds(6.0, 0.1),
                says(6.0, 0.1),
                hears({1.0: 440, 5.0: 440}),
                frames(150),
                unreported(),
            ),
        },
    ),
    Case(
        "29",
        "MPEG-TS that is not aligned",
        "5.0 s +-0.1",
        {
            f"29-ts-not-aligned/{name}": (
                done,
                lasts(5.0, 0.1),
                sounds(5.0, 0.1),
                says(5.0, 0.1),
                frames(125),
                hears({1.0: 440, 4.0: 440}),
                unreported(),
            )
            for name in ("junk-before.ts", "packets-of-204.ts", "starts-in-a-packet.m2ts")
        },
    ),
    Case(
        "30",
        "a size that changes midway",
        "landscape: 6.0 s, 150 frames, 640 x 368, moving, no warning; turned: 4.0 s, 100 frames, bars or reported",
        {
            "30-size-changes-midway/landscape-avc3.mp4": (
                done,
                lasts(6.0),
                frames(150),
                shown(640, 368),
                moving(2.2, 3.8),
                unreported("audio"),
            ),
            "30-size-changes-midway/landscape.ts": (
                done,
                lasts(6.0),
                frames(150),
                shown(640, 368),
                moving(2.2, 3.8),
                unreported("audio"),
            ),
            "30-size-changes-midway/turned-by-webrtc.mkv": (done, lasts(4.0), frames(100), bars_beside(3.0)),
        },
    ),
    Case(
        "31",
        "audio longer than the video, and the other way round",
        "done, neither cut",
        {
            "31-sound-longer-than-picture/picture-20s-sound-5s.mp4": (
                done,
                lasts(20.0),
                frames(500),
                audible(4.0, 4.9),
            ),
            "31-sound-longer-than-picture/picture-5s-sound-20s.mp4": (
                done,
                frames(125),
                sounds(20.0),
                audible(19.0, 19.9),
                says(20.0),
            ),
            "31-sound-longer-than-picture/picture-5s-sound-20s.mkv": (
                done,
                frames(125),
                sounds(20.0),
                audible(19.0, 19.9),
                says(20.0),
            ),
        },
    ),
    Case(
        "32",
        "a single frame",
        "done, one frame (two-frames: two); 10 s of audio where there are",
        {
            "32-single-frame/one-frame-24fps.mp4": (done, lasts(1 / 24, 0.01), frames(1), shown(320, 180)),
            "32-single-frame/one-frame-prores.mov": (done, lasts(1 / 24, 0.01), frames(1), shown(320, 180)),
            "32-single-frame/one-frame.mkv": (done, lasts(1 / 24, 0.01), frames(1), shown(320, 180)),
            "32-single-frame/two-frames.mp4": (done, lasts(2 / 24, 0.01), frames(2), shown(320, 180)),
            "32-single-frame/one-frame-with-10s-sound.mp4": (done, sounds(10.0), audible(9.0, 9.9)),
        },
    ),
    Case(
        "33",
        "slow frames",
        "160.0, 29.0, 1.0 s; frame n at its time; EXTINF fits; headers agree; storyboard shows the frame on screen",
        {
            "33-slow-frames/one-frame-in-20s.mp4": (
                done,
                lasts(160.0),
                frames(8),
                times(*range(0, 160, 20)),
                says(160.0),
                headers_agree,
                segments_fit,
                storyboard_shows,
            ),
            "33-slow-frames/screen-still-for-25s.mp4": (
                done,
                lasts(29.0),
                frames(120),
                says(29.0),
                headers_agree,
                segments_fit,
                storyboard_shows,
            ),
            "33-slow-frames/960fps.mp4": (done, lasts(1.0), frames(960), says(1.0), headers_agree, segments_fit),
            "extra/slow/r1_3.mp4": (
                done,
                lasts(126.0),
                frames(42),
                says(126.0),
                headers_agree,
                segments_fit,
                storyboard_shows,
            ),
            "extra/slow/r1_5.mp4": (
                done,
                lasts(125.0),
                frames(25),
                says(125.0),
                headers_agree,
                segments_fit,
                storyboard_shows,
            ),
        },
    ),
    Case(
        "34",
        "DV",
        "0.96 s, 24 frames, 768 x 576, 440 Hz; raw.dv the same, or rejected by name",
        {
            "34-dv-type-1-avi/type-1.avi": (done, lasts(0.96), frames(24), shown(768, 576), hears({0.48: 440}, 2)),
            "34-dv-type-1-avi/raw.dv": (
                either((done, lasts(0.96), frames(24), shown(768, 576), hears({0.48: 440}, 2)), (rejected("DV"),)),
            ),
        },
    ),
    Case(
        "35",
        "anamorphic",
        "square pixels: 1024 x 576, 576 x 1024, 960 x 540, 332 x 252",
        {
            "35-anamorphic/pal-16x9.mp4": (done, shown(1024, 576), lasts(3.0)),
            "35-anamorphic/pal-16x9.mkv": (done, shown(1024, 576), lasts(3.0)),
            "35-anamorphic/pal-16x9-turned.mp4": (done, shown(576, 1024), lasts(3.0)),
            "35-anamorphic/square-16x9.mkv": (done, shown(960, 540), lasts(3.0)),
            "35-anamorphic/odd-sides-444.mp4": (done, shown(332, 252), lasts(3.0)),
        },
    ),
    Case(
        "37",
        "transparent video",
        "2.0 s, corner white +-6 in video and poster, disc yellow, reported",
        {
            f"37-transparent-film/{name}": (
                done,
                lasts(2.0),
                colour_at(1.0, 0.01, 0.02, WHITE),
                colour_at(1.0, 0.5, 0.5, (249, 219, 50), 24),
                pixel(0.01, 0.02, WHITE),
                reported(TRANSPARENT),
            )
            for name in ("animation.mov", "prores-4444.mov", "vp9-alpha.webm")
        },
    ),
    Case(
        "38",
        "Dolby Vision profile 5",
        "rejected by name, or done with a warning; profile 8.4 done, 3 s, no warning",
        {
            "38-dolby-vision-profile-5/profile-5.mp4": (
                either((rejected("Dolby Vision"),), (done, reported("Dolby Vision"))),
            ),
            "38-dolby-vision-profile-5/profile-8.4.mp4": (done, lasts(3.0), unreported()),
        },
    ),
)
