"""Helpers of the upload tests: files, jobs, and a death that comes at any chosen step."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from mediactl.core.files import fingerprint
from mediactl.model.uploads import (
    PART_SIZE,
    SHA256,
    About,
    Change,
    Location,
    Sent,
    SentPart,
    UploadState,
    UploadStatus,
    UploadTask,
    apply,
)
from mediactl.upload.body import Body
from mediactl.upload.capabilities import Capabilities
from mediactl.upload.engine import Engine, Tuning
from mediactl.upload.store import (
    Condition,
    Limits,
    Listed,
    OpenUpload,
    Store,
    Stored,
    StoredPart,
)
from mediactl.upload.transfer import transfer
from support.stores import MemoryStore as MemoryStore

T = TypeVar("T")
KIB = 1024
LOCATION = Location("bucket", "prefix", "http://127.0.0.1:1")
LIMITS = Limits(part=64 * KIB, multipart_from=128 * KIB)
FAST = Tuning(concurrency=4, base=0.001, cap=0.01, attempts=20, patience=5)
"""Retries without the waiting."""


class Killed(BaseException):
    """The process died here."""


class Fate:
    """Counts the steps of a life, and ends it at one of them; nothing happens after that."""

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self.steps = 0
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            self.steps += 1
            if self.last is not None and self.steps > self.last:
                raise Killed


class Journal:
    """A ledger in memory: the state as it would be on disk."""

    def __init__(self, state: UploadState = UploadState()) -> None:  # noqa: B008 - frozen
        self.state = state
        self.changes: list[Change] = []

    def save(self, change: Change) -> None:
        self.state = apply(self.state, change)
        self.changes.append(change)

    def settle(self, sent: Sent) -> Sent:
        self.save(sent.settled)
        return sent

    @property
    def parts(self) -> set[SentPart]:
        return set(self.state.parts)


class MortalLedger:
    """A ledger whose owner may die before or after a change is on disk."""

    def __init__(self, journal: Journal, fate: Fate) -> None:
        self._journal = journal
        self._fate = fate

    def save(self, change: Change) -> None:
        self._fate.step()
        self._journal.save(change)
        self._fate.step()


class MortalStore:
    """A store whose client may die before a request, or before it has the answer. ``hook`` is called before each."""

    def __init__(self, store: Store, fate: Fate, hook: Callable[[str, str], None] = lambda name, key: None) -> None:
        self._store = store
        self._fate = fate
        self._hook = hook
        self.parts: list[int] = []
        """Numbers of the parts that were sent."""
        self.bodies = 0
        """Bytes that were sent."""

    def _do(self, name: str, key: str, request: Callable[[], T]) -> T:
        self._fate.step()
        self._hook(name, key)
        answer = request()
        self._fate.step()
        return answer

    def head(self, key: str) -> Stored | None:
        return self._do("head", key, lambda: self._store.head(key))

    def put(self, key: str, body: Body, about: About, condition: Condition) -> str:
        self.bodies += len(body)
        return self._do("put", key, lambda: self._store.put(key, body, about, condition))

    def create(self, key: str, about: About) -> str:
        return self._do("create", key, lambda: self._store.create(key, about))

    def put_part(self, key: str, upload_id: str, number: int, body: Body) -> str:
        self.parts.append(number)
        self.bodies += len(body)
        return self._do("part", key, lambda: self._store.put_part(key, upload_id, number, body))

    def stored_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        return self._do("parts", key, lambda: self._store.stored_parts(key, upload_id))

    def complete(self, key: str, upload_id: str, parts: list[StoredPart], condition: Condition) -> str:
        return self._do("complete", key, lambda: self._store.complete(key, upload_id, parts, condition))

    def abort(self, key: str, upload_id: str) -> None:
        self._do("abort", key, lambda: self._store.abort(key, upload_id))

    def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
        return iter(self._do("listed", prefix, lambda: list(self._store.listed(prefix, after))))

    def whole(self, key: str, most: int) -> tuple[bytes, str] | None:
        return self._do("whole", key, lambda: self._store.whole(key, most))

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        return iter(self._do("uploads", prefix, lambda: list(self._store.open_uploads(prefix))))


def noise(path: Path, size: int, seed: int = 0) -> Path:
    """A file of ``size`` bytes that no two seeds have alike."""
    block = hashlib.shake_128(f"{seed} {size}".encode()).digest(min(size, 1 << 20))
    path.write_bytes((block * (size // max(1, len(block)) + 1))[: max(0, size - 8)] + (b"%08d" % seed)[: min(size, 8)])
    assert path.stat().st_size == size
    return path


def task_of(path: Path, key: str = "prefix/object", location: Location = LOCATION, **more: object) -> UploadTask:
    """The job that uploads a file."""
    return UploadTask(bytes(path), fingerprint(path.stat()), location, key, **more)  # type: ignore[arg-type]


def run(
    task: UploadTask,
    store: Store,
    journal: Journal,
    fate: Fate | None = None,
    *,
    limits: Limits = LIMITS,
    engine: Engine | None = None,
    report: Callable[[int, int], None] = lambda sent, safe: None,
) -> Sent:
    """One life of a worker with one job; what it did is settled as the supervisor would."""
    ledger = MortalLedger(journal, fate or Fate())
    sent = transfer(
        task,
        journal.state,
        store,
        Capabilities(plain=True),
        engine or Engine(FAST),
        ledger,
        report,
        new_token=lambda: secrets.token_hex(16),
        limits=limits,
    )
    if fate is not None:
        fate.step()  # the answer is lost with the worker
    return journal.settle(sent)


KEY = "prefix/object"
SMALL, LARGE = 10 * KIB, 300 * KIB
"""One request; five parts of 64 KiB, the last one shorter."""


def foreign(store: MemoryStore, body: bytes = b"theirs") -> None:
    """Put an object that mediactl knows nothing of."""
    store.put(KEY, Body(body), About(), Condition())


Event = BaseException | Callable[[], object] | None


def with_events(store: MemoryStore, fate: Fate | None = None, **events: Event | list[Event]) -> MortalStore:
    """A store where something happens before a request of a kind: the n-th event of its list before the n-th. An
    exception is raised instead of the request."""
    lists = {name: event.copy() if isinstance(event, list) else [event] for name, event in events.items()}
    lock = threading.Lock()

    def hook(name: str, key: str) -> None:
        with lock:
            event = lists[name].pop(0) if lists.get(name) else None
        if isinstance(event, BaseException):
            raise event
        if event is not None:
            event()

    return MortalStore(store, fate or Fate(), hook)


def losing(store: MemoryStore, name: str, error: Exception) -> MortalStore:
    """A store whose first answer to a kind of request is lost."""
    lossy = with_events(store)
    method = getattr(store, name)
    lost: list[bool] = []

    def answer_lost(*arguments: object) -> object:
        answer = method(*arguments)
        if not lost:
            lost.append(True)
            raise error
        return answer

    setattr(lossy, name, answer_lost)
    return lossy


def right(store: MemoryStore, path: Path, key: str = KEY) -> None:
    """The object is the file, with its marks, and nothing is left open."""
    body, about, _ = store.objects[key]
    assert body == path.read_bytes()
    if PART_SIZE in about.metadata:
        assert int(about.metadata[PART_SIZE]) < len(body) and SHA256 not in about.metadata
    else:
        assert about.metadata[SHA256] == hashlib.sha256(body).hexdigest()
    assert not store.uploads


def killed_at_part(store: MemoryStore, journal: Journal, path: Path, number: int) -> None:
    """Upload with one request at a time and die before part ``number`` leaves, those before it being saved."""
    fate = Fate()

    def hook(name: str, key: str) -> None:
        if name == "part":
            while len(journal.parts) < len(mortal.parts) - 1:
                time.sleep(0.001)
            if len(mortal.parts) == number:
                fate.last = 0
                raise Killed

    mortal = MortalStore(store, fate, hook)
    engine = Engine(msgspec.structs.replace(FAST, concurrency=1))
    try:
        run(task_of(path), mortal, journal, fate, engine=engine)
    except Killed:
        assert journal.state.status is UploadStatus.UPLOADING
        assert len(journal.parts) == number - 1
        return
    raise AssertionError("it did not die")
