"""The HNSW index of a version: dropped before a backfill, built after it, looked after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from cadml.features.spec import FeatureVersion
from cadml.store.database import Database
from cadml.store.near import HNSW, is_indexed, near_table, pieces_of

Connection = psycopg.Connection[Any]


def drop(connection: Connection, version: FeatureVersion) -> None:
    """Remove the index: filling its table row by row would take many times as long."""
    if is_indexed(version):
        connection.execute(sql.SQL("DROP INDEX IF EXISTS {by_distance}").format(**pieces_of(version)))


def build(connection: Connection, version: FeatureVersion) -> None:
    """Build the index unless it is there, while others read and write; ``connection`` is in no transaction.

    One that a kill left half-made is dropped first.
    """
    if is_indexed(version) and not _is_valid(connection, version):
        connection.execute(sql.SQL("DROP INDEX IF EXISTS {by_distance}").format(**pieces_of(version)))
        # In one process: searches need the other cores.
        connection.execute("SELECT set_config('max_parallel_maintenance_workers', '0', false)")
        try:
            connection.execute(
                sql.SQL("CREATE INDEX CONCURRENTLY {by_distance} " + HNSW).format(**pieces_of(version))
            )
        finally:
            if not connection.broken:
                connection.execute("RESET max_parallel_maintenance_workers")
    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(near_table(version.name))))


def empty(connection: Connection, version: FeatureVersion) -> None:
    """Remove all rows at once."""
    table = sql.Identifier(near_table(version.name))
    if is_indexed(version):
        connection.execute(sql.SQL("TRUNCATE {}, {guide}").format(table, **pieces_of(version)))
    else:
        connection.execute(sql.SQL("TRUNCATE {}").format(table))


def set_breadth(database: Database, name: str, breadth: int) -> None:
    """Let searches of the version look at ``breadth`` candidates; those at work follow within a minute."""
    with database.single() as connection:
        connection.execute("UPDATE feature_versions SET breadth = %s WHERE name = %s", (breadth, name))


def _is_valid(connection: Connection, version: FeatureVersion) -> bool:
    row = connection.execute(
        "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid = to_regclass(%s)",
        (f"{near_table(version.name)}_hnsw",),
    ).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class IndexState:
    """What lies in a version's table: rows, rows that are dead, bytes of table and of index."""

    rows: int
    dead: int
    table_bytes: int
    index_bytes: int | None  # None: there is no valid index
    breadth: int  # candidates that a search looks at
    indexed: bool  # whether there should be one

    @property
    def dead_share(self) -> float:
        """Share of the rows that are dead, 0 to 1."""
        return self.dead / (self.rows + self.dead) if self.dead else 0.0


def states(database: Database) -> dict[str, IndexState]:
    """Return the state of each version's table and index; dead rows as PostgreSQL's statistics have them."""
    found = {}
    with database.connection() as connection:
        for name, version in database.versions.items():
            row = connection.execute(
                sql.SQL(
                    "SELECT (SELECT count(*) FROM {}), coalesce(s.n_dead_tup, 0),"
                    " pg_table_size(s.relid), (SELECT pg_relation_size(indexrelid) FROM pg_index"
                    "   WHERE indexrelid = to_regclass(%(t)s || '_hnsw') AND indisvalid), f.breadth"
                    " FROM pg_stat_user_tables s, feature_versions f"
                    " WHERE s.relid = to_regclass(%(t)s) AND f.name = %(name)s"
                ).format(sql.Identifier(near_table(name))),
                {"t": near_table(name), "name": name},
            ).fetchone()
            assert row is not None
            found[name] = IndexState(row[0], row[1], row[2], row[3], row[4], is_indexed(version))
    return found
