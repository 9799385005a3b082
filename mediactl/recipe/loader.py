"""Recipes: what to derive from each kind of source. TOML in, validated frozen values out."""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeVar, cast

import msgspec

from mediactl.core.errors import UsageError
from mediactl.core.files import shown
from mediactl.core.filesystem.trust import written_by_others
from mediactl.core.suggestions import did_you_mean
from mediactl.model.media import Kind, Limits
from mediactl.model.speed import Speed
from mediactl.outputs import registry
from mediactl.outputs.base import Name, Output
from mediactl.outputs.cutting import Cutting
from mediactl.recipe import budgets, collisions, conditions, inheritance, messages
from mediactl.recipe.budgets import Budget
from mediactl.recipe.inheritance import Draft

Tag = Literal[
    "camera", "lens", "taken", "exposure", "aperture", "iso", "focal_length", "artist", "copyright", "title",
    "description", "software", "album", "album_artist", "composer", "genre", "track", "date", "make", "model", "place",
]  # fmt: skip
DEFAULT_METADATA: tuple[Tag, ...] = (
    "camera", "lens", "taken", "exposure", "aperture", "iso", "focal_length", "artist", "copyright", "title",
    "description", "software", "album", "album_artist", "composer", "genre", "track", "date", "make", "model",
)  # fmt: skip
"""Tags that asset.json has unless the recipe lists others: all but the GPS position."""


OutputT = TypeVar("OutputT", bound=Output)


class RunLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one job of this recipe, instead of those learned from history. Not part of an artefact's key: changing
    them rebuilds nothing."""

    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Wall time of a job, in seconds."""
    stall_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time without progress after which a video job is stopped, in seconds."""
    memory_mib: Annotated[int, msgspec.Meta(ge=64)] | None = None
    """Memory of a worker and its child processes, in MiB."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    """Name of the recipe, as in asset.json."""
    description: str = ""
    """What the recipe is for."""
    placeholder: Literal["thumbhash", "none"] = "thumbhash"
    """What a page can show until an image has loaded: a thumbhash in asset.json, or none."""
    metadata: tuple[Tag, ...] = DEFAULT_METADATA
    """Tags to write to asset.json. "place", the GPS position, is written only if it is listed."""


class Recipe(_Head, frozen=True, kw_only=True):
    """What to derive. A kind without outputs is left alone (its sources count as ignored).

    Recipes are values of a subclass that has a field for each table of outputs (``with_tables``), a tuple of them.
    """

    cutting: Cutting = Cutting()
    """How long videos are split."""
    limits: Limits = Limits()
    """Upper bounds for sources."""
    run: RunLimits = RunLimits()
    """Limits of one job."""
    budget: tuple[Budget, ...] | msgspec.UnsetType = msgspec.UNSET
    """Budgets of outputs. A recipe without any has the digest that it had before there were budgets."""

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets of its outputs."""
        return () if self.budget is msgspec.UNSET else self.budget

    def table(self, output: type[OutputT]) -> tuple[OutputT, ...]:
        """Return the outputs of one table."""
        found: tuple[OutputT, ...] | msgspec.UnsetType = getattr(self, output.table)
        return () if found is msgspec.UNSET else found

    def by_table(self) -> dict[str, tuple[Output, ...]]:
        """Return all outputs by table."""
        return {name: self.table(kind) for name, kind in registry.tables().items()}

    def outputs(self, kind: Kind) -> tuple[Output, ...]:
        """Return the outputs that a source of this kind gets, in the order of asset.json."""
        return tuple(output for table in registry.made_of(kind) for output in self.table(table))

    def at_speed(self, speed: Speed) -> Self:
        """Return the recipe with the encoder settings of a speed, where it does not set them."""
        changed = {
            name: tuple(each.at_speed(speed) for each in found) for name, found in self.by_table().items() if found
        }
        return msgspec.structs.replace(self, **changed)

    def digest(self) -> str:
        """Return a short digest of everything that the recipe says: equal digests, equal work."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


class RecipeFile(Recipe, frozen=True, kw_only=True):
    """A recipe as it is written: on its own, or laid over another one."""

    extends: str = ""
    """Bundled recipe, or a file relative to this one's directory, that this recipe is merged over."""
    without: tuple[str, ...] = ()
    """What to remove from it: "hls" (a whole table), "video.v720" (an output), "audio.audio.opus" (one format)."""


