"""Pairs of images before and after: which sources they are of, and their previews, made in a sandboxed process."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from heapq import nsmallest
from typing import NoReturn

import msgspec

from mediactl.core.errors import MediactlError
from mediactl.core.files import shown
from mediactl.core.sandbox.channel import Closed
from mediactl.core.sandbox.mode import Mode
from mediactl.jobs import report
from mediactl.jobs.report import Completed, Made, Report
from mediactl.media import decoding
from mediactl.media.confined import Confined
from mediactl.media.decoding import AFTER, BEFORE, PREFIX
from mediactl.media.opening import open_source
from mediactl.model.assets import made_by
from mediactl.model.media import Kind
from mediactl.outputs import registry
from mediactl.outputs.image import ImageParams
from mediactl.planning import jobs
from mediactl.planning.keys import targets
from mediactl.recipe import loader
from mediactl.recipe.loader import Recipe
from mediactl.report import clean
from mediactl.report.data import Pair

CANDIDATES = 400
"""Sources of which pairs are made at most; the least similar of them are shown."""
SIDE = 512
"""Longest side of previews, in pixels."""
SECONDS = 120.0
"""Time that all pairs of a report may take, ..."""
LONGEST = 20.0
"""... and one of them: its source was decoded within the limits of its recipe before."""


class _Confined(Confined):
    """A decoder whose death costs one pair."""

    def ask(self, request: decoding.Compare, fd: int) -> decoding.Compared:
        """Return the answer. Raises MediactlError, OSError, TimeoutError."""
        if self._process is None:
            self._process = self._started()
        process = self._process
        try:
            with _time_limit(LONGEST):
                found: decoding.Compared = self._asked(process, request, fd, lambda _: None, decoding.refuse)
                return found
        except Closed:
            process.reaped()
            self._process = None
            raise MediactlError("the decoder crashed") from None


def of_run(state: str, run: str, out: bytes) -> list[Pair]:
    """Return the pairs of a run, made by a process without credentials. Raises MediactlError."""
    return msgspec.msgpack.decode(clean.run("pairs", state, run, os.fsdecode(out)), type=list[Pair])


def main(arguments: list[str]) -> NoReturn:
    """Write the pairs of a run: state directory, id of the run, OUT."""
    state, run, out = arguments

    def found() -> bytes:
        with report.read(state) as rows:
            return msgspec.msgpack.encode(list(pairs(rows, run, os.fsencode(out))))

    clean.answer(found)


def pairs(rows: Report, run: str, out: bytes) -> Iterator[Pair]:
    """Yield pairs of the images that a run completed; of many, of those with warnings, little similarity or growth."""
    chosen = nsmallest(CANDIDATES, (each for each in rows.completed_by(run) if _largest(each)), key=_concern)
    if not chosen:
        return
    registry.operations()  # before the sandbox: both sides need them
    recipes: dict[str, Recipe | None] = {}
    end = time.monotonic() + SECONDS
    try:
        started = _Confined(out, Mode.AUTO)
    except OSError:
        return  # OUT cannot be written to
    with closing(started) as decoder:
        for each in chosen:
            if time.monotonic() > end:
                return
            if each.recipe not in recipes:
                recipes[each.recipe] = _recipe(rows, each.recipe)
            recipe = recipes[each.recipe]
            if recipe is not None and (pair := _pair(each, recipe, out, decoder)) is not None:
                yield pair


def _pair(each: Completed, recipe: Recipe, out: bytes, decoder: _Confined) -> Pair | None:
    """Return the pair of a source; None where it, or its artefact, is gone or cannot be decoded any more."""
    made = _largest(each)
    assert made is not None
    wanted = targets(recipe, each.source.kind, each.info, each.digest, defaultdict(str))  # keys are not asked for
    if made.name not in {target.name for target in made_by(wanted, ImageParams)}:
        return None
    task = jobs.make_task(jobs.Subject(each.source, each.digest, each.info), recipe, wanted, out=out, threads=1)
    workspace = decoder.workspace
    try:
        fd = open_source(each.source)
        try:
            workspace.provide(PREFIX + made.name, os.path.join(out, each.source.directory, made.name.encode()))
            found = decoder.ask(decoding.Compare(task, made.name, SIDE), fd)
        finally:
            os.close(fd)
        before, after = (_content(workspace.temporary(name)) for name in (BEFORE, AFTER))
    except (MediactlError, OSError):
        return None
    finally:
        workspace.clear()
    return Pair(
        shown(each.source.path), made.name, found.similarity, each.source.fingerprint.size, made.bytes, *found.size,
        before, after, tuple(map(shown, each.warnings)),
    )  # fmt: skip


def _largest(each: Completed) -> Made | None:
    """Return the largest variant of an image; None: it is no image, or has none."""
    if each.source.kind is not Kind.IMAGE:
        return None
    variants = [made for made in each.made if made.role == ImageParams.role and made.width and made.height]
    return max(variants, key=lambda made: (made.width or 0) * (made.height or 0), default=None)


def _concern(each: Completed) -> tuple[float, float, int]:
    """Return the sort key by which sources are chosen: similarity that was measured, warnings, growth."""
    similarity = min((made.similarity for made in each.made if made.similarity is not None), default=1.0)
    largest = _largest(each)
    assert largest is not None
    return (
        similarity - bool(each.warnings),
        -largest.bytes / max(1, each.source.fingerprint.size),
        len(each.source.path),
    )


def _recipe(rows: Report, digest: str) -> Recipe | None:
    content = rows.recipe(digest)
    try:
        return None if content is None else loader.decode(content)
    except MediactlError:
        return None  # its outputs are not installed any more


def _content(file: bytes) -> bytes:
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as preview:
        return preview.read()


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after so many seconds; in the main thread alone."""

    def over(*_: object) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
