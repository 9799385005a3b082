"""Orders of a host that end before they have begun."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from support.servers import Answering, Reply

from mediactl.api.connection import Connection
from mediactl.api.messages import Add, Cancel
from mediactl.api.orders import Orders
from mediactl.core.sandbox import workspace
from mediactl.core.settings import Settings
from mediactl.model.jobs import Priority
from mediactl.model.uploads import Location
from mediactl.pool.messages import frame

pytestmark = pytest.mark.usefixtures("credentials")

PATIENCE = 30.0
"""Seconds in which an object must have been fetched, and removed."""


def test_a_source_that_nobody_needs_any_more_is_removed_once_it_is_fetched(tmp_path: Path) -> None:
    body = b"no image"
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    reply = Reply(206, body, {"ETag": etag, "Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"})
    mine, theirs = socket.socketpair()
    settings = Settings(sources=(), out=os.fsencode(tmp_path), state=str(tmp_path))
    with mine, Answering(reply) as server:
        access = Location("", endpoint_url=server.url, region="us-east-1")
        with closing(Orders(settings, Connection(theirs, os.getppid()), {})) as orders:
            theirs.setblocking(False)
            mine.sendall(frame(Add(1, b"s3://bucket/a.jpg", "web", Priority.NORMAL, b"a", access=access)))
            mine.sendall(frame(Cancel(1)))
            end = time.monotonic() + PATIENCE
            while not server.asked or list(tmp_path.glob(f"{workspace.FOLDER.decode()}/*/in/*")):
                orders.plan()
                assert time.monotonic() < end
        theirs.close()
        mine.setblocking(False)
        assert mine.recv(1) == b"", "it reported an outcome"
    assert not list(tmp_path.glob(f"{workspace.FOLDER.decode()}/*"))
