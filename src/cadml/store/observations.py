"""What was described lately: kept so that a window of it survives a restart, bounded by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
from pgvector import Vector

from cadml.store.contents import Connection, Floats, raw_values
from cadml.store.database import Database

KEPT = 5000  # observations of each feature version; windows and baselines are at most 2,000 and 1,000
LOCK = 0x6472696674  # "drift": one writer at a time, so that the numbers rise in the order of the commits

# What one comparison looks at: a column, and the rows that have it.
LOOKS: dict[str, tuple[LiteralString, LiteralString]] = {
    "material": ("material", "%(scope)s = ''"),
    "prediction": ("label", "model = %(scope)s"),
    "feature": ("raw", "version = %(scope)s AND raw IS NOT NULL"),
}


@dataclass(frozen=True, slots=True)
class Observation:
    """One part as it came in; ``raw`` is its vector ``(N,)`` of ``version``."""

    material: str | None = None
    version: str = ""
    raw: Floats | None = None
    model: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Observations of one subject in the order of their coming: ``values`` are labels or raw vectors.

    ``last`` is the number of the newest; ``begin`` and ``end`` are when the first and last came.
    """

    values: list[Any]
    last: int = 0
    begin: datetime | None = None
    end: datetime | None = None


class Observations:
    """The observations of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, observations: Sequence[Observation]) -> None:
        """Keep ``observations`` and forget the oldest beyond :data:`KEPT` of each version."""
        with self._database.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            connection.cursor().executemany(
                "INSERT INTO drift_observations (version, raw, material, model, label)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    (o.version, _stored(o.raw), _text(o.material), o.model, _text(o.label))
                    for o in observations
                ],
            )
            for version in {each.version for each in observations}:
                connection.execute(
                    "DELETE FROM drift_observations WHERE version = %(version)s AND seq <="
                    " (SELECT seq FROM drift_observations WHERE version = %(version)s"
                    " ORDER BY seq DESC OFFSET %(kept)s LIMIT 1)",
                    {"version": version, "kept": KEPT},
                )

    def newest_model(self) -> str | None:
        """Return the model of the newest prediction; None where there is none."""
        with self._database.single() as connection:
            row = connection.execute(
                "SELECT model FROM drift_observations WHERE model IS NOT NULL ORDER BY seq DESC LIMIT 1"
            ).fetchone()
        return None if row is None else str(row[0])

    def latest(self, subject: str, scope: str, after: int, count: int, hours: float) -> Seen:
        """Return the newest ``count`` of the last ``hours`` that are newer than number ``after``."""
        values = {"scope": scope, "after": after, "count": count, "hours": min(hours, 1e6)}
        return self._seen(subject, "DESC", values)

    def first(self, subject: str, scope: str, after: int, count: int) -> Seen:
        """Return the oldest ``count`` that are newer than number ``after``."""
        values = {"scope": scope, "after": after, "count": count, "hours": 1e6}
        return self._seen(subject, "ASC", values)

    def _seen(self, subject: str, order: LiteralString, values: Mapping[str, Any]) -> Seen:
        column, condition = LOOKS[subject]
        with self._database.single() as connection:
            rows = connection.execute(
                f"SELECT seq, at, {column} FROM drift_observations"  # noqa: S608 - from the table above
                f" WHERE seq > %(after)s AND at > now() - make_interval(secs => %(hours)s * 3600)"
                f" AND {condition} ORDER BY seq {order} LIMIT %(count)s",
                values,
                binary=True,
            ).fetchall()
        rows.sort(key=lambda row: row[0])
        if not rows:
            return Seen([])
        found = [raw_values(row[2]) if subject == "feature" else row[2] for row in rows]
        return Seen(found, int(rows[-1][0]), rows[0][1], rows[-1][1])


def newest_within(connection: Connection) -> int:
    """Return the newest number; no writer is at work until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM drift_observations").fetchone()
    assert row is not None
    return int(row[0])


def _stored(raw: Floats | None) -> Vector | None:
    return None if raw is None else Vector(np.asarray(raw, dtype=np.float32))


def _text(value: str | None) -> str | None:
    """Return what PostgreSQL can keep of a text: no NUL, no half of a pair, no more than a name's length."""
    return None if value is None else "".join(letter for letter in value if letter.isprintable())[:200]
