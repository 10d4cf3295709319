"""``vector_migrate_total``: each part once, by what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import trimesh

from cadml.config import Settings
from cadml.engine import Engine
from scraped import METRICS_ON, assert_exported, growing, growth, samples
from served import API, queue_working, serving, upload

STATUSES = {"migrated", "downgraded", "skipped", "dry_run", "not_found", "error"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Any]]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("migrate"), extract_workers=1)
    with Engine(settings) as engine, serving(engine) as client:
        yield engine, client


@pytest.fixture(scope="module")
def parts(service: tuple[Engine, Any], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, ids = tmp_path_factory.mktemp("boxes"), []
    for number in range(3):
        path = folder / f"{number}.stl"
        path.write_bytes(trimesh.creation.box((1, 2, 3 + number)).export(file_type="stl"))
        ids.append(service[1].post(f"{API}/parts", files=upload(path)).json()["id"])
    return ids


def counting(client: Any, **by: int) -> AbstractContextManager[None]:
    return growing(lambda: client.get("/metrics").text, "vector_migrate_total", by)


def migrate(client: Any, ids: list[str], to_version: str, **rest: Any) -> dict[str, Any]:
    answer = client.post(f"{API}/vectors/migrate", json={"ids": ids, "to_version": to_version, **rest})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_every_status_has_its_series_from_the_start(service: tuple[Engine, Any]) -> None:
    exported = samples(service[1].get("/metrics").text)
    ours = {series for series in exported if series.startswith("vector_migrate_total{")}
    expected = {f'vector_migrate_total{{status="{status}"}}' for status in STATUSES}
    assert ours == (expected if METRICS_ON else set())


def test_each_item_is_counted_once_by_what_became_of_it(
    service: tuple[Engine, Any], parts: list[str]
) -> None:
    engine, client = service
    engine.register("elsewhere", "v2", np.ones(12).tolist())
    with counting(client, downgraded=1, error=1, not_found=1):
        body = migrate(client, [parts[0], "elsewhere", "nobody"], "v3")
    assert [item["status"] for item in body["items"]] == ["downgraded", "error", "not_found"]
    assert body["items"][1]["reason"] == "source_unavailable"

    with counting(client, migrated=1, skipped=1, dry_run=1):
        assert [i["status"] for i in migrate(client, [parts[0]], "v4")["items"]] == ["migrated"]
        assert [i["status"] for i in migrate(client, [parts[0]], "v4")["items"]] == ["skipped"]
        dry = migrate(client, [parts[0]], "v1", dry_run=True)
    assert (dry["dry_run"], dry["counts"]["dry_run"], dry["items"][0]["would"]) == (True, 1, "downgraded")


def test_a_request_that_is_refused_counts_nothing(service: tuple[Engine, Any], parts: list[str]) -> None:
    client = service[1]
    wrong = ({"ids": parts, "to_version": "v99"}, {"ids": [], "to_version": "v4"}, {"to_version": "v4"})
    with counting(client):
        for body in wrong:
            assert client.post(f"{API}/vectors/migrate", json=body).status_code == 422


def test_a_migration_of_the_library_counts_its_parts_and_shows_its_progress(
    service: tuple[Engine, Any], parts: list[str]
) -> None:
    engine, client = service
    assert "elsewhere" not in parts
    before = client.get("/metrics").text
    assert client.post(f"{API}/vectors/migrate/run", json={"to_version": "v1"}).status_code == 202
    with queue_working(engine):
        while client.get(f"{API}/vectors/migrate/status").json()["migration"]["state"] != "ready":
            time.sleep(0.05)
    total = client.get(f"{API}/vectors/migrate/status").json()["migration"]["total"]
    assert total >= len(parts)
    after = client.get("/metrics").text
    assert sum(growth(before, after, "vector_migrate_total").values()) == (total if METRICS_ON else 0)
    progress = {name: float(name == "v1") for name in ("v1", "v2", "v3", "v4", "v5", "v6", "d1")}
    assert_exported(
        after,
        {
            f'vector_migration_progress_ratio{{to_version="{name}"}}': ratio
            for name, ratio in progress.items()
        },
    )
    assert client.post(f"{API}/vectors/migrate/cancel").status_code == 200
