"""What a real service writes to its log: JSON lines with the id of the request, no content, no secret."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import trimesh

from cadml.api import auth
from cadml.store.embedded import EmbeddedServer
from programs import API, Installation, extraction_processes, installed, prism, wait_for

CONTENT = "KRONJUWEL"  # stands in every file that is sent
PASSWORD = "ganz-geheim"
WRONG_KEY = "not-the-key-7Q"
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Lines]:
    """Return the log of a service that met everything that goes wrong: as text, its key, as lines."""
    folder = tmp_path_factory.mktemp("log")
    key = auth.add(folder / "keys", "someone", "admin")
    server = EmbeddedServer(folder / "database")
    settings = {
        "CADML_API_KEYS_FILE": str(folder / "keys"),
        "CADML_LOG_LEVEL": "debug",
        # The embedded server asks for no password; it stands in the connection string all the same.
        "CADML_DATABASE_URL": f"{server.start()} password={PASSWORD}",
    }
    with installed(folder / "data", **settings) as installation:
        with httpx.Client(base_url=installation.url, headers={"X-API-Key": key}, timeout=120) as client:
            misuse(client, installation, server.dsn)
        assert installation.service is not None
        installation.service.send_signal(signal.SIGTERM)
        assert installation.service.wait(60) == 0
        text = (installation.folder / "serve.log").read_text()
    server.stop()
    return text, key, [json.loads(line) for line in text.splitlines()]


def misuse(client: httpx.Client, installation: Installation, dsn: str) -> None:
    bad = f"solid {CONTENT}\nfacet normal 0 0 1\nouter loop\nvertex {CONTENT} 0 0\n".encode()
    assert post(client, "good", "good.stl", prism(5, 3, 2)).status_code == 200
    assert post(client, "bad", "bad.stl", bad).status_code == 422
    assert post(client, "stranger", "bad.stl", bad, {"X-API-Key": WRONG_KEY}).status_code == 401
    files = [("files", ("one.stl", prism(6, 3, 2))), ("files", ("two.stl", bad))]
    job = client.post(f"{API}/jobs/ingest", files=files, headers={"X-Request-ID": "a-job"}).json()
    wait_for(lambda: client.get(f"{API}/jobs/{job['id']}").json()["finished_at"] is not None, 60)
    assert lose_the_worker(client, installation) == 422
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE parts RENAME TO elsewhere")
        assert post(client, "defect", "good.stl", prism(7, 3, 2)).status_code == 500
        connection.execute("ALTER TABLE elsewhere RENAME TO parts")


def post(
    client: httpx.Client, request: str, name: str, content: bytes, more: dict[str, str] | None = None
) -> httpx.Response:
    headers = {"X-Request-ID": request} | (more or {})
    return client.post(f"{API}/analyze", files={"file": (name, content)}, headers=headers)


def lose_the_worker(client: httpx.Client, installation: Installation) -> int:
    """Send a large file and crash the process that reads it; return the answer's status."""
    import threading

    ball = trimesh.creation.icosphere(subdivisions=7).export(file_type="stl")
    answers: list[int] = []
    before: dict[int, float] = {}
    while (now := {worker: cpu_seconds(worker) for worker in extraction_processes(installation)}) != before:
        before = now  # until all have warmed up
        time.sleep(0.5)
    sender = threading.Thread(target=lambda: answers.append(post(client, "crash", "x.stl", ball).status_code))
    sender.start()
    while sender.is_alive():
        for worker, seconds in before.items():
            if cpu_seconds(worker) > BUSY_S + seconds:
                os.kill(worker, signal.SIGSEGV)
                sender.join()
                break
        time.sleep(0.02)
    return answers[0]


BUSY_S = 0.2


def cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def of_request(lines: Lines, request: str, event: str) -> dict[str, Any]:
    (found,) = [line for line in lines if line.get("request_id") == request and line["event"] == event]
    return found


def test_every_line_is_json_with_time_level_and_event(session: tuple[str, str, Lines]) -> None:
    _, _, lines = session
    assert len(lines) > 10
    assert all({"timestamp", "level", "event", "logger"} <= set(line) for line in lines)


def test_a_request_is_found_by_its_id(session: tuple[str, str, Lines]) -> None:
    _, _, lines = session
    assert of_request(lines, "good", "request")["code"] == 200
    assert of_request(lines, "good", "file read")["format"] == "stl"
    assert of_request(lines, "bad", "request")["code"] == 422
    assert of_request(lines, "stranger", "request")["code"] == 401


def test_items_of_a_job_carry_the_id_of_the_request_that_queued_them(
    session: tuple[str, str, Lines],
) -> None:
    _, _, lines = session
    job = of_request(lines, "a-job", "job queued")["job"]
    added, refused = (of_request(lines, "a-job", event) for event in ("item added", "item not added"))
    assert added["job"] == refused["job"] == job
    assert {added["seq"], refused["seq"]} == {0, 1}
    assert refused["code"] in {"MALFORMED_FILE", "TRUNCATED_FILE"}


def test_a_lost_worker_is_logged_with_the_request_that_lost_it(session: tuple[str, str, Lines]) -> None:
    _, _, lines = session
    line = of_request(lines, "crash", "a file ended its worker")
    assert (line["level"], line["code"], line["format"]) == ("warning", "READER_CRASHED", "stl")


def test_a_defect_is_logged_with_frames_and_without_local_variables(session: tuple[str, str, Lines]) -> None:
    _, _, lines = session
    (trace, *_) = of_request(lines, "defect", "defect")["exception"]
    assert trace["exc_type"] == "UndefinedTable"
    assert all("locals" not in frame for frame in trace["frames"])


@pytest.mark.parametrize("what", [CONTENT, PASSWORD, WRONG_KEY])
def test_no_content_and_no_secret_is_in_the_log(session: tuple[str, str, Lines], what: str) -> None:
    assert what not in session[0]


def test_no_key_is_in_the_log(session: tuple[str, str, Lines]) -> None:
    text, key, _ = session
    assert key not in text
    assert auth.digest(key) not in text


def test_the_last_net_catches_connection_strings_and_fields_named_like_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import logging

    import structlog

    from cadml import log

    log.configure("json")
    logging.getLogger("psycopg").warning(
        "tried postgresql://me:%s@host/db and password=%s", PASSWORD, PASSWORD
    )
    structlog.get_logger("cadml.test").error("x", api_key=PASSWORD, exc_info=ValueError(f"://u:{PASSWORD}@h"))
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["event"] == "tried postgresql://me:…@host/db and password=…"
    assert second["api_key"] == "…"
    assert second["exception"][0]["exc_value"] == "://u:…@h"
