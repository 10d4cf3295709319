"""Model files by version, whose hashes are trusted, which one serves, and what became of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cadml.errors import Conflict, ModelNotFound, NothingToRollBack
from cadml.store.database import Database

Connection = psycopg.Connection[Any]
Also = Callable[[Connection, str], None]
What = Literal["trained", "trusted", "refused", "activated", "rolled_back", "fell_back", "proven"]
PREDECESSORS = 3


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model file that passed every check; its bytes are the blob ``model/<sha256>``."""

    version: str
    sha256: str
    filename: str
    format: str
    card: dict[str, Any]
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """That somebody answers for the file with this hash."""

    sha256: str
    feature_version: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """``line``: versions newest first; ``line[level]`` serves; ``change`` counts every change."""

    line: tuple[str, ...]
    level: int
    activations: int
    proven: bool
    change: int

    @property
    def version(self) -> str | None:
        """What serves."""
        return self.line[self.level] if self.line else None

    @property
    def predecessors(self) -> int:
        """How many steps back are left."""
        return max(len(self.line) - 1 - self.level, 0)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a model: what, to which, by whom and why."""

    what: What
    who: str
    why: str
    version: str | None = None
    sha256: str | None = None
    verdict: dict[str, Any] | None = None
    at: datetime | None = None


class ModelStore:
    """The models of one database. Every change of what serves is one transaction with its event."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- files --------------------------------------------------------------------------------------

    def trust(self, sha256: str, feature_version: str, who: str, why: str) -> None:
        """Let the file with this hash be loaded; again changes the feature version it is meant for."""
        with self._database.connection() as connection:
            _trust(connection, sha256, feature_version, who)
            _record(connection, Event("trusted", who, why, sha256=sha256))

    def trusted(self, sha256: str) -> Trust | None:
        """Return who answers for the file, if anybody does."""
        with self._database.single() as connection, connection.cursor(row_factory=class_row(Trust)) as cursor:
            cursor.execute(
                "SELECT encode(sha256, 'hex') AS sha256, feature_version, who, at"
                " FROM model_trust WHERE sha256 = %s",
                (bytes.fromhex(sha256),),
            )
            return cursor.fetchone()

    def add_trained(self, row: ModelRow, who: str, why: str) -> None:
        """Keep and trust a model that cadml made.

        Raises
        ------
        Conflict
            Another model has this version.
        """
        with self._database.connection() as connection:
            _put(connection, row)
            _trust(connection, row.sha256, str(row.card["feature_version"]), who)
            _record(connection, Event("trained", who, why, row.version, row.sha256))

    def next_version(self, name: str) -> str:
        """Return ``name-1``, or one more than the highest number that ``name`` has."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT version FROM models WHERE left(version, %s) = %s", (len(name) + 1, f"{name}-")
            ).fetchall()
        numbers = [int(tail) for (version,) in rows if (tail := version[len(name) + 1 :]).isdecimal()]
        return f"{name}-{max(numbers, default=0) + 1}"

    def get(self, version: str) -> ModelRow:
        """Return the model.

        Raises
        ------
        ModelNotFound
            There is none of this version.
        """
        found = self._find("version = %s", version)
        if not found:
            raise ModelNotFound(f"no model has the version {version}", version=version, status="not_found")
        return found[0]

    def all(self) -> list[ModelRow]:
        """Return every model, newest first."""
        return self._find("true")

    def _find(self, condition: LiteralString, *values: Any) -> list[ModelRow]:
        with (
            self._database.single() as connection,
            connection.cursor(row_factory=class_row(ModelRow)) as cursor,
        ):
            cursor.execute(
                sql.SQL(
                    "SELECT version, encode(sha256, 'hex') AS sha256, filename, format, card, created_at"
                    " FROM models WHERE {} ORDER BY created_at DESC, version"
                ).format(sql.SQL(condition)),
                values,
            )
            return cursor.fetchall()

    # -- what serves --------------------------------------------------------------------------------

    def state(self) -> State:
        """Return what every process should serve."""
        with self._database.single() as connection:
            return _state(connection)

    def activate(self, row: ModelRow, who: str, why: str, verdict: dict[str, Any], also: Also) -> State:
        """Make the model the newest; what served is its first predecessor, what was skipped is none.

        ``also`` is called with connection and version before the commit.
        """
        with self._database.connection() as connection:
            now = _locked(connection)
            _put(connection, row)
            rest = [version for version in now.line[now.level :] if version != row.version]
            connection.execute(
                "UPDATE model_state SET line = %s, level = 0, activations = activations + 1,"
                " proven = %s, change = change + 1",
                ([row.version, *rest[:PREDECESSORS]], not rest),
            )
            _record(connection, Event("activated", who, why, row.version, row.sha256, verdict))
            also(connection, row.version)
            return _state(connection)

    def roll_back(self, to: str, who: str, why: str, *, change: int, also: Also) -> State:
        """Let ``to``, one of the line, serve from now on; ``also`` as for :meth:`activate`.

        Raises
        ------
        NothingToRollBack
            It is not in the line.
        Conflict
            What serves has changed since ``change``.
        """
        with self._database.connection() as connection:
            now = _locked(connection)
            if now.change != change:
                raise Conflict("another model was activated or rolled back at this moment; look again")
            if to not in now.line:
                raise NothingToRollBack(f"{to} is none of the last {PREDECESSORS + 1} activated models")
            connection.execute(
                "UPDATE model_state SET level = %s, proven = true, change = change + 1",
                (now.line.index(to),),
            )
            _record(connection, Event("rolled_back", who, why, to))
            also(connection, to)
            return _state(connection)

    def settle(self, change: int, why: str) -> None:
        """Write down that the newest model has passed its probation, unless things changed since."""
        with self._database.connection() as connection:
            now = _locked(connection)
            if now.change == change and not now.proven:
                connection.execute("UPDATE model_state SET proven = true")
                _record(connection, Event("proven", "cadml", why, now.version))

    # -- what happened ------------------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Write an event down."""
        with self._database.single() as connection:
            _record(connection, event)

    def events(self, most: int, what: What | None = None) -> list[Event]:
        """Return the last events, newest first."""
        with self._database.single() as connection, connection.cursor(row_factory=class_row(Event)) as cursor:
            cursor.execute(
                "SELECT what, who, why, version, encode(sha256, 'hex') AS sha256, verdict, at"
                " FROM model_events WHERE %(what)s::text IS NULL OR what = %(what)s"
                " ORDER BY seq DESC LIMIT %(most)s",
                {"what": what, "most": most},
            )
            return cursor.fetchall()


