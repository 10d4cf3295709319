"""Searches in a scratch database: latency, recall against exact search, rate from several threads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml.features.spec import FeatureVersion
from cadml.features.versions import version as version_named
from cadml.geometry.part import Kind
from cadml.store.database import Database
from cadml.store.parts import NewContent, NewEntry, Parts
from cadml.store.vectors import Found, Vectors

COUNT, CLUSTERS = 5_000, 250
QUERIES, NEIGHBOURS, THREADS = 200, 10, 4
SHARES = {"none": None, "keeps_50_percent": "half", "keeps_1_percent": "hundredth"}


def run(folder: Path, version_name: str, count: int = COUNT) -> dict[str, Any]:
    """Return ingest rate, latencies, recall@10 and searches per second at ``count`` parts.

    The vectors are made up, in clusters of one part in twenty variants, with the version's own
    spread; they are stored as real parts, one transaction each, through the store's own code.
    """
    version = version_named(version_name)
    values = _vectors(version, count)
    database = Database.open(None, folder / "search")
    try:
        rate = _fill(Parts(database), version, values)
        vectors = Vectors(database)
        random = np.random.default_rng(7)
        queries = values[random.choice(count, QUERIES)]
        queries = (queries + random.normal(0, 0.02, queries.shape) / version.scale).astype(np.float32)
        measured = {
            name: _measure(vectors, version_name, queries, {tag: True} if tag else None)
            for name, tag in SHARES.items()
        }
    finally:
        database.close()
    return {"version": version_name, "parts": count, "ingest_per_s": rate, **measured}


def _vectors(version: FeatureVersion, count: int) -> NDArray[np.float32]:
    random = np.random.default_rng(2026)
    centres = random.normal(0, 1, (CLUSTERS, version.length))
    scaled = centres[random.integers(CLUSTERS, size=count)] + random.normal(0, 0.2, (count, version.length))
    return (scaled / version.scale + version.offset).astype(np.float32)


def _fill(parts: Parts, version: FeatureVersion, values: NDArray[np.float32]) -> float:
    kind = Kind.BREP if Kind.BREP in version.kinds else next(iter(version.kinds))

    def add(index: int) -> None:
        sha256 = hashlib.sha256(str(index).encode()).hexdigest()
        facts = {"kind": kind.value, "format": "step", "diagonal": float(index)}
        content = NewContent(sha256, index, "step", kind.value, facts, [], {version.name: values[index]})
        tags: dict[str, str | int | float | bool] = {"half": index % 2 == 0, "hundredth": index % 100 == 0}
        parts.add(content, NewEntry(f"part-{index}.step", None, tags))

    start = perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(add, range(len(values))))
    return len(values) / (perf_counter() - start)


def _measure(
    vectors: Vectors, version: str, queries: NDArray[np.float32], filters: dict[str, Any] | None
) -> dict[str, Any]:
    def ask(query: NDArray[np.float32]) -> Found:
        return vectors.search(version, query, NEIGHBOURS, filters)

    exact = [vectors.search(version, query, NEIGHBOURS, filters, exact=True) for query in queries]
    for query in queries[:20]:
        ask(query)
    found, times = zip(*(_timed(ask, query) for query in queries), strict=True)
    start = perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(ask, queries))
    rate = len(queries) / (perf_counter() - start)
    p50, p95 = np.percentile(times, [50, 95]) * 1000
    return {
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "recall_at_10": float(np.mean([_recall(one, true) for one, true in zip(found, exact, strict=True)])),
        f"per_s_from_{THREADS}_threads": rate,
    }


def _timed(ask: Callable[[NDArray[np.float32]], Found], query: NDArray[np.float32]) -> tuple[Found, float]:
    start = perf_counter()
    return ask(query), perf_counter() - start


def _recall(found: Found, exact: Found) -> float:
    """Return the share of the true neighbours that were found, 1 where there are none."""
    true = {neighbour.part_id for neighbour in exact.neighbours}
    return len(true & {neighbour.part_id for neighbour in found.neighbours}) / len(true) if true else 1.0
