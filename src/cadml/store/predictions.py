"""The class of each stored content, by the model that last looked at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from cadml.store.contents import Floats, raw_values
from cadml.store.database import Database

Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class StoredPrediction:
    """What ``model`` said; ``label`` is None where it abstained, ``probabilities`` in its classes' order."""

    model: str
    label: str | None
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Unclassified:
    """A content that ``model`` has not looked at: its key and its raw vector ``(N,)``."""

    key: int
    vector: Floats


def put(connection: Connection, predictions: Mapping[int, StoredPrediction]) -> None:
    """Store predictions by content key; what another model said of the content goes.

    A content that was removed meanwhile is passed over.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO predictions (content, model, label, probabilities)"
            " SELECT c.key, %s, %s, %s FROM contents c WHERE c.key = %s"
            " ON CONFLICT (content) DO UPDATE SET model = EXCLUDED.model, label = EXCLUDED.label,"
            " probabilities = EXCLUDED.probabilities, at = now()",
            [(p.model, p.label, list(p.probabilities), key) for key, p in predictions.items()],
        )


class Predictions:
    """The predictions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def behind(self, model: str, feature_version: str, after: int, most: int) -> list[Unclassified]:
        """Return contents with a vector of ``feature_version`` that ``model`` has not seen, by key."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT v.content, v.raw FROM vectors v JOIN contents c ON c.key = v.content"
                " LEFT JOIN predictions p ON p.content = v.content AND p.model = %s"
                " WHERE v.version = %s AND v.content > %s AND c.sha256 IS NOT NULL AND p.content IS NULL"
                " ORDER BY v.content LIMIT %s",
                (model, feature_version, after, most),
                binary=True,
            ).fetchall()
        return [Unclassified(key, raw_values(raw)) for key, raw in rows]

    def labels(self, hashes: Sequence[str], model: str) -> list[str | None]:
        """Return what ``model`` said of the contents with these SHA-256, of those it has looked at."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT p.label FROM unnest(%s::bytea[]) AS g (sha256) JOIN contents c USING (sha256)"
                " JOIN predictions p ON p.content = c.key WHERE p.model = %s",
                ([bytes.fromhex(sha256) for sha256 in hashes], model),
            ).fetchall()
        return [row[0] for row in rows]
