"""Without what only Linux has, every module can be imported, and a file is processed: tried by taking it away."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT

from mediactl.core import system

WITHOUT = '''
"""Takes from this interpreter what macOS lacks; what is not mediactl's is imported first, as it is on Linux."""
import asyncio, ctypes, errno, multiprocessing, os, platform, resource, select, signal, socket
import subprocess, sys, tempfile
import apsw, av, botocore.session, click, diskcache, jinja2, msgspec, PIL.Image, pi_heif, psutil, pyvips, rich.console
import prometheus_client, sse_starlette, starlette.responses, uvicorn, watchfiles, apprise
import opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http.trace_exporter

for module, names in {
    os: ["memfd_create", "MFD_CLOEXEC", "O_PATH", "pidfd_open", "sched_getaffinity", "sched_setaffinity",
         "posix_fadvise", "posix_fallocate", "eventfd", "copy_file_range", "O_TMPFILE", "O_DIRECT", "O_NOATIME"],
    socket: ["SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_PEERCRED", "MSG_CMSG_CLOEXEC", "MSG_NOSIGNAL", "SO_PASSCRED"],
    signal: ["pidfd_send_signal"],
    resource: ["prlimit", "RLIMIT_RTPRIO", "RLIMIT_NICE"],
    select: ["epoll"],
    errno: ["EREMOTEIO", "ECOMM", "EUCLEAN", "EKEYEXPIRED", "ENOMEDIUM", "EUNATCH"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "darwin"
'''
IMPORTS = (
    WITHOUT
    + """
import importlib, pkgutil, mediactl
names = [found.name for found in pkgutil.walk_packages(mediactl.__path__, "mediactl.")]
for name in names:
    importlib.import_module(name)
from mediactl.core import system
assert not system.LINUX and system.SUPPORTED and system.missing()
print(len(names))
"""
)
PROCESSED = (
    WITHOUT
    + """
import json, msgspec
from mediactl.core.files import fingerprint
from mediactl.core.filesystem.beneath import open_beneath
from mediactl.core import system
from mediactl.media.execute import execute
from mediactl.model.jobs import ProbeTask
from mediactl.model.media import Kind, Limits, Source
from mediactl.admin import doctor
folder, name = os.fsencode(sys.argv[1]), b"harbour.jpg"
source = Source(folder, name, name, fingerprint(os.stat(os.path.join(folder, name))), Kind.IMAGE, "jpeg")
made = execute("probe", msgspec.json.encode(ProbeTask(source, Limits())), (), b"test", lambda _: None)
os.close(open_beneath(folder, name, links=False))
check = doctor._system()
print(json.dumps([made.info.width, made.info.height, check.ok, check.text]))
"""
)


def without_linux(code: str, *arguments: str) -> str:
    """Run code in an interpreter without what Linux alone has; what it prints."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def test_every_module_can_be_imported_without_linux() -> None:
    assert int(without_linux(IMPORTS)) > 250


def test_a_file_is_probed_without_linux_and_doctor_names_what_is_missing() -> None:
    width, height, ok, text = json.loads(without_linux(PROCESSED, str(ROOT / "samples")))
    assert (width, height, ok) == (2000, 1334, None)
    assert text.startswith("macOS ")
    assert all(f"no {name}: " in text for name in ("sandbox", "prctl", "cgroups", "/proc", "inotify"))


def test_nothing_is_missing_here() -> None:
    assert system.LINUX
    assert system.missing() == {}
    assert system.describe().startswith("Linux ")


def test_stand_ins_do_what_linux_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(system, "LINUX", False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delattr(os, "memfd_create")
    fd = system.memory_file("cover")
    try:
        os.write(fd, b"content")
        assert os.pread(fd, 100, 0) == b"content"
        assert list(tmp_path.iterdir()) == []
    finally:
        os.close(fd)
    assert system.syscall()(437) == -1
    assert system.prctl()(38, 1) is False
    assert system.boot_id() == system.boot_id() != ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_UNIX) as another:
        system.hold_name(one, "mediactl-test")
        system.hold_name(another, "mediactl-test")


def test_processes_are_running_until_they_are_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert system.is_running(child.pid)
    child.communicate(b"\n")
    assert not system.is_running(child.pid)
    assert system.is_running(1), "that of another user, perhaps"


def test_the_user_at_the_other_end_of_a_socket_is_known() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert system.peer_user(ours) == os.geteuid()
