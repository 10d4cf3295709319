"""Which plan answers a search: from PostgreSQL's own estimate of how many entries pass the filter.

The estimate comes from the server's sampled statistics (EXPLAIN reads no table) and is remembered
for a while, since people page and compare with one filter. A wrong estimate costs time, never a
neighbour. How far a walk through the index looks was chosen for each version from recall as
measured (:mod:`cadml.migration.recall`).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from cadml.store.near import near_table
from cadml.store.nearest import Asked

# Looking at one more candidate in the index costs about as much as comparing so many that a filter
# has picked out (200,000 vectors of 194 halves: of a filter that keeps 1 % the comparing takes half as
# long as the index, 4.5 ms to 8.8; of one that keeps 2 % it takes 1.7 times as long, 8.0 to 4.7).
WORTH = 4
REMEMBER_S = 30.0
MOST_REMEMBERED = 4096
MOST_CANDIDATES = 1000  # pgvector's own limit for hnsw.ef_search


@dataclass(frozen=True, slots=True)
class Plan:
    """Compare all that pass, or walk the index, where ``breadth`` candidates are looked at."""

    exact: bool
    breadth: int


class Planner:
    """Estimates by filter, remembered; thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def plan(self, connection: psycopg.Connection[Any], asked: Asked) -> Plan:
        """Return the cheaper plan."""
        table = near_table(asked.version.name)
        chosen = self._breadth(connection, asked.version.name)
        if not chosen:
            return Plan(exact=True, breadth=0)
        breadth = asked.breadth or chosen
        breadth = max(breadth, min(2 * asked.k, MOST_CANDIDATES))
        total = self._rows(connection, table, "true", {})
        passing = total
        if not asked.condition.keeps_all:
            source = "parts" if asked.condition.needs_parts else table
            passing = self._rows(connection, source, asked.condition.text, asked.condition.values)
        looked_at = max(breadth, asked.k * total / max(passing, 1))
        return Plan(passing <= WORTH * looked_at, breadth)

    def _breadth(self, connection: psycopg.Connection[Any], version: str) -> int:
        """Return the breadth that was chosen for ``version``; 0: there is no index to walk."""

        def ask() -> float:
            row = connection.execute(
                "SELECT CASE WHEN to_regclass(%s) IS NULL THEN 0 ELSE breadth END"
                " FROM feature_versions WHERE name = %s",
                (f"{near_table(version)}_hnsw", version),
            ).fetchone()
            assert row is not None
            return float(row[0])

        return int(self._remembered(f"breadth {version}", ask))

    def _rows(
        self, connection: psycopg.Connection[Any], table: str, condition: LiteralString, values: Any
    ) -> float:
        """Return the estimated number of rows of ``table`` that meet ``condition``."""

        def ask() -> float:
            query = sql.SQL("EXPLAIN (FORMAT JSON) SELECT 1 FROM {} p WHERE {}").format(
                sql.Identifier(table), sql.SQL(condition)
            )
            found = connection.execute(query, values).fetchone()
            assert found is not None
            plan = found[0] if isinstance(found[0], list) else json.loads(found[0])
            return float(plan[0]["Plan"]["Plan Rows"])

        asked = [getattr(value, "obj", value) for value in values.values()]
        return self._remembered(f"{table} {condition} {asked}", ask)

    def _remembered(self, key: str, ask: Callable[[], float]) -> float:
        now = time.monotonic()
        with self._lock:
            value, until = self._known.get(key, (0.0, 0.0))
        if until < now:
            value = ask()
            with self._lock:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[key] = (value, now + REMEMBER_S)
        return value
