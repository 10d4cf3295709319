"""What the health of the model says before, during and after activations, rollbacks and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_service import ModelService, model_service
from scraped import assert_exported, growing
from served import API


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ModelService]:
    """A service of its own for each test: health tells what happened before, whoever did it."""
    with model_service(tmp_path) as opened:
        yield opened


def health(service: ModelService) -> tuple[str, str | None, int, int]:
    body = service.get("/health/model")
    assert body["fallen"] == {}
    return body["status"], body["version"], body["level"], body["snapshots"]


def test_health_follows_activation_and_rollback(service: ModelService) -> None:
    assert health(service) == ("absent", None, 0, 0)
    assert service.client.get("/ready").json()["checks"]["model"] == "ok"  # none is missing
    assert service.classify()["status"] == "no_model"
    service.activate("one-1")
    assert health(service) == ("ok", "one-1", 0, 0)
    service.activate("one-2")
    assert health(service) == ("ok", "one-2", 0, 1)
    answer = service.rollback()
    assert (answer.status_code, answer.json()["active"]["status"]) == (200, "rollback")
    assert health(service) == ("rollback", "one-1", 1, 0)
    assert service.classify()["model"] == "one-1"
    assert service.rollback().status_code == 409  # nothing is left
    assert service.rollback(version="never").status_code == 409
    assert health(service) == ("rollback", "one-1", 1, 0)
    assert service.rollback(version="one-2").status_code == 200
    assert health(service) == ("ok", "one-2", 0, 1)


def test_each_check_is_counted_by_what_it_said(service: ModelService) -> None:
    service.activate("two-0")
    with growing(service.scrape, "model_health_checks_total", {"ok": 1, "rollback": 1}):
        service.activate("two-1")
        health(service)
        service.rollback()
        health(service)
    loaded = service.get("/health/model")["load_seq"]
    assert_exported(service.scrape(), {"model_rollback_level": 1, "model_load_seq": loaded})


def test_a_refused_reload_changes_neither_model_nor_level(service: ModelService) -> None:
    service.activate("three-1")
    before = health(service), service.get("/model")["line"]
    for query in (
        {"path": "none.cadml"},
        {"version": "none"},
        {"version": "three-1", "expected_version": "x"},
    ):
        assert service.reload(**query).status_code in {404, 409}
    assert (health(service), service.get("/model")["line"]) == before


def test_a_restart_serves_the_same_and_an_altered_newest_gives_way(tmp_path: Path) -> None:
    with model_service(tmp_path) as service:
        service.activate("a-1")
        service.activate("a-2")
        sha256 = service.get("/model")["model"]["sha256"]
    with model_service(tmp_path) as service:
        assert health(service)[:3] == ("ok", "a-2", 0)
        service.engine.blobs.put_bytes(f"model/{sha256}", b"altered")
    with model_service(tmp_path) as service:
        body = service.get("/health/model")
        assert (body["status"], body["version"], body["level"]) == ("rollback", "a-1", 1)
        assert "not those that were kept" in body["fallen"]["a-2"]
        assert service.classify()["model"] == "a-1"
        assert service.get("/model/versions")["events"][0]["what"] == "fell_back"
        older = service.get("/model/versions")["versions"]
        for row in older:
            service.engine.blobs.delete(f"model/{row['sha256']}")
    with model_service(tmp_path) as service:
        answer = service.client.get(f"{API}/health/model")
        assert (answer.status_code, answer.json()["status"]) == (503, "absent")
        ready = service.client.get("/ready")
        assert ready.status_code == 503
        assert "model" in ready.json()["missing"]
        assert service.classify()["status"] == "no_model"
