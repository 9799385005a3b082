"""Options of the commands that run jobs (process, watch, upload), and the Settings made from them. Imports are lazy."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from mediactl.commands.shared.sections import OUTPUT, SCHEDULING, SOURCES, UPLOADS, Option
from mediactl.commands.shared.types import Bounded, BucketUrl, Duration, HoursOfDay, Name, Path, Recipe, Size, Tag
from mediactl.model.speed import BALANCED, SPEEDS

if TYPE_CHECKING:
    from mediactl.core.settings import Destination, Settings, Watching
    from mediactl.model.shard import Shard, ShardBy
    from mediactl.model.uploads import Location

PRIORITIES = ("urgent", "high", "normal", "low", "backfill")
LIMITED = ("quick", "heavy", "probe", "image", "video", "audio")


def option(section: str, *names: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that adds an option to a section of the help."""
    return click.option(*names, cls=Option, section=section, **attributes)


def journal_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that locate outputs and journal."""
    out = option(SOURCES, "-o", "--out", type=Path(directory=True), default="derived", show_default=True, metavar="DIR",
                 help="Output directory.")  # fmt: skip
    state = option(SOURCES, "--state", type=Name(directory=True), default=None, metavar="DIR",
                   help="Directory of the journal.  [default: OUT/.mediactl]")  # fmt: skip
    return out(state(function))


def json_option(help: str = "Print one JSON object.") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that adds --json to a command that reads."""
    return option(OUTPUT, "--json", "as_json", is_flag=True, setting=False, help=help)


def state_folder(out: bytes, state: str | None) -> str:
    """Return the absolute path of the journal's directory."""
    return os.path.abspath(state) if state else os.fsdecode(os.path.join(os.path.abspath(out), b".mediactl"))


WALK_OPTIONS = [
    option(SOURCES, "--follow-symlinks", is_flag=True, help="Follow symbolic links inside directories."),
    option(SOURCES, "--exclude", multiple=True, type=Path(), metavar="GLOB",
           help="Exclude files and directories that match, as in .gitignore; can be given more than once."),
    option(SOURCES, "--include", multiple=True, type=Path(), metavar="GLOB",
           help="Include only files that match; can be given more than once."),
    option(SOURCES, "--no-default-excludes", is_flag=True,
           help="Include unfinished downloads, backups, NAS thumbnails, recycle bins and snapshots."),
]  # fmt: skip
"""Options that say what of a directory is taken."""


