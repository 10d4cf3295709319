"""Search at size: recall, latency, rate and processor time at 200,000 entries, of the store and through HTTP.

    python benchmarks/search.py FOLDER SEEDS.npy [--entries 200000] [--version v5] [--json OUT]

FOLDER holds the embedded database (kept, and used again); SEEDS.npy raw vectors (S, N) of real parts
in the version measured. Entries are made between near seeds: a seed, a step of 0 to 60 % towards one of
its 8 nearest, and 2 % of each slot's spread as noise, so that clusters, their sizes and the intrinsic
dimension are those of the real parts, not of random numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg import sql
from psycopg.types.json import Jsonb

import search_http
from cadml.bench.service import served
from cadml.features.spec import FeatureVersion
from cadml.features.versions import version as version_named
from cadml.store import near, near_index
from cadml.store.database import Database
from cadml.store.tags import INDEXED
from cadml.store.vectors import Found, Vectors

QUERIES, K = 300, 10
FILTERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "0.01 %": {"lot": "a"},
    "1 %": {"batch": "a"},
    "2 %": {"share2": True},
    "5 %": {"share5": True},
    "10 %": {"line": "a"},
    "50 %": {"material": "steel"},
    "1 % by range": {"volume": {"lt": 0.01}},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("seeds", type=Path)
    options.add_argument("--entries", type=int, default=200_000)
    options.add_argument("--version", default="v5")
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    version = version_named(asked.version)
    halves = population(version, np.load(asked.seeds), asked.entries)
    database = Database.open(None, asked.folder)
    try:
        report: dict[str, Any] = {"version": version.name, "slots": version.length, "entries": asked.entries}
        with database.connection() as connection:
            near_index.ensure(connection, version)
        report["load"] = load(database, version, halves)
        queries = questions(version, halves)
        truth = {name: exact(database, version, queries, f) for name, f in FILTERS.items()}
        report["search"] = {
            name: measure(database, version, queries, f, truth[name]) for name, f in FILTERS.items()
        }
        report["http"] = through_http(database, asked.folder, version, queries, truth)
        report["insert_per_s"] = insert_rate(database, version, halves)
    finally:
        database.close()
    show(report)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))


def population(version: FeatureVersion, seeds: NDArray[np.float32], count: int) -> NDArray[np.float16]:
    """Return ``(count, N)`` scaled vectors between near ``seeds`` (raw)."""
    random = np.random.default_rng(2026)
    scaled = version.scaled(seeds)
    nearest = np.array([np.argsort(np.abs(scaled - one).sum(1), kind="stable")[1:9] for one in scaled])
    first = random.integers(len(scaled), size=count)
    towards = nearest[first, random.integers(8, size=count)]
    made = np.empty((count, version.length), np.float16)
    for part in np.array_split(np.arange(count), max(1, count // 10_000)):
        step = random.uniform(0, 0.6, (len(part), 1))
        noise = random.normal(0, 0.02, (len(part), version.length)) * scaled.std(0)
        made[part] = scaled[first[part]] * (1 - step) + scaled[towards[part]] * step + noise
    return made


def load(database: Database, version: FeatureVersion, halves: NDArray[np.float16]) -> dict[str, float]:
    """Fill the tables by COPY and make the indexes afterwards; return the seconds of each."""
    table = near.near_table(version.name)
    with database.connection() as connection:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        assert row is not None
        if row[0] == len(halves):
            return {}
        connection.execute("TRUNCATE contents CASCADE")
        kept = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s)"
            " AND indexname NOT LIKE '%%key' AND indexname NOT LIKE '%%_identity'",
            (["parts", table],),
        ).fetchall()
        for name, _ in kept:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        seconds = {"copy_s": timed(lambda: _copy(connection, table, halves))}
        for name, definition in kept:
            seconds[f"{name}_s"] = timed(lambda d=definition: connection.execute(d))  # type: ignore[misc]
    with database.single() as connection:
        for name in ("contents", "parts", table):
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(name)))
    return seconds


def _copy(connection: Any, table: str, halves: NDArray[np.float16]) -> None:
    order = np.random.default_rng(5).permutation(len(halves)) / len(halves)
    tags = [_tags(index, share) for index, share in enumerate(order)]
    with connection.cursor() as cursor:
        with cursor.copy("COPY contents (sha256, bytes, format, kind, facts) FROM STDIN") as copy:
            for index, (facts, _) in enumerate(tags):
                copy.write_row(
                    (hashlib.sha256(str(index).encode()).digest(), 1, "step", "brep", Jsonb(facts))
                )
        first = cursor.execute("SELECT min(key) FROM contents").fetchone()[0]
        with cursor.copy("COPY parts (content, has_file, name, metadata, tags) FROM STDIN") as copy:
            for index, (facts, metadata) in enumerate(tags):
                copy.write_row(
                    (first + index, True, f"part-{index}.step", Jsonb(metadata), Jsonb(_all(facts, metadata)))
                )
        first = cursor.execute("SELECT min(seq) FROM parts").fetchone()[0]
        statement = sql.SQL("COPY {} (seq, tags, scaled) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(table)
        )
        with cursor.copy(statement) as copy:
            copy.set_types(["int8", "jsonb", "halfvec"])
            for index, (facts, metadata) in enumerate(tags):
                copy.write_row((first + index, Jsonb(_all(facts, metadata)), HalfVector(halves[index])))


def _tags(index: int, share: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return facts and metadata of usual size; ``share`` (a shuffled 0 to 1) decides what filters let by."""
    facts = {name: float(index % 997) for name in INDEXED} | {
        "volume": share,
        "kind": "brep",
        "format": "step",
    }
    facts |= {"unit": "mm", "is_closed": True, "shells": 1, "edges": index % 900, "vertices": index % 600}
    metadata = {
        "project": f"project {index // 500}",
        "material": "steel" if share < 0.5 else "aluminium",
        "lot": "a" if share < 0.0001 else "b",
        "batch": "a" if share < 0.01 else "b",
        "line": "a" if share < 0.1 else "b",
        "share2": bool(share < 0.02),
        "share5": bool(share < 0.05),
    }
    return facts, metadata


