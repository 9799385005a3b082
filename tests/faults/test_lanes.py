"""Lanes under load: heavy work never keeps quick work waiting, and what is heavy is learnt."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
from conftest import CommandLine
from support import pools
from support.journals import Rows, new_job
from support.pools import Pool, run_pool

from mediactl.jobs.prediction import QUICK_SECONDS, Predictor
from mediactl.model.events import Event, JobDone, Tick
from mediactl.model.jobs import NewJob
from mediactl.pipeline import drain
from mediactl.pool import scheduler, supervisor, synthetic
from mediactl.pool.contract import Stopped
from mediactl.pool.messages import Hello, frame
from mediactl.pool.process import Worker, worker_environment
from mediactl.pool.scheduler import NICENESS


def sleeps(count: int, seconds: float, lane: str, name: str, **fields: object) -> list[NewJob]:
    """Some jobs that take so long."""
    payload = json.dumps({"seconds": seconds}).encode()
    return [
        new_job(f"{name} {number}", kind="sleep", format=name, lane=lane, payload=payload, **fields)
        for number in range(count)
    ]


def test_quick_jobs_go_on_while_every_core_is_held_by_heavy_ones(tmp_path: Path) -> None:
    """Two heavy jobs hold both cores until all quick ones are done: were a slot not kept for these, none would be."""
    hang = [new_job(f"heavy {number}", kind="hang", lane="heavy", time_limit=60.0) for number in range(2)]
    niced: list[int] = []

    def prepare(pool: Pool) -> None:
        def look(event: Event) -> None:
            if isinstance(event, JobDone) and pool.names().count("job.done") == 50:
                niced.extend(child.nice() for child in psutil.Process().children())

        pool.on_event = look

    quick = [new_job(f"quick {number}", kind="empty") for number in range(50)]
    stopped, _ = run_pool(
        tmp_path, *hang, *quick, call=synthetic.EXECUTE, prepare=prepare, drain=lambda: bool(niced), grace=0.0
    )
    assert stopped is Stopped.DRAIN
    own = os.nice(0)
    assert niced.count(min(19, own + NICENESS)) == 2
    assert own in niced
    jobs = Rows(tmp_path)
    assert [jobs.job(f"quick {number}").state for number in range(50)] == ["done"] * 50


def test_heavy_jobs_run_side_by_side_only_as_far_as_there_are_cores(tmp_path: Path) -> None:
    at_once: list[int] = []

    def prepare(pool: Pool) -> None:
        def look(event: Event) -> None:
            if isinstance(event, Tick):
                at_once.append(event.running)

        pool.on_event = look

    jobs = sleeps(4, 0.2, "heavy", "whole machine", cores=2)
    stopped, _ = run_pool(tmp_path, *jobs, call=synthetic.EXECUTE, prepare=prepare)
    assert stopped is Stopped.COMPLETE
    assert max(at_once) == 1


def test_a_class_of_jobs_that_overruns_leaves_the_quick_lane(tmp_path: Path) -> None:
    slow = sleeps(3, QUICK_SECONDS + 0.5, "quick", "slow")
    stopped, _ = run_pool(tmp_path, *slow, *sleeps(20, 0.001, "quick", "fast"), call=synthetic.EXECUTE)
    assert stopped is Stopped.COMPLETE
    rows = Rows(tmp_path)
    assert rows.job("slow 2").lane == "heavy"
    assert rows.job("fast 19").lane == "quick"


def test_a_job_without_progress_is_stopped_by_its_stall_limit(tmp_path: Path) -> None:
    stalled = new_job("stalled", kind="hang", lane="heavy", stall_limit=0.2, time_limit=100.0)
    stopped, _ = run_pool(tmp_path, stalled, call=synthetic.EXECUTE)
    assert stopped is Stopped.COMPLETE
    assert Rows(tmp_path).job("stalled").state == "quarantined"
    assert "made no progress" in Rows(tmp_path).job("stalled").reason


def test_a_prediction_believes_the_guess_until_some_were_measured() -> None:
    predictor = Predictor(lambda like: ())
    like = predictor.class_of("image", "jpeg", 12_000_000)
    assert predictor.lane(like, guess=0.5) == "quick"
    predictor.overran(like, 3.0)
    assert predictor.lane(like, guess=0.5) == "heavy"
    for _ in range(10):
        predictor.learn(like, 0.1)
    assert predictor.lane(like, guess=0.5) == "quick"
    assert 0.1 <= predictor.seconds(like, 9.0) <= 0.13


def test_a_class_on_the_edge_does_not_change_lanes_all_the_time() -> None:
    """Each change moves all that waits of it: a quarter of a second for 100,000 jobs."""
    predictor = Predictor(lambda like: ())
    like = predictor.class_of("image", "jpeg", 12_000_000)
    dice = random.Random(1)
    seen = []
    for _ in range(5000):
        predictor.learn(like, 5.0 if dice.random() < 0.1 else 0.01)
        seen.append(predictor.lane(like, guess=0.01))
    assert sum(one != other for one, other in pairwise(seen)) <= 3


def test_the_start_of_a_worker_is_none_of_its_jobs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "OVERRUN", 0.3)
    (tmp_path / "late.py").write_text(f"import time\ntime.sleep(0.8)\nfrom {synthetic.__name__} import execute\n")
    monkeypatch.setattr(pools, "PATHS", f"{pools.PATHS}:{tmp_path}")
    overran: list[int] = []

    def prepare(pool: Pool) -> None:
        monkeypatch.setattr(pool.backlog, "overran", lambda job, _: overran.append(job))

    stopped, _ = run_pool(tmp_path, new_job("empty"), call="late:execute", prepare=prepare)
    assert stopped is Stopped.COMPLETE
    assert overran == []


def test_jobs_that_all_overrun_do_not_end_in_ever_more_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "OVERRUN", 0.05)
    workers: list[int] = []
    others = len(psutil.Process().children())  # servers of other tests

    def prepare(pool: Pool) -> None:
        pool.on_event = lambda _: workers.append(len(psutil.Process().children()) - others)

    hang = [new_job(number, kind="hang", format=str(number), time_limit=60.0) for number in range(12)]
    run_pool(tmp_path, *hang, call=synthetic.EXECUTE, prepare=prepare, max_duration=3.0, grace=0.0)
    assert max(workers) <= 2 * scheduler.HEAVY_A_CORE + 1


def test_jobs_that_run_alone_follow_one_another_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "IDLE_TICK", 60.0)
    stopped, _ = run_pool(tmp_path, *sleeps(3, 0.0, "alone", "alone"), call=synthetic.EXECUTE, max_duration=30.0)
    assert stopped is Stopped.COMPLETE


def test_heavy_work_yields_to_quick_work_of_a_program_that_was_itself_started_by_nice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user may not lower a niceness: to set one below its own ended the run."""
    monkeypatch.setattr(os, "getpriority", lambda *_: 15)
    niced: list[int] = []

    def prepare(pool: Pool) -> None:
        pool.on_event = lambda _: niced.extend(child.nice() for child in psutil.Process().children())

    run_pool(tmp_path, *sleeps(1, 0.5, "heavy", "heavy"), call=synthetic.EXECUTE, prepare=prepare)
    assert 19 in niced


