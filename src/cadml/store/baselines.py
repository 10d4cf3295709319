"""Baselines of drift: numbered, one in force per subject and scope, replaced ones kept for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from cadml.store.contents import Connection, Floats
from cadml.store.database import Database
from cadml.store.observations import newest_within

KEPT_NUMBERS = 5  # of each subject and scope
COLUMNS = "subject, scope, number, origin, created_at, size"


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One baseline without its sample."""

    subject: str
    scope: str
    number: int
    origin: str
    created_at: datetime
    size: int
    active: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """What a baseline compares with: ``counts`` of a category, or raw ``vectors`` ``(M, N)``."""

    counts: Mapping[str, int] | None = None
    vectors: Floats | None = None

    @property
    def size(self) -> int:
        """Observations in the sample."""
        if self.vectors is not None:
            return len(self.vectors)
        return sum((self.counts or {}).values())


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a comparison stands: observations up to number ``after`` are no news to it."""

    after: int = 0
    active: BaselineRow | None = None


class Baselines:
    """The baselines of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def every(self) -> list[BaselineRow]:
        """Return all baselines, newest number first within subject and scope."""
        with self._database.single() as connection:
            return _rows(connection, "true", {})

    def standing(self, subject: str, scope: str) -> Standing:
        """Return where the comparison stands."""
        key = {"subject": subject, "scope": scope}
        with self._database.connection() as connection:
            row = connection.execute(
                "SELECT after FROM drift_subjects WHERE subject = %(subject)s AND scope = %(scope)s", key
            ).fetchone()
            if row is None:
                return Standing()
            condition = "subject = %(subject)s AND scope = %(scope)s AND number = s.active"
            active = _rows(connection, condition, key)
            return Standing(int(row[0]), active[0] if active else None)

    def sample(self, subject: str, scope: str, number: int) -> Sample:
        """Return the sample of a baseline that exists."""
        with self._database.single() as connection:
            row = connection.execute(
                "SELECT counts, vectors, size FROM drift_baselines"
                " WHERE subject = %s AND scope = %s AND number = %s",
                (subject, scope, number),
                binary=True,
            ).fetchone()
        assert row is not None
        counts, vectors, size = row
        if vectors is None:
            return Sample(counts)
        return Sample(vectors=np.frombuffer(vectors, dtype="<f4").reshape(size, -1))

    def put(
        self,
        subject: str,
        scope: str,
        sample: Sample,
        *,
        origin: str,
        created_at: datetime | None = None,
        after: int | None = None,
        replaces: int | None = None,
    ) -> BaselineRow | None:
        """Put a baseline in force; None if ``replaces`` is not the number in force any more.

        Observations up to number ``after`` (None: all that there are) are no news to it.
        """
        key = {"subject": subject, "scope": scope}
        with self._database.connection() as connection:
            newest = newest_within(connection)  # whoever else changes baselines waits here
            if _active(connection, key) != replaces:
                return None
            number = _insert(connection, key, sample, origin, created_at)
            _stand(connection, key, newest if after is None else after, number)
            connection.execute(
                "DELETE FROM drift_baselines WHERE subject = %(subject)s AND scope = %(scope)s"
                " AND number <= %(oldest)s",
                key | {"oldest": number - KEPT_NUMBERS},
            )
            rows = _rows(connection, "subject = %(subject)s AND scope = %(scope)s", key)
        return rows[0]

    def keep_score(self, subject: str, scope: str, number: int, score: float) -> None:
        """Remember the score of the last window judged with baseline ``number``, if that is in force."""
        with self._database.single() as connection:
            connection.execute(
                "UPDATE drift_subjects SET score = %s WHERE subject = %s AND scope = %s AND active = %s",
                (score, subject, scope, number),
            )

    def scores(self, subject: str) -> dict[str, float]:
        """Return the last score by scope, of those that have a baseline in force and were judged."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT scope, score FROM drift_subjects WHERE subject = %s AND score IS NOT NULL", (subject,)
            ).fetchall()
        return dict(rows)

    def begin_anew(self, subject: str, scope: str) -> None:
        """Put no baseline in force: one is made of what comes in from now on."""
        key = {"subject": subject, "scope": scope}
        with self._database.connection() as connection:
            _stand(connection, key, newest_within(connection), None)


def _rows(connection: Connection, condition: str, key: Mapping[str, Any]) -> list[BaselineRow]:
    query = (
        f"SELECT {COLUMNS}, number IS NOT DISTINCT FROM s.active FROM drift_baselines"  # noqa: S608 - ours
        f" LEFT JOIN drift_subjects s USING (subject, scope) WHERE {condition}"
        " ORDER BY subject, scope, number DESC"
    )
    return [BaselineRow(*row) for row in connection.execute(query.encode(), key)]


def _active(connection: Connection, key: Mapping[str, Any]) -> int | None:
    row = connection.execute(
        "SELECT active FROM drift_subjects WHERE subject = %(subject)s AND scope = %(scope)s", key
    ).fetchone()
    return None if row is None else row[0]


def _insert(
    connection: Connection, key: Mapping[str, Any], sample: Sample, origin: str, created_at: datetime | None
) -> int:
    vectors = sample.vectors
    row = connection.execute(
        "INSERT INTO drift_baselines (subject, scope, number, origin, created_at, size, counts, vectors)"
        " SELECT %(subject)s, %(scope)s, coalesce(max(number), 0) + 1, %(origin)s,"
        " coalesce(%(created_at)s, now()), %(size)s, %(counts)s, %(vectors)s"
        " FROM drift_baselines WHERE subject = %(subject)s AND scope = %(scope)s RETURNING number",
        {
            **key,
            "origin": origin,
            "created_at": created_at,
            "size": sample.size,
            "counts": None if vectors is not None else Jsonb(dict(sample.counts or {})),
            "vectors": None if vectors is None else np.asarray(vectors, dtype="<f4").tobytes(),
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def _stand(connection: Connection, key: Mapping[str, Any], after: int, active: int | None) -> None:
    connection.execute(
        "INSERT INTO drift_subjects (subject, scope, after, active)"
        " VALUES (%(subject)s, %(scope)s, %(after)s, %(active)s)"
        " ON CONFLICT (subject, scope) DO UPDATE SET after = excluded.after,"
        " active = excluded.active, score = NULL",
        {**key, "after": after, "active": active},
    )
