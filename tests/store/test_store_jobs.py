from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from store_words import VERSIONS, new_content, sha256_of

from cadml.errors import (
    BlobUnavailable,
    DatabaseUnavailable,
    InvalidRequest,
    JobNotFound,
    MalformedFile,
    QuarantinedFile,
    ReaderCrashed,
)
from cadml.jobs import ingests
from cadml.jobs import queue as durable
from cadml.jobs.ingests import Ingests
from cadml.jobs.queue import PostponedError, Queue, Task
from cadml.store.database import Database
from cadml.store.ingest import IngestItem, JobStatus
from cadml.store.parts import NewEntry, Parts

WORKER = Path(__file__).with_name("ingest_worker.py")


def items(count: int) -> list[tuple[str, NewEntry]]:
    return [(sha256_of(f"f{i}"), NewEntry(f"f{i}", None, {"batch": 1})) for i in range(count)]


@contextmanager
def working(of: Ingests | Queue, concurrency: int = 2) -> Iterator[None]:
    stop = threading.Event()
    queue = of._queue if isinstance(of, Ingests) else of
    thread = threading.Thread(target=queue.run_worker, args=(concurrency, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def worker_process(url: str, folder: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, str(WORKER), url, str(folder), str(seconds)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def finished(queue: Ingests, job: str, seconds: float = 40) -> JobStatus:
    wait_for(lambda: queue.status(job).finished is not None, seconds)
    return queue.status(job)


def adding(parts: Parts) -> Callable[[IngestItem], None]:
    def work(item: IngestItem) -> None:
        entry = NewEntry(item.name, item.part_number, item.metadata)
        parts.add(new_content(item.name), entry, item=(item.job_id, item.seq))

    return work


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead workers are noticed sooner than a busy production machine should."""
    monkeypatch.setattr(durable, "STALLED_S", 4.0)
    monkeypatch.setattr(durable, "HEARTBEAT_S", 0.5)
    monkeypatch.setattr(durable, "SWEEP_S", 0.5)


def test_a_job_adds_each_file_once_and_says_how_far_it_is(database: Database) -> None:
    parts = Parts(database)
    queue = Ingests(database, Queue(database), adding(parts))
    parts.add(new_content("f3"), NewEntry("f3"))
    job = queue.submit(items(12))
    status = queue.status(job)
    assert (status.state, status.counts["queued"], status.finished) == ("queued", 12, None)
    assert queue.depths() == {"queued": 12, "running": 0, "failed": 0}
    with working(queue):
        status = finished(queue, job)
        assert (status.state, status.counts["added"], status.counts["known"]) == ("finished", 11, 1)
        assert status.finished is not None
        assert status.finished >= status.created
        again = finished(queue, queue.submit(items(12)))
    assert (again.counts["added"], again.counts["known"]) == (0, 12)
    assert parts.count() == 12
    assert parts.find({"batch": 1}).total == 11
    with database.single() as connection:  # what is done leaves nothing in procrastinate's tables
        assert connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


def test_an_idle_worker_begins_at_once(database: Database) -> None:
    queue = Ingests(database, Queue(database), adding(Parts(database)))
    with working(queue):

        def seconds(name: str) -> float:
            start = time.monotonic()
            finished(queue, queue.submit([(sha256_of(name), NewEntry(name))]))
            return time.monotonic() - start

        # The first may come before the worker listens. One that only looks takes a sweep each time.
        assert min(map(seconds, "abcd")) < durable.SWEEP_S / 2


def test_a_refused_file_is_final_and_a_defect_ends_its_item_only(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    parts = Parts(database)
    add = adding(parts)

    def work(item: IngestItem) -> None:
        if item.seq == 1:
            raise MalformedFile("the header is not a header\x00", line=1)
        if item.seq == 2:
            raise ZeroDivisionError
        add(item)

    queue = Ingests(database, Queue(database), work)
    with working(queue):
        status = finished(queue, queue.submit(items(5)))
    assert (status.state, status.counts["added"], status.counts["failed"]) == ("finished", 3, 2)
    assert [(one.seq, one.name, one.code) for one in status.failures] == [
        (1, "f1", "MALFORMED_FILE"),
        (2, "f2", "INTERNAL_ERROR"),
    ]
    assert status.failures[0].message.startswith("the header is not a header")
    assert "ZeroDivisionError" in caplog.text
    assert queue.depths()["failed"] == 2


def test_a_file_that_stops_its_reader_has_one_more_chance(database: Database) -> None:
    parts = Parts(database)
    add = adding(parts)
    tries: list[str] = []

    def work(item: IngestItem) -> None:
        tries.append(item.name)
        if parts.quarantined(item.sha256):
            raise QuarantinedFile("twice is enough")
        if item.name == "f0" or tries.count(item.name) == 1:
            parts.record_failure(item.sha256, "READER_CRASHED")
            raise ReaderCrashed("the reader died")
        add(item)

    queue = Ingests(database, Queue(database), work)
    with working(queue):
        status = finished(queue, queue.submit(items(2)))
        assert sorted(tries) == ["f0", "f0", "f1", "f1"]
        assert (status.counts["added"], status.counts["failed"]) == (1, 1)
        assert [(one.name, one.code) for one in status.failures] == [("f0", "READER_CRASHED")]
        later = finished(queue, queue.submit(items(1)))
    assert [one.code for one in later.failures] == ["QUARANTINED_FILE"]


def test_what_is_away_for_a_while_is_waited_for(database: Database) -> None:
    add = adding(Parts(database))
    away = {"times": 2}

    def work(item: IngestItem) -> None:
        if away["times"]:
            away["times"] -= 1
            raise BlobUnavailable("the bucket does not answer")
        add(item)

    queue = Ingests(database, Queue(database), work)
    with working(queue):
        status = finished(queue, queue.submit(items(1)))
    assert status.counts["added"] == 1


def test_a_file_that_is_lost_for_good_fails_in_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingests, "MOST_ATTEMPTS", 2)

    def work(item: IngestItem) -> None:
        raise BlobUnavailable(f"source/{item.sha256} is not in the blob store")

    queue = Ingests(database, Queue(database), work)
    with working(queue):
        status = finished(queue, queue.submit(items(1)))
    assert [one.code for one in status.failures] == ["BLOB_UNAVAILABLE"]


def test_the_blob_of_a_queued_file_is_not_removed(database: Database) -> None:
    parts = Parts(database)
    queue = Ingests(database, Queue(database), adding(parts))
    removed: list[str] = []
    job = queue.submit(items(1))
    parts.discard(sha256_of("f0"), lambda: removed.append("f0"))
    assert removed == []
    queue.cancel(job)
    parts.discard(sha256_of("f0"), lambda: removed.append("f0"))
    assert removed == ["f0"]


def test_cancelling_leaves_what_runs_and_drops_the_rest(database: Database) -> None:
    parts = Parts(database)
    add, begun, go_on = adding(parts), threading.Event(), threading.Event()

    def work(item: IngestItem) -> None:
        begun.set()
        assert go_on.wait(20)
        add(item)

    queue = Ingests(database, Queue(database), work)
    job = queue.submit(items(30))
    with working(queue, 1):
        assert begun.wait(20)
        status = queue.cancel(job)
        assert (status.state, status.counts["running"], status.counts["cancelled"]) == ("running", 1, 29)
        go_on.set()
        status = finished(queue, job)
        assert (status.state, status.counts["added"]) == ("cancelled", 1)
        other = finished(queue, queue.submit([(sha256_of("g"), NewEntry("g"))]))
    assert other.counts["added"] == 1
    assert parts.count() == 2


def test_an_empty_job_is_finished(database: Database) -> None:
    queue = Ingests(database, Queue(database), adding(Parts(database)))
    status = queue.status(queue.submit([]))
    assert status.state == "finished"
    assert status.finished is not None


def test_unknown_jobs_and_bad_entries_are_refused(database: Database) -> None:
    queue = Ingests(database, Queue(database), adding(Parts(database)))
    for job in ("nothing", "00000000-0000-0000-0000-000000000000"):
        for call in (queue.status, queue.cancel):
            with pytest.raises(JobNotFound):
                call(job)
    with pytest.raises(InvalidRequest):
        queue.submit([*items(2), (sha256_of("x"), NewEntry("", None))])
    assert queue.depths() == {"queued": 0, "running": 0, "failed": 0}


@pytest.mark.usefixtures("quick")
def test_items_of_a_killed_worker_are_finished_by_another(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    parts = Parts(database)
    queue = Ingests(database, Queue(database), adding(parts))
    job = queue.submit(items(30))
    for _ in range(2):
        with worker_process(database_url, tmp_path, 0.4):
            done = queue.status(job).counts["added"]
            wait_for(lambda: queue.status(job).counts["added"] > done)  # noqa: B023  # used in this turn only
            # killed in the middle of two items
    assert queue.status(job).finished is None
    with working(queue):
        status = finished(queue, job)
    assert status.counts["added"] == 30
    assert parts.count() == 30


@pytest.mark.usefixtures("quick")
def test_an_item_whose_worker_died_after_the_commit_is_not_done_again(database: Database) -> None:
    parts = Parts(database)
    add = adding(parts)
    worked: list[int] = []

    def work(item: IngestItem) -> None:
        worked.append(item.seq)
        add(item)

    queue = Ingests(database, Queue(database), work)
    job = queue.submit(items(1))
    # The state in which a kill between the commit and procrastinate's note of it leaves the tables.
    with database.connection() as connection:
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    add(IngestItem(job, 0, sha256_of("f0"), "f0", None, {"batch": 1}, 1))
    with working(queue):
        wait_for(lambda: _open_jobs(database) == 0)
    assert worked == []
    assert queue.status(job).counts["added"] == 1


def test_a_job_goes_on_when_postgresql_was_killed(tmp_path: Path) -> None:
    database = Database.open(None, tmp_path, versions=VERSIONS)
    assert database._server is not None
    parts = Parts(database)
    add = adding(parts)

    def work(item: IngestItem) -> None:
        time.sleep(0.05)
        add(item)

    queue = Ingests(database, Queue(database), work)
    job = queue.submit(items(40))

    def told(is_so: Callable[[JobStatus], bool]) -> Callable[[], bool]:
        def look() -> bool:
            with suppress(
                DatabaseUnavailable
            ):  # a backend outlives its postmaster, and loses what it is asked
                return is_so(queue.status(job))
            return False

        return look

    with closing(database):
        with working(queue):
            for share in (5, 15):
                wait_for(told(lambda status: status.counts["added"] >= share), 90)  # noqa: B023  # this turn's
                pid = database._server._installation.postmaster_pid()
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            wait_for(told(lambda status: status.finished is not None), 240)  # from a server that runs again
            status = queue.status(job)
        assert status.counts["added"] + status.counts["known"] == 40
        assert parts.count() == 40


def test_one_queue_serves_several_tasks_and_the_urgent_first(database: Database) -> None:
    queue, done = Queue(database), []
    for name, priority in (("slow", -1), ("urgent", 1)):
        queue.add(Task(name, lambda number, name=name: done.append((name, number)), priority))
    with database.connection() as connection:
        queue.defer(connection, "slow", [{"number": 1}, {"number": 2}])
        queue.defer(connection, "urgent", [{"number": 3}])
        queue.defer(connection, "slow", [])
    with working(queue, 1):
        wait_for(lambda: _open_jobs(database) == 0)
    assert done == [("urgent", 3), ("slow", 1), ("slow", 2)]
    with pytest.raises(ValueError, match="twice"):
        queue.add(Task("slow", lambda: None))


def test_a_long_queue_is_known_to_postgresql_at_once(database: Database) -> None:
    queue = Queue(database)
    queue.add(Task("any", lambda: None))
    rows = "SELECT reltuples FROM pg_class WHERE oid = 'procrastinate_jobs'::regclass"
    with database.single() as connection:
        connection.execute("VACUUM ANALYZE procrastinate_jobs")
        assert connection.execute(rows).fetchone() == (0,)
    with database.connection() as connection:
        queue.defer(connection, "any", [{}] * 500)
    with database.single() as connection:
        assert connection.execute(rows).fetchone() == (500,)


def test_work_is_queued_with_the_transaction_that_asks_for_it(database: Database) -> None:
    queue = Queue(database)
    queue.add(Task("any", lambda: None))
    with database.connection() as connection, connection.transaction(force_rollback=True):
        queue.defer(connection, "any", [{}])
        assert connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (1,)
    assert _open_jobs(database) == 0


def test_work_waits_for_its_time_and_comes_again_after_any_failure(database: Database) -> None:
    queue, called = Queue(database), []

    def run() -> None:
        called.append(time.monotonic())
        if len(called) == 1:
            raise PostponedError("not now")
        if len(called) == 2:
            raise ZeroDivisionError

    queue.add(Task("any", run))
    start = time.monotonic()
    with database.connection() as connection:
        queue.defer(connection, "any", [{}], after_s=1.5)
    with working(queue):
        wait_for(lambda: _open_jobs(database) == 0)
    assert len(called) == 3
    assert called[0] - start > 1


def _open_jobs(database: Database) -> int:
    with database.single() as connection:
        row = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row is not None
    return int(row[0])
