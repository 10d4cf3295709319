"""The HNSW index of a version: made for what is searched, dropped before a backfill, built after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from cadml.features.spec import FeatureVersion
from cadml.store.database import Database
from cadml.store.near import HNSW, LINKS, is_short, near_table, pieces_of

Connection = psycopg.Connection[Any]


def ensure(connection: Connection, version: FeatureVersion) -> None:
    """Make the index of a version that searches use, unless there is one; writers wait meanwhile."""
    if _named(connection, version) is None:
        connection.execute(sql.SQL("CREATE INDEX {by_distance} " + HNSW).format(**pieces_of(version)))


def drop(connection: Connection, version: FeatureVersion) -> None:
    """Remove the index: filling its table row by row would take many times as long."""
    connection.execute(sql.SQL("DROP INDEX IF EXISTS {by_distance}").format(**pieces_of(version)))


def build(connection: Connection, version: FeatureVersion) -> None:
    """Build the index unless it is there, while others read and write; ``connection`` is in no transaction.

    One that a kill left half-made is dropped first.
    """
    if not _named(connection, version):
        drop(connection, version)
        with _in_one_process(connection):
            connection.execute(
                sql.SQL("CREATE INDEX CONCURRENTLY {by_distance} " + HNSW).format(**pieces_of(version))
            )
    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(near_table(version.name))))


def rebuild(connection: Connection, version: FeatureVersion) -> None:
    """Build the index anew beside the old one, while others search and write; not in a transaction."""
    left = sql.Identifier(f"{near_table(version.name)}_hnsw_ccnew")  # by a rebuild that was killed
    connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(left))
    connection.execute(sql.SQL("ALTER INDEX {by_distance} SET " + LINKS).format(**pieces_of(version)))
    with _in_one_process(connection):
        connection.execute(sql.SQL("REINDEX INDEX CONCURRENTLY {by_distance}").format(**pieces_of(version)))


@contextmanager
def _in_one_process(connection: Connection) -> Iterator[None]:
    """Leave the other cores to searches."""
    connection.execute("SELECT set_config('max_parallel_maintenance_workers', '0', false)")
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("RESET max_parallel_maintenance_workers")


def empty(connection: Connection, version: FeatureVersion) -> None:
    """Remove all rows at once."""
    connection.execute(sql.SQL("TRUNCATE {near}, {guide}").format(**pieces_of(version)))


def set_breadth(database: Database, name: str, breadth: int) -> None:
    """Let searches of the version look at ``breadth`` candidates; those at work follow within a minute."""
    with database.single() as connection:
        connection.execute("UPDATE feature_versions SET breadth = %s WHERE name = %s", (breadth, name))


def _named(connection: Connection, version: FeatureVersion) -> bool | None:
    """Return whether the index is valid; None: there is none of its name."""
    row = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
        (f"{near_table(version.name)}_hnsw",),
    ).fetchone()
    return row and bool(row[0])


@dataclass(frozen=True, slots=True)
class IndexState:
    """What lies in a version's table: rows, rows that are dead, bytes of table and of index."""

    rows: int
    dead: int
    table_bytes: int
    index_bytes: int | None  # None: there is no valid index
    breadth: int  # candidates that a search looks at
    expected: bool  # whether there should be one

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
                    "   WHERE indexrelid = to_regclass(%(t)s || '_hnsw') AND indisvalid), f.breadth,"
                    " EXISTS (SELECT FROM active_version a WHERE a.version = f.name)"
                    " FROM pg_stat_user_tables s, feature_versions f"
                    " WHERE s.relid = to_regclass(%(t)s) AND f.name = %(name)s"
                ).format(sql.Identifier(near_table(name))),
                {"t": near_table(name), "name": name},
            ).fetchone()
            assert row is not None
            rows, dead, table_bytes, index_bytes, breadth, is_active = row
            expected = is_active or not is_short(version)
            found[name] = IndexState(rows, dead, table_bytes, index_bytes, breadth, expected)
    return found
