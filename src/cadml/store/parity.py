"""What is true of a version's stored vectors: counts, and whether each number is one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql
from psycopg.types.json import Jsonb

from cadml.errors import UndefinedFeature
from cadml.store.database import Database
from cadml.store.near import near_table


@dataclass(frozen=True, slots=True)
class Parity:
    """``missing``: contents not described though they could be; ``unplaced``: entries searches miss."""

    contents: int
    vectors: int
    missing: int
    unplaced: int
    not_finite: int
    wrong_length: int


def parity(database: Database, migration_id: str, version: str, kinds: Collection[str]) -> Parity:
    """Return the counts of ``version`` that a migration to it has to get right."""
    query = sql.SQL("""
        SELECT count(*), count(v.version),
               count(*) FILTER (WHERE v.version IS NULL AND f.content IS NULL
                                AND NOT c.findings @> %(undefined)s),
               (SELECT count(*) FROM parts p JOIN vectors w ON w.content = p.content
                 WHERE w.version = %(version)s AND NOT EXISTS (SELECT FROM {near} n WHERE n.seq = p.seq)),
               count(*) FILTER (WHERE vector_norm(v.raw) = 'NaN' OR vector_norm(v.raw) = 'Infinity'),
               count(*) FILTER (WHERE vector_dims(v.raw) <> %(length)s)
          FROM contents c
          LEFT JOIN vectors v ON v.content = c.key AND v.version = %(version)s
          LEFT JOIN migration_failures f ON f.content = c.key AND f.migration = %(migration)s
         WHERE c.kind = ANY(%(kinds)s)
            OR (c.sha256 IS NULL AND (v.version IS NOT NULL OR f.content IS NOT NULL))
    """).format(near=sql.Identifier(near_table(version)))
    values = {
        "version": version,
        "kinds": list(kinds),
        "migration": migration_id,
        "undefined": Jsonb([{"code": UndefinedFeature.code, "where": version}]),
        "length": database.versions[version].length,
    }
    with database.single() as connection:
        row = connection.execute(query, values).fetchone()
    assert row is not None
    return Parity(*row)


def sample(database: Database, version: str, size: int) -> list[tuple[str, str]]:
    """Return ids and names of entries, drawn at random, that searches of ``version`` find."""
    query = sql.SQL("SELECT p.id, p.name FROM {} n JOIN parts p USING (seq) ORDER BY random() LIMIT %s")
    with database.single() as connection:
        return connection.execute(query.format(sql.Identifier(near_table(version))), (size,)).fetchall()
