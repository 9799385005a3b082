"""What an image looked like before: its source as a WebP, decoded in a sandbox by a process of its own.

The file itself is never sent: whatever else is in it, a browser would have to parse it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import OrderedDict

import msgspec

from mediactl.core.errors import JobFailed, MediactlError
from mediactl.jobs.listing.pages import Origin
from mediactl.model.media import MediaInfo, Source

LONGEST_SIDE = 1_600
"""Pixels of a preview at most."""
KEPT = 16
"""Previews in memory."""
AT_ONCE = 2
"""Processes."""
LIMIT = 60.0
"""Seconds that one may take."""
NAME = "before.webp"


class Order(msgspec.Struct, frozen=True):
    """Which preview."""

    source: Source
    info: MediaInfo
    digest: str


class Previews:
    """Makes previews, and keeps the last of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def of(self, origin: Origin) -> bytes:
        """Return the WebP of a source. Raises MediactlError where there is none."""
        if origin.info is None or origin.digest is None:
            raise JobFailed("the source was not probed")
        if origin.digest in self._kept:
            self._kept.move_to_end(origin.digest)
            return self._kept[origin.digest]
        async with self._room:
            made = await asyncio.to_thread(_made, Order(origin.source, origin.info, origin.digest))
        self._kept[origin.digest] = made
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return made


def _made(order: Order) -> bytes:
    """Have a process make it: it forks the sandboxed one, which this one, with its threads, must not."""
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()"]
    try:
        done = subprocess.run(command, input=msgspec.msgpack.encode(order), capture_output=True, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JobFailed(f"no preview: {error}") from None
    if done.returncode or not done.stdout:
        raise JobFailed(done.stderr.decode(errors="replace").strip()[-300:] or "no preview")
    return done.stdout


def main() -> None:
    """Read an Order from standard input, and write the WebP to standard output; an error is one line."""
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    try:
        sys.stdout.buffer.write(_decoded(order))
    except (MediactlError, OSError) as error:
        sys.exit(str(error))


def _decoded(order: Order) -> bytes:
    from mediactl.core.sandbox.mode import Mode
    from mediactl.media import decoding
    from mediactl.media.confined import Confined
    from mediactl.media.opening import open_source
    from mediactl.model.assets import Target
    from mediactl.model.jobs import MakeTask
    from mediactl.model.media import Limits
    from mediactl.outputs import registry
    from mediactl.outputs.image import ImageOutput, ImageParams

    registry.operations()  # both sides of the channel need them

    output = ImageOutput("before", width=LONGEST_SIDE, height=LONGEST_SIDE, quality=95, effort=0, animate=False)
    target = Target(NAME, ImageParams.role, output.params(ImageParams, order.info), key="before")
    task = MakeTask(order.source, order.digest, order.info, (target,), (), b"", "", Limits(), placeholder="none")
    fd = open_source(order.source)
    with tempfile.TemporaryDirectory(prefix="mediactl-web-") as folder:
        decoder = Confined(os.fsencode(folder), Mode.AUTO)
        try:
            drafts = decoder(decoding.Make(task, (NAME,), ()), fd, lambda _: None, decoding.refuse)
            destination = os.path.join(os.fsencode(folder), NAME.encode())
            decoder.workspace.take(os.path.basename(os.fsdecode(drafts.files[0].file)), destination)
            with open(destination, "rb") as file:
                return file.read()
        finally:
            decoder.close()
