"""What a run reports while it works: one Struct an event, one line of NDJSON each, tagged by ``event``.

This is a contract (docs/events.md): fields are added, never changed. A field that may be None is absent from the line
where it is. Sizes are bytes and durations seconds unless a name says otherwise; paths are escaped
(``core.files.shown``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NotRequired, TypedDict

import msgspec

from mediactl.model.media import Kind
from mediactl.model.uploads import SentStatus


class Reason(StrEnum):
    """Why a source is planned."""

    NEW = "new"
    CHANGED = "changed"
    ADOPTED = "adopted"
    """Its outputs are there and the journal was lost: it is read to see whether they are its own."""
    RECIPE_CHANGED = "recipe changed"
    ENCODER_CHANGED = "encoder changed"
    DECODER_CHANGED = "decoder changed"
    """It was rejected or ignored by another mediactl, or with other decoders."""
    MISSING_OUTPUT = "missing output"
    UNFINISHED = "unfinished"
    NOT_UPLOADED = "to be uploaded"


class StopCause(StrEnum):
    """Why a run stops early."""

    SIGNAL = "signal"
    DRAIN = "drain"
    TIME_LIMIT = "time limit"
    BLOCKED = "blocked"
    """The machine cannot go on, e.g. since a disk is full."""
    FORBIDDEN = "forbidden"
    """Permissions forbid writing outputs."""
    HOURS = "hours"
    """The hours of `--hours` are over."""


class PauseCause(StrEnum):
    """Why a run starts no jobs for now."""

    COMMAND = "command"
    """`mediactl pause`, or the key p of `mediactl top`."""
    HOURS = "hours"
    """It is outside of the hours of `--hours`."""


class LeftOutBy(StrEnum):
    """Why something that lies in a SOURCE is left out."""

    SYMLINK = "symbolic link"
    EXCLUDE = "--exclude"
    INCLUDE = "--include"
    """Files that no --include matches."""
    IGNORE_FILE = ".mediactlignore"
    DEFAULT = "default"
    """NAS thumbnails and bins, snapshots, unfinished downloads, backups of editors."""
    HIDDEN = "hidden"
    """Names that begin with a dot; `upload` does not leave them out."""
    SPECIAL = "special file"
    """Named pipes, sockets and devices."""
    OUTPUTS = "output directory"
    """Output directories of other runs."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """Something that a person, cron or CI may act on."""

    time: float | None = None
    """Seconds since 1970 when it was written."""

    @property
    def name(self) -> str:
        """The tag on the wire: "job.done"."""
        return str(self.__struct_config__.tag)


# -- the run -----------------------------------------------------------------------------------------------------------


class JournalDamaged(Event, frozen=True, kw_only=True, tag="journal.damaged"):
    """The journal was damaged: it was renamed and rebuilt from the asset.json files."""

    set_aside: str
    """Path of the damaged journal."""
    adopted: int
    """Number of asset.json files that the new one was rebuilt from."""


class JournalRebuilt(Event, frozen=True, kw_only=True, tag="journal.rebuilt"):
    """The journal was lost: it was rebuilt from the asset.json files."""

    adopted: int
    """Number of asset.json files."""


class CacheUnusable(Event, frozen=True, kw_only=True, tag="cache.unusable"):
    """The cache of digests and probe results is not used; reported at most once a run."""

    reason: str
    """Why, in words."""


class BucketTrouble(Event, frozen=True, kw_only=True, tag="bucket.trouble"):
    """What the bucket holds cannot be read, or its index is damaged or cannot be written; the run goes on."""

    reason: str
    """Why, in words."""


class MonitorTrouble(Event, frozen=True, kw_only=True, tag="monitor.trouble"):
    """Metrics or notifications of the run do not get through; reported once for each of them, and the run goes on."""

    monitor: str
    """The flag, or the host of a notification."""
    reason: str
    """Why, in words."""


class SandboxIncomplete(Event, frozen=True, kw_only=True, tag="sandbox.incomplete"):
    """Sources are decoded with less around them than `--sandbox require` would demand."""

    missing: dict[str, str]
    """Layer -> why this machine does not have it."""


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    """A run starts."""

    run: str
    """ID of the run."""
    version: str
    """Version of mediactl."""
    recipe: str
    """Name of the recipe; "" of a run that only uploads."""
    out: str
    """Output directory; of a run that only uploads, the s3:// URL, or ""."""
    workers: int
    """Number of worker processes."""
    watching: bool
    """False for `process`, true for `watch`."""


