"""The ffmpeg binary: finding it, asking what it can do, running it so that it harms nothing and leaves nothing behind.

Sources reach it as an open descriptor, never by name, and may open nothing else; outputs are plain names that
mediactl made, in the folder it is started in. So no name, playlist or reference of a stranger's is ever followed.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import selectors
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from mediactl.core.errors import JobFailed, MachineBlocked, RejectedInput, UsageError
from mediactl.core.files import shown
from mediactl.core.processes import die_with
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg.bundled import bundled_ffmpeg, series
from mediactl.model.media import Limits

VARIABLE = "MEDIACTL_FFMPEG"
"""Environment variable that names another binary than the bundled one."""
DEMUXERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,mp3,flac,wav,w64,aac,ac3,eac3,aiff,caf,amr,au,wv,tta,ape,dv"
"""Containers that are opened. None of them lives of other files, as do hls, dash, concat, image2, sdp and lavfi."""
PROTOCOLS = "fd"
"""Protocols that a source may use: the descriptor it is handed over by, and so no other file and no network."""

_INPUT_FAULTS = frozenset({69, 176, 183, 187, 8})
"""Exit codes that blame the source: too many decoding errors (FFMPEG_ERROR_RATE_EXCEEDED, ffmpeg.h), and the low bytes
of AVERROR_PATCHWELCOME, AVERROR_INVALIDDATA, AVERROR_EOF and AVERROR_DECODER_NOT_FOUND (libavutil/error.h)."""

_MACHINE_FAULTS = {(-code) & 0xFF: code for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)}
"""Exit codes of a disk that refuses, each the low byte of a negative errno: the source, after all, is open already."""
_ECHOES = (
    "Error opening", "Error muxing", "Task finished", "Terminating thread", "Nothing was written", "Last message",
    "Could not open encoder before", "Cannot determine format of input",
)  # fmt: skip
_KEPT_FIRST, _KEPT_LAST = 2 << 10, 6 << 10
_COMMAND_SHOWN = 4 << 10


Pace = Callable[[float, float, float], None]
"""Called twice a second with seconds of media done, frames a second, and media time by wall time (1.0: real time)."""


class FfmpegFailed(JobFailed):
    """ffmpeg ended with an error. The message has the most telling line; the rest is in the attributes and notes."""

    def __init__(self, message: str, status: int, command: str, stderr: str) -> None:
        super().__init__(message)
        self.status = status
        """Exit code; negative: the signal that killed it."""
        self.command = command
        """The exact command, quoted for a shell, bounded."""
        self.stderr = stderr
        """First 2 kB and last 6 kB."""
        self.add_note(f"command: {command}")
        self.add_note(f"stderr: {stderr}")

    @property
    def blames_input(self) -> bool:
        """Whether the exit code alone says that the source is at fault."""
        return self.status in _INPUT_FAULTS


def find(configured: str | None = None) -> str:
    """Path of the binary: ``configured`` (a path or a name on PATH), else that of the environment, else the one that
    imageio-ffmpeg brings, else the one on PATH.

    Raises UsageError when the named one does not exist, MachineBlocked when there is none at all.
    """
    named = configured or os.environ.get(VARIABLE)
    return _named(named) if named else _bundled()


def version(binary: str | None = None) -> str:
    """Series of the binary, "9.0"; for a development build its whole version word. Raises as ``find``."""
    binary = binary or find()
    word = re.match(r"ffmpeg version (\S+)", _ask(binary, "-version"))
    if not word:
        raise UsageError(f"{shown(binary)} is no ffmpeg: `-version` names none; set {VARIABLE} to one")
    return series(word[1])


def encoders(binary: str | None = None) -> frozenset[str]:
    """Names of the encoders that the binary has."""
    return _listed(binary or find(), "-encoders")


def filters(binary: str | None = None) -> frozenset[str]:
    """Names of the filters that the binary has."""
    return _listed(binary or find(), "-filters")


def check(needed: set[str], binary: str | None = None) -> None:
    """Raise UsageError, naming what to do, unless ffmpeg is there, starts, and has every encoder in ``needed``."""
    path = binary or find()
    if missing := sorted(needed - encoders(path)):
        raise UsageError(
            f"ffmpeg at {shown(path)} has no encoder {', '.join(missing)}; "
            f"unset {VARIABLE} (and --ffmpeg) to use the bundled one, or name a complete build"
        )


def source(fd: int, threads: int, **options: Any) -> Any:
    """The source as an ffmpeg-python input node, with the allow-lists that every run needs."""
    import ffmpeg as graph  # Here and below: it takes 100 ms, which nobody pays who only asks for a version.

    lists = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
    return graph.input("fd:", fd=fd, threads=threads, **lists, **options)


def output(streams: list[Any], file: bytes, muxer: str, limits: Limits, **options: Any) -> Any:
    """An ffmpeg-python output node: without the source's metadata, and the same bytes for the same work.

    ``file`` must lie in the folder of the run; ffmpeg sees its name alone, marked as a file's. ``limits`` end it when
    a source goes on for longer than it claimed. ``metadata`` may hold several "key=value", with "\\0" between them.
    """
    import ffmpeg as graph

    name = "file:" + os.fsdecode(os.path.basename(file))
    common = {"format": muxer, "map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "t": limits.duration + 1}
    return graph.output(*streams, name, **{**common, **options})


def arguments(*outputs: Any, threads: int, also: Sequence[tuple[str, bytes]] = ()) -> list[str]:
    """argv (without the binary) of one run that writes all these outputs, with so many threads for its filters.

    ``also``: format and path of files of ours in the run's folder that are read besides the (one) source; options name
    them by number, from 1 ("map_metadata": 1).
    """
    import ffmpeg as graph

    parts: list[str] = []
    for part in graph.merge_outputs(*outputs).get_args(overwrite_output=True):
        option = parts[-1:]  # ffmpeg-python has no way to give an option twice.
        parts += f"\0{option[0]}\0".join(part.split("\0")).split("\0") if option == ["-metadata"] else [part]
    for format, file in reversed(also):
        place = parts.index("-i") + 2  # After the source, which is the only input that graphs are made of.
        parts[place:place] = ["-f", format, "-i", "file:" + os.fsdecode(os.path.basename(file))]
    return ["-filter_complex_threads", str(threads), "-filter_threads", str(threads), *parts]


def run(
    arguments: list[str],
    *,
    input_fd: int,
    folder: bytes,
    expected: float,
    rate: float | None,
    report: Report,
    pace: Pace | None = None,
) -> list[str]:
    """Run ffmpeg in ``folder`` with ``input_fd`` (read from its start; or a pipe) as its only open file.

    ``report`` gets position / ``expected`` (seconds) whenever the position has advanced. While an output waits for its
    first frame, ffmpeg tells no position: then it is taken from the frames encoded, at ``rate`` a second. ``pace`` is
    told how fast it goes. The child is
    in this process's group, dies with this process, and is killed and reaped if anything is raised in here, by
    ``report`` too. Returns what it complained about, bounded: nothing, for a source without a flaw.

    Raises MachineBlocked (disk full, quota, read-only), FfmpegFailed for every other bad end.
    """
    argv = [find(), "-nostdin", "-hide_banner", "-loglevel", "level+error", "-progress", "pipe:1"]
    argv += ["-stats_period", "0.5", *arguments]
    if not stat.S_ISFIFO(os.fstat(input_fd).st_mode):
        os.lseek(input_fd, 0, os.SEEK_SET)  # ffmpeg duplicates the descriptor, and so begins where we left it.
    progress, stderr = _Progress(expected, rate, report, pace), _Bounded()
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(input_fd,),
            cwd=folder,
            env=_environment(),
            preexec_fn=_tied_to_this_process(),
        )
    except OSError as error:
        if error.errno == errno.E2BIG:  # The source's doing: a chain of filters for each of very many tracks.
            raise RejectedInput("has more tracks than can be worked on at once") from error
        culprit = shown(error.filename or argv[0])  # The binary, or the folder to start it in.
        raise MachineBlocked(f"ffmpeg cannot be started: {culprit}: {error.strerror}") from error
    with child, selectors.DefaultSelector() as selector:
        assert child.stdout is not None
        assert child.stderr is not None
        selector.register(child.stdout, selectors.EVENT_READ, progress.feed)
        selector.register(child.stderr, selectors.EVENT_READ, stderr.feed)
        try:
            while selector.get_map():
                for key, _ in selector.select():
                    if block := os.read(key.fd, 1 << 16):
                        key.data(block)
                    else:
                        selector.unregister(key.fileobj)
            status = child.wait()
        except BaseException:
            child.kill()
            raise
    if status:
        raise _failure(status, argv, stderr.text(), folder)
    return stderr.text().splitlines()


class _Progress:
    """Reads the key=value lines of -progress; reports each advancement."""

    def __init__(self, expected: float, rate: float | None, report: Report, pace: Pace | None) -> None:
        self._expected, self._rate, self._report, self._pace = expected, rate, report, pace
        self._seconds, self._fps, self._rest = 0.0, 0.0, b""

    def feed(self, block: bytes) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            key, _, value = line.strip().partition(b"=")
            seconds = 0.0
            if key == b"out_time_us" and value.isdigit():
                seconds = int(value) / 1e6
            elif key == b"frame" and value.strip().isdigit() and self._rate:
                seconds = int(value) / self._rate
            elif key == b"fps":
                self._fps = _number(value)
            elif key == b"speed" and self._pace and (speed := _number(value.rstrip(b"x"))) > 0:
                self._pace(self._seconds, self._fps, speed)  # The last line of a block but one; "N/A" at first.
            if seconds > self._seconds:
                self._seconds = seconds
                self._report(min(seconds / self._expected, 1.0))


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0


class _Bounded:
    """The beginning and the end of a stream of any length."""

    def __init__(self) -> None:
        self._first, self._last, self._cut = b"", b"", False

    def feed(self, block: bytes) -> None:
        room = _KEPT_FIRST - len(self._first)
        self._first += block[:room]
        self._last += block[room:] if room < len(block) else b""
        if len(self._last) > _KEPT_LAST:
            self._last, self._cut = self._last[-_KEPT_LAST:], True

    def text(self) -> str:
        """Lines safe to show, without the addresses that differ from run to run."""
        whole = self._first + (b"\n[...]\n" if self._cut else b"") + self._last
        lines = whole.decode("utf-8", "replace").splitlines()
        return "\n".join(shown(re.sub(r" @ 0x[0-9a-f]+", "", line)) for line in lines if line.strip())


def _failure(status: int, argv: list[str], stderr: str, folder: bytes) -> Exception:
    if status in _MACHINE_FAULTS or _full(folder):
        reason = os.strerror(_MACHINE_FAULTS.get(status, errno.ENOSPC))
        return MachineBlocked(f"ffmpeg could not write to {shown(folder)}: {reason}; make room")
    command = shlex.join(argv)
    command = command if len(command) <= _COMMAND_SHOWN else command[:_COMMAND_SHOWN] + " [...]"
    how = f"was killed by {_signal(-status)}" if status < 0 else f"failed with exit code {status}"
    return FfmpegFailed(f"ffmpeg {how}: {telling(stderr)}", status, command, stderr)


def telling(stderr: str) -> str:
    """The last line of stderr that is not merely an echo of an earlier one; for people, nothing is decided by it."""
    lines = [re.sub(r"^(\[[^]]*\] )*", "", line) for line in stderr.splitlines()]
    own = [line for line in lines if not line.strip().startswith(_ECHOES)]
    return (own or lines or ["it gave no reason"])[-1][:300]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _full(folder: bytes) -> bool:
    """Whether the folder's file system has no room left for its owner (less than 64 kB)."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 1 << 16 or (room.f_files > 0 and room.f_favail == 0)


