"""Single contents between feature versions: what they have, what they get, what goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from cadml.errors import PartNotFound
from cadml.features.spec import FeatureVersion
from cadml.store import contents, near
from cadml.store.contents import Floats
from cadml.store.database import Database

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Holding:
    """An entry's content, and the length of each vector that it has; no hash: described elsewhere."""

    id: str
    content: int
    sha256: str | None
    kind: str | None
    lengths: Mapping[str, int]


HOLDING = sql.SQL("""
SELECT p.id, c.key, encode(c.sha256, 'hex'), c.kind,
       coalesce(jsonb_object_agg(v.version, vector_dims(v.raw)) FILTER (WHERE v.version IS NOT NULL), '{}')
  FROM parts p JOIN contents c ON c.key = p.content LEFT JOIN vectors v ON v.content = c.key
""")
LACKS = sql.SQL(
    "(c.kind = ANY(%(kinds)s) OR c.sha256 IS NULL) AND NOT EXISTS"
    " (SELECT FROM vectors t WHERE t.content = c.key AND t.version = %(target)s)"
)


class Moves:
    """Reads and changes what single contents hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holdings(self, ids: Sequence[str]) -> dict[str, Holding]:
        """Return what each entry that exists holds, by id."""
        query = sql.SQL("{} WHERE p.id = ANY(%s) GROUP BY p.id, c.key").format(HOLDING)
        with self._database.single() as connection:
            return {row[0]: Holding(*row) for row in connection.execute(query, (list(ids),))}

    def lacking(
        self, target: str, kinds: Collection[str], after: str | None, limit: int
    ) -> tuple[list[Holding], int]:
        """Return entries that lack ``target`` though it is for them, in the order of ids, and how many."""
        values = {"target": target, "kinds": list(kinds), "after": after or "", "limit": limit}
        page = sql.SQL("{} WHERE {} AND p.id > %(after)s GROUP BY p.id, c.key ORDER BY p.id LIMIT %(limit)s")
        count = sql.SQL("SELECT count(*) FROM parts p JOIN contents c ON c.key = p.content WHERE {}")
        with self._database.connection() as connection:
            rows = [Holding(*row) for row in connection.execute(page.format(HOLDING, LACKS), values)]
            total = connection.execute(count.format(LACKS), values).fetchone()
        assert total is not None
        return rows, int(total[0])

    def census(self) -> list[tuple[str | None, bool, tuple[str, ...], int]]:
        """Return how many entries have a kind, a file or not, and exactly these versions."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT kind, has_file, versions, count(*) FROM (SELECT c.kind, p.has_file,"
                " ARRAY(SELECT v.version FROM vectors v WHERE v.content = c.key ORDER BY 1) AS versions"
                " FROM parts p JOIN contents c ON c.key = p.content) held GROUP BY 1, 2, 3 ORDER BY 4 DESC"
            ).fetchall()
        return [(kind, has_file, tuple(versions), count) for kind, has_file, versions, count in rows]

    def give(
        self, holding: Holding, vectors: Mapping[str, Floats], findings: Sequence[Mapping[str, str]] = ()
    ) -> None:
        """Store vectors that the content lacks, where searches look too.

        Raises
        ------
        PartNotFound
            The content was removed meanwhile.
        """
        with self._database.connection() as connection:
            self._claim(connection, holding)
            give(connection, holding.content, vectors, findings, self._database.versions)

    def cut(self, holding: Holding, origin: str, target: str, dropped: Sequence[str]) -> None:
        """Store the head of ``origin``'s vector as ``target``'s, and remove those of ``dropped``.

        Raises
        ------
        PartNotFound
            The content, or that vector of it, was removed meanwhile.
        """
        length = self._database.versions[target].length
        with self._database.connection() as connection:
            self._claim(connection, holding)
            stored = contents.vectors_of(connection, holding.content, [origin])
            if origin not in stored:
                raise PartNotFound(f"{holding.id} was changed meanwhile", id=holding.id)
            give(connection, holding.content, {target: stored[origin][:length]}, (), self._database.versions)
            for name in dropped:
                _take(connection, holding.content, name)

    def _claim(self, connection: Connection, holding: Holding) -> None:
        if holding.sha256 is not None:
            contents.claim(connection, holding.sha256)
        found = connection.execute(
            "SELECT FROM contents WHERE key = %s FOR KEY SHARE", (holding.content,)
        ).fetchone()
        if found is None:
            raise PartNotFound(f"{holding.id} was removed meanwhile", id=holding.id)


def give(
    connection: Connection,
    content: int,
    vectors: Mapping[str, Floats],
    findings: Sequence[Mapping[str, str]],
    versions: Mapping[str, FeatureVersion],
) -> None:
    """Store vectors, and the findings of versions without a value, with a content that is claimed."""
    contents.put_vectors(connection, content, vectors, versions)
    near.place(connection, content, vectors, versions)
    contents.add_findings(connection, content, findings)


def _take(connection: Connection, content: int, name: str) -> None:
    connection.execute("DELETE FROM vectors WHERE content = %s AND version = %s", (content, name))
    connection.execute(
        sql.SQL("DELETE FROM {} n USING parts p WHERE p.seq = n.seq AND p.content = %s").format(
            sql.Identifier(near.near_table(name))
        ),
        (content,),
    )