def _trust(connection: Connection, sha256: str, feature_version: str, who: str) -> None:
    connection.execute(
        "INSERT INTO model_trust (sha256, feature_version, who) VALUES (%s, %s, %s)"
        " ON CONFLICT (sha256) DO UPDATE SET feature_version = EXCLUDED.feature_version,"
        " who = EXCLUDED.who, at = now()",
        (bytes.fromhex(sha256), feature_version, who),
    )


def _put(connection: Connection, row: ModelRow) -> None:
    connection.execute(
        "INSERT INTO models (version, sha256, filename, format, card) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (row.version, bytes.fromhex(row.sha256), row.filename, row.format, Jsonb(row.card)),
    )
    kept = connection.execute(
        "SELECT version, encode(sha256, 'hex') FROM models WHERE version = %s OR sha256 = %s",
        (row.version, bytes.fromhex(row.sha256)),
    ).fetchall()
    for version, sha256 in kept:
        if sha256 != row.sha256:
            raise Conflict(f"another model has the version {row.version}", version=row.version)
        if version != row.version:
            raise Conflict(f"this file is known as {version}; activate that version", version=version)


def _record(connection: Connection, event: Event) -> None:
    connection.execute(
        "INSERT INTO model_events (what, version, sha256, who, why, verdict) VALUES (%s, %s, %s, %s, %s, %s)",
        (
            *(event.what, event.version, bytes.fromhex(event.sha256) if event.sha256 else None),
            *(event.who, event.why.replace("\x00", "�")),
            Jsonb(event.verdict) if event.verdict is not None else None,
        ),
    )


def _locked(connection: Connection) -> State:
    connection.execute("SELECT 1 FROM model_state FOR UPDATE")
    return _state(connection)


def _state(connection: Connection) -> State:
    row = connection.execute("SELECT line, level, activations, proven, change FROM model_state").fetchone()
    assert row is not None
    return State(tuple(row[0]), *row[1:])
