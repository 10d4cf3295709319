"""Durable jobs over HTTP."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from cadml.api.schemas import JobReply
from cadml.engine import Engine
from served import API, queue_working


def finished(client: httpx.Client, place: str) -> JobReply:
    for _ in range(600):
        job = JobReply.model_validate(client.get(place).json())
        if job.state in {"finished", "cancelled"}:
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def submit(client: httpx.Client, *files: tuple[str, bytes], **data: str) -> httpx.Response:
    return client.post(f"{API}/jobs/ingest", files=[("files", file) for file in files], data=data)


def test_a_job_adds_good_files_and_names_bad_ones(
    client: httpx.Client, engine: Engine, files: dict[str, Path]
) -> None:
    box = files["box"].read_bytes()
    answer = submit(
        client,
        ("job-box.stl", box),
        ("broken.stl", b"solid a\nfacet normal x\n"),
        ("a.dwg", b"AC1027"),
        batch="one",
    )
    assert answer.status_code == 202, answer.text
    assert [(r["name"], r["code"]) for r in answer.json()["refused"]] == [("a.dwg", "PROPRIETARY_FORMAT")]
    place = answer.headers["location"]
    assert client.get(place).json()["state"] == "queued"
    with queue_working(engine):
        job = finished(client, place)
    assert (job.counts["added"], job.counts["failed"]) == (1, 1)
    assert job.failures[0].name == "broken.stl"
    parts = client.get(f"{API}/parts", params={"where": ["batch=one"]}).json()["parts"]
    assert [part["name"] for part in parts] == ["job-box.stl"]
    with queue_working(engine):
        again = finished(client, submit(client, ("job-box.stl", box), batch="one").headers["location"])
    assert (again.counts["added"], again.counts["known"]) == (0, 1)
    assert client.delete(f"{API}/parts/{parts[0]['id']}").status_code == 204


def test_a_cancelled_job_adds_nothing(client: httpx.Client, engine: Engine, files: dict[str, Path]) -> None:
    answer = submit(client, ("never.stl", files["flat"].read_bytes()))
    place = answer.headers["location"]
    assert client.post(f"{place}/cancel").json()["state"] == "cancelled"
    with queue_working(engine):
        time.sleep(0.5)
    assert client.get(f"{API}/parts", params={"where": ["name=never.stl"]}).json()["total"] == 0


def test_a_job_without_files_is_refused(client: httpx.Client) -> None:
    assert client.post(f"{API}/jobs/ingest", data={"a": "b"}).status_code == 422
    assert client.post(f"{API}/jobs/ingest", data={"files": "text"}).status_code == 422
    for path in ("nothing", "00000000-0000-0000-0000-000000000000"):
        answer = client.get(f"{API}/jobs/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")
