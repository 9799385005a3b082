"""A recipe and settings to start from, with comments. Tables of kinds that a directory lacks are commented out."""

from __future__ import annotations

from collections.abc import Container, Iterable

from mediactl.model.media import Kind

_IMAGES = """\
[[image]]
name = "w400"                # the file is w400.webp
width = 400                  # pixels; never enlarged

[[image]]
name = "w800"
width = 800

[[image]]
name = "w1600"
width = 1600
# quality = "auto"           # the smallest file that still is similar to its source"""
_ANIMATIONS = """\
[[animation]]                # animated images as MP4: a tenth of the size of a GIF
name = "moving"
width = 640"""
_VIDEOS = """\
[[hls]]                      # streaming: one rendition for each height that does not enlarge the video
name = "hls"
heights = [1080, 720, 480]

[[video]]                    # one MP4 for download
name = "v720"
height = 720
# codec = "hevc"             # smaller, slower to encode

[[poster]]
name = "poster"
width = 1280

[[preview]]
name = "preview"

[[storyboard]]
name = "storyboard"
when = "duration > 30"

[[subtitles]]
name = "subtitles\""""
_AUDIO = """\
[[audio]]
name = "audio"
format = "m4a"
loudness = -16               # LUFS

[[waveform]]
name = "waveform\""""


def recipe(name: str, kinds: Container[Kind], formats: Container[str]) -> str:
    """Return the text of a recipe for sources of these kinds and formats."""
    animated = any(format_ in formats for format_ in ("gif", "webp"))
    blocks = [
        ("Images", _IMAGES, Kind.IMAGE in kinds),
        ("Animated images", _ANIMATIONS, animated),
        ("Videos", _VIDEOS, Kind.VIDEO in kinds),
        ("Audio", _AUDIO, Kind.AUDIO in kinds),
    ]
    if not any(used for *_, used in blocks):
        blocks = [(title, text, title == "Images") for title, text, _ in blocks]
    lines = [
        "# What to derive from each kind of source. `mediactl recipe check FILE` checks it;",
        "# `mediactl help recipes` and docs/recipes.md list every key.",
        f'name = "{name}"',
        'description = "Written by `mediactl init`."',
    ]
    for title, text, used in blocks:
        lines += ["", f"# {title}" if used else f"# {title}: none were found", *_commented(text, out=not used)]
    lines += [
        "",
        "# The most that a file of an output may take; a run with files over budget exits with 1.",
        "# [[budget]]",
        '# output = "image.w1600"',
        '# bytes = "400 kB"',
        "",
    ]
    return "\n".join(lines)


def settings(recipe_file: str, out: str, cores: int, remote: str) -> str:
    """Return the text of a mediactl.toml. ``remote``: the network file system that the sources are on, or ""."""
    poll = f'poll = "1m"                  # sources are on {remote}: watch mode rescans instead of using inotify'
    lines = [
        "# Settings for this directory: every flag is a key. `mediactl config show` prints what is in effect, and",
        "# `mediactl help settings` lists all keys.",
        f'out = "{out}"',
        f'recipe = "{recipe_file}"',
        "",
        f"# jobs = {cores}                   # worker processes; default: the usable cores",
        '# memory = "4G"               # of all running jobs; default: 3/4 of the machine',
        '# speed = "small"             # or "fast"; default: "balanced"',
        '# exclude = ["raw/"]          # as in .gitignore; a .mediactlignore beside the sources works as well',
        '# hours = "22:00-06:00"       # start jobs only at night',
        poll if remote else f"# {poll.partition('#')[0]}# sources on NFS or SMB: rescan instead of using inotify",
        "",
        "# Keys that name a program, an address or a file to append to (to, log ...) are not allowed here: a file",
        "# like this one may arrive with the sources. They belong into ~/.config/mediactl/config.toml.",
        "",
    ]
    return "\n".join(lines)


def _commented(text: str, *, out: bool) -> Iterable[str]:
    return (f"# {line}".rstrip() if out else line for line in text.splitlines())