class RunStopping(Event, frozen=True, kw_only=True, tag="run.stopping"):
    """The run starts no more jobs, and lets the running ones finish."""

    reason: str
    """Why, in words."""
    cause: StopCause
    """Why."""
    signal: str | None = None
    """Name of the signal that it received, if any."""
    jobs: int
    """Number of running jobs."""
    grace_s: float
    """Seconds that they get at most; what is unfinished then is left to the next run."""


class RunStopped(Event, frozen=True, kw_only=True, tag="run.stopped"):
    """The run stops early; run again to continue."""

    reason: str
    """Why, in words."""
    cause: StopCause | None = None
    """Why; absent where only some sources are left for the next run."""


class RunPaused(Event, frozen=True, kw_only=True, tag="run.paused"):
    """The run starts no jobs until `run.resumed`."""

    cause: PauseCause
    """Why."""
    suspended: bool
    """Whether running jobs are suspended, too (`pause --now`); no time passes for their limits."""
    until: float | None = None
    """Seconds since 1970 when the hours of `--hours` begin."""


class RunResumed(Event, frozen=True, kw_only=True, tag="run.resumed"):
    """The run starts jobs again."""


class SocketUnusable(Event, frozen=True, kw_only=True, tag="socket.unusable"):
    """The run has no event socket: `events --follow`, `top`, `pause` and `resume` do not reach it."""

    reason: str
    """Why, in words."""


class BrokerLost(Event, frozen=True, kw_only=True, tag="broker.lost"):
    """The broker of --broker cannot be reached: the run waits for it, and tries again every second."""

    reason: str
    """Why, in words."""


class BrokerReached(Event, frozen=True, kw_only=True, tag="broker.reached"):
    """The broker can be reached, after it could not."""


class MachineUnfit(Event, frozen=True, kw_only=True, tag="machine.unfit"):
    """A machine hands back the jobs of this run: other ones run them."""

    host: str
    """Its name."""
    reason: str
    """Why, in words."""


class EventsMissed(Event, frozen=True, kw_only=True, tag="events.missed"):
    """Events are missing here: this reader was too slow, and a run waits for none."""

    missed: int
    """Number of events."""


class LaneStatus(msgspec.Struct, frozen=True):
    """What a run does in one lane."""

    running: int
    """Jobs that workers run."""
    queued: int
    """Jobs that were sent to workers and have not begun, or are about to be."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A running job, and where it runs."""

    pid: int
    """Process ID of the worker."""
    lane: str
    """Lane of the job."""
    job: str
    """Key of the job."""
    kind: str
    """Kind of the job."""
    path: str | None = None
    """Path of its source."""
    piece: int | None = None
    """Piece of a long video, as in events of jobs."""
    pieces: int | None = None
    """Number of pieces that the video is split into."""
    seconds: float | None = None
    """For how long it has been running, without the time for which it was suspended; absent of uploads."""
    fraction: float | None = None
    """0 to 1, where it reports progress."""


class RunSnapshot(Event, frozen=True, kw_only=True, tag="run.snapshot"):
    """How a run stands; only on its event socket (`events --follow`): after `run.started` and `events.missed`."""

    elapsed_s: float
    """Seconds since the run started."""
    lanes: dict[str, LaneStatus]
    """By lane: quick, heavy, network."""
    running: list[WorkerStatus]
    """Running jobs."""
    workers: int
    """Worker processes."""
    planned: bool
    """Whether the scan is complete."""
    sources: int
    """Sources with something to be done, found so far."""
    done: int
    """Sources that this run completed."""
    rejected: int
    """Jobs that were rejected."""
    quarantined: int
    """Jobs that were quarantined."""
    jobs: int
    """Jobs that this run finished, however they ended."""
    artefacts: int
    """Files that this run wrote."""
    bytes_in: int
    """Size of the sources that were done."""
    bytes_out: int
    """Size of the files written."""
    fraction: float | None = None
    """How much of the work is done, 0 to 1, as far as it is known."""
    paused: PauseCause | None = None
    """Why it starts no jobs, if it does not."""
    suspended: bool = False
    """Whether running jobs are suspended."""
    stopping: StopCause | None = None
    """Why it is stopping, if it is."""


