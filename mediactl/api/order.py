"""One source that is made without a journal: what it is, and the jobs that it needs, as ``planning`` has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from mediactl.api.messages import Add
from mediactl.assets import document
from mediactl.core.errors import RejectedInput
from mediactl.core.settings import Settings
from mediactl.jobs.prediction import QUICK_SECONDS
from mediactl.jobs.priority import due, successor_due
from mediactl.media.ffmpeg.versions import encoder_versions
from mediactl.model.assets import AssetWarning, OutputFile
from mediactl.model.jobs import HEAVY, JobResult, MakeTask, NewJob
from mediactl.model.media import Source
from mediactl.pipeline.intake import source_files
from mediactl.pipeline.planner import MAX_THREADS, require_encoders
from mediactl.planning import jobs
from mediactl.planning.cost import seconds_of
from mediactl.planning.keys import targets
from mediactl.recipe import loader
from mediactl.recipe.loader import Recipe
from mediactl.sources import scan


class Order(msgspec.Struct, kw_only=True):
    """A source, and how far it is."""

    add: Add
    source: Source
    recipe: Recipe
    due: float
    """Seconds since 1970."""
    probed: JobResult | None = None
    failures: int = 0
    """Attempts of its current job that failed."""
    changes: int = 0
    """Times that the source changed while it was read."""
    lock: int | None = None
    fetched: bytes = b""
    """File that was fetched for it; its directory is removed at the end."""
    abandoned: bool = False
    """Nobody needs its outcome any more."""

    def release(self) -> None:
        """Let others make its outputs."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


class Planning:
    """Turns sources into jobs, under the settings of a host."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._settings = settings
        self._environment = environment
        self._clock = clock
        self._versions = encoder_versions(environment.get("MEDIACTL_FFMPEG"))

    def order(self, add: Add, file: bytes, fetched: bytes = b"") -> Order:
        """Return the order of a source, which is in a file.

        Raises RejectedInput where it is no media, UsageError where it is not there.
        """
        recipe = loader.load(add.recipe).at_speed(self._settings.speed)
        batch = scan.explicit(file, add.name or os.path.basename(file))
        for trouble in source_files.without_long_paths(batch, self._settings.out)[1]:
            raise RejectedInput(trouble.message)
        source, unusable = source_files.read(batch, batch.files[0], links=False)
        if unusable is not None:
            raise RejectedInput(unusable)
        require_encoders(source.kind, recipe, self._environment)
        return Order(add=add, source=source, recipe=recipe, due=due(self._clock(), add.priority), fetched=fetched)

    def probe_job(self, order: Order) -> NewJob:
        """Return the job that reads a source."""
        position = jobs.POSITION in order.recipe.metadata
        job = jobs.probe_job(order.source, 0, order.recipe.limits, order.add.priority, position=position)
        return _in_lane(msgspec.structs.replace(job, due=order.due))

    def make_job(self, order: Order) -> NewJob:
        """Return the job that makes what is missing of a source that was probed. Raises as ``make_task``."""
        job = jobs.make_job(self.make_task(order), 0, order.recipe.run, "", order.add.priority)
        return _in_lane(msgspec.structs.replace(job, due=successor_due(order.due)))

    def make_task(self, order: Order) -> MakeTask:
        """Return what is to be made of a source that was probed; what asset.json names is reused.

        Raises RejectedInput where the recipe makes nothing of it.
        """
        result, recipe, source = order.probed, order.recipe, order.source
        assert result is not None and result.info is not None
        info = jobs.permitted(result.info, recipe)
        wanted = targets(recipe, source.kind, info, result.digest, self._versions)
        if not wanted:
            raise RejectedInput(f"recipe {recipe.name!r} makes nothing of it")
        there = self._document(source)
        kept: tuple[OutputFile, ...] = ()
        look, warnings = "", tuple[AssetWarning, ...]()
        if there is not None and there.source.digest == result.digest:
            kept = tuple(OutputFile(artefact, 0, 0) for artefact in there.artefacts)  # hashed before it is believed
            look = document.look_of(there).text()
            warnings = tuple(AssetWarning(text, None) for text in there.warnings)
        return jobs.make_task(
            jobs.Subject(source, result.digest, info, look, kept, warnings), recipe, wanted,
            out=self._settings.out, threads=min(MAX_THREADS, self._settings.jobs),
        )  # fmt: skip

    def is_made(self, order: Order, there: document.Asset | None) -> bool:
        """Return whether an asset.json is what would be written for a source that was probed."""
        if there is None:
            return False
        task = self.make_task(order)
        info = document.with_named_tags(task.info, task.metadata)
        keys = [(target.name, target.key) for target in task.targets]
        return (
            [(artefact.name, artefact.key) for artefact in there.artefacts] == keys
            and (there.source.digest, there.recipe, there.metadata) == (task.digest, task.recipe, info)
            and bool(there.placeholder) <= task.thumbhash
        )

    def folder(self, source: Source) -> bytes:
        """Return the directory of the outputs of a source."""
        return os.path.join(self._settings.out, source.directory)

    def _document(self, source: Source) -> document.Asset | None:
        with suppress(OSError, ValueError):
            with open(os.path.join(self.folder(source), document.NAME), "rb") as file:
                return document.decode(file.read())
        return None


def _in_lane(job: NewJob) -> NewJob:
    """Return a job in the lane where it belongs by a guess: without a journal, nothing was measured."""
    heavy = seconds_of(job.kind, job.size) / job.cores > QUICK_SECONDS
    return msgspec.structs.replace(job, lane=HEAVY) if heavy else job
