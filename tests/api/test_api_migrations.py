"""``/vectors/migrate`` over HTTP, on a library of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cadml.config import Settings
from cadml.engine import Engine
from served import API, queue_working, serving, upload

MIGRATE = f"{API}/vectors/migrate"


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]
) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("migrations"), extract_workers=1, feature_version="v4"
    )
    with Engine(settings) as engine, serving(engine) as client, queue_working(engine):
        ids = {}
        for name, path in files.items():
            ids[name] = client.post(f"{API}/parts", files=upload(path)).json()["id"]
        yield client, ids


def got(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(f"{MIGRATE}/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def settled(client: httpx.Client) -> dict[str, Any]:
    for _ in range(1200):
        migration: dict[str, Any] = got(client, "status")["migration"]
        if migration["state"] not in {"planned", "building", "checking"}:
            return migration
        time.sleep(0.1)
    raise AssertionError("it does not settle")


def posted(client: httpx.Client, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{MIGRATE}/{path}", json=body) if body else client.post(f"{MIGRATE}/{path}")
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_library_is_moved_step_by_step(service: tuple[httpx.Client, dict[str, str]]) -> None:
    client, ids = service
    plan = got(client, "plan", to_version="v5")
    assert plan["can_begin"], plan
    assert (plan["origin"], plan["parts_to_describe"], plan["parts_not_described_by_it"]) == ("v4", 4, 1)
    assert got(client, "preview", to_version="v5", limit=2)["by_status"]["migrated"] == 4
    assert got(client, "pending", to_version="v5", limit=3)["total"] == 4
    posted(client, "run", 202, to_version="v5")
    refused = posted(client, "run", 409, to_version="v6")
    assert (refused["code"], refused["context"]["state"] in {"planned", "building", "checking", "ready"}) == (
        "MIGRATION_CONFLICT",
        True,
    )
    assert settled(client)["state"] == "ready"
    assert not got(client, "plan", to_version="v6")["can_begin"]
    versions = {row["name"]: row for row in client.get(f"{API}/features/versions").json()}
    assert (versions["v5"]["state"], versions["v5"]["active"]) == ("building", False)
    assert client.post(f"{API}/search", json={"part_id": ids["box"], "version": "v5"}).json()["code"] == (
        "VERSION_NOT_KEPT"
    )
    assert posted(client, "activate")["active_version"] == "v5"
    versions = {row["name"]: row for row in client.get(f"{API}/features/versions").json()}
    assert (versions["v5"]["state"], versions["v5"]["active"], versions["v5"]["vectors"]) == ("kept", True, 4)
    assert client.get(f"{API}/parts/{ids['box']}/similar").json()["version"] == "v5"
    health = client.get(f"{API}/health/vectors").json()
    assert (health["active_version"], health["advice"]) == ("v5", [])
    assert health["indexes"]["v3"]["index_bytes"] is None  # short, and never what searches used
    assert health["indexes"]["v3"]["breadth"] is None
    for name, rows in (("v4", 5), ("v5", 4)):
        assert health["indexes"][name]["index_bytes"] > 0
        assert (health["indexes"][name]["rows"], health["indexes"][name]["breadth"]) == (rows, 100)
    assert posted(client, "rollback")["active_version"] == "v4"
    assert client.get(f"{API}/parts/{ids['box']}/similar").json()["version"] == "v4"
    assert posted(client, "activate", 200)["active_version"] == "v5"
    assert posted(client, "activate", 404)["code"] == "MIGRATION_NOT_FOUND"
    assert posted(client, "rollback")["migration"]["state"] == "ready"
    assert posted(client, "cancel")["migration"]["state"] == "cancelled"
    for path in ("rollback", "retire", "retry", "cancel"):
        assert posted(client, path, 404)["code"] == "MIGRATION_NOT_FOUND"
    summary = got(client, "summary")
    assert summary["by_target"]["v5"] == summary["by_status"]["migrated"] >= 4
    trends = got(client, "trends", window_hours=2)
    assert trends["success_rate"] == 1
    assert trends["changed_per_hour"] == trends["changed"] / 2
    assert sum(span["changed"] for span in trends["spans"]) == trends["changed"]
    assert trends["mean_dimension_delta"] > 0


def test_pages_of_what_is_pending_hold_each_entry_once(
    service: tuple[httpx.Client, dict[str, str]],
) -> None:
    client, _ = service
    seen: list[str] = []
    after = {}
    while True:
        page = got(client, "pending", to_version="v6", limit=1, **after)
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(seen) == len(set(seen)) == page["total"]


def test_items_is_another_word_for_ids(service: tuple[httpx.Client, dict[str, str]]) -> None:
    client, ids = service
    answer = client.post(MIGRATE, json={"items": [ids["box"]], "to_version": "v4", "dry_run": True})
    assert answer.json()["counts"]["skipped"] == 1
    both = client.post(MIGRATE, json={"ids": [ids["box"]], "items": [ids["box"]], "to_version": "v4"})
    assert both.status_code == 422


@pytest.mark.parametrize(
    "path",
    ["preview?to_version=v99", "pending?to_version=v99", "plan?to_version=v99", "trends?window_hours=0"],
)
def test_nonsense_is_refused(service: tuple[httpx.Client, dict[str, str]], path: str) -> None:
    assert service[0].get(f"{MIGRATE}/{path}").status_code == 422