def walk_settings(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of Settings that WALK_OPTIONS ask for."""
    return {
        "follow_symlinks": flags["follow_symlinks"],
        "include": flags["include"],
        "exclude": flags["exclude"],
        "default_excludes": not flags["no_default_excludes"],
    }


RUN_OPTIONS = [
    option(SCHEDULING, "--grace", type=Duration(), default="25s", show_default=True, metavar="TIME",
           help="Time that running jobs get to finish after Ctrl-C or SIGTERM."),
    option(SCHEDULING, "--max-duration", type=Duration(), default=None, metavar="TIME",
           help="Drain after this time, e.g. 6h; run again to resume."),
    option(SCHEDULING, "--drain-file", type=Name(), default=None, metavar="PATH", help="Drain when this file appears."),
    option(SCHEDULING, "--drain-url", default=None, trusted=True, metavar="URL",
           help="Drain when this URL answers 200."),
    option(SCHEDULING, "--history", type=Duration(minimum=3600, unit_required=True), default="90d", show_default=True,
           metavar="TIME", help="Keep attempts and runs in the journal for this long."),
    option(OUTPUT, "--json", "as_json", is_flag=True, setting=False, help="Print NDJSON events on standard output."),
    option(OUTPUT, "-q", "--quiet", is_flag=True, help="Print only problems."),
    option(OUTPUT, "-v", "--verbose", is_flag=True, help="Print every file, skipped ones with the reason."),
    option(OUTPUT, "--log", type=Name(), default=None, trusted=True, metavar="FILE",
           help="Append NDJSON events to a file, in addition to what is printed."),
    option(OUTPUT, "--log-format", type=click.Choice(["auto", "plain", "time"]), default="auto", show_default=True,
           help="Begin printed lines with the time; auto: unless a terminal or journald shows it."),
    option(OUTPUT, "--junit", type=Name(), default=None, trusted=True, metavar="FILE",
           help="Write a test case for each source to a JUnit XML file."),
    option(OUTPUT, "--github", is_flag=True,
           help="Print annotations of GitHub Actions, and add to the summary of the step."),
]  # fmt: skip
"""Options of every command that runs jobs: when it stops and what it prints."""


BUCKET_OPTIONS = [
    option(UPLOADS, "--endpoint-url", default=None, trusted=True, metavar="URL",
           help="Endpoint of an S3-compatible store."),
    option(UPLOADS, "--region", default=None, metavar="NAME", help="Region of the bucket."),
    option(UPLOADS, "--profile", default=None, trusted=True, metavar="NAME", help="Profile in the AWS configuration."),
    option(UPLOADS, "--path-style/--virtual-style", default=None,
           help="Put the bucket in the path or in the host name.  [default: path with --endpoint-url]"),
    option(UPLOADS, "--ca-bundle", type=Name(), default=None, trusted=True, metavar="FILE",
           help="CA certificates to trust."),
]  # fmt: skip
"""Options that say how to reach a bucket."""


TUNING_OPTIONS = [
    option(UPLOADS, "--upload-concurrency", type=click.IntRange(min=1), default=16, show_default=True, metavar="N",
           help="Maximum number of concurrent requests."),
    option(UPLOADS, "--upload-memory", type=Size(), default="64M", show_default=True, metavar="SIZE",
           help="Maximum number of bytes in flight."),
    option(UPLOADS, "--bandwidth", type=Size(), default=None, metavar="SIZE",
           help="Maximum bytes per second, e.g. 20M."),
]  # fmt: skip
"""Options that bound requests, memory and bandwidth of uploads."""


UPLOAD_OPTIONS = [
    option(UPLOADS, "--to", type=BucketUrl(), default=None, trusted=True, metavar="URL", help="Upload to s3://BUCKET/PREFIX."),
    option(UPLOADS, "--include-originals", is_flag=True, help="Upload the sources as well."),
    option(UPLOADS, "--if-exists", type=click.Choice(["verify", "replace", "fail"]), default="verify",
           show_default=True, help="Existing objects to overwrite: only our own (verify), any (replace), none (fail)."),
    *BUCKET_OPTIONS,
    option(UPLOADS, "--storage-class", default=None, metavar="CLASS", help="Storage class, e.g. STANDARD_IA."),
    option(UPLOADS, "--sse", default=None, metavar="KIND",
           help="Server-side encryption: AES256, aws:kms or aws:kms:KEY."),
    option(UPLOADS, "--acl", default=None, metavar="ACL", help="Canned ACL, e.g. public-read."),
    option(UPLOADS, "--cache-control", default=None, metavar="VALUE",
           help="Cache-Control of every object.  [default: one year; asset.json: one minute]"),
    option(UPLOADS, "--tag", multiple=True, type=Tag(), metavar="NAME=VALUE",
           help="Tag of every object; can be given more than once."),
    option(UPLOADS, "--s3-checksum", type=click.Choice(["auto", "required", "none"]), default="auto",
           show_default=True, help="Send a CRC32 for the store to verify and keep."),
    *TUNING_OPTIONS,
]  # fmt: skip
"""Options that say where and how to upload."""


def destination(flags: dict[str, Any]) -> Destination | None:
    """Return where and how these flags ask to upload; None: nowhere. Raises UsageError."""
    if flags["to"] is None:
        for name in ("include_originals", "no_local"):
            if flags.get(name):
                raise click.UsageError(f"--{name.replace('_', '-')}: no destination; add --to s3://BUCKET/PREFIX")
        return None
    import msgspec

    from mediactl.core.settings import Destination
    from mediactl.model.uploads import IfExists

    return Destination(
        location=msgspec.structs.replace(
            bucket_location(flags["to"], flags), checksum=flags["s3_checksum"], storage_class=flags["storage_class"],
            sse=flags["sse"], acl=flags["acl"],
        ),
        if_exists=IfExists(flags["if_exists"]),
        include_originals=flags["include_originals"],
        cache_control=flags["cache_control"],
        tags=dict(flags["tag"]),
        **tuning(flags),
    )  # fmt: skip


def bucket_location(url: str, flags: dict[str, Any]) -> Location:
    """Return bucket, prefix and endpoint of an s3://BUCKET/PREFIX, as BUCKET_OPTIONS say. Raises UsageError."""
    import msgspec

    from mediactl.upload import keys

    bucket, prefix = keys.parse(url)
    return msgspec.structs.replace(access(flags), bucket=bucket, prefix=prefix)


def access(flags: dict[str, Any]) -> Location:
    """Return how to reach any bucket, as BUCKET_OPTIONS say; its name is empty. Raises UsageError."""
    from mediactl.core.errors import UsageError
    from mediactl.core.files import has_login, shown, without_login
    from mediactl.model.uploads import Location

    bundle = flags["ca_bundle"] and os.path.abspath(flags["ca_bundle"])
    endpoint = flags["endpoint_url"] or _endpoint()
    if endpoint and has_login(endpoint):
        address = shown(without_login(endpoint))
        raise UsageError(f"--endpoint-url {address}: must not hold a login; use AWS_ACCESS_KEY_ID or --profile")
    return Location("", "", endpoint, flags["region"], flags["profile"], flags["path_style"], ca_bundle=bundle)


def tuning(flags: dict[str, Any]) -> dict[str, Any]:
    """Return what TUNING_OPTIONS say: concurrency, memory (bytes), bandwidth (bytes a second)."""
    return {
        "concurrency": flags["upload_concurrency"],
        "memory": flags["upload_memory"],
        "bandwidth": None if flags["bandwidth"] is None else float(flags["bandwidth"]),
    }


def _endpoint() -> str | None:
    """Return the endpoint that the AWS variables name: resolved here, because it is part of an object's identity."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def work_options(priority: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator with all options of process and watch; ``priority`` is the default of --priority."""
    options: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
        click.argument("sources", nargs=-1, required=True, type=Path(), metavar="SOURCE..."),
        journal_options,
        option(SOURCES, "--recipe", type=Recipe(), default="web", show_default=True, metavar="RECIPE",
               help="Bundled recipe, or a .toml file."),
        option(SOURCES, "--speed", type=click.Choice(SPEEDS), default=BALANCED, show_default=True,
               help="Encode fast, or small files, where the recipe sets neither preset nor effort."),
        option(SOURCES, "--keep-root", is_flag=True,
               help="Prefix outputs with the name of their SOURCE directory."),
        *WALK_OPTIONS,
        option(SOURCES, "--scratch", type=Size(), default="20G", show_default=True, metavar="SIZE",
               help="Maximum number of bytes of objects of s3:// sources that are on disk at once."),
        option(SOURCES, "--request-payer", is_flag=True,
               help="Pay for the requests to s3:// sources in buckets of others."),
        option(SOURCES, "--ffmpeg", type=Name(), default=None, trusted=True, metavar="FILE",
               help="ffmpeg to run.  [default: the bundled one]"),
        option(SOURCES, "--cache", type=Name(directory=True), default=None, metavar="DIR",
               help="Directory of the cache of file digests, or none.  [default: ~/.cache/mediactl]"),
        option(SOURCES, "--sandbox", type=click.Choice(["auto", "require", "off"]), default="auto", show_default=True,
               trusted=True, help="Decode sources in a sandbox: with what this machine has of it, only with all of it,"
               " or not."),
        option(SCHEDULING, "--priority", type=click.Choice(PRIORITIES), default=priority, show_default=True,
               help="Priority of these sources."),
        option(SCHEDULING, "--hours", type=HoursOfDay(), default=None, metavar="FROM-TO",
               help="Start jobs only in these hours of local time, e.g. 22:00-06:00; outside of them, process ends with"
               " 75 once running jobs have finished, and watch waits."),
        option(SCHEDULING, "-j", "--jobs", type=click.IntRange(min=1), default=None, metavar="N",
               help="Number of worker processes.  [default: usable cores]"),
        option(SCHEDULING, "--lane", multiple=True, type=Bounded(LIMITED), metavar="NAME=N",
               help="Run at most N jobs at once of a lane (quick, heavy) or kind (probe, image, video, audio);"
               " can be given more than once."),
        option(SCHEDULING, "--memory", type=Size(), default=None, metavar="SIZE",
               help="Memory budget of all running jobs, e.g. 6G.  [default: 3/4 of the machine's]"),
        option(SCHEDULING, "--attempts", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
               help="Quarantine a job after N failed attempts."),
        option(SCHEDULING, "--retry-delay", type=Duration(maximum=3600), default="1s", show_default=True,
               metavar="TIME", help="Maximum delay before the first retry; quadruples with each retry."),
        *RUN_OPTIONS,
        *UPLOAD_OPTIONS,
        option(UPLOADS, "--no-local", is_flag=True, help="Remove outputs from OUT once they are uploaded."),
    ]  # fmt: skip

    return apply_options(options)


