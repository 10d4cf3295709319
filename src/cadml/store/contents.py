"""Contents: what bytes say, stored once however many library entries refer to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import Vector
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cadml.features.spec import FeatureVersion
from cadml.store import near
from cadml.store.database import Database

QUARANTINE_AFTER = 2  # failures of a reader's process on the same content
Floats = NDArray[np.float32]
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class NewContent:
    """What a reader made of some bytes; ``vectors`` holds raw values ``(N,) float32`` by version.

    ``described``: the versions that it was described in, also those without a value for it; None:
    nobody asks.
    """

    sha256: str
    bytes: int
    format: str
    kind: str
    facts: dict[str, Any]
    findings: list[dict[str, Any]]
    vectors: Mapping[str, Floats]
    described: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ContentRow:
    """A stored content and the versions whose vectors it has."""

    sha256: str
    bytes: int
    format: str
    kind: str
    facts: dict[str, Any]
    findings: list[dict[str, Any]]
    versions: list[str]
    created_at: datetime


def claim(connection: Connection, sha256: str) -> None:
    """Wait until nobody else adds or removes this content; held to the end of the transaction."""
    number = int.from_bytes(bytes.fromhex(sha256)[:8], "big", signed=True)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (number,))


def read(connection: Connection, sha256: str) -> ContentRow | None:
    """Return the content with this hash, if there is one."""
    with connection.cursor(row_factory=class_row(ContentRow)) as cursor:
        cursor.execute(
            "SELECT encode(sha256, 'hex') AS sha256, bytes, format, kind, facts, findings, created_at,"
            " ARRAY(SELECT version FROM vectors v WHERE v.content = c.key ORDER BY version) AS versions"
            " FROM contents c WHERE sha256 = %s",
            (bytes.fromhex(sha256),),
        )
        return cursor.fetchone()


def key_of(connection: Connection, sha256: str) -> int | None:
    """Return the key of the content with this hash, if there is one."""
    row = connection.execute(
        "SELECT key FROM contents WHERE sha256 = %s", (bytes.fromhex(sha256),)
    ).fetchone()
    return None if row is None else int(row[0])


def put(connection: Connection, content: NewContent, versions: Mapping[str, FeatureVersion]) -> int:
    """Store the content unless it is there, and the vectors it lacks; return its key."""
    key = key_of(connection, content.sha256)
    if key is None:
        row = connection.execute(
            "INSERT INTO contents (sha256, bytes, format, kind, facts, findings)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING key",
            (
                *(bytes.fromhex(content.sha256), content.bytes, content.format, content.kind),
                *(Jsonb(content.facts), Jsonb(content.findings)),
            ),
        ).fetchone()
        assert row is not None
        key = int(row[0])
    put_vectors(connection, key, content.vectors, versions)
    return key


def put_vectors(
    connection: Connection, key: int, vectors: Mapping[str, Floats], versions: Mapping[str, FeatureVersion]
) -> None:
    """Store the raw vectors that the content ``key`` lacks.

    Raises
    ------
    DimensionMismatch, InvalidRequest
        A vector has not its version's length, or holds a number that is not finite.
    """
    for name, raw in vectors.items():
        near.scaled_column(versions[name], raw)  # refuses what could not be compared
        connection.execute(
            "INSERT INTO vectors (content, version, raw) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (key, name, Vector(np.asarray(raw, dtype=np.float32))),
        )


def add_findings(connection: Connection, key: int, findings: Sequence[Mapping[str, Any]]) -> None:
    """Store findings that the content ``key`` lacks."""
    for finding in findings:
        connection.execute(
            "UPDATE contents SET findings = findings || %(new)s WHERE key = %(key)s"
            " AND NOT findings @> %(new)s",
            {"key": key, "new": Jsonb([dict(finding)])},
        )


def vectors_of(connection: Connection, key: int, names: Iterable[str] | None = None) -> dict[str, Floats]:
    """Return the content's raw vectors by version, ``(N,) float32`` each."""
    cursor = connection.execute(
        "SELECT version, raw FROM vectors WHERE content = %s AND (%s::text[] IS NULL OR version = ANY(%s))",
        (key, *(2 * (None if names is None else list(names),))),
        binary=True,
    )
    return {name: raw_values(raw) for name, raw in cursor}


def raw_values(stored: Vector) -> Floats:
    """Return a stored vector's values, ``(N,) float32``."""
    return np.asarray(stored.to_numpy(), dtype=np.float32)


class Contents:
    """The contents of one database, and which of them stop their readers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def content(self, sha256: str) -> ContentRow | None:
        """Return the content with this hash, if there is one."""
        with self._database.single() as connection:
            return read(connection, sha256)

    def content_vectors(self, sha256: str, versions: Iterable[str] | None = None) -> dict[str, Floats]:
        """Return the content's raw vectors by version, ``(N,) float32`` each."""
        with self._database.connection() as connection:
            key = key_of(connection, sha256)
            return {} if key is None else vectors_of(connection, key, versions)

    def discard(self, sha256: str, remove: Callable[[], Any]) -> None:
        """Call ``remove`` (of blobs) unless the content exists or is queued; nobody adds it meanwhile."""
        with self._database.connection() as connection:
            claim(connection, sha256)
            queued = connection.execute(
                "SELECT 1 FROM ingest_items WHERE state IN ('queued', 'running') AND sha256 = %s LIMIT 1",
                (bytes.fromhex(sha256),),
            ).fetchone()
            if queued is None and key_of(connection, sha256) is None:
                remove()

    def record_failure(self, sha256: str, reason: str) -> None:
        """Remember that this content stopped a reader's process."""
        with self._database.single() as connection:
            connection.execute(
                "INSERT INTO reader_failures (sha256, reason) VALUES (%s, %s)",
                (bytes.fromhex(sha256), reason),
            )

    def failures(self, sha256: str) -> int:
        """Return how often this content stopped a reader's process."""
        with self._database.single() as connection:
            row = connection.execute(
                "SELECT count(*) FROM reader_failures WHERE sha256 = %s", (bytes.fromhex(sha256),)
            ).fetchone()
        assert row is not None
        return int(row[0])

    def quarantined(self, sha256: str) -> bool:
        """Whether this content is refused without another try."""
        return self.failures(sha256) >= QUARANTINE_AFTER

    def pardon(self, sha256: str) -> None:
        """Forget the failures, so that the content is tried again."""
        with self._database.single() as connection:
            connection.execute("DELETE FROM reader_failures WHERE sha256 = %s", (bytes.fromhex(sha256),))