R = TypeVar("R", bound=Recipe)


def with_tables(base: type[R]) -> type[R]:
    """Return a subclass with a field for each table of outputs.

    Tables that installed packages add are left out of what is encoded where a recipe has none of them: so its digest is
    the same with and without the package.
    """
    return cast(type[R], _with_tables(base))


@cache
def _with_tables(base: type[Recipe]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = [
        (table, tuple[output, ...] | msgspec.UnsetType, msgspec.UNSET)  # type: ignore[valid-type]
        if table in registry.added()
        else (table, tuple[output, ...], ())  # type: ignore[valid-type]
        for table, output in registry.tables().items()
    ]
    if taken := {table for table, *_ in fields} & set(RecipeFile.__struct_fields__):
        raise UsageError(f"output [[{min(taken)}]]: recipes have a key of this name already; uninstall its package")
    return msgspec.defstruct(base.__name__, fields, bases=(base,), module=__name__, frozen=True)


def recipe(name: str, **keys: Any) -> Recipe:
    """Return the recipe of a name and of outputs by table, unchecked."""
    return with_tables(Recipe)(name, **keys)


def decode(content: str) -> Recipe:
    """Return a recipe as the journal has it. Raises UsageError for outputs that are not installed any more."""
    try:
        return msgspec.json.decode(content, type=with_tables(Recipe))
    except msgspec.ValidationError as error:
        raise UsageError(
            f"a recipe in the journal: {error}; install the package that provides this output, or retry with the"
            " version of mediactl that wrote it"
        ) from None


_BUNDLED = os.path.join(os.path.dirname(__file__), "bundled")


def structs() -> dict[str, type[msgspec.Struct]]:
    """Return what each table of a recipe holds one of, or several."""
    return {**registry.tables(), "cutting": Cutting, "limits": Limits, "run": RunLimits, "budget": Budget}


def builtin_names() -> list[str]:
    """Names of the recipes that come with mediactl."""
    return sorted(name.removesuffix(".toml") for name in os.listdir(_BUNDLED) if name.endswith(".toml"))


def text_of(name_or_file: str) -> tuple[str, str]:
    """The TOML of a built-in recipe or a file, and where it is from. Raises UsageError."""
    if name_or_file in builtin_names():
        with open(os.path.join(_BUNDLED, name_or_file + ".toml"), encoding="utf-8") as file:
            return file.read(), name_or_file
    looks_like_file = "/" in name_or_file or name_or_file.endswith(".toml")
    try:
        with open(name_or_file, encoding="utf-8-sig") as file:  # Windows' editors put a byte order mark first
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and (why := written_by_others(status)):
                raise UsageError(f"recipe {shown(name_or_file)}: {why}; review it, then change its owner or mode")
            return file.read(), name_or_file
    except FileNotFoundError:
        if looks_like_file:
            raise UsageError(f"recipe {shown(name_or_file)}: no such file") from None
        raise UsageError(f"recipe {_no_such(name_or_file)}") from None
    except (OSError, ValueError) as error:
        text = isinstance(error, UnicodeDecodeError)
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text" if text else "no possible file name"
        raise UsageError(f"recipe {shown(name_or_file)}: cannot be read: {reason}") from None


def _no_such(name: str) -> str:
    names = builtin_names()
    hint = did_you_mean(name, names, f"there are: {', '.join(names)}; or name a .toml file")
    return f"{shown(name)!r}: no such recipe; {hint}"


def load(name_or_file: str) -> Recipe:
    """A recipe by built-in name or file name. Raises UsageError, naming the key and what would be valid."""
    text, origin = text_of(name_or_file)
    return parse(text, origin)


def parse(text: str, origin: str) -> Recipe:
    """A recipe from TOML text. Raises UsageError, naming ``origin``, the key, and what would be valid."""
    return checked(draft(text, origin))


def draft(text: str, origin: str, chain: tuple[str, ...] = ()) -> Draft:
    """A recipe as its files have it, what it extends included; each file is valid by itself. Raises UsageError.

    ``chain`` are the files that have led here, the first one first.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{shown(origin)}: not valid TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{shown(origin)}: not valid TOML: nested too deeply") from None
    try:
        file = msgspec.convert(tree, with_tables(RecipeFile))
    except msgspec.ValidationError as error:
        message = messages.explain(error, tree, with_tables(RecipeFile), structs())
        raise UsageError(f"{shown(origin)}: {message}") from None
    own = inheritance.draft(
        {key: value for key, value in tree.items() if key not in ("extends", "without")}, origin, registry.tables()
    )
    if not file.extends:
        if file.without:
            raise UsageError(
                f'{shown(origin)}: without: takes nothing away, for extends is missing, as extends = "web"'
            )
        return own
    base = file.extends
    if "/" in base or base.endswith(".toml"):
        base = os.path.join(os.path.dirname(origin), base)
    elif base not in builtin_names():
        raise UsageError(f"{shown(origin)}: extends: {_no_such(base)}")
    chain = (*chain, origin)
    marks = [each if each in builtin_names() else os.path.realpath(each) for each in (*chain, base)]
    if marks[-1] in marks[:-1]:
        circle = " -> ".join(map(shown, (*chain[marks.index(marks[-1]) :], base)))
        raise UsageError(f"{shown(origin)}: extends: goes round in a circle: {circle}")
    try:
        found = text_of(base)
    except UsageError as error:
        raise UsageError(f"{shown(origin)}: extends: {error}") from None
    below = draft(*found, chain)
    try:
        return inheritance.extend(inheritance.leave_out(below, file.without), own, _default_formats())
    except inheritance.Wrong as error:
        raise UsageError(f"{shown(origin)}: {shown(str(error))}") from None


def checked(found: Draft) -> Recipe:
    """The recipe that a draft comes to. Raises UsageError."""
    recipe = msgspec.convert(found.tree(), with_tables(Recipe))
    for table, kind_of_output in registry.tables().items():
        for entry, output in zip(found.outputs[table], recipe.table(kind_of_output), strict=True):
            if problem := _problem(output):
                raise UsageError(f"{shown(entry.origin)}: {entry.toml_path}.{problem[0]}: {shown(problem[1])}")
    for number, budget in enumerate(recipe.budgets):
        if problem := budgets.problem(budget, recipe.by_table()):
            raise UsageError(f"{shown(found.origin)}: budget[{number}].{problem[0]}: {shown(problem[1])}")
    for kind in Kind:
        _check_collisions(found, recipe, kind)
    if not any(recipe.outputs(kind) for kind in Kind):
        tables = ", ".join(f"[[{table}]]" for table in registry.tables())
        raise UsageError(f"{shown(found.origin)}: makes nothing; add an output: {tables}")
    return recipe


def _check_collisions(found: Draft, recipe: Recipe, kind: Kind) -> None:
    """Raise UsageError where two outputs of a kind of source may write the same file."""
    if (same := collisions.clash(recipe.outputs(kind))) is None:
        return
    earlier, later, name = same
    entries = [(each.table, entry) for each in registry.made_of(kind) for entry in found.outputs[each.table]]
    entry = entries[later][1]
    other = "mediactl itself"
    if earlier >= 0:
        table, before = entries[earlier]
        other = f"{before.toml_path} ({table} {before.values['name']!r})"
        if before.origin != entry.origin:
            other += f" of {shown(before.origin)}"
    raise UsageError(
        f"{shown(entry.origin)}: {entry.toml_path}: {entry.values['name']!r} would write {name!r}, as {other} does;"
        " give it another name"
    )


def _problem(output: Output) -> tuple[str, str] | None:
    """Return key and complaint of an output whose values do not go together; None when all do."""
    if wrong := conditions.check(output.when, output.table, output.kinds):
        return "when", f"{output.when!r}: {wrong}"
    return output.problem()


def _default_formats() -> dict[str, str]:
    """Return the format of each table's outputs that say none."""
    fields = ((table, field) for table, kind in registry.tables().items() for field in msgspec.structs.fields(kind))
    return {table: field.default for table, field in fields if field.name == "format"}