class ControlAnswer(Event, frozen=True, kw_only=True, tag="control.answer"):
    """The answer to a request; only on the event socket, to the client that asked."""

    request: str
    """Name of the request."""
    done: bool
    """Whether it was carried out."""
    reason: str
    """What was done, or why not, in words."""


class Summary(Event, frozen=True, kw_only=True, tag="summary"):
    """The last event of a run: how its sources stand at the end.

    sources = up_to_date + done + rejected + quarantined + unfinished. A watch counts each source once, however often it
    changed.
    """

    sources: int
    """Number of sources."""
    up_to_date: int
    """Sources that needed nothing."""
    done: int
    """Sources that this run completed."""
    rejected: int
    """Sources whose file is invalid."""
    quarantined: int
    """Sources for which too many attempts failed."""
    unfinished: int
    """Sources left for the next run."""
    ignored: int
    """Files that are not media, or of a kind for which the recipe has no outputs."""
    troubles: int
    """Directories and manifest rows that could not be read."""
    jobs: int
    """Jobs that this run finished, however they ended."""
    artefacts: int
    """Files that this run wrote."""
    uploaded: int
    """Objects that this run sent."""
    bytes_in: int
    """Size of the sources that were done."""
    bytes_out: int
    """Size of the files written."""
    bytes_sent: int
    """Bytes of request bodies sent, retries included."""
    elapsed_s: float
    """Duration of the run in seconds."""
    exit_code: int
    """Exit code of the program."""
    internal_errors: int
    """Number of `job.internal_error` events."""
    internal_error: str
    """Reason of the first of them, "" without any."""
    left_out: dict[LeftOutBy, int] | None = None
    """Files and directories that were left out, by reason."""
    cancelled: int = 0
    """Those of the unfinished sources that were cancelled (`mediactl cancel`)."""
    over_budget: int = 0
    """Number of `budget.broken` events."""
    recalled: int = 0
    """Those of the sources done whose outputs were all found in the bucket."""


class ExtraRequired(Event, frozen=True, kw_only=True, tag="extra.required"):
    """Sources were rejected because an extra is not installed; the first run after it was installed retries them."""

    extra: str
    """Name of the extra."""
    format: str
    """What it decodes, in words."""
    sources: int
    """Number of sources that this run rejected because of it."""
    install: str
    """Command that installs it."""


class Tick(Event, frozen=True, kw_only=True, tag="tick"):
    """Time has passed: displays are redrawn. Never on the wire."""

    running: int
    """Jobs that are running."""


class AttemptEvent(Event, frozen=True, kw_only=True):
    """An attempt of a job, for monitors alone; only in runs that ask for it. Never on the wire."""

    operation: str
    """What the job does."""


class AttemptBegun(AttemptEvent, frozen=True, kw_only=True, tag="attempt.begun"):
    """A job was sent to a worker."""


class SourceTrace(msgspec.Struct, frozen=True, kw_only=True):
    """The trace that a source belongs to. IDs as in W3C Trace Context."""

    trace: str
    """ID of the trace."""
    span: str
    """ID of the source's span."""
    parent: str
    """The traceparent that it is a child of, or ""."""
    began_at: float
    """Seconds since 1970 when the first job of the source was added."""
    path: str
    """Path of the source."""
    size: int
    """Size of the source."""
    state: str
    """State of the source, once nothing is pending of it; else ""."""


