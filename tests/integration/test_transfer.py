"""The upload's state machine against real servers: killed at every step and resumed, raced, adopted, stopped."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support.servers import Server
from support.uploads import FAST, KIB, Fate, Journal, Killed, MortalStore, noise, run, task_of

from mediactl.model.uploads import SentStatus, UploadState, UploadStatus, UploadTask
from mediactl.upload.execute import Transfers
from mediactl.upload.multipart.parts import MIB
from mediactl.upload.s3.store import S3Store
from mediactl.upload.store import Limits

pytest_plugins = ["support.servers"]
pytestmark = [pytest.mark.usefixtures("credentials")]

SMALL_PARTS = Limits(part=100 * KIB, multipart_from=200 * KIB)
REAL_PARTS = Limits(part=5 * MIB, multipart_from=5 * MIB)
"""moto insists on S3's 5 MiB, as AWS does."""
SIZES = {"rclone": (350 * KIB, SMALL_PARTS), "ministack http": (350 * KIB, SMALL_PARTS), "moto": (11 * MIB, REAL_PARTS)}


class Bucket:
    """A new bucket of one of the servers, looked at by a client that is not ours."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = server.client()
        self.name = server.new_bucket()
        self.location = server.location(self.name)
        self.size, self.limits = SIZES[server.name]
        self.s3 = S3Store(self.location, 8, read_timeout=20)
        self.conditions = server.name.startswith("ministack")
        """Does it know conditions, and look and write in one step? moto looks first."""

    def store(self, fate: Fate | None = None, hook: Callable[[str, str], None] = lambda name, key: None) -> MortalStore:
        return MortalStore(self.s3, fate or Fate(), hook)

    def right(self, path: Path, key: str) -> None:
        """The object is the file, and no upload of it is open."""
        assert self.client.get_object(Bucket=self.name, Key=key)["Body"].read() == path.read_bytes()
        assert not [upload for upload in self.uploads() if upload == key]

    def uploads(self) -> list[str]:
        try:
            found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        except self.client.exceptions.NoSuchUpload:  # what rclone answers where there is none at all
            return []
        return [upload["Key"] for upload in found]


@pytest.fixture(params=["rclone", "ministack", "moto"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return Bucket(request.getfixturevalue(f"{request.param}_server"))


@pytest.mark.parametrize("replace", [False, True])
def test_killed_at_every_step_and_resumed(bucket: Bucket, tmp_path: Path, replace: bool) -> None:
    path, old = noise(tmp_path / "new", bucket.size, 1), noise(tmp_path / "old", 175 * KIB, 2)
    stride = 1 if bucket.size < MIB else 4
    for last in itertools.count(0, stride):
        task, journal, fate = task_of(path, f"p/{last}", bucket.location), Journal(), Fate(last)
        if replace:
            run(task_of(old, task.key, bucket.location), bucket.store(), journal, limits=bucket.limits)
        try:
            run(task, bucket.store(fate), journal, fate, limits=bucket.limits)
        except Killed:
            pass
        else:
            break
        saved = {part.number for part in journal.parts}
        second = bucket.store()
        sent = run(task, second, journal, limits=bucket.limits)
        bucket.right(path, task.key)
        assert not saved & set(second.parts), "a part that was saved was sent again"
        assert sent.status is not SentStatus.CONFLICT
        assert second.bodies == sent.bytes_sent <= path.stat().st_size
    assert last > 20
    keys = [entry["Key"] for entry in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]]
    assert sorted(keys) == sorted(f"p/{number}" for number in range(0, last + 1, stride))
    assert bucket.uploads() == []


def test_killed_between_complete_and_its_answer_nothing_is_sent_again(bucket: Bucket, tmp_path: Path) -> None:
    path, journal, fate = noise(tmp_path / "f", bucket.size), Journal(), Fate()
    task = task_of(path, "p/key", bucket.location)
    dying = bucket.store(fate)
    complete = dying.complete

    def completed(*arguments: object) -> str:
        complete(*arguments)  # type: ignore[arg-type]
        fate.last = 0
        raise Killed

    setattr(dying, "complete", completed)  # noqa: B010
    with pytest.raises(Killed):
        run(task, dying, journal, fate, limits=bucket.limits)
    assert journal.state.status is UploadStatus.COMPLETING
    names: list[str] = []
    second = bucket.store(hook=lambda name, key: names.append(name))
    sent = run(task, second, journal, limits=bucket.limits)
    assert (sent.status, sent.bytes_sent, names) == (SentStatus.PRESENT, 0, ["head"])
    bucket.right(path, "p/key")


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("large", [True, False])
def test_of_two_hosts_one_wins(bucket: Bucket, tmp_path: Path, same: bool, large: bool) -> None:
    size = bucket.size if large else 5000
    paths = [noise(tmp_path / f"{host}", size, 0 if same else host) for host in range(2)]
    ends: dict[int, SentStatus] = {}
    last_steps = {"put": threading.Barrier(2), "complete": threading.Barrier(2)}

    def host(number: int) -> None:
        def together(name: str, key: str) -> None:
            if barrier := waits.pop(name, None):
                barrier.wait(30)

        waits = dict(last_steps)
        task = task_of(paths[number], "p/key", bucket.location)
        ends[number] = run(task, bucket.store(hook=together), Journal(), limits=bucket.limits).status

    threads = [threading.Thread(target=host, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    winners = [number for number, status in ends.items() if status is SentStatus.SENT]
    there = bucket.client.get_object(Bucket=bucket.name, Key="p/key")["Body"].read()
    assert there in {path.read_bytes() for path in paths}, "a mix"
    if bucket.conditions:
        assert len(winners) == 1
        assert there == paths[winners[0]].read_bytes()
        assert ends[1 - winners[0]] is (SentStatus.PRESENT if same else SentStatus.CONFLICT)
    else:
        assert winners
    assert bucket.uploads() == []


def at_once(transfers: Transfers, tasks: list[UploadTask], states: list[bytes]) -> list[object]:
    """How each of many jobs, each in a thread of its own, ended: a status or an exception."""
    ends: list[object] = [None] * len(tasks)

    def job(number: int) -> None:
        try:
            ends[number] = transfers.run(tasks[number], states[number], Journal(), lambda sent, safe: None)
        except Exception as error:  # noqa: BLE001 - it is what the test is about
            ends[number] = error

    threads = [threading.Thread(target=job, args=(number,)) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ends


def test_many_jobs_at_once_and_with_the_journal_lost_all_are_adopted(bucket: Bucket, tmp_path: Path) -> None:
    sizes = [0, 1, bucket.size, *[3000 + number for number in range(40)]]
    paths = [noise(tmp_path / f"{number}", size, number) for number, size in enumerate(sizes)]
    tasks = [task_of(path, f"p/ü {path.name}", bucket.location, seen="") for path in paths]
    transfers = Transfers(msgspec.structs.replace(FAST, concurrency=8), limits=bucket.limits)
    ends = at_once(transfers, tasks, [b""] * len(tasks))
    assert [getattr(end, "status", end) for end in ends] == [SentStatus.SENT] * len(tasks)
    for task, path in zip(tasks, paths, strict=True):
        bucket.right(path, task.key)
    unknowing = [msgspec.structs.replace(task, seen=None) for task in tasks]
    again = at_once(transfers, unknowing, [msgspec.json.encode(UploadState())] * len(tasks))
    assert [getattr(end, "status", end) for end in again] == [SentStatus.ADOPTED] * len(tasks)
    assert transfers.stop(5)
    late = at_once(transfers, unknowing[:1], [b""])
    assert type(late[0]).__name__ == "Stopped"