def apply_options(
    options: Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds these options, in their order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def settings_of(flags: dict[str, Any], watching: Watching | None = None) -> Settings:
    """Return the Settings that these flags ask for, with defaults for flags that a command lacks. Raises UsageError."""
    from mediactl.core.sandbox.mode import Mode
    from mediactl.core.settings import Settings, cache_folder
    from mediactl.model.fetches import Fetching
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
        speed=flags["speed"],
        priority=Priority[flags["priority"].upper()],
        jobs=flags["jobs"] or available_cores(),
        strict=flags.get("strict", False),
        list_ignored=flags["verbose"] or flags["as_json"] or flags["log"] is not None,
        keep_root=flags["keep_root"],
        **walk_settings(flags),
        shard=_shard(flags.get("shard"), flags.get("shard_by", "path")),
        allow_outside=flags.get("allow_outside", False),
        fetching=Fetching(access(flags), flags["request_payer"], flags["scratch"], **tuning(flags)),
        grace=flags["grace"],
        max_duration=flags["max_duration"],
        limits=dict(flags["lane"]),
        memory=flags["memory"] or available_memory() * 3 // 4,
        attempts=flags["attempts"],
        retry_delay=flags["retry_delay"],
        drain_file=flags["drain_file"],
        drain_url=flags["drain_url"],
        history=flags["history"],
        to=destination(flags),
        no_local=flags["no_local"],
        watching=watching,
        **monitoring_settings(flags),
        hours=flags["hours"],
        cache=cache_folder(flags["cache"], os.environ),
        sandbox=Mode(flags["sandbox"]),
        environment=environment,
    )


def monitoring_settings(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of Settings that say what is reported for monitors."""
    from mediactl.monitor import tracing

    traceparent = tracing.traceparent(os.environ)
    return {
        "attempt_events": flags.get("statsd") is not None or traceparent is not None,
        "traceparent": traceparent,
    }


def _shard(text: str | None, by: ShardBy) -> Shard | None:
    if text is None:
        return None
    from mediactl.sources import shards

    return shards.parse(text, os.environ, by)