class AttemptEnded(AttemptEvent, frozen=True, kw_only=True, tag="attempt.ended"):
    """The result of an attempt is in the journal."""

    result: str
    """success; failure, where no other attempt follows; or retry."""
    seconds: float
    """Wall-clock time."""
    lane: str
    """Lane of the job."""
    attempt: int
    """Number of the attempt, counted from 1."""
    outcome: str
    """Verdict on the attempt."""
    sent: int | None = None
    """Of an upload: bytes of request bodies sent."""
    piece: int | None = None
    """Piece of a long video, as in events of jobs."""
    trace: SourceTrace | None = None
    """That of its source, in runs that send traces."""


class Suspending(Event, frozen=True, kw_only=True, tag="suspending"):
    """The run is about to be suspended (Ctrl-Z): displays remove what they redraw. Never on the wire."""


class Invariants(msgspec.Struct, frozen=True):
    """What had to hold after a selftest."""

    checked: int
    """Number of invariants that were checked."""
    violated: list[str]
    """Those that did not hold, in words."""


class Selftest(Event, frozen=True, kw_only=True, tag="selftest"):
    """The only event of `selftest --json`: what was measured and checked."""

    jobs: int
    """Number of jobs."""
    jobs_per_s: float
    """Jobs per second."""
    cpu_us_per_job: float
    """Microseconds of the supervisor's CPU."""
    wait_ms: dict[str, dict[str, float]]
    """By priority and lane ("normal/quick"): p50, p99 and max, in milliseconds, from being added to the first start."""
    run_ms: dict[str, dict[str, float]]
    """The same of run times."""
    states: dict[str, int]
    """State -> number of jobs."""
    invariants: Invariants
    """What had to hold afterwards."""
    seed: int
    """Seed of the job mix."""


class SelftestKilled(Event, frozen=True, kw_only=True, tag="selftest.killed"):
    """The only event of `selftest --kill --json`: what was killed and checked."""

    kills: dict[str, int]
    """What was killed ("worker") -> how often."""
    runs: int
    """Number of runs that were started."""
    seconds: float
    """Wall-clock time."""
    invariants: Invariants
    """What had to hold after every kill; `checked` counts how often all of it was checked."""
    seed: int
    """Seed of the kills."""


# -- sources -----------------------------------------------------------------------------------------------------------


class ScanTrouble(Event, frozen=True, kw_only=True, tag="scan.trouble"):
    """A directory, file or manifest row could not be read, or its outputs would overwrite those of another."""

    path: str
    """Its path; of a manifest row, the manifest and line."""
    reason: str
    """Why, in words."""


class SourceIgnored(Event, frozen=True, kw_only=True, tag="source.ignored"):
    """A file is not media, or of a kind for which the recipe has no outputs."""

    path: str
    """Path relative to its SOURCE."""
    reason: str
    """Why, in words."""


class RunFailed(Event, frozen=True, kw_only=True, tag="run.failed"):
    """The command failed (usage error, invalid settings or recipe, output directory that cannot be written, ...): the
    last event, no `summary` follows."""

    reason: str
    """Why, in words; the same is printed on standard error."""
    exit_code: int
    """Exit code of the program."""


class SourceSettled(Event, frozen=True, kw_only=True, tag="source.settled"):
    """A source that was rejected, quarantined or cancelled before this run: unchanged since, it is not retried."""

    path: str
    """Path relative to its SOURCE."""
    state: str
    """rejected, quarantined or cancelled."""
    reason: str
    """Why, in words."""
    fails: bool
    """Whether this run exits with 1 for it (`--strict`)."""


class SourceLeftOut(Event, frozen=True, kw_only=True, tag="source.left_out"):
    """A file, or a directory with all that is in it, is left out: by a rule, or as a symbolic link."""

    path: str
    """Path relative to its SOURCE; a directory's ends with a slash."""
    reason: LeftOutBy
    """Whose rule it is."""
    rule: str
    """The rule; of a .mediactlignore, after its path and the line number."""


class SourceEmptied(Event, frozen=True, kw_only=True, tag="source.emptied"):
    """Nothing is in a SOURCE directory in which earlier runs found sources."""

    path: str
    """Path of the directory."""
    sources: int
    """Number of sources that the journal has of it."""
    unmounted: str | None = None
    """Mount point that it was on and is not on now: its file system is not mounted. The run ends with 75."""


