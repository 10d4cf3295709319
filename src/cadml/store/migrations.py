"""Migrations of the whole library: what is recorded of each, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from cadml.errors import MigrationNotFound
from cadml.store.database import Database

State = Literal["planned", "building", "checking", "ready", "active", "retired", "failed", "cancelled"]
OPEN: tuple[State, ...] = ("planned", "building", "checking", "ready", "failed")

RATE_OVER_S = 60.0
MOST_FAILURES = 1000  # listed; the count is complete


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration and how far it is; ``rate``: contents per second in the last minute, all workers."""

    id: str
    origin: str
    target: str
    state: State
    reason: str | None
    was_kept: bool
    most_failed: float
    least_recall: float
    checks: dict[str, Any] | None
    created_at: datetime
    changed_at: datetime
    activated_at: datetime | None
    is_cleared: bool
    total: int
    done: int
    failed: int
    seconds: float
    rate: float | None

    @property
    def progress(self) -> float:
        """Share of the contents that the backfill has been through, 0 to 1."""
        if self.state in {"ready", "active", "retired"}:
            return 1.0
        return self.done / self.total if self.total and self.state != "cancelled" else 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A content that could not be described in the target."""

    content: int
    entry: str | None
    name: str | None
    code: str
    message: str


READ: LiteralString = """
SELECT m.id::text, m.origin, m.target, m.state, m.reason, m.was_kept, m.most_failed, m.least_recall,
       m.checks, m.created_at, m.changed_at, m.activated_at, m.is_cleared,
       c.total, c.done, f.failed, c.seconds, c.rate
  FROM migrations m,
       LATERAL (SELECT coalesce(sum(contents), 0)::int8 AS total,
                       coalesce(sum(contents) FILTER (WHERE done_at IS NOT NULL), 0)::int8 AS done,
                       coalesce(sum(seconds), 0) AS seconds,
                       (sum(contents) FILTER (WHERE done_at > now() - make_interval(secs => %(over)s))
                       / greatest(extract(epoch FROM least(make_interval(secs => %(over)s),
                                                           now() - m.created_at)), 1))::float8 AS rate
                  FROM migration_chunks WHERE migration = m.id) c,
       LATERAL (SELECT count(*) AS failed FROM migration_failures WHERE migration = m.id) f
"""


class Migrations:
    """The records of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Migration]:
        """Return every migration, the latest first."""
        return self._read("ORDER BY m.created_at DESC")

    def kept(self) -> frozenset[str]:
        """Return the versions that the library keeps."""
        with self._database.single() as connection:
            rows = connection.execute("SELECT name FROM feature_versions WHERE state = 'kept'").fetchall()
        return frozenset(name for (name,) in rows)

    def get(self, migration_id: str) -> Migration:
        """Return the migration.

        Raises
        ------
        MigrationNotFound
            There is none with this id.
        """
        try:
            found = self._read("WHERE m.id = %(id)s", id=UUID(migration_id))
        except ValueError:
            found = []
        if not found:
            raise MigrationNotFound(f"no migration has the id {migration_id}", id=migration_id)
        return found[0]

    def open(self) -> Migration | None:
        """Return the one that is neither activated nor given up, if there is one."""
        found = self._read("WHERE m.state = ANY(%(states)s)", states=list(OPEN))
        return found[0] if found else None

    def _read(self, rest: LiteralString, **values: Any) -> list[Migration]:
        with (
            self._database.single() as connection,
            connection.cursor(row_factory=class_row(Migration)) as cursor,
        ):
            return cursor.execute(READ + rest, {"over": RATE_OVER_S, **values}).fetchall()

    def failures(self, migration_id: str) -> list[Failed]:
        """Return what could not be described, and why."""
        with (
            self._database.single() as connection,
            connection.cursor(row_factory=class_row(Failed)) as cursor,
        ):
            return cursor.execute(
                "SELECT f.content, p.id AS entry, p.name, f.code, f.message FROM migration_failures f"
                " LEFT JOIN LATERAL (SELECT id, name FROM parts WHERE content = f.content"
                " ORDER BY seq LIMIT 1) p ON true WHERE f.migration = %s ORDER BY f.content LIMIT %s",
                (migration_id, MOST_FAILURES),
            ).fetchall()