def test_progress_counts_even_when_it_stays_at_the_same_fraction(tmp_path: Path) -> None:
    """So does a film that is longer than its header says."""
    (tmp_path / "film.py").write_text(
        "import time\ndef execute(kind, payload, reuse, token, report):\n"
        "    for _ in range(10):\n        report(0.95)\n        time.sleep(0.15)\n    return {}\n"
    )
    job = new_job("film", lane="heavy", stall_limit=0.7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "PATHS", f"{pools.PATHS}:{tmp_path}")
        run_pool(tmp_path, job, call="film:execute")
    assert (Rows(tmp_path).job("film").state, Rows(tmp_path).job("film").failures) == ("done", 0)


def test_limits_are_learnt_within_bounds() -> None:
    predictor = Predictor(lambda like: ((0, 1000),))
    like = predictor.class_of("image", "jpeg", 12_000_000)
    assert predictor.limit(like, 500.0) == pytest.approx(50.0)
    assert predictor.limit(like, 100.0) == pytest.approx(30.0)


def test_a_file_that_appears_means_leave(tmp_path: Path) -> None:
    sign = tmp_path / "leave"
    assert not drain.watch(str(sign), None)()
    sign.touch()
    assert drain.watch(str(sign), None)()


def test_an_address_that_answers_200_means_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "URL_INTERVAL", 0.01)
    asked = threading.Event()

    class Notice(BaseHTTPRequestHandler):
        codes: ClassVar = [404, 500, 200]

        def do_GET(self) -> None:
            self.send_response(self.codes.pop(0) if self.codes else 200)
            self.end_headers()
            if not self.codes:
                asked.set()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Notice)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    leave = drain.watch(None, f"http://127.0.0.1:{server.server_port}/")
    assert asked.wait(20)
    server.shutdown()
    while not leave():
        threading.Event().wait(0.01)
    assert leave()