class SourcePlanned(Event, frozen=True, kw_only=True, tag="source.planned"):
    """A source has something to be done."""

    path: str
    """Path relative to its SOURCE."""
    kind: Kind
    """Kind of the source."""
    reason: Reason
    """Why it is planned."""
    bytes: int
    """Size of the source; 0 if it only has to be uploaded."""


class OutputChange(msgspec.Struct, frozen=True):
    """What a changed recipe or encoder means for one output, over all sources done before."""

    output: str
    """Table and file of the recipe: "image w640.webp"."""
    change: str
    """new, changed or removed."""
    artefacts: int
    """Number of artefacts, exact."""
    sources: int
    """Number of sources that they are of, exact."""
    seconds: float
    """Estimate, with as many workers as the run would have."""
    bytes: int
    """Estimate; of removed ones, the size of those that asset.json no longer names."""


class UploadEstimate(msgspec.Struct, frozen=True):
    """What would be sent, as far as it is known."""

    objects: int
    """Number of objects."""
    bytes: int
    """Their size."""


class Plan(Event, frozen=True, kw_only=True, tag="plan"):
    """The scan is complete (of a watch, the first one). A dry run ends with it."""

    sources: int
    """Number of sources."""
    up_to_date: int
    """Sources that need nothing."""
    ignored: int
    """Files that are not media, or of a kind for which the recipe has no outputs."""
    planned: int
    """Sources with something to be done."""
    reasons: dict[Reason, int]
    """How many of them were planned for which reason."""
    kinds: dict[Kind, int] | None = None
    """Dry run: planned sources by kind."""
    bytes_in: int | None = None
    """Dry run: size of the planned sources."""
    seconds: float | None = None
    """Dry run: estimated duration of the run."""
    kept: int | None = None
    """Dry run: artefacts of done sources that stay as they are."""
    changes: list[OutputChange] | None = None
    """Dry run: one object for each output and change; artefacts are exact, seconds and bytes estimates."""
    upload: UploadEstimate | None = None
    """Dry run with `--to`."""
    outputs: dict[Kind, list[str]] | None = None
    """Dry run: for each kind of new source, the outputs that each of them gets."""
    left_out: dict[LeftOutBy, int] | None = None
    """Files and directories that were left out, by reason."""


class BudgetBroken(Event, frozen=True, kw_only=True, tag="budget.broken"):
    """A file is over a `[[budget]]` of its recipe: the run exits with 1. Every run reports all that are."""

    path: str
    """Path of the source relative to its SOURCE."""
    output: str
    """Output as the budget names it: "image.w1600"."""
    file: str
    """File name of the artefact."""
    bytes: int | None = None
    """Its size, if that is over budget."""
    bytes_allowed: int | None = None
    """Maximum size."""
    similarity: float | None = None
    """Its SSIM to the source at the same size, if that is below the budget."""
    similarity_required: float | None = None
    """Minimum SSIM."""


class WatchTrouble(Event, frozen=True, kw_only=True, tag="watch.trouble"):
    """A SOURCE directory is gone, or changes in it are not reported (limits of inotify)."""

    path: str
    """Path of the directory."""
    reason: str
    """Why, in words."""


class WatchResumed(Event, frozen=True, kw_only=True, tag="watch.resumed"):
    """A SOURCE directory is back."""

    path: str
    """Path of the directory."""


# -- jobs --------------------------------------------------------------------------------------------------------------


class JobFields(TypedDict):
    """What every event of a job begins with, as ``JobEvent`` describes it."""

    job: str
    kind: str
    path: NotRequired[str]
    source_kind: NotRequired[Kind]
    bytes: NotRequired[int]
    piece: NotRequired[int]
    pieces: NotRequired[int]


