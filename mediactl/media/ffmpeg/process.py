"""Run ffmpeg so that it harms nothing and leaves nothing behind: progress, bounded stderr, exit codes as errors."""

from __future__ import annotations

import errno
import os
import re
import selectors
import shlex
import signal
import stat
import subprocess
from collections.abc import Callable

from mediactl.core import machine
from mediactl.core.errors import JobFailed, MachineBlocked, MachineTrouble, RejectedInput
from mediactl.core.files import shown
from mediactl.core.processes import dies_with_this_process
from mediactl.media.drafts import Report
from mediactl.media.ffmpeg import binary

_INPUT_FAULTS = frozenset({69, 176, 183, 187, 8})
"""Exit codes that blame the source: too many decoding errors (FFMPEG_ERROR_RATE_EXCEEDED, ffmpeg.h), and the low bytes
of AVERROR_PATCHWELCOME, AVERROR_INVALIDDATA, AVERROR_EOF and AVERROR_DECODER_NOT_FOUND (libavutil/error.h)."""

_MACHINE_FAULTS = {(-code) & 0xFF: code for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)}
"""Exit codes of a disk that refuses writes, each the low byte of a negative errno: the source is open already."""
_ECHOES = (
    "Error opening", "Error muxing", "Task finished", "Terminating thread", "Nothing was written", "Last message",
    "Could not open encoder before", "Cannot determine format of input",
)  # fmt: skip
_KEPT_FIRST, _KEPT_LAST = 2 << 10, 6 << 10
_COMMAND_SHOWN = 4 << 10


Pace = Callable[[float, float, float], None]
"""Called twice a second with seconds of media done, frames a second, and media time by wall time (1.0: real time)."""


class FfmpegFailed(JobFailed):
    """ffmpeg ended with an error. The message has the most specific line; the rest is in the attributes and notes."""

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
        """Whether the exit code alone blames the source."""
        return self.status in _INPUT_FAULTS


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

    ``report`` gets position / ``expected`` (seconds) whenever the position has advanced. While an output
    waits for its first frame, ffmpeg reports no position: then it is computed from the frames encoded, at ``rate`` a
    second. ``pace`` gets the speed. The child is in this process's group, dies with this process, and is killed and
    reaped if anything is raised in here, by ``report`` too. Returns its error lines, bounded: none for a valid source.

    Raises MachineBlocked (disk full, quota, read-only), MachineTrouble (no process can be started), OSError where an
    output is larger than RLIMIT_FSIZE, FfmpegFailed for every other failure.
    """
    argv = [binary.find(), "-nostdin", "-hide_banner", "-loglevel", "level+error", "-progress", "pipe:1"]
    argv += ["-stats_period", "0.5", *arguments]
    if not stat.S_ISFIFO(os.fstat(input_fd).st_mode):
        os.lseek(input_fd, 0, os.SEEK_SET)  # ffmpeg duplicates the descriptor, and so begins at its position.
    progress, stderr = _Progress(expected, rate, report, pace), _Bounded()
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(input_fd,),
            cwd=folder,
            env=binary.environment(),
            preexec_fn=dies_with_this_process(),
        )
    except OSError as error:
        if error.errno == errno.E2BIG:  # Because of the source: a chain of filters for each of very many streams.
            raise RejectedInput("has more streams than can be transcoded at once") from error
        culprit = shown(error.filename or argv[0])  # The binary, or its working directory.
        cannot = f"ffmpeg cannot be started: {culprit}: {error.strerror}"
        raise (MachineTrouble if error.errno in machine.SHORTAGES else MachineBlocked)(cannot) from error
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


def run_repeatably(
    arguments: list[str],
    *,
    input_fd: int,
    folder: bytes,
    expected: float,
    rate: float | None,
    report: Report,
    pace: Pace | None = None,
) -> list[str]:
    """Do what ``run`` does, so that a damaged video gives the same bytes in every run, however many threads decode it.

    Decoders with several threads conceal what is lost by whatever frame is there at that moment. So what ffmpeg
    complains about is decoded once more, by one thread.
    """

    def once(argv: list[str]) -> list[str]:
        return run(argv, input_fd=input_fd, folder=folder, expected=expected, rate=rate, report=report, pace=pace)

    complaints, alone = once(arguments), _decoded_by_one(arguments)
    return once(alone) if complaints and alone != arguments else complaints


def _decoded_by_one(arguments: list[str]) -> list[str]:
    """Return the argv with one thread for the decoders of its first input."""
    inputs = arguments[: arguments.index("-i")]
    if "-threads" in inputs:
        inputs[inputs.index("-threads") + 1] = "1"
    return inputs + arguments[len(inputs) :]


class _Progress:
    """Parses the key=value lines of -progress; reports each advancement."""

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
                self._pace(self._seconds, self._fps, speed)  # The last but one line of a block; "N/A" at first.
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
        """Return lines safe to show, without the addresses that differ from run to run."""
        whole = self._first + self._last
        if self._cut:  # Without parts of lines, which would say something else.
            whole = self._first.rpartition(b"\n")[0] + b"\n[...]\n" + self._last.partition(b"\n")[2]
        lines = whole.decode("utf-8", "replace").splitlines()
        return "\n".join(shown(re.sub(r" @ 0x[0-9a-f]+", "", line)) for line in lines if line.strip())


def _failure(status: int, argv: list[str], stderr: str, folder: bytes) -> Exception:
    if status in _MACHINE_FAULTS or _full(folder):
        reason = os.strerror(_MACHINE_FAULTS.get(status, errno.ENOSPC))
        return MachineBlocked(f"ffmpeg could not write to {shown(folder)}: {reason}; free some space")
    if status in (-signal.SIGXFSZ, (-errno.EFBIG) & 0xFF):
        return OSError(errno.EFBIG, os.strerror(errno.EFBIG))  # which ``media.limits`` explains
    command = shlex.join(argv)
    command = command if len(command) <= _COMMAND_SHOWN else command[:_COMMAND_SHOWN] + " [...]"
    how = f"was killed by {_signal(-status)}" if status < 0 else f"failed with exit code {status}"
    return FfmpegFailed(f"ffmpeg {how}: {last_message(stderr)}", status, command, stderr)


def last_message(stderr: str) -> str:
    """Return the last line of stderr that does not merely repeat an earlier one; for people, nothing depends on it."""
    lines = [re.sub(r"^(\[[^]]*\] )*", "", line) for line in stderr.splitlines()]
    own = [line for line in lines if not line.strip().startswith(_ECHOES)]
    return (own or lines or ["no error message"])[-1][:300]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _full(folder: bytes) -> bool:
    """Return whether the folder's file system has no room left for its owner (less than 64 kB)."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 1 << 16 or (room.f_files > 0 and room.f_favail == 0)
