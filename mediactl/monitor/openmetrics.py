"""Figures as metrics of Prometheus. Labels have few values by construction: never a path, a bucket or a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from prometheus_client import exposition
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from mediactl.model.figures import Build, Figures, Timing


class FiguresCollector(Collector):
    """What a registry collects: the figures of the moment."""

    def __init__(self, read: Callable[[], Figures], build: Build) -> None:
        self._read = read
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from families(self._read(), self._build)


def registry(read: Callable[[], Figures], build: Build) -> CollectorRegistry:
    """Return a registry of these figures alone, which are read whenever it is collected."""
    found = CollectorRegistry(auto_describe=False)
    found.register(FiguresCollector(read, build))
    return found


def openmetrics_text(figures: Figures, build: Build) -> str:
    """Return figures in the format of OpenMetrics 1.0."""
    text: bytes = openmetrics.generate_latest(registry(lambda: figures, build))  # type: ignore[no-untyped-call]
    return text.decode()


def prometheus_text(figures: Figures, build: Build) -> str:
    """Return figures in the older text format of Prometheus, which the textfile collector of node_exporter reads."""
    return exposition.generate_latest(registry(lambda: figures, build)).decode()


def families(figures: Figures, build: Build) -> Iterator[Metric]:
    """Yield every metric with its samples."""
    yield InfoMetricFamily(
        "mediactl_build",
        "Versions of mediactl, ffmpeg and libvips.",
        {"version": build.version, "ffmpeg": build.ffmpeg, "libvips": build.libvips},
    )
    jobs = GaugeMetricFamily(
        "mediactl_jobs", "Jobs in the journal by state; ready: pending.", labels=("lane", "priority", "state")
    )
    for job in figures.jobs:
        jobs.add_metric((job.lane, job.priority.name.lower(), job.state), job.jobs)
    yield jobs
    yield from _pending(figures)
    yield _histogram("mediactl_job_duration", "Run times of jobs that are done.", figures.runs)
    yield _histogram("mediactl_job_wait", "Time from adding a job until its first attempt.", figures.waits)
    yield from _counters(figures)
    workers = GaugeMetricFamily("mediactl_workers", "Worker processes of active runs.", labels=("state",))
    for state, number in figures.workers.items():
        workers.add_metric((state,), number)
    yield workers
    yield from _runs(figures)


def _pending(figures: Figures) -> Iterator[Metric]:
    """Yield what is to be done: ages of the oldest pending jobs, and predicted seconds of work."""
    overdue = GaugeMetricFamily(
        "mediactl_oldest_overdue_seconds", "Time since the first pending job was due; 0: none is overdue.",
        labels=("lane", "priority"), unit="seconds",
    )  # fmt: skip
    age = GaugeMetricFamily(
        "mediactl_oldest_age_seconds", "Time since the oldest pending job was added.",
        labels=("lane", "priority"), unit="seconds",
    )  # fmt: skip
    for oldest in figures.oldest:
        labels = (oldest.lane, oldest.priority.name.lower())
        overdue.add_metric(labels, oldest.overdue)
        age.add_metric(labels, oldest.age)
    yield overdue
    yield age
    work = GaugeMetricFamily(
        "mediactl_work_seconds", "Predicted run time of all pending jobs.", labels=("lane",), unit="seconds"
    )
    for lane, seconds in figures.work.items():
        work.add_metric((lane,), seconds)
    yield work


def _counters(figures: Figures) -> Iterator[Metric]:
    """Yield what only grows, since the journal was made; pruning does not change it."""
    attempts = CounterMetricFamily(
        "mediactl_attempts", "Attempts of jobs by how they ended.", labels=("operation", "outcome")
    )
    for attempt in figures.attempts:
        attempts.add_metric((attempt.operation, attempt.outcome), attempt.attempts)
    yield attempts
    bytes_ = CounterMetricFamily(
        "mediactl_bytes", "Bytes of sources that are done (in), of artefacts (out), and sent to stores (sent).",
        labels=("direction",), unit="bytes",
    )  # fmt: skip
    for direction, number in figures.bytes.items():
        bytes_.add_metric((direction,), number)
    yield bytes_
    artefacts = CounterMetricFamily("mediactl_artefacts", "Artefacts that were encoded or linked.", labels=("role",))
    for role, number in figures.artefacts.items():
        artefacts.add_metric((role,), number)
    yield artefacts


def _runs(figures: Figures) -> Iterator[Metric]:
    """Yield how the last runs ended, and what is left to a person."""
    if figures.last_success is not None:
        yield GaugeMetricFamily(
            "mediactl_last_success_timestamp_seconds", "When the last run ended with exit code 0, since 1970.",
            figures.last_success, unit="seconds",
        )  # fmt: skip
    if figures.last_exit_code is not None:
        yield GaugeMetricFamily(
            "mediactl_last_exit_code", "Exit code of the last run that ended.", figures.last_exit_code
        )
    yield GaugeMetricFamily(
        "mediactl_quarantined_sources", "Sources that were given up, or whose upload was.", figures.quarantined
    )


def _histogram(name: str, text: str, timings: tuple[Timing, ...]) -> Metric:
    family = HistogramMetricFamily(f"{name}_seconds", text, labels=("operation",), unit="seconds")
    for timing in timings:
        buckets = [("+Inf" if math.isinf(edge) else str(edge), count) for edge, count in timing.buckets]
        family.add_metric((timing.operation,), buckets, timing.seconds)
    return family
