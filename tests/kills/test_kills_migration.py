"""``kill -9`` of the service, a worker and PostgreSQL, twenty times while a library is migrated.

A machine may have built it before it was struck twenty times: then it is given up and built anew. The
end state is that of an undisturbed run, and a way back gives exactly the old answers.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from test_kills import kill, kill_postgresql, kill_service

from cadml.store.embedded import EmbeddedServer
from programs import API, Installation, installed, prism, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

FILES, KILLS = 200, 20
MIGRATE = "/vectors/migrate"
AT_WORK = {"planned", "building", "checking"}


def post(installation: Installation, path: str, **rest: Any) -> Any:
    """Return the answer; while the database comes back, the service says 503."""
    for _ in range(600):
        answer = httpx.post(f"{installation.url}{API}{path}", timeout=120, **rest)
        if answer.status_code != 503:
            assert answer.status_code < 300, answer.text
            return answer.json()
        time.sleep(0.1)
    raise AssertionError("the service stays unavailable")


def fill(installation: Installation) -> None:
    files = [("files", (f"prism-{i}.stl", prism(3 + i % 20, 5 + i, 3 + i % 7))) for i in range(FILES)]
    job = post(installation, "/jobs/ingest", files=files)["id"]
    wait_for(lambda: installation.ask(f"/jobs/{job}")["finished_at"] is not None, 300)
    assert installation.counts(job)["added"] == FILES


def migration(installation: Installation) -> dict[str, Any]:
    found: dict[str, Any] = installation.ask(f"{MIGRATE}/status")["migration"]
    return found


def built(installation: Installation) -> None:
    wait_for(lambda: migration(installation)["state"] not in AT_WORK, 300)
    now = migration(installation)
    assert (now["state"], now["done"], now["failed"]) == ("ready", FILES, 0), now["reason"]


def answers(installation: Installation) -> dict[str, list[tuple[str, float]]]:
    """Return the ten nearest of every part, by name."""
    parts = installation.ask("/parts", limit=FILES)["parts"]
    found = post(installation, "/similarity/batch", json={"ids": [part["id"] for part in parts], "k": 10})
    names = {part["id"]: part["name"] for part in parts}
    return {
        names[one["id"]]: sorted((n["name"], n["distance"]) for n in one["result"]["neighbours"])
        for one in found["results"]
    }


def stored(folder: Path) -> dict[tuple[str, str], bytes]:
    """Return every vector by content and version; each lies where searches look, once."""
    server = EmbeddedServer(folder)
    try:
        with psycopg.connect(server.start()) as connection:
            for name in ("v4", "v5"):
                query = (
                    f"SELECT count(*), count(DISTINCT n.seq) FROM near_{name} n JOIN parts p USING (seq)"
                    " JOIN vectors v ON v.content = p.content AND v.version = %s"
                )
                found = connection.execute(query, (name,)).fetchone()  # type: ignore[arg-type]
                assert found == (FILES, FILES), name
            rows = connection.execute(
                "SELECT encode(sha256, 'hex'), version, vector_send(raw) FROM vectors"
                " JOIN contents ON key = content"
            ).fetchall()
    finally:
        server.stop()
    return {(sha256, version): raw for sha256, version, raw in rows}


def strike(installation: Installation, worker: Any, victim: str) -> Any:
    if victim == "service":
        kill_service(installation)
    elif victim == "postgresql":
        kill_postgresql(installation)
    else:
        kill(worker.pid)
        worker.wait()
        worker = installation.start_worker()
    return worker


def test_a_migration_survives_kills(tmp_path: Path) -> None:
    moments = random.Random(4)
    with installed(tmp_path / "calm", CADML_FEATURE_VERSION="v4") as calm:
        fill(calm)
        post(calm, f"{MIGRATE}/run", json={"to_version": "v5"})
        built(calm)
        post(calm, f"{MIGRATE}/activate")
        expected = answers(calm)
    with installed(tmp_path / "struck", CADML_FEATURE_VERSION="v4") as struck:
        fill(struck)
        before = answers(struck)
        worker = struck.start_worker()
        post(struck, f"{MIGRATE}/run", json={"to_version": "v5"})
        kills = 0
        while kills < KILLS:
            if migration(struck)["state"] not in AT_WORK:
                built(struck)
                post(struck, f"{MIGRATE}/cancel")
                post(struck, f"{MIGRATE}/run", json={"to_version": "v5"})
            time.sleep(moments.uniform(0, 2))
            kills += migration(struck)["state"] in AT_WORK
            worker = strike(struck, worker, moments.choice(("service", "worker", "postgresql")))
        built(struck)
        assert answers(struck) == before
        post(struck, f"{MIGRATE}/activate")
        assert answers(struck) == expected
        post(struck, f"{MIGRATE}/rollback")
        assert answers(struck) == before
        post(struck, f"{MIGRATE}/activate")
    assert stored(tmp_path / "struck") == stored(tmp_path / "calm")
