"""What links in an HNSW index cost and bring: recall, search, building and adding, by m and ef_construction.

    python benchmarks/index_links.py SEEDS.npy [--entries 100000] [--version v5]

SEEDS.npy holds raw vectors (S, N) of real parts. Two populations are made from them: parts between near ones
(as in benchmarks/search.py), and near-copies: each seed in as many sizes as it takes, along two directions.
Searches go to the index alone; no guide of :mod:`cadml.store.near` mends what it misses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector

from cadml.features.spec import FeatureVersion
from cadml.features.versions import version as version_named
from cadml.store.database import Database
from search import population

LINKS = ((16, 100), (16, 200), (24, 200), (32, 200), (32, 400))
BREADTHS = (100, 200, 400)
QUERIES, K, ADDED = 500, 10, 300


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("seeds", type=Path)
    options.add_argument("--entries", type=int, default=100_000)
    options.add_argument("--version", default="v5")
    asked = options.parse_args()
    version, seeds = version_named(asked.version), np.load(asked.seeds)
    made = {
        "between": population(version, seeds, asked.entries + ADDED),
        "near-copies": copies(version, seeds, asked.entries + ADDED),
    }
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(None, Path(folder))
        try:
            with database.single() as connection:
                connection.execute("SET maintenance_work_mem = '1500MB'")
                for name, halves in made.items():
                    compare(connection, name, halves)
        finally:
            database.close()


def copies(version: FeatureVersion, seeds: NDArray[np.float32], count: int) -> NDArray[np.float16]:
    """Return ``(count, N)`` scaled vectors: families of near-copies of the raw ``seeds``."""
    random = np.random.default_rng(3)
    scaled = version.scaled(seeds)
    of = random.integers(len(scaled), size=count)
    near = np.array([np.argsort(np.abs(scaled - one).sum(1), kind="stable")[1:3] for one in scaled])
    steps = random.uniform(0, (0.15, 0.05), (count, 2))
    made = np.empty((count, version.length), np.float16)
    for part in np.array_split(np.arange(count), max(1, count // 10_000)):
        seed = scaled[of[part]]
        along = [scaled[near[of[part], i]] - seed for i in (0, 1)]
        noise = random.normal(0, 0.001, seed.shape) * scaled.std(0)
        made[part] = seed + steps[part, :1] * along[0] + steps[part, 1:] * along[1] + noise
    return made


def compare(connection: psycopg.Connection[Any], name: str, halves: NDArray[np.float16]) -> None:
    stored, added = halves[:-ADDED], halves[-ADDED:]
    length = halves.shape[1]
    connection.execute("DROP TABLE IF EXISTS near")
    connection.execute(f"CREATE TABLE near (seq int PRIMARY KEY, scaled halfvec({length}))".encode())
    connection.execute("ALTER TABLE near ALTER scaled SET STORAGE PLAIN")
    with connection.cursor() as cursor, cursor.copy("COPY near FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "halfvec"])
        for seq, half in enumerate(stored):
            copy.write_row((seq, HalfVector(half)))
    connection.execute("VACUUM ANALYZE near")
    random = np.random.default_rng(11)
    chosen = stored[random.choice(len(stored), QUERIES, replace=False)]
    queries = (chosen + random.normal(0, 0.0005, chosen.shape)).astype(np.float16)
    truth = [np.abs(stored.astype(np.float32) - query).sum(1) for query in queries.astype(np.float32)]
    print(f"{name}: {len(stored)} entries; recall@{K} (median ms) at breadth {', '.join(map(str, BREADTHS))}")
    for m, construction in LINKS:
        make = (
            "CREATE INDEX hnsw ON near USING hnsw (scaled halfvec_l1_ops)"
            f" WITH (m = {m}, ef_construction = {construction})"
        )
        built = timed(lambda make=make: connection.execute(make.encode()))  # type: ignore[misc]
        row = connection.execute("SELECT pg_relation_size('hnsw') / 1048576").fetchone()
        assert row is not None
        found = [search(connection, queries, truth, breadth) for breadth in BREADTHS]
        inserts = [timed(lambda half=half: add(connection, half)) for half in added]  # type: ignore[misc]
        connection.execute("DELETE FROM near WHERE seq >= %s", (len(stored),))
        connection.execute("DROP INDEX hnsw")
        told = ", ".join(f"{recall:.4f} ({ms:.2f})" for recall, ms in found)
        more = f"built in {built:.0f} s, {row[0]} MiB, one more in {np.median(inserts) * 1000:.1f} ms"
        print(f"  m {m}, ef_construction {construction}: {told}; {more}", flush=True)


def search(
    connection: psycopg.Connection[Any],
    queries: NDArray[np.float16],
    truth: list[NDArray[np.float32]],
    breadth: int,
) -> tuple[float, float]:
    """Return recall and the median of a search, ms; what lies as near as the last true one counts."""
    connection.execute("SELECT set_config('hnsw.ef_search', %s, false)", (str(breadth),))
    shares, times = [], []
    for query, distances in zip(queries, truth, strict=True):
        start = time.perf_counter()
        rows = connection.execute(
            "SELECT seq FROM near ORDER BY scaled <+> %s LIMIT %s", (HalfVector(query), K)
        ).fetchall()
        times.append(time.perf_counter() - start)
        last = float(np.partition(distances, K - 1)[K - 1])
        shares.append(sum(distances[seq] <= last + 1e-4 * max(1.0, last) for (seq,) in rows) / K)
    return float(np.mean(shares)), float(np.median(times)) * 1000


def add(connection: psycopg.Connection[Any], half: NDArray[np.float16]) -> None:
    connection.execute("INSERT INTO near SELECT max(seq) + 1, %s FROM near", (HalfVector(half),))


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
