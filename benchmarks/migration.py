"""Migrate a library while 8 clients search and 2 ingest: failures, mixed answers, p95, speed, downtime.

    python benchmarks/migration.py --parts 100000 --origin v4 --target v5 v6

Prints JSON for each target, one after the other on the same library. The parts are the sample
library's own, each in many sizes, described in the origin for real, so that no two vectors are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import trimesh
from pgvector import HalfVector, Vector
from psycopg import sql

from cadml import log
from cadml.bench.service import Served, served
from cadml.config import Settings
from cadml.engine import Engine, Options
from cadml.extraction import describe
from cadml.features.spec import FeatureVersion
from cadml.features.versions import VERSIONS
from cadml.geometry import codec
from cadml.geometry.part import BoundingBox, MassProperties, Part
from cadml.geometry.samples import write_library
from cadml.store import near_index
from cadml.store.blobs import Blobs
from cadml.store.near import column_type, near_table, scaled_column
from cadml.store.parts import NewEntry

SEARCHERS, INGESTERS = 8, 2
PAUSE_S = 0.05  # of a searching client between two searches: people do not search back to back
WARM = 10  # files that the service has read before anything counts: its readers are loaded then
BUILD = ("planned", "building", "indexing", "checking")
# In the order of their hashes: at random, as far as any index or sample can tell.
COPY = (
    """CREATE TEMPORARY TABLE copies ON COMMIT DROP AS
       SELECT c.key AS base, n AS copy, sha256(c.sha256 || int4send(n)) AS sha256, 0::bigint AS key
         FROM contents c, generate_series(1, %(times)s) n""",
    """INSERT INTO contents (sha256, bytes, format, kind, facts, findings)
       SELECT o.sha256, bytes, format, kind, facts, findings
         FROM copies o JOIN contents c ON c.key = o.base ORDER BY o.sha256""",
    "UPDATE copies o SET key = c.key FROM contents c WHERE c.sha256 = o.sha256",
    "ANALYZE copies",
    """INSERT INTO parts (content, has_file, name, metadata, tags)
       SELECT o.key, true, name || ' ' || o.copy, metadata, tags
         FROM copies o JOIN parts p ON p.content = o.base ORDER BY o.sha256""",
)


def main() -> None:
    log.configure("json", "warning")
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--parts", type=int, default=2000)
    asked.add_argument("--target", nargs="+", default=["v5"])
    asked.add_argument("--origin", default="v4")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked.add_argument("--quiet-s", type=float, default=20)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="cadml-migration-") as name:
        folder = Path(name)
        ids = _fill(folder, given.parts, given.origin)
        os.environ["CADML_FEATURE_VERSION"] = given.origin
        with served(folder / "data", given.workers) as service:
            origin = given.origin
            for target in given.target:
                report = {"origin": origin, "target": target, "workers": given.workers}
                report |= _measure(service, ids, target, given.quiet_s)
                print(json.dumps(report, indent=2), flush=True)
                if report["state"] != "ready":
                    sys.exit(1)
                origin = target


def _fill(folder: Path, parts: int, origin: str) -> list[str]:
    files = [p for p in write_library(folder / "samples") if p.suffix in {".step", ".stl"}]
    settings = Settings(data_dir=folder / "data", feature_version=origin)
    with Engine(settings) as engine:
        with ThreadPoolExecutor(settings.extract_workers) as pool:
            list(pool.map(lambda p: engine.analyze(p, NewEntry(p.name), Options(similar=0)), files))
        _copy(engine, parts // len(files), origin)
        with engine.database.single() as connection:
            connection.execute("VACUUM ANALYZE")
            return [row[0] for row in connection.execute("SELECT id FROM parts").fetchall()]


def _copy(engine: Engine, times: int, origin: str) -> None:
    """Add every part in ``times`` more sizes, each with its vector of ``origin``."""
    version = VERSIONS[origin]
    with engine.database.connection() as connection:
        near_index.drop(connection, version)
        for statement in COPY:
            connection.execute(statement, {"times": times} if "%(times)s" in statement else None)
        sizes = connection.execute(
            "SELECT encode(b.sha256, 'hex'), array_agg(encode(o.sha256, 'hex')), array_agg(o.key)"
            " FROM copies o JOIN contents b ON b.key = o.base GROUP BY 1"
        ).fetchall()
        connection.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE described (key bigint, raw vector, scaled {}) ON COMMIT DROP"
            ).format(sql.SQL(column_type(version)))
        )
        with (
            ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
            connection.cursor().copy("COPY described FROM STDIN") as rows,
        ):
            for some in pool.map(partial(_write_sizes, engine.blobs, version), *zip(*sizes, strict=True)):
                for row in some:
                    rows.write_row(row)
        connection.execute("INSERT INTO vectors SELECT key, %s, raw FROM described", (origin,))
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (seq, tags, scaled) SELECT p.seq, p.tags, d.scaled"
                " FROM described d JOIN parts p ON p.content = d.key ORDER BY p.seq"
            ).format(sql.Identifier(near_table(origin)))
        )
    with engine.database.single() as connection:
        near_index.build(connection, version)


def _write_sizes(
    blobs: Blobs, version: FeatureVersion, base: str, copies: list[str], keys: list[int]
) -> list[tuple[int, Vector, Vector | HalfVector]]:
    """Keep the sizes of a part; return their vectors, as computed and as compared."""
    part, described = codec.decode(blobs.get_bytes(f"part/{base}")), []
    for copy, key in zip(copies, keys, strict=True):
        sized = _sized(part, 2.0 ** random.Random(copy).uniform(-1, 1))
        blobs.put_bytes(f"part/{copy}", codec.encode(sized))
        raw = describe(sized, (version.name,))[0][version.name]
        described.append((key, Vector(raw), scaled_column(version, raw)))
    return described


def _sized(part: Part, size: float) -> Part:
    """Return the part ``size`` times as large."""
    assert part.mass is not None
    assert part.tessellation is not None
    mass, brep, mesh = part.mass, part.brep, part.tessellation
    return replace(
        part,
        box=BoundingBox(part.box.minimum * size, part.box.maximum * size),
        mass=MassProperties(
            mass.area * size**2,
            mass.centroid * size,
            None if mass.volume is None else mass.volume * size**3,
            None if mass.inertia is None else mass.inertia * size**5,
        ),
        brep=brep
        and replace(
            brep,
            face_area=brep.face_area * size**2,
            face_radius=brep.face_radius * size,
            edge_length=brep.edge_length * size,
        ),
        tessellation=replace(
            mesh,
            vertices=mesh.vertices * size,
            linear_deflection=mesh.linear_deflection and mesh.linear_deflection * size,
        ),
    )


class Clients:
    """What the clients saw: seconds by phase and version, and what was wrong."""

    def __init__(self, url: str, ids: list[str]) -> None:
        self.url, self.ids = url, ids
        self.phase = "warming"
        self.seconds: dict[str, list[float]] = {}
        self.versions: dict[str, set[str]] = {}
        self.ends: list[tuple[float, str]] = []
        self.failed: list[str] = []
        self.ingested = 0
        self._stop = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Search and ingest for as long as the block lasts."""
        threads = [threading.Thread(target=self._search, args=(n,)) for n in range(SEARCHERS)]
        threads += [threading.Thread(target=self._ingest, args=(n,)) for n in range(INGESTERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _search(self, number: int) -> None:
        draw = random.Random(number)
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=60) as client:
            while not self._stop.is_set():
                phase, begin = self.phase, time.perf_counter()
                try:
                    answer = client.get(f"/parts/{draw.choice(self.ids)}/similar")
                    version = answer.json().get("version")
                    if answer.status_code != 200 or not answer.json()["neighbours"]:
                        self.failed.append(answer.text[:300])
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                now = time.perf_counter()
                self.seconds.setdefault(phase, []).append(now - begin)
                self.versions.setdefault(phase, set()).add(version)
                self.ends.append((now, version))
                time.sleep(PAUSE_S)

    def _ingest(self, number: int) -> None:
        with httpx.Client(base_url=f"{self.url}/api/v1", timeout=120) as client:
            count = 0
            while not self._stop.is_set():
                count += 1
                box = trimesh.creation.box((1 + number, 2 + count, 3)).export(file_type="stl")
                answer = client.post("/parts", files={"file": (f"new-{number}-{count}.stl", box)})
                if answer.status_code not in {200, 201}:
                    self.failed.append(answer.text[:300])
                self.ingested += 1
                time.sleep(1)


def _measure(service: Served, ids: list[str], target: str, quiet_s: float) -> dict[str, Any]:
    base = f"{service.url}/api/v1/vectors/migrate"
    clients = Clients(service.url, ids)
    activation = {}
    with clients.at_work():
        while clients.ingested < WARM:
            time.sleep(0.1)
        clients.phase = "quiet"
        time.sleep(quiet_s)
        begin = time.perf_counter()
        httpx.post(f"{base}/run", json={"to_version": target}, timeout=60).raise_for_status()
        described = None
        while (now := _status(base))["state"] in BUILD:
            clients.phase = now["state"]
            if now["state"] == "building" and now["done"] == now["total"]:
                clients.phase, described = "indexing", described or time.perf_counter()
            time.sleep(0.5)
        built = time.perf_counter()
        clients.phase = now["state"]
        time.sleep(2)
        if now["state"] == "ready":
            activation = _activate(base, clients)
    latency = {phase: _latency(seconds) for phase, seconds in clients.seconds.items()}
    build = _latency([one for phase in BUILD for one in clients.seconds.get(phase, [])])
    return {
        "parts": now["total"],
        "parts_failed": now["failed"],
        "state": now["state"],
        "reason": now["reason"],
        "build_s": built - begin,
        "index_and_checks_s": built - described if described else None,
        "parts_per_second": now["done"] / (built - begin),
        "parts_per_second_describing": now["done"] / (described - begin) if described else None,
        "parts_per_second_per_worker": now["parts_per_second_per_worker"],
        "failed": len(clients.failed),
        "failures": clients.failed[:3],
        "versions_seen": {phase: sorted(map(str, seen)) for phase, seen in clients.versions.items()},
        "ingested": clients.ingested,
        "latency_ms": latency | {"build": build},
        "p95_build_to_quiet": build["p95"] / latency["quiet"]["p95"],
        **activation,
        "checks": {name: value for name, value in (now["checks"] or {}).items() if name != "least_alike"},
    }


def _activate(base: str, clients: Clients) -> dict[str, Any]:
    clients.phase, begin = "after", time.perf_counter()
    httpx.post(f"{base}/activate", timeout=60).raise_for_status()
    switched = time.perf_counter()
    time.sleep(5)
    gaps = np.diff([end for end, _ in sorted(clients.ends) if begin - 2 < end < switched + 2])
    return {
        "activate_request_ms": 1e3 * (switched - begin),
        "longest_gap_between_answers_ms": 1e3 * float(gaps.max()),
    }


def _latency(seconds: list[float]) -> dict[str, float]:
    p50, p95, p99 = 1e3 * np.percentile(seconds, [50, 95, 99])
    return {"searches": len(seconds), "p50": float(p50), "p95": float(p95), "p99": float(p99)}


def _status(base: str) -> dict[str, Any]:
    migration: dict[str, Any] = httpx.get(f"{base}/status", timeout=60).json()["migration"]
    return migration


if __name__ == "__main__":
    main()
