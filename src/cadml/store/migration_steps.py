"""The steps of a migration of the whole library, each one transaction that checks the state it begins in.

Locks are taken in one order, so that nothing waits in a circle: a migration's row, then contents
(:func:`cadml.store.contents.claim`), then the record of versions (:func:`cadml.store.versions.change`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cadml.errors import MigrationConflict
from cadml.features.spec import FeatureVersion
from cadml.store import near_index, versions
from cadml.store.database import Database
from cadml.store.migrations import OPEN, Migration, State

Connection = psycopg.Connection[Any]
Defer = Callable[..., None]  # (connection, task, calls, after_s=…): queues work with the transaction

CHUNK = 32  # contents described between two commits: some seconds of work, all that a kill can cost
DELETED_AT_ONCE = 5_000
SETTLED_S = 3.0  # searches that began with a version have ended, and every process knows it is gone


class Steps:
    """Moves migrations of one database from state to state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, target: str, most_failed: float, least_recall: float, defer: Defer) -> str:
        """Begin a migration to ``target``: new contents are described in it from here on. Return its id.

        Raises
        ------
        MigrationConflict
            Another one is open, or the library is searched with ``target`` already.
        """
        with self._database.connection() as connection:
            versions.change(connection)
            standing = versions.standing(connection)
            if standing.active == target:
                raise MigrationConflict(f"the library is searched with {target} already")
            other = connection.execute(
                "SELECT target, state FROM migrations WHERE state = ANY(%s)", (list(OPEN),)
            ).fetchone()
            if other is not None:
                raise MigrationConflict(
                    f"a migration to {other[0]} is {other[1]}; activate or cancel it first", state=other[1]
                )
            row = connection.execute(
                "INSERT INTO migrations (origin, target, was_kept, most_failed, least_recall)"
                " VALUES (%s, %s, %s, %s, %s) RETURNING id::text",
                (standing.active, target, target in standing.kept, most_failed, least_recall),
            ).fetchone()
            assert row is not None
            connection.execute(
                "UPDATE feature_versions SET state = 'building' WHERE name = %s AND state = 'absent'",
                (target,),
            )
            defer(connection, "migration", [{"migration": row[0]}])
        return str(row[0])

    def cut_up(self, migration: Migration, kinds: Collection[str], defer: Defer) -> None:
        """Begin to build: what the library holds is cut into chunks, which are queued."""
        with self._database.connection() as connection:
            if not move(connection, migration.id, ("planned",), "building"):
                return
            if not migration.was_kept:
                near_index.drop(connection, self._database.versions[migration.target])
            connection.execute(
                "INSERT INTO migration_chunks (migration, seq, first, last, contents)"
                " SELECT %(id)s, n, min(key), max(key), count(*) FROM ("
                "   SELECT key, (row_number() OVER (ORDER BY key) - 1) / %(chunk)s AS n FROM contents"
                "   WHERE kind = ANY(%(kinds)s) OR sha256 IS NULL) c GROUP BY n",
                {"id": migration.id, "chunk": CHUNK, "kinds": list(kinds)},
            )
            _defer_chunks(connection, migration.id, defer)

    def reopen(self, migration: Migration, defer: Defer) -> None:
        """Build on: the chunks that hold failures are queued once more.

        Raises
        ------
        MigrationConflict
            Its state does not allow that.
        """
        with self._database.connection() as connection:
            if not move(connection, migration.id, ("ready", "failed"), "building"):
                raise _wrong(migration, "tried again")
            connection.execute(
                "UPDATE migration_chunks c SET done_at = NULL, seconds = NULL, attempts = 0"
                " WHERE migration = %s AND EXISTS (SELECT FROM migration_failures f"
                " WHERE f.migration = c.migration AND f.content BETWEEN c.first AND c.last)",
                (migration.id,),
            )
            _defer_chunks(connection, migration.id, defer)

    def activate(self, migration: Migration) -> None:
        """Let searches use the target from this commit on.

        Raises
        ------
        MigrationConflict
            It is not ready, or the library is searched with another version than it began from.
        """
        with self._database.connection() as connection:
            if not move(connection, migration.id, ("ready",), "active"):
                raise _wrong(migration, "activated")
            versions.change(connection)
            _switch(connection, migration.origin, migration.target)
            connection.execute("UPDATE migrations SET activated_at = now() WHERE id = %s", (migration.id,))
            connection.execute(
                "UPDATE feature_versions SET state = 'kept' WHERE name = %s", (migration.target,)
            )

    def roll_back(self, migration: Migration) -> None:
        """Let searches use the origin again; the target stays up to date, ready to be activated again.

        Raises
        ------
        MigrationConflict
            It is not active, was followed by another, or another one is open.
        """
        with self._database.connection() as connection:
            if self._is_open(connection):
                raise MigrationConflict("another migration is open; cancel it first")
            if not move(connection, migration.id, ("active",), "ready"):
                raise _wrong(migration, "rolled back")
            versions.change(connection)
            _switch(connection, migration.target, migration.origin)

    def retire(self, migration: Migration, defer: Defer) -> None:
        """Let go of the origin: searches refuse it from here on, a moment later its vectors are deleted.

        Raises
        ------
        MigrationConflict
            It is not active, or the origin is in use.
        """
        with self._database.connection() as connection:
            if not move(connection, migration.id, ("active",), "retired"):
                raise _wrong(migration, "retired")
            versions.change(connection)
            if versions.standing(connection).active == migration.origin:
                raise MigrationConflict(f"searches use {migration.origin}")
            _let_go(connection, migration.id, migration.origin, defer)

    def cancel(self, migration: Migration, defer: Defer) -> None:
        """Give it up; the target's vectors are deleted unless the library kept it before.

        Raises
        ------
        MigrationConflict
            It is active or over.
        """
        with self._database.connection() as connection:
            if not move(connection, migration.id, OPEN, "cancelled"):
                raise _wrong(migration, "cancelled")
            versions.change(connection)
            if not migration.was_kept:
                _let_go(connection, migration.id, migration.target, defer)

    def move(self, migration: Migration, state: State, **changes: Any) -> bool:
        """Bring it from the state it was read in to ``state``; False if it is in another by now."""
        with self._database.connection() as connection:
            return move(connection, migration.id, (migration.state,), state, **changes)

    def clear(self, migration_id: str, version: str) -> None:
        """Delete what is stored of a version that the library let go, unless it keeps it again.

        Vectors described elsewhere stay: they are nowhere else.
        """
        is_over = False
        while not is_over:
            with self._database.connection() as connection:
                versions.change(connection)
                is_over = versions.standing(connection).states[version] != "absent" or not _delete_some(
                    connection, self._database.versions[version]
                )
                if is_over:
                    connection.execute(
                        "UPDATE migrations SET is_cleared = true WHERE id = %s", (migration_id,)
                    )

    @contextmanager
    def driving(self, migration_id: str) -> Iterator[Connection | None]:
        """Yield a connection while nobody else drives this migration; None if somebody does."""
        key = ("SELECT pg_try_advisory_lock(hashtextextended(%s, 1))", (f"migration {migration_id}",))
        with self._database.single() as connection:
            held = connection.execute(*key).fetchone()
            assert held is not None
            if not held[0]:
                yield None
                return
            try:
                yield connection
            finally:
                if not connection.closed and not connection.broken:
                    connection.execute("SELECT pg_advisory_unlock_all()")

    def _is_open(self, connection: Connection) -> bool:
        found = connection.execute("SELECT FROM migrations WHERE state = ANY(%s)", (list(OPEN),)).fetchone()
        return found is not None


