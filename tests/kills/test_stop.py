"""SIGTERM to real programs: requests that have begun are answered, queued work is put back."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import trimesh

from cadml.store.embedded import EmbeddedServer
from programs import API, Installation, extraction_processes, installed, prism, wait_for

FILES = 200


@contextmanager
def library(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    server = EmbeddedServer(folder)
    try:
        with psycopg.connect(server.start()) as connection:
            yield connection
    finally:
        server.stop()


def stop(installation: Installation) -> float:
    """Send SIGTERM, wait for an orderly end, return the seconds that took."""
    assert installation.service is not None
    begin = time.monotonic()
    installation.service.send_signal(signal.SIGTERM)
    assert installation.service.wait(90) == 0
    return time.monotonic() - begin


def test_an_upload_that_has_begun_is_answered_after_the_signal(tmp_path: Path) -> None:
    content = trimesh.creation.icosphere(subdivisions=3).export(file_type="stl")
    boundary = b"--edge"
    body = b"\r\n".join(
        [
            boundary,
            b'Content-Disposition: form-data; name="file"; filename="ball.stl"',
            b"",
            content,
            boundary + b"--",
            b"",
        ]
    )
    with installed(tmp_path / "data") as installation:
        host, port = installation.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            head = f"POST {API}/analyze HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            head += "Content-Type: multipart/form-data; boundary=edge\r\nExpect: 100-continue\r\n\r\n"
            line.sendall(head.encode())
            assert line.recv(100).startswith(b"HTTP/1.1 100")  # the request has begun
            line.sendall(body[:2000])
            assert installation.service is not None
            installation.service.send_signal(signal.SIGTERM)
            wait_for(lambda: refuses(host, int(port)), 30)
            line.sendall(body[2000:])
            answer = b""
            while chunk := line.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
        assert installation.service.wait(60) == 0


def refuses(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return True
    return False


@pytest.mark.slow
def test_the_queue_is_put_back_and_another_program_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with installed(folder, CADML_LOG_LEVEL="debug") as installation:
        files = [("files", (f"prism-{n}.stl", prism(3 + n % 20, 5 + n, 3))) for n in range(FILES)]
        sent = httpx.post(
            f"{installation.url}{API}/jobs/ingest",
            files=files,
            timeout=120,
            headers={"X-Request-ID": "first"},
        )
        job = sent.json()["id"]
        wait_for(lambda: installation.counts(job)["added"] > 2, 60)
        stop(installation)
        with library(folder) as connection:
            states = dict(
                connection.execute("SELECT state, count(*) FROM ingest_items GROUP BY state").fetchall()
            )
            assert states.keys() == {"added", "queued"}, states  # none is left half-way
            doing = connection.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'")
            assert doing.fetchone() == (0,)
        installation.environment["CADML_EXTRACT_WORKERS"] = "1"
        worker = installation.start_worker()
        with library(folder) as connection:
            wait_for(lambda: all_added(connection), 120)
            assert connection.execute("SELECT max(attempts) FROM ingest_items").fetchone() == (1,)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        # The worker knows the request that queued the files, a process and a restart away.
        log = (folder / "worker.log").read_text()
        assert log.count('"request_id":"first"') >= states["queued"]


def all_added(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT count(*) FROM ingest_items WHERE state = 'added'").fetchone()
    connection.commit()
    return row == (FILES,)


@pytest.mark.slow
def test_what_does_not_end_within_the_grace_is_put_back_without_blame(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with installed(folder, CADML_STOP_GRACE_S="2") as installation:
        ball = trimesh.creation.icosphere(subdivisions=7).export(file_type="stl")
        sent = httpx.post(
            f"{installation.url}{API}/jobs/ingest", files=[("files", ("ball.stl", ball))], timeout=120
        )
        job = sent.json()["id"]
        wait_for(lambda: installation.counts(job)["running"] == 1, 60)
        for process_id in extraction_processes(installation):
            os.kill(process_id, signal.SIGSTOP)  # it would never end
        assert 1.5 < stop(installation) < 60
        with library(folder) as connection:
            item = connection.execute("SELECT state, attempts, code FROM ingest_items").fetchone()
            assert item == ("queued", 0, None)
            assert connection.execute("SELECT count(*) FROM reader_failures").fetchone() == (0,)
        installation.start_service()
        wait_for(lambda: installation.counts(job)["added"] == 1, 120)
