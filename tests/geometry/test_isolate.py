"""A worker process may crash, hang or eat memory: shown with real crashes, hangs and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jobs_for_workers as jobs
import numpy as np
import pytest

from cadml.errors import (
    CadmlError,
    ExtractionOutOfMemory,
    ExtractionTimeout,
    InternalError,
    ReaderCrashed,
    ServiceStopping,
    TruncatedFile,
)
from cadml.geometry.isolate import Workers

HERE = Path(__file__).parent


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def workers(failures: list[str]) -> Iterator[Workers]:
    with Workers(2, timeout_s=20, memory_mb=2048, on_failure=failures.append) as pool:
        yield pool


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pids: list[int], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still running: {[p for p in pids if is_running(p)]}"
        time.sleep(0.02)


def test_a_result_comes_back(workers: Workers) -> None:
    assert workers.run(jobs.add, 2, 3) == 5
    np.testing.assert_array_equal(workers.run(jobs.big, 1_000_000), np.arange(1_000_000))


def test_jobs_run_in_other_processes_that_stay(workers: Workers) -> None:
    pids = {workers.run(jobs.pid) for _ in range(8)}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_an_error_keeps_its_class_and_context(workers: Workers, failures: list[str]) -> None:
    with pytest.raises(TruncatedFile, match="cut short") as caught:
        workers.run(jobs.refuse)
    assert caught.value.context == {"announced": 7, "room": 3}
    assert failures == []


def test_a_defect_is_an_internal_error_with_its_trace(workers: Workers, failures: list[str]) -> None:
    with pytest.raises(InternalError, match="ZeroDivisionError") as caught:
        workers.run(jobs.blunder)
    assert "in blunder" in caught.value.context["traceback"]
    assert failures == []


def test_a_result_that_cannot_travel_is_an_internal_error(workers: Workers) -> None:
    with pytest.raises(InternalError):
        workers.run(jobs.unpicklable)
    assert workers.run(jobs.add, 1, 1) == 2


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ((jobs.segfault,), {"signal": "SIGSEGV"}),
        ((jobs.true_segfault,), {"signal": "SIGSEGV"}),
        ((jobs.abort,), {"signal": "SIGABRT"}),
        ((jobs.leave, 0), {"exit": 0}),
        ((jobs.leave, 3), {"exit": 3}),
    ],
)
def test_a_crash_is_told_at_once_and_counted_once(
    workers: Workers, failures: list[str], job: tuple, expected: dict
) -> None:
    workers.run(jobs.add, 1, 1)
    started = time.monotonic()
    with pytest.raises(ReaderCrashed) as caught:
        workers.run(*job)
    assert time.monotonic() - started < 5
    assert caught.value.context == expected
    assert failures == ["crash"]
    assert [workers.run(jobs.add, k, 1) for k in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize("job", [jobs.sleep, jobs.sleep_deaf])
def test_a_hang_is_ended_at_the_limit(job: object, failures: list[str]) -> None:
    with Workers(1, timeout_s=2, memory_mb=2048, on_failure=failures.append) as pool:
        victim = pool.run(jobs.pid)
        started = time.monotonic()
        with pytest.raises(ExtractionTimeout) as caught:
            pool.run(job, 1000)  # type: ignore[arg-type]
        assert 1.9 < time.monotonic() - started < 60
        assert caught.value.context == {"limit_s": 2}
        assert failures == ["timeout"]
        wait_until_gone([victim])
        assert pool.run(jobs.add, 1, 1) == 2


def test_waiting_for_a_turn_costs_nothing_of_the_limit() -> None:
    with Workers(1, timeout_s=3, memory_mb=2048) as pool, ThreadPoolExecutor(5) as callers:
        assert list(callers.map(lambda _: pool.run(jobs.sleep, 0.8), range(5))) == [0.8] * 5


def test_memory_is_limited(workers: Workers, failures: list[str]) -> None:
    victims = {workers.run(jobs.pid) for _ in range(4)}
    with pytest.raises(ExtractionOutOfMemory) as caught:
        workers.run(jobs.eat_memory)
    assert caught.value.context == {"limit_mb": 2048}
    assert failures == ["memory"]
    assert len(victims & {workers.run(jobs.pid) for _ in range(4)}) <= 1, (
        "the process that ran out is replaced"
    )


def test_a_crash_costs_only_its_own_request(workers: Workers, failures: list[str]) -> None:
    def call(k: int) -> object:
        try:
            return workers.run(jobs.segfault) if k == 7 else workers.run(jobs.sleep, 0.02 + k / 1000)
        except CadmlError as error:
            return error.code

    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(call, range(20)))
    assert answers[7] == "READER_CRASHED"
    assert [a for k, a in enumerate(answers) if k != 7] == [0.02 + k / 1000 for k in range(20) if k != 7]
    assert failures == ["crash"]
    assert workers.states() == {"idle": 2, "busy": 0}


def test_a_process_killed_while_idle_costs_nothing(workers: Workers, failures: list[str]) -> None:
    for _ in range(3):
        victims = list({workers.run(jobs.pid) for _ in range(6)})
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_until_gone(victims)
        assert [workers.run(jobs.add, k, 1) for k in range(4)] == [1, 2, 3, 4]
    assert failures == []


def test_a_process_killed_from_outside_is_named_so(workers: Workers, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with ThreadPoolExecutor(1) as caller:
        running = caller.submit(workers.run, jobs.mark_and_sleep, str(note))
        while not (note.exists() and note.read_text()):
            time.sleep(0.01)
        os.kill(int(note.read_text()), signal.SIGKILL)
        with pytest.raises(ReaderCrashed) as caught:
            running.result(10)
    assert caught.value.context == {"signal": "SIGKILL"}


def test_states_say_who_is_busy(workers: Workers, tmp_path: Path) -> None:
    workers.run(jobs.add, 1, 1)
    assert workers.states() == {"idle": 2, "busy": 0}
    with ThreadPoolExecutor(1) as caller:
        note = tmp_path / "pid"
        running = caller.submit(workers.run, jobs.mark_and_sleep, str(note))
        while not (note.exists() and note.read_text()):
            assert not running.done()
            time.sleep(0.01)
        assert workers.states() == {"idle": 1, "busy": 1}
        os.kill(int(note.read_text()), signal.SIGKILL)
        with pytest.raises(ReaderCrashed):
            running.result()
    assert workers.states()["busy"] == 0


def test_a_process_is_replaced_after_its_share_of_files() -> None:
    with Workers(1, timeout_s=20, memory_mb=2048, files_per_process=3) as pool:
        assert [pool.run(jobs.count) for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


def test_a_worker_uses_one_core(workers: Workers) -> None:
    assert workers.run(jobs.threads) == 1


def test_a_warm_up_that_fails_says_why() -> None:
    with (
        Workers(1, timeout_s=20, memory_mb=2048, warm=jobs.broken_warm_up) as pool,
        pytest.raises(InternalError, match=r"libGL\.so\.1 is missing"),
    ):
        pool.run(jobs.add, 1, 1)


def test_close_ends_everything_and_later_calls() -> None:
    pool = Workers(2, timeout_s=20, memory_mb=2048)
    pids = list({pool.run(jobs.pid) for _ in range(6)})
    with ThreadPoolExecutor(1) as caller:
        running = caller.submit(pool.run, jobs.sleep, 15)
        time.sleep(0.2)
        pool.close()
        with pytest.raises(ServiceStopping):
            running.result(5)
    wait_until_gone(pids)
    with pytest.raises(ServiceStopping):
        pool.run(jobs.add, 1, 1)


OWNER = """
    import sys
    sys.path.insert(0, {here!r})
    import jobs_for_workers as jobs
    from concurrent.futures import ThreadPoolExecutor
    from cadml.geometry.isolate import Workers

    print("main runs", flush=True)  # were a worker to run this file again, this would come twice
    pool = Workers(2, timeout_s=600, memory_mb=2048)
    pids = {{pool.run(jobs.pid) for _ in range(6)}}
    callers = ThreadPoolExecutor(1)
    busy = callers.submit(pool.run, jobs.sleep_deaf, 600)
    print(*pids, flush=True)
    busy.result()
"""


def test_an_owner_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"  # no `if __name__ == "__main__"`: nothing may run it a second time
    script.write_text(textwrap.dedent(OWNER.format(here=str(HERE))), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "main runs\n"
        pids = [int(word) for word in owner.stdout.readline().split()]
        time.sleep(0.2)
        assert 1 <= len(pids) <= 2
        assert all(is_running(pid) for pid in pids)
        owner.send_signal(signal.SIGKILL)
        wait_until_gone(pids)
        assert owner.stdout.read() == ""
