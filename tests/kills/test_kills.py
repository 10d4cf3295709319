"""``kill -9`` of each program, ten times at random moments while files are ingested, 200 a job.

A machine may finish a job before it was struck ten times: then another job of 200 files follows.
What was acknowledged stays, nothing is there twice or by half, and every job finishes.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from cadml.features.versions import versions_for
from cadml.geometry.part import Kind
from cadml.store.blobs import Blobs
from cadml.store.embedded import EmbeddedServer
from programs import API, Installation, installed, prism, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FILES, KILLS = 200, 10


def names(jobs: int) -> list[str]:
    return sorted(f"prism-{job}-{index}.stl" for job in range(jobs) for index in range(FILES))


def submit(installation: Installation, number: int) -> str:
    """Queue 200 files as one job; no two files of two numbers are the same bytes."""
    files = [
        (
            "files",
            (f"prism-{number}-{index}.stl", prism(3 + index % 20, 5 + index, 3 + index % 7 + number / 64)),
        )
        for index in range(FILES)
    ]
    answer = httpx.post(f"{installation.url}{API}/jobs/ingest", files=files, timeout=120)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def acknowledged(installation: Installation) -> set[tuple[str, str]]:
    rows, after = set(), None
    while True:
        page = installation.ask("/parts", limit=200, **({"after": after} if after else {}))
        rows |= {(part["id"], part["name"]) for part in page["parts"]}
        after = page["next"]
        if after is None:
            return rows


def kill(process_id: int) -> None:
    os.kill(process_id, signal.SIGKILL)


def kill_service(installation: Installation) -> None:
    assert installation.service is not None
    kill(installation.service.pid)
    installation.service.wait()
    installation.start_service()


def kill_postgresql(installation: Installation) -> None:
    note = installation.folder / "postgres18" / "postmaster.pid"
    kill(int(note.read_text().split("\n", 1)[0]))


@pytest.mark.parametrize("victim", ["service", "worker", "postgresql"])
def test_ingest_survives_kills(tmp_path: Path, victim: str) -> None:
    moments = random.Random(sum(map(ord, victim)))
    with installed(tmp_path / "data") as installation:
        worker = installation.start_worker() if victim == "worker" else None
        jobs: list[str] = []
        struck = 0
        while struck < KILLS:
            if not jobs or installation.counts(jobs[-1])["queued"] == 0:
                jobs.append(submit(installation, len(jobs)))
            wait_for_progress(installation, jobs[-1])
            time.sleep(moments.uniform(0, 0.4))
            before = acknowledged(installation)
            struck += is_running(installation, jobs[-1])
            if victim == "service":
                kill_service(installation)
            elif victim == "postgresql":
                kill_postgresql(installation)
            else:
                assert worker is not None
                kill(worker.pid)
                worker.wait()
                worker = installation.start_worker()
            assert before <= acknowledged(installation)
        for job in jobs:
            wait_for(lambda: not is_running(installation, job), 300)  # noqa: B023 - this turn's
            status = installation.ask(f"/jobs/{job}")
            assert status["failures"] == []
            assert status["counts"]["added"] + status["counts"]["known"] == FILES
        parts = acknowledged(installation)
    assert sorted(name for _, name in parts) == names(len(jobs))
    assert_whole(tmp_path / "data", len(parts))


def is_running(installation: Installation, job: str) -> bool:
    return installation.ask(f"/jobs/{job}")["finished_at"] is None


def wait_for_progress(installation: Installation, job: str) -> None:
    waiting = installation.counts(job)["queued"]
    wait_for(lambda: installation.counts(job)["queued"] < waiting or not waiting, 90)


def assert_whole(folder: Path, files: int) -> None:
    """Every part has its content, all its vectors where searches look, and its blobs; there is no other."""
    server = EmbeddedServer(folder)
    try:
        with psycopg.connect(server.start()) as connection:
            contents = connection.execute("SELECT encode(sha256, 'hex') FROM contents").fetchall()
            entries = connection.execute("SELECT count(DISTINCT content), count(*) FROM parts").fetchone()
            assert entries == (files, files)
            for version in versions_for(Kind.MESH):
                query = (
                    f"SELECT count(*) FROM parts p JOIN near_{version.name} n USING (seq)"
                    " JOIN vectors v ON v.content = p.content AND v.version = %s"
                )
                found = connection.execute(query, (version.name,)).fetchone()  # type: ignore[arg-type]
                assert found == (files,), version.name
    finally:
        server.stop()
    blobs = Blobs(str(folder / "blobs"))
    assert len(contents) == files
    for (sha256,) in contents:
        assert blobs.exists(f"source/{sha256}")
        assert blobs.get_bytes(f"part/{sha256}")
