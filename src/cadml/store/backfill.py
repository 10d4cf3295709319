"""One chunk of a migration's backfill: what it has to do, and storing that it is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cadml.store import contents, history, near
from cadml.store.contents import Floats
from cadml.store.database import Database
from cadml.store.history import Event
from cadml.store.migration_steps import Defer
from cadml.store.migrations import Migration
from cadml.store.moves import Holding, give

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one chunk holds; ``attempts`` counts this one too."""

    seq: int
    attempts: int
    holdings: list[Holding]


@dataclass(frozen=True, slots=True)
class Described:
    """A content's vector in the target (None: it has none), findings, and why there is none."""

    holding: Holding
    vector: Floats | None
    findings: Sequence[Mapping[str, str]] = ()
    code: str | None = None
    message: str | None = None


@dataclass(slots=True)
class Done:
    """What became of a chunk."""

    described: list[Described] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    seconds: float = 0.0


class Backfill:
    """Takes chunks of one database and stores what came of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, migration: Migration, seq: int, kinds: Collection[str]) -> Chunk | None:
        """Return the chunk; None if it is done, or the migration is not being built."""
        with self._database.connection() as connection:
            row = connection.execute(
                "UPDATE migration_chunks c SET attempts = attempts + 1 FROM migrations m"
                " WHERE m.id = c.migration AND m.state = 'building'"
                " AND c.migration = %s AND c.seq = %s AND c.done_at IS NULL"
                " RETURNING c.attempts, c.first, c.last",
                (migration.id, seq),
            ).fetchone()
            if row is None:
                return None
            held = connection.execute(
                "SELECT coalesce((SELECT min(p.id) FROM parts p WHERE p.content = c.key), ''),"
                " c.key, encode(c.sha256, 'hex'), c.kind, (SELECT"
                " coalesce(jsonb_object_agg(v.version, vector_dims(v.raw)), '{}')"
                " FROM vectors v WHERE v.content = c.key)"
                " FROM contents c WHERE c.key BETWEEN %s AND %s AND (c.kind = ANY(%s) OR c.sha256 IS NULL)"
                " ORDER BY c.key",
                (*row[1:], list(kinds)),
            ).fetchall()
        return Chunk(seq, row[0], [Holding(*columns) for columns in held])

    def head(self, holding: Holding, origin: str, length: int) -> Floats:
        """Return the first ``length`` numbers of a content's vector of version ``origin``."""
        with self._database.single() as connection:
            return contents.vectors_of(connection, holding.content, [origin])[origin][:length]

    def finish(self, migration: Migration, chunk: Chunk, done: Done, defer: Defer) -> bool:
        """Store what was described and that the chunk is done; queue the next step after the last one.

        Returns whether it was stored: not if the migration was cancelled, or another worker was first.
        """
        with self._database.connection() as connection:
            open_ = connection.execute(
                "SELECT FROM migrations m JOIN migration_chunks c ON c.migration = m.id WHERE m.id = %s"
                " AND m.state = 'building' AND c.seq = %s AND c.done_at IS NULL FOR UPDATE",
                (migration.id, chunk.seq),
            ).fetchone()
            if open_ is None:
                return False
            for each in done.described:
                self._store(connection, migration, each)
            history.record(connection, done.events)
            connection.execute(
                "UPDATE migration_chunks SET done_at = now(), seconds = %s WHERE migration = %s AND seq = %s",
                (done.seconds, migration.id, chunk.seq),
            )
            left = connection.execute(
                "SELECT FROM migration_chunks WHERE migration = %s AND done_at IS NULL LIMIT 1",
                (migration.id,),
            ).fetchone()
            if left is None:
                defer(connection, "migration", [{"migration": migration.id}])
        return True

    def _store(self, connection: Connection, migration: Migration, each: Described) -> None:
        holding, versions = each.holding, self._database.versions
        if holding.sha256 is not None:
            contents.claim(connection, holding.sha256)
        there = connection.execute(
            "SELECT FROM contents WHERE key = %s FOR KEY SHARE", (holding.content,)
        ).fetchone()
        if there is None:  # removed while it was being described
            return
        # Described meanwhile, by an ingest or the attempt before: its entries still have to be found.
        stored = contents.vectors_of(connection, holding.content, [migration.target])
        near.place(connection, holding.content, stored, versions)
        vectors = {} if stored or each.vector is None else {migration.target: each.vector}
        give(connection, holding.content, vectors, each.findings, versions)
        if stored or vectors:
            connection.execute(
                "DELETE FROM migration_failures WHERE migration = %s AND content = %s",
                (migration.id, holding.content),
            )
        else:
            connection.execute(
                "INSERT INTO migration_failures (migration, content, code, message) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (migration, content) DO UPDATE"
                " SET code = excluded.code, message = excluded.message, at = now()",
                (migration.id, holding.content, each.code, each.message),
            )
