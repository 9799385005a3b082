"""--dry-run: what a run would do and why, worked out on a copy of the journal in memory. Touches nothing."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import IO

import msgspec

from mediactl import __version__
from mediactl.assets.check import OutputCheck
from mediactl.core.settings import Settings
from mediactl.jobs import history
from mediactl.jobs.journal import Journal
from mediactl.jobs.sources import Known, Outcome
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.model.assets import Artefact, PriorArtefact
from mediactl.model.events import (
    Event,
    OutputChange,
    Plan,
    Reason,
    ScanTrouble,
    SourceIgnored,
    SourceLeftOut,
    SourcePlanned,
    SourceSettled,
    UploadEstimate,
)
from mediactl.model.media import Kind
from mediactl.pipeline.impact import Change, Effect, Measured
from mediactl.pipeline.intake import source_files
from mediactl.pipeline.intake.batches import Intake
from mediactl.pipeline.intake.enrolment import source_planned
from mediactl.pipeline.planner import MAX_THREADS, Planner
from mediactl.pipeline.publish import Publisher
from mediactl.pipeline.rebuild import adopt
from mediactl.pipeline.run import found_sources
from mediactl.planning.cost import SECONDS_A_BYTE
from mediactl.recipe import loader
from mediactl.recipe.loader import Recipe
from mediactl.sources import scan
from mediactl.ui.lines import count, detail, duration, left_out, size

ENOUGH = 5
"""Measured jobs of a kind from which their median is believed."""
SECONDS_A_SOURCE = {"image": 0.05, "video": 1.0, "audio": 0.2}
"""Seconds of each source, whatever its size."""
REPLANNED = (Reason.RECIPE_CHANGED, Reason.ENCODER_CHANGED)
"""Reasons for which a source is rebuilt without probing it again, unless it was rejected."""
MOVED = (Reason.CHANGED, Reason.ADOPTED)
"""Reasons for which a source is probed again, though its content may be the same."""
NOUNS = {"image": "image", "video": "video", "audio": "audio file"}


class _Intake(Intake):
    """Adds up what another recipe or encoder makes of done sources, instead of planning it: no jobs, a fifth of the
    time."""

    effect: Effect
    same = 0
    """Sources that a run would only read again: touched, moved or restored, with the same content."""

    def _read(
        self, batch: scan.Batch, recipe: Recipe, why: dict[scan.Entry, Reason], known: dict[bytes, Known]
    ) -> None:
        left = []
        for entry in batch.files:
            row = known.get(batch.output_name(entry))
            if row is None or why[entry] not in MOVED or not self._is_same(row, batch, entry, recipe):
                left.append(entry)
        if left:
            super()._read(msgspec.structs.replace(batch, files=left), recipe, why, known)

    def _is_same(self, row: Known, batch: scan.Batch, entry: scan.Entry, recipe: Recipe) -> bool:
        """Return whether a file has the content that all its outputs are there for."""
        digest = self._journal.sources.digest_of(row.id)
        if digest is None or not source_files.is_copy(digest, row, batch, entry):
            return False
        outcome = outcome_of(self._journal, row.id, os.path.join(self._settings.out, batch.output_of(entry)))
        if not self.effect.is_complete(recipe, outcome):
            return False
        self.effect.take(recipe, outcome)
        self.same += 1
        self.up_to_date += 1
        return True

    def _make(self, rows: Iterable[int], recipe: Recipe | None, reason: Reason) -> None:
        if recipe is None:
            super()._make(rows, recipe, reason)
            return
        for outcome in self._journal.sources.outcomes(rows):
            self._planner.require_encoders(outcome.kind, recipe)
            if self.effect.take(recipe, outcome):
                self._planned(source_planned(outcome.path, outcome.kind, outcome.size, reason))


def outcome_of(journal: Journal, row: int, folder: bytes) -> Outcome:
    """Return a probed source with those of its artefacts that are in its output directory, by their sizes."""
    source = journal.sources.get(row)
    assert source.digest is not None and source.info is not None
    there = [file.artefact for file in journal.sources.artefacts(row) if _is_there(folder, file.artefact)]
    had = [PriorArtefact(a.name, a.role, a.key, a.bytes, a.width, a.height, a.duration) for a in there]
    return Outcome(
        source.source.path, source.source.fingerprint.size, source.source.kind, source.digest, source.info, had
    )


def _is_there(folder: bytes, artefact: Artefact) -> bool:
    try:
        return os.stat(os.path.join(folder, artefact.name.encode())).st_size == artefact.bytes
    except OSError:
        return False


class _Found:
    """What the events of a dry run come to."""

    def __init__(self, effect: Effect, medians: dict[str, float | None]) -> None:
        self.effect = effect
        self.counts: Counter[Kind] = Counter()
        """Sources that would be processed, by kind."""
        self.unread: Counter[Kind] = Counter()
        """Those that were not probed yet."""
        self.bytes = 0
        self._medians = medians
        self._seconds = 0.0
        self._again: list[float] = []

    def add(self, planned: SourcePlanned) -> None:
        """Take in that a source is planned."""
        kind, reason = planned.kind, planned.reason
        self.counts[kind] += 1
        self.bytes += planned.bytes
        guess = self._medians.get(kind) or SECONDS_A_SOURCE[kind] + SECONDS_A_BYTE[kind] * planned.bytes
        if reason in REPLANNED:
            self._again.append(guess)
        elif reason is not Reason.NOT_UPLOADED:
            self._seconds += guess
        if reason in (Reason.NEW, Reason.CHANGED):
            self.unread[kind] += 1

    @property
    def seconds(self) -> float:
        """Of one worker, about."""
        read_again = 1 - self.effect.sources / max(1, len(self._again))  # those that were rejected
        return self._seconds + self.effect.seconds + max(0.0, read_again) * sum(self._again)


def lines(settings: Settings, stdin: Callable[[], IO[bytes]], *, as_json: bool, verbose: bool = False) -> Iterator[str]:
    """One line for each source that would be processed, then what changes by output and the totals. Raises UsageError
    as a run would."""
    events: list[Event] = []
    with ExitStack() as stack:
        chosen = loader.load(settings.recipe).at_speed(settings.speed)
        batches = found_sources(settings, stdin)
        check = OutputCheck(settings.out)
        stack.callback(check.close)
        journal = stack.enter_context(
            Journal.rehearse(settings.state, clock=time.time, random=random.random, version=__version__)
        )
        if journal.fresh and os.path.isdir(settings.out):
            adopt(journal, settings.out, sweep=False)
        versions = encoder_versions(settings.environment.get("MEDIACTL_FFMPEG"))
        planner = Planner(settings, chosen, versions, journal)
        shipping = None if settings.to is None else Publisher(journal, settings.to, settings.out)
        intake = _Intake(settings, journal, planner, batches, check, events.append, shipping=shipping)
        intake.effect = Effect(versions, measured(journal, settings.jobs))
        medians = {kind: history.quantile(each, 0.5) for kind, each in journal.measured(ENOUGH).items()}
        found = _Found(intake.effect, medians)
        more: bool | None = True
        while more:
            more = intake.step()
            for event in events:
                if isinstance(event, SourcePlanned):
                    found.add(event)
                if line := _json(event) if as_json else _line(event, verbose=verbose):
                    yield line
            events.clear()
        uploads = None if shipping is None else _uploads(journal, shipping.destination, found.effect)
    if as_json:
        yield _json(_plan(found, intake, chosen, uploads, settings.jobs))
    else:
        yield from _totals(found, intake, chosen, uploads, settings.jobs)


def _json(event: Event) -> str:
    return msgspec.json.encode(msgspec.structs.replace(event, time=round(time.time(), 3))).decode()


def _line(event: Event, *, verbose: bool) -> str | None:
    match event:
        case SourcePlanned():
            return f"{event.reason}: {event.path}"
        case ScanTrouble():
            return f"{event.path}: {event.reason}"
        case SourceLeftOut() | SourceIgnored() | SourceSettled() if verbose:
            return detail(event)
    return None


def _plan(found: _Found, intake: Intake, chosen: Recipe, uploads: tuple[int, int] | None, workers: int) -> Plan:
    """Return the event "plan" with what a dry run adds to it; seconds are those of a run with so many workers."""
    plan = intake.summary()
    assert plan is not None  # this is not watch mode
    return msgspec.structs.replace(
        plan,
        kinds=dict(found.counts),
        bytes_in=found.bytes,
        seconds=round(found.seconds / workers, 1),
        kept=found.effect.kept,
        changes=[
            OutputChange(
                each.output, each.change, each.artefacts, each.sources, round(each.seconds / workers, 1),
                round(each.bytes),
            )
            for each in found.effect.changes
        ],
        upload=None if uploads is None else UploadEstimate(*uploads),
        outputs={kind: outputs_of(chosen, kind) for kind in sorted(found.unread)},
    )  # fmt: skip


def _totals(
    found: _Found, intake: _Intake, chosen: Recipe, uploads: tuple[int, int] | None, workers: int
) -> Iterator[str]:
    planned, unread = found.counts.total(), found.unread
    if intake.same:
        again = count(intake.same, "source")
        yield f"would read {again} again, with the same content as before (touched, moved or restored): 0 files to make"
    if not planned and not (intake.same and intake.same == intake.up_to_date):
        yield f"nothing to do: {count(intake.up_to_date, 'source')} up to date{left_out(intake.left_out)}"
    if not planned:
        return
    for kind, number in sorted(unread.items()):
        if outputs := outputs_of(chosen, kind):
            yield f"of {count(number, f'new {NOUNS[kind]}')}: {', '.join(outputs)}"
    yield from effect_lines(found.effect, workers)
    if uploads is not None:
        besides = f", plus the outputs of {count(unread.total(), 'new source')}" if unread else ""
        yield f"would upload {count(uploads[0], 'object')}, {size(uploads[1])}{besides}"
    kinds = ", ".join(count(number, NOUNS[kind]) for kind, number in sorted(found.counts.items()))
    why = ", ".join(f"{number:,} {reason}" for reason, number in sorted(intake.reasons.items()))
    yield (
        f"would process {count(planned, 'source')} ({kinds}; {size(found.bytes)}): {why};"
        f" {intake.up_to_date:,} up to date; about {duration(found.seconds / workers)} with {count(workers, 'worker')}"
        f"{left_out(intake.left_out)}"
    )


def of_recipe(chosen: Recipe, state: str, ffmpeg: str | None, workers: int) -> Iterator[str]:
    """What a recipe would change of all that was made before, by its journal in the folder ``state``."""
    with Journal.rehearse(state, clock=time.time, random=random.random, version=__version__) as journal:
        effect = Effect(encoder_versions(ffmpeg), measured(journal, workers))
        for outcome in journal.sources.outcomes():
            effect.take(chosen, outcome)
    if not effect.sources:
        yield "nothing to change: no outputs yet"
        return
    yield from effect_lines(effect, workers)
    if not effect.changes:
        yield f"no change: {count(effect.kept, 'artefact')} of {count(effect.sources, 'source')}"


def effect_lines(effect: Effect, workers: int) -> Iterator[str]:
    """A line for each output that an effect is about, then what it comes to."""
    for change in effect.changes:
        yield f"{change.change}: {change.output}: {_change_line(change, workers)}"
    made = [change for change in effect.changes if change.change != "removed"]
    if made:
        number = sum(change.artefacts for change in made)
        yield (
            f"total: {count(number, 'artefact')} to build, about {_time(effect.seconds / workers)},"
            f" {size(effect.bytes)}; {effect.kept:,} unchanged"
        )


def outputs_of(chosen: Recipe, kind: Kind) -> list[str]:
    """What a source of a kind gets that was not read yet: "image w320.webp", with the condition if there is one."""
    return [output.summary + (f" (when {output.when})" if output.when else "") for output in chosen.outputs(kind)]


def _uploads(journal: Journal, destination: str, effect: Effect) -> tuple[int, int]:
    """Objects and bytes to be sent: of what was made before, and of what is made now, each asset.json included."""
    objects, there = journal.sources.uploads_waiting(destination)
    made = sum(change.artefacts for change in effect.changes if change.change != "removed")
    return objects + made + effect.sources, there + round(effect.bytes)


def measured(journal: Journal, workers: int) -> Measured:
    """What make jobs took on this journal, in seconds of one core."""
    predictor = journal.predictor

    def seconds(kind: Kind, format_: str, work: int) -> float | None:
        typical = predictor.typical(predictor.class_of(kind.value, format_, work))
        return None if typical is None else typical * (min(MAX_THREADS, workers) if kind is Kind.VIDEO else 1)

    return seconds


def _change_line(change: Change, workers: int) -> str:
    number = count(change.artefacts, "artefact")
    if change.artefacts != change.sources:
        number += f" of {count(change.sources, 'source')}"
    if change.change == "removed":
        return f"{number} dropped from asset.json, {size(change.bytes)}; the files stay"
    return f"{number}, about {_time(change.seconds / workers)}, {size(change.bytes)}"


def _time(seconds: float) -> str:
    return duration(max(0.1, seconds))
