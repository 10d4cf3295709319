"""The schema, brought up to date at start by numbered steps; each is applied once and remembered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from procrastinate.schema import SchemaManager

from cadml.errors import DatabaseUnavailable
from cadml.features.spec import FeatureVersion
from cadml.store import near

LOCK = 0x6361646D6C  # "cadml": one process at a time changes the schema
OLDEST_POSTGRESQL = 150000
OLDEST_PGVECTOR = (0, 8, 2)  # earlier ones overflow a buffer while several processes build an index

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the schema."""

    name: str
    text: str
    must_stay: bool = True  # procrastinate's own steps may be reworded by a release

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def bring_up_to_date(connection: Connection, versions: Mapping[str, FeatureVersion]) -> None:
    """Apply every missing step and make the table of every feature version, under a lock.

    Raises
    ------
    DatabaseUnavailable
        The server is too old, pgvector is missing or too old, or the schema is not ours.
    """
    _check_server(connection)
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    try:
        _check_pgvector(connection)
        with connection.transaction():
            _apply_steps(connection)
        for version in versions.values():
            with connection.transaction():
                _ensure_version(connection, version)
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def _check_server(connection: Connection) -> None:
    if connection.info.server_version < OLDEST_POSTGRESQL:
        found = connection.info.server_version // 10000
        raise DatabaseUnavailable(f"PostgreSQL {found} is too old; cadml needs 15 or newer", found=found)


def _check_pgvector(connection: Connection) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        raise DatabaseUnavailable(
            "the extension pgvector is not installed on this PostgreSQL server"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnavailable(
            "this user may not run CREATE EXTENSION vector; ask the database's owner to"
        ) from error
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    assert row is not None
    if tuple(int(n) for n in row[0].split(".")[:3]) < OLDEST_PGVECTOR:
        raise DatabaseUnavailable(
            f"pgvector {row[0]} is too old; cadml needs 0.8.2 or newer; then ALTER EXTENSION vector UPDATE",
            found=row[0],
        )


def _apply_steps(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_steps"
        " (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    known = dict(connection.execute("SELECT name, checksum FROM schema_steps").fetchall())
    steps = [*_own_steps(), *_queue_steps(known)]
    newer = sorted(name for name in known if name not in {step.name for step in steps} and name[0].isdigit())
    if newer:
        raise DatabaseUnavailable(
            f"the database was made by a newer cadml (step {newer[-1]})", step=newer[-1]
        )
    for step in steps:
        if step.name not in known:
            connection.execute(step.text.encode())
            connection.execute(
                "INSERT INTO schema_steps (name, checksum) VALUES (%s, %s)", (step.name, step.checksum)
            )
        elif step.must_stay and known[step.name] != step.checksum:
            raise DatabaseUnavailable(
                f"schema step {step.name} is not the one this database was made with", step=step.name
            )


def own_step_names() -> list[str]:
    """Return the names of all steps that this cadml knows of its own schema, in order."""
    return [step.name for step in _own_steps()]


def _own_steps() -> Iterator[Step]:
    folder = files("cadml.store") / "sql"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if re.fullmatch(r"\d{3}_\w+\.sql", file.name):
            yield Step(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))


def _queue_steps(known: Mapping[str, str]) -> Iterator[Step]:
    """Yield procrastinate's steps: its whole schema on a fresh database, later what its releases add."""
    folder = files("procrastinate.sql") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    whole = Step("procrastinate", SchemaManager.get_schema(), must_stay=False)
    fresh = whole.name not in known
    yield whole
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        # What the whole schema holds already is only written down.
        yield Step(f"procrastinate {name}", "SELECT 1" if fresh else text, must_stay=False)


def _ensure_version(connection: Connection, version: FeatureVersion) -> None:
    released = hashlib.sha256()
    for word in (version.metric.value, version.squash.value):
        released.update(word.encode())
    for array in (version.offset, version.scale, version.weight):
        released.update(array.tobytes())
    row = connection.execute(
        "SELECT recipe FROM feature_versions WHERE name = %s", (version.name,)
    ).fetchone()
    if row is None:
        near.create(connection, version)
        connection.execute(
            "INSERT INTO feature_versions (name, length, metric, recipe) VALUES (%s, %s, %s, %s)",
            (version.name, version.length, version.metric.value, released.digest()),
        )
    elif row[0] != released.digest():
        raise DatabaseUnavailable(
            f"feature version {version.name} is not the one this database was made with", version=version.name
        )
