"""The options of commands that do the work (process, watch), and the Settings that they make. Imports are lazy."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.jobs import PRIORITIES, Path, places, state_folder

if TYPE_CHECKING:
    from mediactl.core.settings import Destination, Settings, Watching
    from mediactl.model.uploads import Place

LIMITED = ("quick", "heavy", "probe", "image", "video", "audio")


RUN_OPTIONS = [
    click.option("--json", "as_json", is_flag=True, help="NDJSON events on standard output."),
    click.option("-q", "--quiet", is_flag=True, help="Print only what went wrong."),
    click.option("-v", "--verbose", is_flag=True, help="Print each file, also what is ignored and why."),
    click.option("--grace", type=click.FloatRange(min=0), default=25.0, show_default=True, metavar="S",
                 help="Seconds that running jobs get after Ctrl-C or SIGTERM."),
    click.option("--max-duration", type=click.FloatRange(min=0), default=None, metavar="S",
                 help="Stop cleanly after so many seconds; run again to go on."),
    click.option("--drain-file", default=None, metavar="PATH",
                 help="Leave, as on SIGTERM, when this file appears."),
    click.option("--drain-url", default=None, metavar="URL", help="Leave when this address answers 200."),
]  # fmt: skip
"""Options of every command that runs jobs: what is printed, and when it ends."""


PLACE_OPTIONS = [
    click.option("--endpoint-url", default=None, metavar="URL", help="Address of a store that is not AWS."),
    click.option("--region", default=None, help="Region of the bucket."),
    click.option("--profile", default=None, help="Profile in the AWS configuration."),
    click.option("--path-style/--virtual-style", default=None,
                 help="Bucket in the path, or in the host name.  [default: path with --endpoint-url]"),
    click.option("--ca-bundle", default=None, metavar="FILE", help="Certificates to trust."),
]  # fmt: skip
"""Options that say how a bucket is reached."""


TUNING_OPTIONS = [
    click.option("--upload-concurrency", type=click.IntRange(min=1), default=16, show_default=True, metavar="N",
                 help="Requests at once, at most."),
    click.option("--upload-memory", default="256M", show_default=True, metavar="SIZE",
                 help="Bytes on their way at once."),
    click.option("--bandwidth", default=None, metavar="SIZE", help="Bytes a second at most, as 20M."),
]  # fmt: skip
"""Options that say how hard to send."""


UPLOAD_OPTIONS = [
    click.option("--to", default=None, metavar="URL", help="Upload what is made to s3://BUCKET/PREFIX."),
    click.option("--include-originals", is_flag=True, help="Upload the sources, too."),
    click.option("--if-exists", type=click.Choice(["verify", "replace", "fail"]), default="verify", show_default=True,
                 help="For objects that are there: leave what is ours, overwrite anything, or neither."),
    *PLACE_OPTIONS,
    click.option("--storage-class", default=None, help="As STANDARD_IA."),
    click.option("--sse", default=None, metavar="KIND", help="AES256, aws:kms or aws:kms:KEY."),
    click.option("--acl", default=None, help="As public-read."),
    click.option("--cache-control", default=None, help="Of all objects.  [default: long; of asset.json: a minute]"),
    click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Tag of every object."),
    click.option("--s3-checksum", type=click.Choice(["auto", "required", "none"]), default="auto", show_default=True,
                 help="CRC32 that the store keeps."),
    *TUNING_OPTIONS,
]  # fmt: skip
"""Options that say where and how to upload."""


def destination(flags: dict[str, Any]) -> Destination | None:
    """Where these flags ask to upload to. Raises UsageError."""
    if flags["to"] is None:
        if flags["include_originals"]:
            raise click.UsageError("--include-originals: name the place with --to s3://BUCKET/PREFIX")
        return None
    import msgspec

    from mediactl.core.settings import Destination
    from mediactl.model.uploads import IfExists

    tags = dict(tag.partition("=")[::2] for tag in flags["tags"])
    if "" in tags:
        raise click.UsageError("--tag: must be NAME=VALUE")
    return Destination(
        place=msgspec.structs.replace(
            place(flags["to"], flags), checksum=flags["s3_checksum"], storage_class=flags["storage_class"],
            sse=flags["sse"], acl=flags["acl"],
        ),
        if_exists=IfExists(flags["if_exists"]),
        include_originals=flags["include_originals"],
        cache_control=flags["cache_control"],
        tags=tags,
        **tuning(flags),
    )  # fmt: skip


def place(url: str, flags: dict[str, Any]) -> Place:
    """The place that s3://BUCKET/PREFIX is, with PLACE_OPTIONS. Raises UsageError."""
    from mediactl.model.uploads import Place
    from mediactl.upload import keys

    bucket, prefix = keys.parse(url)
    bundle = flags["ca_bundle"] and os.path.abspath(flags["ca_bundle"])
    endpoint = flags["endpoint_url"] or _endpoint()
    return Place(bucket, prefix, endpoint, flags["region"], flags["profile"], flags["path_style"], ca_bundle=bundle)


