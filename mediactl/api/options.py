"""What callers ask for, as settings: the same values, and the same defaults, as the options of ``mediactl process``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import has_login, shown, without_login
from mediactl.core.sandbox.mode import Mode
from mediactl.core.settings import Destination, Settings, cache_folder
from mediactl.core.suggestions import did_you_mean
from mediactl.model.jobs import Priority
from mediactl.model.speed import Speed
from mediactl.model.uploads import IfExists, Location
from mediactl.pool.limits import available_cores, available_memory

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
PriorityName = Literal["urgent", "high", "normal", "low", "backfill"]


class Options(TypedDict, total=False):
    """Options that all calls have; docs/python-api.md describes them."""

    speed: Speed
    jobs: int | None
    """Worker processes; None: the usable cores."""
    memory: int | None
    """Bytes that running jobs take together; None: three quarters of the machine's."""
    attempts: int
    retry_delay: float
    """Seconds."""
    sandbox: Literal["auto", "require", "off"]
    cache: Path | None
    """Directory of digests and probe results; None: the user's, "none": none."""
    endpoint_url: str | None
    region: str | None
    profile: str | None
    if_exists: Literal["verify", "replace", "fail"]
    cache_control: str | None
    tags: Mapping[str, str]


class RunOptions(Options, total=False):
    """Options of calls with a journal, in addition."""

    state: Path | None
    """Directory of the journal; None: ``.mediactl`` in the output directory."""
    grace: float
    """Seconds that running jobs get to finish when the run is stopped."""
    strict: bool
    keep_root: bool
    follow_symlinks: bool
    allow_outside: bool
    include: Iterable[str]
    exclude: Iterable[str]


_KNOWN = RunOptions.__optional_keys__


def settings(
    out: Path | None, recipe: Path, given: RunOptions | Options, *, sources: Iterable[Path] = (), to: str | None = None,
    priority: PriorityName = "normal",
) -> Settings:  # fmt: skip
    """Return the settings of a call. Raises UsageError, and TypeError for an option that there is not."""
    for name in given.keys() - _KNOWN:
        raise TypeError(f"unknown option {name!r}; {did_you_mean(name, _KNOWN, 'known: ' + ', '.join(sorted(_KNOWN)))}")
    options: RunOptions = {**given}
    folder = b"" if out is None else os.path.abspath(os.fsencode(out))
    cache = options.get("cache")
    state = options.get("state")
    return Settings(
        sources=tuple(os.path.abspath(os.fsencode(source)) for source in sources),
        out=folder,
        state=os.path.abspath(os.fsdecode(state)) if state else os.fsdecode(os.path.join(folder, b".mediactl")),
        recipe=recipe_name(recipe),
        speed=options.get("speed", "balanced"),
        priority=priority_of(priority),
        jobs=options.get("jobs") or available_cores(),
        memory=options.get("memory") or available_memory() * 3 // 4,
        attempts=options.get("attempts", 3),
        retry_delay=options.get("retry_delay", 1.0),
        sandbox=Mode(options.get("sandbox", "auto")),
        cache=cache_folder(None if cache is None else os.fsdecode(cache), os.environ),
        grace=options.get("grace", 25.0),
        strict=options.get("strict", False),
        keep_root=options.get("keep_root", False),
        follow_symlinks=options.get("follow_symlinks", False),
        allow_outside=options.get("allow_outside", False),
        include=tuple(map(os.fsencode, options.get("include", ()))),
        exclude=tuple(map(os.fsencode, options.get("exclude", ()))),
        to=None if to is None else destination(to, options),
    )


def destination(url: str, options: Options) -> Destination:
    """Return where and how outputs are uploaded. Raises UsageError."""
    from mediactl.upload import keys

    bucket, prefix = keys.parse(url)
    location = msgspec.structs.replace(access(options), bucket=bucket, prefix=prefix)
    return Destination(
        location=location,
        if_exists=IfExists(options.get("if_exists", "verify")),
        cache_control=options.get("cache_control"),
        tags=options.get("tags", {}),
    )


def access(options: Options) -> Location:
    """Return how buckets are reached. Raises UsageError."""
    endpoint = (
        options.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    )
    if endpoint and has_login(endpoint):
        address = shown(without_login(endpoint))
        raise UsageError(f"endpoint_url {address}: must not hold a login; use profile or AWS_ACCESS_KEY_ID")
    return Location(
        "",
        endpoint_url=endpoint,
        region=options.get("region"),
        profile=options.get("profile"),
    )


def priority_of(name: str) -> Priority:
    """Return a priority by its name. Raises UsageError."""
    names = [each.name.lower() for each in Priority]
    if name not in names:
        raise UsageError(f"unknown priority {name!r}; known: {', '.join(names)}")
    return Priority[name.upper()]


def recipe_name(recipe: Path) -> str:
    """Return a recipe as it is named to a process that may have another current directory."""
    name = os.fsdecode(recipe)
    return os.path.abspath(name) if "/" in name or name.endswith(".toml") else name


def output_name(name: Path) -> bytes:
    """Return the directory of a source's outputs, relative to the output directory. Raises UsageError."""
    from mediactl.sources.manifest import output_path

    return output_path(os.fsencode(name))


def source_of(source: Path, name: Path | None) -> tuple[bytes, bytes | None]:
    """Return the absolute path or s3:// URL of a source, and the directory of its outputs; None: that of its own name.

    Raises UsageError.
    """
    given = None if name is None else output_name(name)
    text = os.fsdecode(source)
    if not text.startswith("s3://"):
        return os.path.abspath(os.fsencode(source)), given
    from mediactl.upload.fetch.by_url import located

    key = located(text, Location(""))[1]
    if given is None:
        try:
            given = output_name(key)
        except UsageError:
            raise UsageError(f"{shown(text)}: its key is not a path for outputs; pass a name") from None
    return os.fsencode(text), given