def test_an_answer_that_is_no_http_is_no_notice_and_asking_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "URL_INTERVAL", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        leave = drain.watch(None, f"http://127.0.0.1:{server.getsockname()[1]}/")
        for answer in (b"garbage\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"):
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(answer)
        until = time.monotonic() + 20
        while not leave() and time.monotonic() < until:
            threading.Event().wait(0.01)
        assert leave()


def test_a_worker_that_says_hello_and_nonsense_in_one_breath_did_start(tmp_path: Path) -> None:
    """Three that did were taken for an installation that is broken, and ended the run."""
    with open(tmp_path / "log", "wb") as log:
        worker = Worker(synthetic.EXECUTE, "token", worker_environment(os.environ), log.fileno())
    ours, theirs = socket.socketpair()
    worker.pipe.close()
    worker.pipe = ours
    ours.setblocking(False)
    theirs.sendall(frame(Hello()) + b"\xff" * 100)
    assert worker.receive() == [Hello()]
    assert worker.receive() is None
    worker.bury()
    theirs.close()


def test_a_drain_file_stops_a_run_with_75_and_the_next_goes_on(mediactl: CommandLine, stills: Path) -> None:
    sign = mediactl.folder / "leave"
    sign.touch()
    run = mediactl("process", stills, "--drain-file", sign, "--json")
    assert run.code == 75
    assert run.summary["quarantined"] == 0
    sign.unlink()
    again = mediactl("process", stills, "--drain-file", sign, "--json")
    assert (again.code, again.summary["unfinished"]) == (1, 0)


def test_why_and_bump_and_lanes_speak_of_what_waits(mediactl: CommandLine, stills: Path) -> None:
    sign = mediactl.folder / "leave"
    sign.touch()
    mediactl("process", stills, "--priority", "backfill", "--drain-file", sign)
    sign.unlink()
    waits = mediactl("why", "pines.jpg").out
    if "is pending in lane" in waits:
        assert "priority backfill" in waits
        assert "no run is active" in waits
        assert "\n1 job now urgent\n" in mediactl("bump", "pines.jpg", "--priority", "urgent").out
        assert "next in the queue (priority urgent)" in mediactl("why", "pines.jpg").out
    assert mediactl("process", stills).code == 1
    assert "is done in" in mediactl("why", "pines.jpg").out
    assert "was rejected: is not an image" in mediactl("why", "notes.jpg").out
    assert "image" in mediactl("lanes").out
    assert mediactl("process", stills, "--lane", "heavy=none").code == 2