def _environment() -> dict[str, str]:
    """The child's environment: nothing that could make it write reports, use a proxy or load modules; and
    SVT-AV1, which has a log of its own, tells errors only."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1", "SVT_LOG": "1"}


def _tied_to_this_process() -> Callable[[], None]:
    """Return what the child does between fork and exec so that it dies with this process."""
    tie = die_with(os.getpid())

    def in_child() -> None:
        if not tie():
            os._exit(1)

    return in_child


def _named(name: str) -> str:
    path = shutil.which(name)
    if not path:
        raise UsageError(f"ffmpeg: {shown(name)} is not an executable file; correct or unset {VARIABLE} (or --ffmpeg)")
    return os.path.abspath(path)


@functools.cache
def _bundled() -> str:
    path = bundled_ffmpeg() or shutil.which("ffmpeg")
    if not path:
        raise MachineBlocked(f"ffmpeg is missing: reinstall imageio-ffmpeg, or set {VARIABLE} to an ffmpeg binary")
    return os.path.abspath(path)


@functools.cache
def _ask(binary: str, question: str) -> str:
    try:
        answer = subprocess.run(
            [binary, "-hide_banner", question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            env=_environment(),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        reason = shown(str(error))
        raise UsageError(f"ffmpeg at {shown(binary)} does not work: {reason}; correct {VARIABLE}") from error
    return answer.stdout.decode("utf-8", "replace")


@functools.cache
def _listed(binary: str, question: str) -> frozenset[str]:
    """Second words of the table that ``-encoders`` or ``-filters`` prints: " V....D libx264   description"."""
    return frozenset(re.findall(r"^ [A-Z.|]{2,6} (\w+) +\S", _ask(binary, question), re.MULTILINE))
