"""The right values of the README of the cases, as checks of what mediactl makes of each file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from support.cases.rows.audio import AUDIO
from support.cases.rows.base import Case
from support.cases.rows.beside import BESIDE, FOLDERS
from support.cases.rows.images import IMAGES
from support.cases.rows.videos import VIDEOS


class Elsewhere(NamedTuple):
    """A case that no file can carry."""

    number: str
    about: str
    right: str
    tests: tuple[str, ...]
    """The tests that show it."""


ELSEWHERE = (
    Elsewhere("51", "paths of 4,096 bytes", "rejected at once with the reason", ("tests/e2e/test_long_paths.py",)),
    Elsewhere("52", "S3 keys", "kept", ("tests/integration/test_transfer.py",)),
    Elsewhere("53", "symbolic links", "left out, and counted; followed on request", ("tests/e2e/test_left_out.py",)),
    Elsewhere(
        "56", "times beyond 64 bits", "8 done; the second run has nothing to do", ("tests/e2e/test_odd_files.py",)
    ),
    Elsewhere(
        "57",
        "inodes beyond 64 bits",
        "done; the second run has nothing to do",
        (
            "tests/unit/test_files.py",
            "tests/e2e/test_odd_files.py",
        ),
    ),
    Elsewhere("58", "standard streams closed", "exit 0, all outputs", ("tests/e2e/test_standard_streams.py",)),
    Elsewhere("59", "tree stopped for 80 s", "no retry, no attempt used", ("tests/faults/test_suspended.py",)),
    Elsewhere(
        "60", "WAL behind a reader", "shrinks once the reader has gone", ("tests/integration/test_journal_file.py",)
    ),
    Elsewhere("61", "reader gone, /dev/full", "exit 75, no work lost", ("tests/e2e/test_standard_streams.py",)),
    Elsewhere("62", "ETags of KMS", "no MD5 expected", ("tests/integration/test_transfer.py",)),
    Elsewhere("63", "upload token", "own objects recognised", ("tests/integration/test_store_contract.py",)),
    Elsewhere("64", "lifecycle", "an object that expired is sent again", ("tests/integration/test_transfer.py",)),
    Elsewhere("E4", "an exception for one source", "the others done, exit 1", ("tests/faults/test_barrier.py",)),
)

GROUPS = {"images": (*IMAGES, *FOLDERS), "videos": VIDEOS, "audio": (*AUDIO, *BESIDE)}
CASES = tuple(case for group in GROUPS.values() for case in group)
HEAVY = (
    "21-",
    "22-",
    "23-reserved-colour-space/matrix-",
    "24-mkv-cropped-by-container/not",
    "25-mdhd-in-wrong-timescale/right",
    "26-fmp4-absurd-time/good",
    "28-",
    "29-",
    "30-size-changes-midway/landscape",
    "31-",
    "32-single-frame/one-frame-p",
    "32-single-frame/one-frame-w",
    "32-single-frame/one-frame.mkv",
    "33-slow-frames/960",
    "34-",
    "35-anamorphic/pal",
    "35-anamorphic/square",
    "37-transparent-film/animation",
    "37-transparent-film/prores",
    "38-dolby-vision-profile-5/profile-8",
    "39-cover-as-plain-video-track/cover",
    "39-cover-as-plain-video-track/song.mp4",
    "42-wav-sizes-not-filled-in/t",
    "44-mp3-after-junk/a",
    "44-mp3-after-junk/v",
    "47-float-beyond-full-scale/dc",
    "48-",
    "50-surround-layouts/5.1-side.mka",
    "50-surround-layouts/six",
    "extra/channels/quad",
    "extra/colr/all0",
    "extra/colr/trc",
    "extra/late/last-sound",
    "extra/late/second",
    "extra/loud",
    "extra/slow/",
)
"""Beginnings of the paths of files that take long, most of them guards: left out of the light form."""


REFERENCES = {
    "02-": ("02-avif-trailing-bytes/plain.avif",),
    "08-": ("08-cmyk-with-rgb-profile/no-profile.jpg",),
    "23-": ("made/23-untagged.mp4", "made/23-untagged.mov"),
    "extra/colr/": ("made/23-untagged.mov",),
}
"""What files are compared with, by the beginnings of their paths."""


def needed(wanted: Iterable[Case], light: bool = False) -> list[str]:
    """Return the files of cases, and those that they are compared with."""
    files = {path for case in wanted for path in case.files if not (light and path.startswith(HEAVY))}
    compared = {
        each for begin, paths in REFERENCES.items() if any(file.startswith(begin) for file in files) for each in paths
    }
    return sorted(files | compared)
