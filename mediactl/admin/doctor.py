"""Is this machine fit for the work? Each check is a line: ok or not, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping

import msgspec

from mediactl.core import distributions, system
from mediactl.core.errors import JobFailed, MediactlError
from mediactl.core.files import fingerprint, shown
from mediactl.core.sandbox import landlock, layers
from mediactl.jobs import report
from mediactl.jobs.journal import FILE
from mediactl.model.jobs import JobResult, ProbeTask
from mediactl.model.media import Kind, Limits, Source
from mediactl.model.verdict import Verdict
from mediactl.pool.limits import available_cores
from mediactl.pool.worker import judge
from mediactl.ui.lines import size

LOW_SPACE = 1 << 30
"""Bytes of free space below which a run is likely to stop early."""
MEMORY_A_WORKER = 400 << 20
"""Bytes that a worker may take for a 12 MP photo or a 1080p video."""
PROBED = {
    Kind.IMAGE: ("jpeg", ("libvips", "Pillow")),
    Kind.VIDEO: ("mp4", ("PyAV", "ffmpeg")),
    Kind.AUDIO: ("m4a", ("PyAV", "ffmpeg")),
}
"""Format of the file that is generated for each kind of source, and the libraries to blame if it cannot be opened."""
_LAVFI = {
    Kind.VIDEO: ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.5", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
    Kind.AUDIO: ("-f", "lavfi", "-i", "sine=440:d=0.5", "-c:a", "aac"),
}
NEEDED_ENCODERS = frozenset({"libx264", "aac", "libopus"})


class Check(msgspec.Struct, frozen=True):
    """Result of one check."""

    name: str
    ok: bool | None
    """None: optional, and not there."""
    text: str


def checks(out: bytes, state: str, environment: Mapping[str, str]) -> Iterator[Check]:
    """Check everything that a run needs, one after the other; nothing is changed."""
    yield _guarded("system", _system)
    yield _guarded("ffmpeg", lambda: _ffmpeg(environment))
    yield _guarded("libvips", _libvips)
    with tempfile.TemporaryDirectory(prefix="mediactl-doctor-") as folder:
        for kind in PROBED:
            yield _opened(kind, os.fsencode(folder), environment)
    yield _guarded("sandbox", _sandbox)
    yield _guarded("packages", _packages)
    yield from _extras()
    yield _guarded("journal", lambda: _journal(state))
    yield _guarded("space", lambda: _space(out))
    yield _guarded("memory", _memory)
    yield Check("cores", True, f"{available_cores()} usable")


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (MediactlError, OSError, ImportError) as error:
        return Check(name, False, str(error))


def _system() -> Check:
    """Name what this system lacks that others have, and what follows."""
    missing = system.missing()
    lacking = "".join(f"; no {name}: {effect}" for name, effect in missing.items())
    return Check("system", None if missing else True, f"{system.describe()}{lacking}")


def _ffmpeg(environment: Mapping[str, str]) -> Check:
    from mediactl.media.ffmpeg import binary

    path = binary.find(environment.get(binary.VARIABLE))
    missing = sorted(NEEDED_ENCODERS - binary.encoders(path))
    text = f"{shown(path)} {binary.version(path)}"
    if missing:
        return Check("ffmpeg", False, f"{text}: no encoder {', '.join(missing)}; name a fuller ffmpeg with --ffmpeg")
    return Check("ffmpeg", True, f"{text}, encoders {', '.join(sorted(NEEDED_ENCODERS))}")


def _libvips() -> Check:
    from mediactl.media.image import vips

    return Check("libvips", True, vips.describe())


def _opened(kind: Kind, folder: bytes, environment: Mapping[str, str]) -> Check:
    """A file of this kind is generated and opened by what workers call: whatever that raises is named."""
    format, libraries = PROBED[kind]
    try:
        file = os.path.join(folder, f"doctor.{format}".encode())
        _generate(kind, file, environment)
        text = _probed(kind, format, folder, os.path.basename(file))
    except Exception as error:  # noqa: BLE001 - finding out what is raised is what this is for
        verdict, reason = judge(error, log=False)
        text = f"cannot be opened: {'internal error: ' if verdict is Verdict.INTERNAL else ''}{reason}"
        return Check(kind.value, False, f"{text}; {_versions(libraries, environment)}")
    return Check(kind.value, True, f"{text}; {_versions(libraries, environment)}")


def _generate(kind: Kind, file: bytes, environment: Mapping[str, str]) -> None:
    if kind is Kind.IMAGE:
        from mediactl.media.image.vips import pyvips

        with open(file, "wb") as image:
            image.write(pyvips.Image.black(64, 48, bands=3).jpegsave_buffer())
        return
    from mediactl.media.ffmpeg import binary, process

    command = [binary.find(environment.get(binary.VARIABLE)), "-nostdin", "-hide_banner", "-loglevel", "error"]
    ended = subprocess.run([*command, *_LAVFI[kind], os.fsdecode(file)], capture_output=True, timeout=60)
    if ended.returncode:
        raise JobFailed(f"ffmpeg cannot make one: {process.last_message(ended.stderr.decode(errors='replace'))}")


def _probed(kind: Kind, format: str, folder: bytes, name: bytes) -> str:
    from mediactl.media.execute import execute

    source = Source(folder, name, name, fingerprint(os.stat(os.path.join(folder, name))), kind, format)
    payload = msgspec.json.encode(ProbeTask(source, Limits()))
    made: JobResult = execute("probe", payload, (), b"doctor", lambda _: None)
    assert made.info is not None
    size = f"{made.info.width}x{made.info.height}" if made.info.width else ""
    seconds = f"{made.info.duration:.1f} s" if made.info.duration else ""
    return f"{format} opened: {', '.join(filter(None, (size, seconds)))}"


def _versions(libraries: tuple[str, ...], environment: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {_version(name, environment)}" for name in libraries)


def _version(library: str, environment: Mapping[str, str]) -> str:
    from importlib.metadata import version

    from mediactl.media.ffmpeg import binary
    from mediactl.media.image import vips

    try:
        if library == "ffmpeg":
            return binary.version(binary.find(environment.get(binary.VARIABLE)))
        return vips.version() if library == "libvips" else version({"PyAV": "av"}.get(library, library))
    except (MediactlError, OSError, ImportError) as error:
        return f"unknown ({error})"


def _sandbox() -> Check:
    missing = layers.missing()
    if missing:
        return Check("sandbox", None, "; ".join(f"{layer}: {why}" for layer, why in missing.items()))
    version = f"Landlock (version {landlock.version()})"
    return Check("sandbox", True, f"{version}, seccomp, no_new_privs, limits of resources")


def _packages() -> Check:
    """Compare the installed versions with those that were tested, which are the bounds of the project's metadata."""
    wanted = [each for each in distributions.requirements("mediactl") if not each.extra]
    missing = [each.name for each in wanted if distributions.version(each.name) is None]
    if missing or not wanted:
        return Check("packages", False, f"not installed: {', '.join(missing) or 'mediactl itself'}; install it again")
    beyond = [
        f"{each.name} {version} (tested: {each.versions})"
        for each in wanted
        if (version := distributions.version(each.name)) is not None and not each.met_by(version)
    ]
    if beyond:
        return Check("packages", True, f"other versions than those that were tested: {', '.join(beyond)}")
    return Check("packages", True, f"{len(wanted)} in versions that were tested")


def _extras() -> Iterator[Check]:
    """Yield a line for each extra of users: its version, or how to install it into this environment."""
    for each in distributions.requirements("mediactl"):
        if each.extra and each.extra not in ("test", "dev") and each.name != "mediactl":
            version = distributions.version(each.name)
            text = f"not installed; install it with {distributions.install_command(each)}"
            installed = version is not None
            yield Check(f"extra {each.extra}", installed or None, f"{each.name} {version}" if installed else text)


def _journal(state: str) -> Check:
    if not os.path.exists(os.path.join(state, FILE)):
        return Check("journal", True, f"none yet in {shown(state)}")
    with report.read(state) as rows:
        verdict = rows.check()
        total = sum(rows.jobs().values())
    return Check("journal", verdict == "ok", f"{shown(state)}: {verdict}, {total:,} jobs")


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    good = memory.available >= MEMORY_A_WORKER * available_cores()
    text = f"{size(memory.available)} of {size(memory.total)} available"
    return Check("memory", good, text if good else f"{text}; use fewer workers with --jobs")


def _space(out: bytes) -> Check:
    folder = out
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    free = shutil.disk_usage(folder).free
    return Check("space", free >= LOW_SPACE, f"{size(free)} free at {shown(folder)}")
