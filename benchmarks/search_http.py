"""The same searches through the HTTP interface of a real service, for benchmarks/search.py."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml.bench.client import Client, load, request
from cadml.bench.service import Served
from cadml.store.database import Database
from cadml.store.vectors import Found

CLIENTS, SECONDS, WARM = 4, 5.0, 50


def by_vector(
    version: str, queries: NDArray[np.float32], k: int, filters: dict[str, Any] | None
) -> list[bytes]:
    """Return requests that search for raw vectors ``(Q, N)``."""
    return [
        request("POST", "/api/v1/search", {"version": version, "vector": row, "k": k, "filters": filters})
        for row in queries.tolist()
    ]


def by_part(ids: Sequence[str], k: int) -> list[bytes]:
    """Return requests that search for stored parts."""
    return [request("POST", "/api/v1/search", {"part_id": part_id, "k": k}) for part_id in ids]


def measure(
    service: Served, database: Database, requests: Sequence[bytes], truth: Sequence[Found]
) -> dict[str, float]:
    """Return latency from one client, searches/s from four, recall and processor time per search.

    ``truth`` is what exact search finds for the first of ``requests``.
    """
    with Client(service.url) as client:
        replies = [json.loads(client.ask(one)) for one in requests[: len(truth)]]
        for one in requests[:WARM]:
            client.ask(one)
        times = [_timed(client, one) for one in requests]
    load(service.url, requests, CLIENTS, 0.5)  # opens the connections whose servers are watched below
    before = _processor_ms(service, database)
    four = load(service.url, requests, CLIENTS, SECONDS)
    spent = [(b - a) / len(four.times) for a, b in zip(before, _processor_ms(service, database), strict=True)]
    p50, p95 = np.percentile(times, [50, 95]) * 1000
    summary = four.summary()
    return {
        "returned": float(np.mean([reply["returned"] for reply in replies])),
        "recall_at_10": float(np.mean([_recall(a, b) for a, b in zip(replies, truth, strict=True)])),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        f"per_s_from_{CLIENTS}": summary["per_s"],
        f"p50_ms_of_{CLIENTS}": summary["p50_ms"],
        f"p95_ms_of_{CLIENTS}": summary["p95_ms"],
        "service_cpu_ms": spent[0],
        "postgres_cpu_ms": spent[1],
    }


def _timed(client: Client, asked: bytes) -> float:
    start = time.perf_counter()
    client.ask(asked)
    return time.perf_counter() - start


def _recall(reply: dict[str, Any], truth: Found) -> float:
    """Return the share of the true neighbours that were found; an equal distance counts."""
    if not truth.neighbours:
        return 1.0
    last = truth.neighbours[-1].distance
    return sum(one["distance"] <= last + 1e-6 for one in reply["neighbours"]) / len(truth.neighbours)


def _processor_ms(service: Served, database: Database) -> tuple[float, float]:
    """Return the processor time that the service, and all of PostgreSQL's servers, have taken so far, ms."""
    with database.single() as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return _spent_ms(service.pid), sum(_spent_ms(pid) for (pid,) in rows.fetchall())


def _spent_ms(pid: int) -> float:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e6