def _all(facts: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    return {**facts, **metadata, "name": None, "part_number": None}


def questions(version: FeatureVersion, halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return raw vectors (Q, N) near stored ones, none of them stored."""
    random = np.random.default_rng(11)
    noise = random.normal(0, 0.02, (QUERIES, version.length)) * halves[:5000].std(0)
    queries = halves[random.choice(len(halves), QUERIES)] + noise
    return np.array([unscaled(version, query) for query in queries])


def exact(
    database: Database,
    version: FeatureVersion,
    queries: NDArray[np.float32],
    filters: dict[str, Any] | None,
) -> list[Found]:
    """Return what exact search finds: for all queries without a filter, else for the first hundred."""
    vectors = Vectors(database)
    asked = queries[:100] if filters else queries
    return [vectors.search(version.name, query, K, filters, exact=True) for query in asked]


def through_http(
    database: Database,
    folder: Path,
    version: FeatureVersion,
    queries: NDArray[np.float32],
    truth: dict[str, list[Found]],
) -> dict[str, dict[str, float]]:
    """Return what clients of a real service on the same database see."""
    with database.single() as connection:
        rows = connection.execute("SELECT id FROM parts ORDER BY id LIMIT %s", (QUERIES,)).fetchall()
    ids = [row[0] for row in rows]
    vectors = Vectors(database)
    near_parts = [vectors.search_part(one, version.name, K, exact=True) for one in ids[:100]]
    with served(folder, 1) as service:
        measured = {
            name: search_http.measure(
                service, database, search_http.by_vector(version.name, queries, K, f), truth[name]
            )
            for name, f in FILTERS.items()
        }
        requests = search_http.by_part(ids, K)
        measured["none, by part"] = search_http.measure(service, database, requests, near_parts)
    return measured


def measure(
    database: Database,
    version: FeatureVersion,
    queries: NDArray[np.float32],
    filters: dict[str, Any] | None,
    truth: list[Found],
) -> dict[str, float]:
    """Return recall@10, latency from one thread, searches/s from four, server time per search."""
    vectors = Vectors(database)

    def ask(query: NDArray[np.float32]) -> Found:
        return vectors.search(version.name, query, K, filters)

    found = [ask(query) for query in queries[: len(truth)]]
    with processor_time(database) as spent:
        times = [timed(lambda q=query: ask(q)) for query in queries]  # type: ignore[misc]
    start = time.perf_counter()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, [*queries, *queries]))
    rate = 2 * len(queries) / (time.perf_counter() - start)
    p50, p95 = np.percentile(times, [50, 95]) * 1000
    return {
        "returned": float(np.mean([len(one.neighbours) for one in found])),
        "exist": float(np.mean([len(one.neighbours) for one in truth])),
        "recall_at_10": float(np.mean([recall(a, b) for a, b in zip(found, truth, strict=True)])),
        "exact": float(np.mean([one.exact for one in found])),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "server_cpu_ms": spent[0] / len(queries),
        "per_s_from_4_threads": rate,
    }


def unscaled(version: FeatureVersion, scaled: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return raw values whose scaled ones are ``scaled`` (the inverse of ``FeatureVersion.scaled``)."""
    from scipy.special import ndtri  # noqa: PLC0415  # the benchmark's own need

    weight = np.where(version.weight == 0, 1, version.weight)
    share = np.clip(np.asarray(scaled, np.float64) / weight, 1e-6, 1 - 1e-6)
    inner = ndtri(share) if version.squash.value == "normal" else np.sinh(scaled / weight)
    scale = np.where(version.scale == 0, 1, version.scale)
    return np.asarray(inner / scale + version.offset, dtype=np.float32)


def insert_rate(
    database: Database, version: FeatureVersion, halves: NDArray[np.float16], count: int = 500
) -> float:
    """Return how many ready vectors a second one connection adds to the filled index."""
    raw = unscaled(version, halves[:count] + np.float16(0.01))
    vectors = Vectors(database)

    def register(index: int) -> None:
        vectors.register(f"bench-{index}", version.name, raw[index], {"project": "bench"})

    seconds = timed(lambda: [register(index) for index in range(count)])
    for index in range(count):
        vectors.unregister(f"bench-{index}")
    return count / seconds


def recall(found: Found, truth: Found) -> float:
    """Return the share of the true neighbours that were found; an equal distance counts."""
    if not truth.neighbours:
        return 1.0
    last = truth.neighbours[-1].distance
    return sum(one.distance <= last + 1e-6 for one in found.neighbours) / len(truth.neighbours)


@contextmanager
def processor_time(database: Database) -> Iterator[list[float]]:
    """Yield a list that holds, afterwards, the milliseconds of processor time the pool's servers spent."""
    with database.single() as connection:
        pids = [
            row[0]
            for row in connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            )
        ]

    def total() -> float:
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e6

    spent: list[float] = []
    before = total()
    yield spent
    spent.append(total() - before)


def timed(action: Callable[[], Any]) -> float:
    """Return the seconds that ``action`` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    print(f"{report['entries']} entries, {report['version']} ({report['slots']} slots)", report["load"])
    print(f"ready vectors added: {report['insert_per_s']:.0f}/s from one connection")
    for where in ("search", "http"):
        columns = next(iter(report[where].values()))
        print(f"{where:14}" + "".join(f"{name:>21}" for name in columns))
        for name, row in report[where].items():
            print(f"{name:14}" + "".join(f"{value:21.3f}" for value in row.values()))


if __name__ == "__main__":
    main()
