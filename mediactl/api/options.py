"""What callers ask for, as settings: the same values, and the same defaults, as the options of ``mediactl process``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypedDict

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import has_login, shown, without_login
from mediactl.core.sandbox.mode import Mode
from mediactl.core.settings import Destination, Settings, cache_folder
from mediactl.core.suggestions import did_you_mean
from mediactl.model.fetches import Fetching
from mediactl.model.jobs import Priority
from mediactl.model.media import REMOTE
from mediactl.model.speed import SPEEDS, Speed
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
_Count = Annotated[int, msgspec.Meta(ge=1)]
_TYPES: dict[str, Any] = {
    "speed": Speed,
    "jobs": _Count | None,
    "memory": _Count | None,
    "attempts": _Count,
    "retry_delay": Annotated[float, msgspec.Meta(ge=0, le=3600)],
    "sandbox": Mode,
    "endpoint_url": str | None,
    "region": str | None,
    "profile": str | None,
    "if_exists": IfExists,
    "cache_control": str | None,
    "tags": dict[str, str],
    "grace": Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)],
    "strict": bool,
    "keep_root": bool,
    "follow_symlinks": bool,
    "allow_outside": bool,
}
"""What values may be; the bounds are those of the command line. All other options are paths."""
_CHOICES: dict[str, Iterable[str]] = {"speed": SPEEDS, "sandbox": list(Mode), "if_exists": list(IfExists)}


def settings(
    out: Path | None, recipe: Path, given: RunOptions | Options, *, sources: Iterable[Path] = (), to: str | None = None,
    priority: PriorityName = "normal",
) -> Settings:  # fmt: skip
    """Return the settings of a call. Raises UsageError, and TypeError for an option that there is not, or a path that
    is none."""
    for name in given.keys() - _KNOWN:
        raise TypeError(f"unknown option {name!r}; {did_you_mean(name, _KNOWN, 'known: ' + ', '.join(sorted(_KNOWN)))}")
    options: RunOptions = {**given}
    _check(options)
    folder = b"" if out is None else os.path.abspath(os.fsencode(out))
    cache = options.get("cache")
    state = options.get("state")
    return Settings(
        sources=tuple(map(source_path, sources)),
        fetching=Fetching(access(options)),
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
        include=_patterns("include", options.get("include", ())),
        exclude=_patterns("exclude", options.get("exclude", ())),
        to=None if to is None else destination(to, options),
    )


def _check(given: RunOptions) -> None:
    """Raise UsageError for a value that its option cannot have."""
    for name, value in given.items():
        if name in _TYPES:
            _check_one(name, dict(value) if isinstance(value, Mapping) else value)


def _check_one(name: str, value: object) -> None:
    try:
        msgspec.convert(value, _TYPES[name])
        msgspec.json.encode(value)  # fails for text that is no UTF-8, which no host can be handed
    except msgspec.ValidationError as error:
        why = str(error)[0].lower() + str(error)[1:]
        known = f"; known: {', '.join(_CHOICES[name])}" if name in _CHOICES else ""
        raise UsageError(f"{name}: {why}{known}") from None
    except UnicodeEncodeError:
        raise UsageError(f"{name}: not valid UTF-8") from None


def _patterns(name: str, given: Iterable[str]) -> tuple[bytes, ...]:
    if isinstance(given, str | bytes):
        raise UsageError(f"{name}: expected several patterns; put one in a list")
    return tuple(map(os.fsencode, given))


def with_journal(found: Settings) -> Settings:
    """Return settings of a call with a journal. Raises UsageError where SQLite cannot open one at its path."""
    if not _is_text(found.state):
        raise UsageError(
            f"state {shown(found.state)}: not valid UTF-8, as the journal requires; name another directory"
        )
    return found


def source_path(source: Path) -> bytes:
    """Return the absolute path of a source; the s3:// URL of objects as it is."""
    named = os.fsencode(source)
    return named if named.startswith(REMOTE) else os.path.abspath(named)


def destination(url: str, options: Options) -> Destination:
    """Return where and how outputs are uploaded. Raises UsageError."""
    from mediactl.upload import keys

    if not _is_text(url):
        raise UsageError(f"{shown(url)}: not valid UTF-8")
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
    """Return a recipe as it is named to a process that may have another current directory. Raises UsageError."""
    name = os.fsdecode(recipe)
    if not _is_text(name):
        raise UsageError(f"recipe {shown(name)}: not valid UTF-8; rename it")
    return os.path.abspath(name) if "/" in name or name.endswith(".toml") else name


def _is_text(name: str) -> bool:
    """Return whether a name is valid UTF-8."""
    return not any("\ud800" <= each <= "\udfff" for each in name)


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
    if not source_path(source).startswith(REMOTE):
        return source_path(source), given
    from mediactl.upload.fetch.by_url import located

    key = located(text, Location(""))[1]
    if given is None:
        try:
            given = output_name(key)
        except UsageError:
            raise UsageError(f"{shown(text)}: its key is not a path for outputs; pass a name") from None
    return os.fsencode(text), given