class JobEvent(Event, frozen=True, kw_only=True):
    """Something that happened to a job."""

    job: str
    """Key of the job, the same in every run."""
    kind: str
    """probe, recall, image, video, audio, piece, upload or fetch."""
    path: str | None = None
    """Path of the source relative to its SOURCE, unprintable characters escaped; of an upload without source, the
    file's."""
    source_kind: Kind | None = None
    """Kind of the source."""
    bytes: int | None = None
    """Size of the source."""
    piece: int | None = None
    """Piece of a long video, counted from 1; 0: all of its audio."""
    pieces: int | None = None
    """Number of pieces that the video is split into; 0 for its audio."""

    @property
    def label(self) -> str:
        """Name for people: path, else job key."""
        return self.job if self.path is None else self.path


class PiecePlan(msgspec.Struct, frozen=True):
    """A piece of a long video that is encoded on its own."""

    job: str
    """Key of its job."""
    size: int
    """Amount of work, in milliseconds of media."""


class JobProbed(JobEvent, frozen=True, kw_only=True, tag="job.probed"):
    """A source was read, and what follows is known."""

    next: str
    """Key of the job that makes its outputs."""
    next_kind: str
    """Kind of that job."""
    size: int
    """Amount of work of that job: pixels of an image, milliseconds of video or audio."""
    parts: tuple[PiecePlan, ...] | None = None
    """Of a long video: the pieces that are encoded before that job."""


class JobRecalled(JobEvent, frozen=True, kw_only=True, tag="job.recalled"):
    """The bucket was asked for the outputs of a source; without `next`, it has all of them, and the source is done."""

    found: int
    """Outputs that it has."""
    seconds: float
    """Wall-clock time."""
    next: str | None = None
    """ID of the job that makes what is missing."""
    next_kind: str | None = None
    """What that job does."""
    size: int | None = None
    """Its amount of work, as in `job.probed`."""
    parts: tuple[PiecePlan, ...] | None = None
    """Jobs that come before it, of a long video that is encoded in pieces."""


class JobFetched(JobEvent, frozen=True, kw_only=True, tag="job.fetched"):
    """An object of a bucket is on disk, and is read next."""

    received: int
    """Bytes that were received of it; 0: an earlier run had fetched it."""
    seconds: float
    """Wall-clock time."""


class JobProgress(JobEvent, frozen=True, kw_only=True, tag="job.progress"):
    """The progress of a running job."""

    fraction: float
    """0 to 1."""
    bytes_sent: int | None = None
    """Of an upload: bytes of request bodies sent."""
    size: int | None = None
    """Of an upload: the same as `size_bytes`, its older name."""
    size_bytes: int | None = None
    """Of an upload: size of the object."""
    seconds: float | None = None
    """Of a video, or a piece of one: its duration."""
    speed: float | None = None
    """Of a video: encoded seconds per second, once it is known."""
    fps: float | None = None
    """Of a video: encoded frames per second, once it is known."""


class JobDone(JobEvent, frozen=True, kw_only=True, tag="job.done"):
    """A job is done; one that completes a source has the fields from `made` on, too."""

    seconds: float
    """Wall-clock time."""
    cpu_seconds: float | None = None
    """CPU time, child processes included."""
    peak_memory: int | None = None
    """The same as `peak_memory_bytes`, its older name."""
    peak_memory_bytes: int | None = None
    """Peak memory of the worker or its largest child process."""
    made: int | None = None
    """Number of artefacts that were encoded or linked."""
    bytes_in: int | None = None
    """Size of the source."""
    bytes_out: int | None = None
    """Size of the artefacts that were encoded or linked."""
    outputs: tuple[str, ...] | None = None
    """File names of all artefacts of the source."""
    warnings: tuple[str, ...] | None = None
    """What was lost or replaced, in words."""
    size: int | None = None
    """Amount of work: pixels of an image, milliseconds of video or audio."""


class JobStopped(JobEvent, frozen=True, kw_only=True):
    """An attempt ended without being done."""

    reason: str
    """Why, in words."""


class JobRejected(JobStopped, frozen=True, kw_only=True, tag="job.rejected"):
    """The source is invalid; final until it changes, or `retry`, or what decodes it changes."""

    requires: str | None = None
    """The extra that decodes files of its format, and is not installed."""
    bytes_sent: int | None = None
    """Of an upload: bytes of request bodies sent by this attempt."""


