"""Cases of directories, and what was found beside the cases."""

from __future__ import annotations

from support.cases.checks.audio import channels, says, sounds, streams
from support.cases.checks.ended import done, ignored, left_out, rejected, unreported
from support.cases.checks.images import size
from support.cases.checks.videos import frames, in_step, lasts, starts
from support.cases.rows.base import Case

FOLDERS = (
    Case(
        "54",
        "what a NAS leaves",
        "two sources (three with THM) of photo/trip",
        {
            "54-nas-leftovers/photo/trip/IMG_0.jpg": (done, size(320, 240)),
            "54-nas-leftovers/photo/trip/IMG_1.jpg": (done, size(320, 240)),
            **{
                f"54-nas-leftovers/photo/{name}": (left_out,)
                for name in (
                    "#recycle/old/IMG_9.jpg",
                    "$RECYCLE.BIN/$R1.jpg",
                    "@Recently-Snapshot/x/IMG_0.jpg",
                    "lost+found/1234.jpg",
                    ".stversions/IMG_0~2026.jpg",
                    "trip/@eaDir/IMG_0.jpg/SYNOPHOTO_THUMB_XL.jpg",
                    "trip/@eaDir/IMG_1.jpg/SYNOFILE_THUMB_M.jpg",
                )
            },
            **{
                f"54-nas-leftovers/photo/trip/{name}": (ignored,)
                for name in (
                    "IMG_0.AAE",
                    "IMG_0.jpg.json",
                    "IMG_0.xmp",
                    "Picasa.ini",
                    "Thumbs.db",
                    "desktop.ini",
                )
            },
        },
    ),
    Case(
        "55",
        "downloads under way",
        "done.jpg alone; preallocated.mp4 rejected",
        {
            "55-downloads-under-way/done.jpg": (done,),
            "55-downloads-under-way/preallocated.mp4": (rejected("zero"),),
            **{
                f"55-downloads-under-way/{name}": (left_out,)
                for name in (
                    "IMG_1.jpg.filepart",
                    "IMG_2.jpg.partial",
                    "IMG_3.jpg.tmp",
                    "IMG_4.jpg.download",
                    "IMG_5.jpg.opdownload",
                    "IMG_6.jpg~",
                    "IMG_8.jpg.bak",
                    "clip.mp4.!qB",
                    "film.mkv.part",
                    "film.mp4.part",
                    "photo.jpg.crdownload",
                    "~$IMG_7.jpg",
                )
            },
        },
    ),
)

BESIDE = (
    Case(
        "E1",
        "streams that begin late",
        "picture from 30 s to 36 s; both audio streams kept",
        {
            "extra/late/picture-30s-late.mkv": (done, starts(30.0), frames(150), sounds(36.0), says(36.0)),
            "extra/late/picture-30s-late.mp4": (done, starts(30.0), frames(150), sounds(36.0), says(36.0)),
            "extra/late/second-sound-20s-late.mkv": (done, lasts(30.0), streams(2), unreported("left out")),
        },
    ),
    Case(
        "E2",
        "channels of 5.0, 6.1 and quad",
        "the tone of each channel alone in its place",
        {
            "extra/channels/5.0.wav": (done, sounds(2.0), channels(FL=200, FR=300, FC=400, BL=500, BR=600)),
            "extra/channels/6.1.wav": (
                done,
                sounds(2.0),
                channels(FL=200, FR=300, FC=400, LFE=500, BC=600, SL=700, SR=800),
            ),
            "extra/channels/quad.wav": (done, sounds(2.0), channels(FL=200, FR=300, BL=400, BR=500)),
        },
    ),
    Case(
        "E3",
        "a small gap at the start",
        "flash and beep apart by at most 5 ms at every second",
        {
            "extra/sync/plain.mp4": (done, in_step(), says(20.0)),
            "extra/sync/frag.mp4": (done, in_step(), says(20.0, 0.1)),
        },
    ),
)
