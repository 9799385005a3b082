"""What a decoder that was taken over would try, as an output of a plug-in, and as a program in place of ffmpeg.

Each attempt returns what it gained, or raises the error that it was refused with.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

REFUSED = "refused: "
UNRESERVED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000
"""MAP_NORESERVE: no machine refuses it for want of memory."""


def attempts(facts: dict[str, str]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is tried; ``facts`` name what only the test knows."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = int(facts["worker"])

    def read(path: str) -> Callable[[], object]:
        return lambda: open(path, "rb").read(100)

    def called(name: str, *arguments: object) -> Callable[[], object]:
        def call() -> object:
            if getattr(libc, name)(*arguments) < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            return name

        return call

    def opened(path: str, mode: str) -> Callable[[], object]:
        def open_it() -> object:
            with open(path, mode):
                return path

        return open_it

    def connected(family: int, kind: int, address: Any) -> Callable[[], object]:
        def connect() -> object:
            with socket.socket(family, kind) as client:
                client.settimeout(5)
                client.connect(address)
                client.send(b"hello")
            return address

        return connect

    def large_file() -> object:
        try:
            with open("large" if facts["own"] == "." else os.path.join(facts["own"], "large"), "wb") as file:
                os.ftruncate(file.fileno(), 1 << 40)
            return "1 TB"
        finally:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def opened_anew() -> object:
        if (flags := os.open(f"/proc/self/fd/{facts['fd']}", os.O_RDWR)) >= 0:
            return flags
        return None

    home, own = facts["home"], facts["own"]
    yield "reading a file", read(f"{home}/canary")
    yield "reading credentials", read(f"{home}/.aws/credentials")
    yield "reading the journal", read(facts["journal"])
    yield "reading another source", read(facts["neighbour"])
    yield "listing the home directory", lambda: os.listdir(home)
    yield "listing the output directory", lambda: os.listdir(facts["out"])
    yield "environment of its parent", read(f"/proc/{parent}/environ")
    yield "environment of the first process", read("/proc/1/environ")
    yield "memory of its parent", read(f"/proc/{parent}/mem")
    yield "TCP", connected(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(facts["port"])))
    yield "UDP", connected(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", int(facts["port"])))
    yield "a Unix socket", connected(socket.AF_UNIX, socket.SOCK_STREAM, facts["socket"])
    yield "an abstract Unix socket", connected(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{facts['abstract']}")
    yield "writing to the output directory", opened(f"{facts['out']}/evil", "w")
    yield "writing to the home directory", opened(f"{home}/evil", "w")
    yield "overwriting another source", opened(facts["neighbour"], "r+b")
    yield "overwriting the journal", opened(facts["journal"], "r+b")
    yield "overwriting what it may read", opened(os.path.join(own, "../in/kept-other"), "w")
    yield "removing a file", lambda: os.unlink(f"{home}/canary")
    yield "changing a file's mode", lambda: os.chmod(f"{home}/canary", 0o777)
    yield "a symbolic link", lambda: os.symlink(f"{home}/canary", os.path.join(own, "link"))
    yield "a hard link", lambda: os.link(f"{home}/canary", os.path.join(own, "link"))
    yield "a shell", lambda: subprocess.run(["/bin/sh", "-c", "echo"], check=True)
    yield "ptrace", called("ptrace", 16, parent, None, None)
    yield "a signal to its parent", lambda: os.kill(parent, 0)
    yield "leaving its process group", os.setsid
    yield "a user namespace", called("unshare", 0x10000000)
    yield "mounting", called("mount", b"none", os.fsencode(own), b"tmpfs", 0, None)
    yield "io_uring", called("syscall", 425, 1, None)
    yield "limits of its parent", lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (9, 9))
    yield "more of its own limits", lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    yield "64 GB of memory", lambda: len(mmap.mmap(-1, 64 << 30, flags=UNRESERVED))
    yield "a file of 1 TB", large_file
    if "fd" in facts:
        yield "opening the source again", opened_anew


def results(facts: dict[str, str]) -> dict[str, str]:
    """Return how each attempt ended."""
    found = {}
    for name, attempt in attempts(facts):
        if facts.get("only") and name not in facts["only"]:
            continue
        try:
            found[name] = f"gained {attempt()!r}"
        except (OSError, MemoryError, ValueError) as error:
            found[name] = f"{REFUSED}{type(error).__name__}: {error}"
    return found


def multiply() -> None:
    """Start as many processes as there can be."""
    while True:
        try:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
        except OSError:
            time.sleep(0.1)


def main() -> None:
    """Be a program in place of ffmpeg: answer questions about it, and attack where it would decode."""
    if "-facts" not in sys.argv:
        os.execv(FFMPEG, [FFMPEG, *sys.argv[1:]])
    facts = json.loads(sys.argv[sys.argv.index("-facts") + 1])
    with open("ffmpeg.json", "w") as file:
        json.dump(results({**facts, "own": "."}), file)


FFMPEG = ""
"""Replaced in the copy that is started in place of ffmpeg."""

if __name__ == "__main__":
    main()