def tuning(flags: dict[str, Any]) -> dict[str, Any]:
    """What TUNING_OPTIONS say: concurrency, memory, bandwidth."""
    return {
        "concurrency": flags["upload_concurrency"],
        "memory": _size(flags["upload_memory"]),
        "bandwidth": None if flags["bandwidth"] is None else float(_size(flags["bandwidth"])),
    }


def _endpoint() -> str | None:
    """The address that the AWS variables name; here, because it is part of what an object is known by."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def work_options(priority: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What every command takes that runs jobs; ``priority`` is the default of the sources that it finds."""
    options: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.argument("sources", nargs=-1, required=True, type=Path(), metavar="SOURCE..."),
        places,
        click.option("--recipe", default="web", show_default=True, help="Built-in recipe, or a .toml file."),
        click.option("--priority", type=click.Choice(PRIORITIES), default=priority, show_default=True,
                     help="How urgent these sources are."),
        click.option("-j", "--jobs", type=click.IntRange(min=1), default=None,
                     help="Worker processes.  [default: usable cores]"),
        click.option("--keep-root", is_flag=True, help="Put each SOURCE folder's own name in front of its outputs."),
        click.option("--follow-symlinks", is_flag=True, help="Follow symbolic links inside folders."),
        click.option("--lane", "lanes", multiple=True, metavar="NAME=N",
                     help="At most N jobs at once of a lane (quick, heavy) or kind (probe, image, video, audio)."),
        click.option("--memory", default=None, metavar="SIZE",
                     help="Start no job beyond this memory, as 6G.  [default: 3/4 of the machine's]"),
        click.option("--attempts", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
                     help="Failed attempts after which a job is given up."),
        click.option("--retry-delay", type=click.FloatRange(min=0, max=3600), default=1.0, show_default=True,
                     metavar="S", help="The first retry waits up to S seconds, each next one up to 4 times as long."),
        *RUN_OPTIONS,
        *UPLOAD_OPTIONS,
        click.option("--ffmpeg", default=None, metavar="FILE",
                     help="ffmpeg to use.  [default: the one that came along]"),
    ]  # fmt: skip

    return apply_options(options)


def apply_options(
    options: Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that adds these options, in their order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def settings_of(flags: dict[str, Any], watching: Watching | None = None) -> Settings:
    """What these flags ask for; those that a command does not have are as ``Settings`` says. Raises UsageError."""
    from mediactl.core.settings import Settings, cache_folder
    from mediactl.model.jobs import Priority
    from mediactl.pool.limits import available_cores, available_memory

    ffmpeg = flags["ffmpeg"]
    environment = dict(os.environ)
    if ffmpeg:
        environment["MEDIACTL_FFMPEG"] = os.path.abspath(ffmpeg) if "/" in ffmpeg else ffmpeg
    return Settings(
        sources=flags["sources"],
        out=os.path.abspath(flags["out"]),
        state=state_folder(flags["out"], flags["state"]),
        recipe=flags["recipe"],
        priority=Priority[flags["priority"].upper()],
        jobs=flags["jobs"] or available_cores(),
        strict=flags.get("strict", False),
        keep_root=flags["keep_root"],
        follow_symlinks=flags["follow_symlinks"],
        allow_outside=flags.get("allow_outside", False),
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        limits=_limits(flags["lanes"]),
        memory=_size(flags["memory"]) if flags["memory"] is not None else available_memory() * 3 // 4,
        attempts=flags["attempts"],
        retry_delay=flags["retry_delay"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        to=destination(flags),
        watching=watching,
        cache=cache_folder(os.environ),
        environment=environment,
    )


def _limits(texts: tuple[str, ...]) -> dict[str, int]:
    limits: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in LIMITED or not number.isdecimal() or int(number) < 1:
            raise click.UsageError(f"--lane {text}: must be NAME=N, NAME one of {', '.join(LIMITED)}, N at least 1")
        limits[name] = int(number)
    return limits


def _size(text: str) -> int:
    number, unit = text[:-1], text[-1:].upper()
    if unit.isdigit():
        number, unit = text, ""
    factor = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(unit)
    if factor is None or not number.isdecimal() or not int(number):
        raise click.UsageError(f"{text}: must be a number of bytes, or one with K, M, G or T behind it, as 6G")
    return int(number) * factor