def move(
    connection: Connection, migration_id: str, begin: Collection[str], state: State, **changes: Any
) -> bool:
    """Bring a migration from one of the states ``begin`` to ``state``; False: it is in none of them."""
    fields = {"state": state, "reason": None, **changes}
    stored = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in fields.items()}
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in stored]
    moved = connection.execute(
        sql.SQL(
            "UPDATE migrations SET changed_at = now(), {} WHERE id = %(id)s AND state = ANY(%(begin)s)"
        ).format(sql.SQL(", ").join(assignments)),
        {**stored, "id": migration_id, "begin": list(begin)},
    )
    return bool(moved.rowcount)


def _delete_some(connection: Connection, version: FeatureVersion) -> bool:
    """Delete vectors of a version, as many as one transaction may; return whether there may be more."""
    near_index.empty(connection, version)
    gone = connection.execute(
        "DELETE FROM vectors WHERE (content, version) IN"
        " (SELECT v.content, v.version FROM vectors v JOIN contents c ON c.key = v.content"
        " WHERE v.version = %s AND c.sha256 IS NOT NULL LIMIT %s)",
        (version.name, DELETED_AT_ONCE),
    )
    return gone.rowcount == DELETED_AT_ONCE


def _wrong(migration: Migration, what: str) -> MigrationConflict:
    return MigrationConflict(
        f"the migration to {migration.target} is {migration.state} and cannot be {what}",
        state=migration.state,
    )


def _switch(connection: Connection, origin: str, target: str) -> None:
    switched = connection.execute(
        "UPDATE active_version SET version = %s, changed_at = now() WHERE version = %s", (target, origin)
    )
    if not switched.rowcount:
        raise MigrationConflict(f"searches do not use {origin} any more; another migration came between")


def _defer_chunks(connection: Connection, migration_id: str, defer: Defer) -> None:
    rows = connection.execute(
        "SELECT seq FROM migration_chunks WHERE migration = %s AND done_at IS NULL ORDER BY seq",
        (migration_id,),
    ).fetchall()
    defer(connection, "migration-chunk", [{"migration": migration_id, "seq": seq} for (seq,) in rows])
    if not rows:
        defer(connection, "migration", [{"migration": migration_id}])


def _let_go(connection: Connection, migration_id: str, version: str, defer: Defer) -> None:
    connection.execute("UPDATE feature_versions SET state = 'absent' WHERE name = %s", (version,))
    connection.execute("UPDATE migrations SET is_cleared = false WHERE id = %s", (migration_id,))
    defer(connection, "migration", [{"migration": migration_id}], after_s=SETTLED_S)