class JobRetry(JobStopped, frozen=True, kw_only=True, tag="job.retry"):
    """An attempt failed; the job will be retried."""

    attempt: int
    """Number of the attempt, counted from 1."""
    bytes_sent: int | None = None
    """Of an upload: bytes of request bodies sent by this attempt."""


class JobQuarantined(JobStopped, frozen=True, kw_only=True, tag="job.quarantined"):
    """Too many attempts failed, or an internal error occurred while mediactl handled it; final until `retry`."""

    bytes_sent: int | None = None
    """Of an upload: bytes of request bodies sent by this attempt."""


class JobInternalError(JobStopped, frozen=True, kw_only=True, tag="job.internal_error"):
    """Too many attempts failed with an internal error, a bug of mediactl or of a library: the source stays unfinished
    and is retried by the next run."""

    bytes_sent: int | None = None
    """Of an upload: bytes of request bodies sent by this attempt."""


class JobUnreadable(JobStopped, frozen=True, kw_only=True, tag="job.unreadable"):
    """The machine failed `--attempts` times under a job (disk, network file system; too few threads, processes, open
    files, too little memory): its source is left for the next run."""


class JobInterrupted(JobStopped, frozen=True, kw_only=True, tag="job.interrupted"):
    """An attempt was stopped from outside; the job stays pending, and this counts as no failure."""

    bytes_sent: int | None = None
    """Of an upload: bytes of request bodies sent by this attempt."""


class JobChanged(JobStopped, frozen=True, kw_only=True, tag="job.changed"):
    """The source changed while it was read, or another run has planned it with another recipe."""


class JobCancelled(JobStopped, frozen=True, kw_only=True, tag="job.cancelled"):
    """The source was removed; of a piece: its video no longer needs it."""


# -- uploads -----------------------------------------------------------------------------------------------------------


class UploadPlanned(Event, frozen=True, kw_only=True, tag="upload.planned"):
    """More is to be uploaded."""

    jobs: int
    """Number of upload jobs, one an object."""
    bytes: int
    """Size of the objects."""


class UploadDone(JobEvent, frozen=True, kw_only=True, tag="upload.done"):
    """An object is complete in the bucket."""

    url: str
    """s3://BUCKET/KEY."""
    status: SentStatus
    """Sent by this job; found complete; or found complete with our metadata, but not recorded in the journal."""
    size: int
    """The same as `size_bytes`, its older name."""
    size_bytes: int | None = None
    """Size of the object."""
    bytes_sent: int
    """Bytes of request bodies sent by this attempt, retries included."""
    parts_sent: int
    """Parts of a multipart upload sent by this attempt."""
    parts_kept: int
    """Parts that an earlier run had sent."""
    seconds: float
    """Wall-clock time."""


class UploadStopped(Event, frozen=True, kw_only=True, tag="upload.stopped"):
    """The store accepts no more requests of this run."""

    reason: str
    """Why, in words."""


AnyEvent = (
    JournalDamaged | JournalRebuilt | CacheUnusable | SandboxIncomplete | MonitorTrouble | RunStarted | ScanTrouble
    | SourceIgnored | SourceSettled | SourceLeftOut
    | SourceEmptied | SourcePlanned | Plan | BudgetBroken | BucketTrouble | JobRecalled | JobFetched
    | WatchTrouble | WatchResumed | JobProbed | JobProgress | JobDone | JobRejected | JobRetry | JobQuarantined
    | JobInternalError | JobUnreadable | JobInterrupted | JobChanged | JobCancelled | UploadPlanned | UploadDone
    | UploadStopped | ExtraRequired | RunStopping | RunStopped | RunPaused | RunResumed | RunFailed | Summary | Selftest
    | SelftestKilled | SocketUnusable | EventsMissed | RunSnapshot | ControlAnswer
    | BrokerLost | BrokerReached | MachineUnfit
)  # fmt: skip
"""Every event on the wire, in the order of docs/events.md."""
