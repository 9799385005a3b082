"""Recipes, plans and jobs of one run: what ``plan`` computes, for the sources in the journal."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

import msgspec

from mediactl.assets import document
from mediactl.core.files import work_folder
from mediactl.core.settings import Settings
from mediactl.jobs.journal import Journal
from mediactl.jobs.prediction import Predictor
from mediactl.jobs.sources import SourceRow
from mediactl.model.assets import OutputFile, made_by
from mediactl.model.buckets.memory import Entry
from mediactl.model.jobs import JobResult, MakeTask, NewJob, Priority
from mediactl.model.media import Kind, Source
from mediactl.outputs.encoding import EncodedParams
from mediactl.pipeline.fetching import jobs as fetches
from mediactl.pipeline.fetching import scratch
from mediactl.planning import jobs
from mediactl.planning.cost import seconds_of
from mediactl.planning.keys import Versions, targets
from mediactl.recipe import loader as recipes
from mediactl.recipe.loader import Recipe

MAX_THREADS = 4
"""Cores that one transcode gets: beyond it x264 at 720p gains little, and several videos side by side gain more."""


class Work(msgspec.Struct, frozen=True):
    """The jobs that complete a source."""

    make: NewJob
    pieces: tuple[NewJob, ...] = ()
    """Of a long video: those to be done before."""
    makes: bool = True
    """Whether anything is to be made that is not known to be in OUT, or in the bucket of the run."""

    @property
    def first(self) -> tuple[NewJob, ...]:
        """Those that can be begun."""
        return self.pieces or (self.make,)


class Planner:
    """Makes jobs for sources, under this run's recipe, a manifest row's, or the one that another run chose."""

    def __init__(self, settings: Settings, default: Recipe, versions: Versions, journal: Journal) -> None:
        self._settings = settings
        self._default = default
        self._versions = versions
        self._journal = journal
        self.destination = "" if settings.to is None else settings.to.digest()
        """Digest of the bucket of this run; "": it has none."""
        self._by_digest: dict[str, Recipe] = {}
        self._by_name: dict[str, Recipe] = {}
        self._digests: dict[int, tuple[Recipe, str]] = {}
        """By id of the recipe, which is kept, so that no other one gets it."""
        self._plans: dict[str, dict[str, str]] = {}
        self._checked: set[tuple[str, Kind]] = set()

    @property
    def links(self) -> bool:
        """Whether this run follows links below its SOURCE directories."""
        return self._settings.follow_symlinks

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Return the recipes that this run has chosen."""
        return self._default, *self._by_name.values()

    def named(self, name: str | None) -> Recipe:
        """The run's recipe, or the one that a manifest row names. Raises UsageError."""
        if name is None:
            return self._default
        if name not in self._by_name:
            self._by_name[name] = recipes.load(name).at_speed(self._settings.speed)
        return self._by_name[name]

    def with_digest(self, digest: str) -> Recipe:
        """A recipe that this run, or another one on the same journal, has put there."""
        if digest not in self._by_digest:
            content = self._journal.sources.recipe(digest)
            self._by_digest[digest] = self._default if content is None else recipes.decode(content)
        return self._by_digest[digest]

    def digest(self, recipe: Recipe) -> str:
        """Return a recipe's digest, computed once for each of the few that a run has: every source asks for it."""
        kept = self._digests.get(id(recipe))
        if kept is None:
            kept = self._digests[id(recipe)] = (recipe, recipe.digest())
        return kept[1]

    def keep(self, recipe: Recipe) -> str:
        """Put a recipe into the journal, inside its transaction; return its digest."""
        digest = self.digest(recipe)
        if digest not in self._by_digest:
            self._journal.sources.put_recipe(digest, msgspec.json.encode(recipe).decode())
        return digest

    def plans(self, recipe: Recipe) -> dict[str, str]:
        """Kind -> plan digest; "none" -> "": files that are no media stay so under any recipe."""
        digest = self.digest(recipe)
        if digest not in self._plans:
            found = {kind.value: jobs.plan_digest(recipe, kind, self._versions) for kind in Kind}
            self._plans[digest] = {**found, "none": ""}
        return self._plans[digest]

    def require_encoders(self, kind: Kind, recipe: Recipe) -> None:
        """Raise UsageError or MachineBlocked now, where the hundredth job would fail for want of an encoder."""
        if kind is Kind.IMAGE or (asked := (self.digest(recipe), kind)) in self._checked:
            return
        self._checked.add(asked)
        require_encoders(kind, recipe, self._settings.environment)

    def probe_job(self, source: Source, row: int, recipe: Recipe, priority: Priority) -> NewJob:
        """The job that reads a source; that of an object reads the file that it was fetched into."""
        source = scratch.with_copy(source, self._settings.state)
        job = jobs.probe_job(source, row, recipe.limits, priority, position=jobs.POSITION in recipe.metadata)
        return in_lane(job, self._journal.predictor)

    def fetch_job(self, source: Source, row: int, priority: Priority, *, whole: bool) -> NewJob:
        """Return the job that fetches an object, or only the first bytes of it."""
        state = self._settings.state
        file = os.path.join(scratch.folder_of(state), scratch.name_of(source))
        return fetches.fetch_job(source, row, self._settings.fetching, file, priority, whole=whole)

    def first_job(self, source: Source, row: int, recipe: Recipe, priority: Priority) -> NewJob:
        """Return the job that a source begins with: an object is fetched, whole if its name promises what the recipe
        makes something of."""
        if not source.is_remote:
            return self.probe_job(source, row, recipe, priority)
        whole = source.format != "" and (source.kind is Kind.VIDEO or bool(recipe.outputs(source.kind)))
        return self.fetch_job(source, row, priority, whole=whole)

    def found(self, row: SourceRow, recipe: Recipe, entry: Entry) -> tuple[JobResult, int] | None:
        """Return what a make job would return that finds all in the bucket, and the bytes of asset.json there; None:
        it has work."""
        task = self._task(row, recipe, entry)
        if task is None or len(task.elsewhere) < len(task.targets):
            return None
        files = {file.artefact.name: file for file in task.elsewhere}
        made = tuple(files[target.name] for target in task.targets)
        look = document.Appearance.parse(entry.look)
        if not task.thumbhash:
            look = msgspec.structs.replace(look, placeholder="")
        texts = tuple(each.text for each in entry.warnings)
        content = document.encode(document.build(task, tuple(file.artefact for file in made), look, texts))
        if hashlib.sha256(content).hexdigest() != entry.document:
            return None
        return JobResult(files=made, placeholder=look.text(), warnings=entry.warnings), len(content)

    def _task(self, row: SourceRow, recipe: Recipe, entry: Entry | None) -> MakeTask | None:
        """Return all that a worker needs to complete a source; None: the recipe makes nothing of it."""
        assert row.digest is not None and row.info is not None
        wanted = targets(recipe, row.source.kind, row.info, row.digest, self._versions)
        if not wanted:
            return None
        known = self._journal.sources.artefacts(row.id)
        elsewhere: tuple[OutputFile, ...] = ()
        if entry is not None:
            elsewhere = tuple(OutputFile(each, 0, 0, entry.similarities.get(each.name)) for each in entry.artefacts)
        elif row.in_bucket and row.in_bucket == self.destination:
            elsewhere = tuple(file for file in known if not file.mtime_ns)
        in_bucket = {file.artefact.name for file in elsewhere}
        kept = tuple(file for file in known if file.mtime_ns or file.artefact.name not in in_bucket)
        cut = any(target.params.piece for target in made_by(wanted, EncodedParams))
        source = scratch.with_copy(row.source, self._settings.state)
        return jobs.make_task(
            jobs.Subject(source, row.digest, row.info, row.placeholder, kept, row.warnings, elsewhere),
            recipe, wanted, out=self._settings.out, threads=min(MAX_THREADS, self._settings.jobs),
            work=work_folder(self._settings.state, row.digest) if cut else b"",
        )  # fmt: skip

    def work(self, row: SourceRow, recipe: Recipe, priority: Priority, entry: Entry | None = None) -> Work | None:
        """Return what completes a source that was probed; None: the recipe makes nothing of it.

        ``entry``: what its bucket was found to have of this content.
        """
        task = self._task(row, recipe, entry)
        if task is None or row.digest is None:
            return None
        wanted, kept, cut = task.targets, task.keep, bool(task.work)
        job = jobs.make_job(task, row.id, recipe.run, self.plans(recipe)[row.source.kind.value], priority)
        if task.elsewhere:
            job = msgspec.structs.replace(job, destination=self.destination)
        predictor = self._journal.predictor
        if not recipe.run.seconds:
            like = predictor.class_of(job.operation, job.format, job.size)
            job = msgspec.structs.replace(job, time_limit=predictor.limit(like, job.time_limit))
        pieces: tuple[NewJob, ...] = ()
        if cut:
            there = {file.artefact.key for file in (*kept, *task.elsewhere)}
            there |= {other.key for other in self._journal.sources.twins(row.id, row.digest, self._settings.out)}
            missing = tuple(target for target in wanted if target.key not in there)
            pieces = jobs.piece_jobs(job, task, missing, min(jobs.PIECE_THREADS, self._settings.jobs))
        make = jobs.joining(job) if pieces else job
        known = {file.artefact.key for file in (*kept, *task.elsewhere)}
        makes = any(target.key not in known for target in wanted)
        return Work(in_lane(make, predictor), tuple(in_lane(piece, predictor) for piece in pieces), makes)


def require_encoders(kind: Kind, recipe: Recipe, environment: Mapping[str, str]) -> None:
    """Raise UsageError or MachineBlocked where ffmpeg lacks an encoder that the recipe needs for a kind of source."""
    if kind is Kind.IMAGE:
        return
    from mediactl.media.ffmpeg import binary  # loads ffmpeg-python: only runs with video or audio pay for it

    kinds = (Kind.VIDEO, Kind.AUDIO) if kind is Kind.VIDEO else (kind,)  # a container may hold audio alone
    outputs = (output for each in kinds for output in recipe.outputs(each))
    needed = {name for output in outputs for name in output.ffmpeg_encoders()}
    if needed:
        binary.check(needed, binary.find(environment.get(binary.VARIABLE)))


def in_lane(job: NewJob, predictor: Predictor) -> NewJob:
    """The job in the lane that jobs like it belong in, by what was measured or, at first, by a guess."""
    like = predictor.class_of(job.operation, job.format, job.size)
    lane = predictor.lane(like, seconds_of(job.kind, job.size) / job.cores)
    return job if lane == job.lane else msgspec.structs.replace(job, lane=lane)
