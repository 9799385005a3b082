"""What another recipe, or another encoder, means for what was made already: how many artefacts, seconds and bytes.

Counts are exact: an artefact is kept when its key stays, and linked at no cost when it is there under another name.
Seconds and bytes are estimates, from what was measured here and from the artefacts that each source has, else from the
outputs' own constants.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import msgspec

from mediactl.jobs.sources import Outcome
from mediactl.model.assets import Prior, PriorArtefact, Target
from mediactl.model.media import Kind, MediaInfo
from mediactl.outputs import registry
from mediactl.outputs.base import Params
from mediactl.planning.cost import fixed_seconds
from mediactl.planning.jobs import work_of
from mediactl.planning.keys import Versions, by_output, effective_kind
from mediactl.recipe.loader import Recipe

Measured = Callable[[Kind, str, int], float | None]
"""Seconds of one core that a make job of a kind, format and amount of work takes; None: not measured yet."""


class Change(msgspec.Struct):
    """What becomes of one output's artefacts, over all sources."""

    output: str
    """Table and file: "image w640.webp"."""
    change: str
    """"new", "changed" or "removed"."""
    artefacts: int = 0
    sources: int = 0
    seconds: float = 0.0
    """Of one core; 0 of what is removed."""
    bytes: float = 0.0
    """Of what is removed: those that asset.json does not name any more."""


class Effect:
    """Adds up what a recipe means for sources that were done before."""

    def __init__(self, versions: Versions, measured: Measured) -> None:
        self._versions = versions
        self._measured = measured
        self._changes: dict[tuple[str, str], Change] = {}
        self.sources = 0
        self.kept = 0
        """Artefacts that stay as they are."""
        self.seconds = 0.0
        self.bytes = 0.0

    @property
    def changes(self) -> list[Change]:
        """New ones first, then changed and removed ones."""
        order = ("new", "changed", "removed")
        return sorted(self._changes.values(), key=lambda each: order.index(each.change))

    def is_complete(self, recipe: Recipe, outcome: Outcome) -> bool:
        """Return whether a source has all artefacts that a recipe makes of it, and at least one."""
        made = by_output(recipe, outcome.kind, outcome.info, outcome.digest, self._versions)
        wanted = {(target.name, target.key) for _, targets in made for target in targets}
        return bool(wanted) and wanted <= {(each.name, each.key) for each in outcome.had}

    def take(self, recipe: Recipe, outcome: Outcome) -> bool:
        """One source with the artefacts that it has; False: the recipe makes nothing of it."""
        kind, info, digest, had = outcome.kind, outcome.info, outcome.digest, outcome.had
        self.sources += 1
        keys = {each.key for each in had}
        names = {each.name for each in had}
        same = {(each.name, each.key) for each in had}
        missing: list[tuple[str, Target[Params]]] = []
        linked: list[tuple[str, str]] = []
        every: list[Target[Params]] = []
        for output, made in by_output(recipe, kind, info, digest, self._versions):
            every += made
            for target in made:
                names.discard(target.name)
                if (target.name, target.key) in same:
                    self.kept += 1
                elif target.key in keys:  # a link, under another name
                    linked.append((output.label, target.name))
                else:
                    missing.append((output.label, target))
        if missing:
            self._make(missing, every, kind, info, had)
        for label, name in linked:
            self._add(label, "changed" if any(each.name == name for each in had) else "new", True, 0.0, 0.0)
        if names:
            label = ""
            for each in had:
                if each.name in names:
                    last, label = label, registry.label_of(each, had)
                    self._add(label, "removed", label != last, 0.0, each.bytes)
        return bool(every)

    def _make(
        self,
        missing: list[tuple[str, Target[Params]]],
        every: list[Target[Params]],
        kind: Kind,
        info: MediaInfo,
        had: Sequence[PriorArtefact],
    ) -> None:
        kind = effective_kind(kind, info)
        fixed = fixed_seconds(kind, info)
        whole = fixed + sum(_costs(every, info))
        costs = _costs([target for _, target in missing], info)
        measured = self._measured(kind, info.format, work_of(kind, info))
        factor = 1.0 if measured is None else measured / whole
        share = fixed / len(missing)
        there = {each.name for each in had}
        operations = {target.key: target.params for target in every}
        seen: set[tuple[str, str]] = set()
        for (label, target), cost in zip(missing, costs, strict=True):
            change = "changed" if target.name in there else "new"
            seconds = (cost + share) * factor
            size = target.params.expected_bytes(info, Prior(had, target.name, operations))
            self._add(label, change, (label, change) not in seen, seconds, size)
            seen.add((label, change))
            self.seconds += seconds
            self.bytes += size

    def _add(self, label: str, change: str, another: bool, seconds: float, size: float) -> None:
        found = self._changes.get((label, change))
        if found is None:
            found = self._changes[(label, change)] = Change(label, change)
        found.artefacts += 1
        found.sources += another
        found.seconds += seconds
        found.bytes += size


def _costs(targets: Sequence[Target[Params]], info: MediaInfo) -> list[float]:
    """Return seconds of one core for each; what several artefacts share is counted once."""
    shared: dict[Hashable, float] = {}
    found = []
    for target in targets:
        new = {what: cost for what, cost in target.params.shared_seconds(info).items() if what not in shared}
        shared |= new
        found.append(target.params.expected_seconds(info) + sum(new.values()))
    return found


def differences(old: Recipe, new: Recipe) -> Iterator[str]:
    """How one recipe differs from another, a line each: what is made, then what else it says."""
    for table, output in registry.tables().items():
        before = {each.file_name: each for each in old.table(output)}
        after = {each.file_name: each for each in new.table(output)}
        for name in [*before, *(name for name in after if name not in before)]:
            if name not in after:
                yield f"removed  {table} {name}"
            elif name not in before:
                text = ", ".join(f"{key} {_shown(value)}" for key, value in _given(after[name]).items())
                yield f"new      {table} {name}" + (f": {text}" if text else "")
            elif text := _changes(before[name], after[name]):
                yield f"changed  {table} {name}: {text}"
    for table in ("cutting", "limits", "run"):
        if text := _changes(getattr(old, table), getattr(new, table)):
            yield f"changed  {table}: {text}"
    for key in ("placeholder", "metadata"):
        if (was := getattr(old, key)) != (now := getattr(new, key)):
            yield f"changed  {key}: {_shown(was)} -> {_shown(now)}"


def _given(output: msgspec.Struct) -> dict[str, Any]:
    return {
        field.name: getattr(output, field.name)
        for field in msgspec.structs.fields(output)
        if field.name not in ("name", "format") and getattr(output, field.name) != field.default
    }


def _changes(old: msgspec.Struct, new: msgspec.Struct) -> str:
    pairs = [(each.name, getattr(old, each.name), getattr(new, each.name)) for each in msgspec.structs.fields(old)]
    return ", ".join(f"{key} {_shown(was)} -> {_shown(now)}" for key, was, now in pairs if was != now)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "not given"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, msgspec.Struct):
        return ", ".join(f"{key} {_shown(each)}" for key, each in msgspec.structs.asdict(value).items())
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
