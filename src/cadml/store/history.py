"""What migrations did, as counts by time: the source of every rate that is reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

import psycopg

from cadml.store.database import Database

FORGOTTEN_AFTER = "400 days"


@dataclass(frozen=True, slots=True)
class Event:
    """``items`` entries or contents that came to one end together; ``seconds`` of a worker's time."""

    origin: str | None
    target: str
    status: str
    reason: str | None
    items: int
    dimension_before: int | None
    dimension_after: int | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Events of one kind in one span of time, added up; ``at``: where the span begins."""

    at: datetime
    origin: str | None
    target: str
    status: str
    reason: str | None
    items: int
    delta: float | None  # mean change of length
    seconds: float


def record(connection: psycopg.Connection[Any], events: Iterable[Event]) -> None:
    """Write down what happened, with the transaction in which it did."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO migration_events (origin, target, status, reason, items, dimension_before,"
            " dimension_after, seconds) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [astuple(event) for event in events],
        )


class History:
    """Reads the events of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, events: Iterable[Event]) -> None:
        """Write down what happened, and forget what is long ago."""
        with self._database.connection() as connection:
            record(connection, events)
            connection.execute(
                "DELETE FROM migration_events WHERE at < now() - %s::interval", (FORGOTTEN_AFTER,)
            )

    def tallies(self, hours: float | None, span_s: float) -> list[Tally]:
        """Return the events of the last ``hours`` (None: all), added up by spans of ``span_s`` seconds."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT date_bin(make_interval(secs => %(span)s), at, 'epoch') AS bin, origin, target,"
                " status, reason, sum(items)::int8, sum(items * (dimension_after - dimension_before)::float8)"
                " / nullif(sum(items) FILTER (WHERE dimension_before IS NOT NULL), 0), sum(seconds)"
                " FROM migration_events WHERE %(hours)s::float8 IS NULL"
                " OR at > now() - make_interval(secs => 3600 * %(hours)s::float8)"
                " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
                {"span": span_s, "hours": hours},
            ).fetchall()
        return [Tally(*row) for row in rows]

    def speed(self, target: str) -> float | None:
        """Return the contents that one worker brings to ``target`` per second, as measured; None: never."""
        with self._database.single() as connection:
            row = connection.execute(
                "SELECT sum(items) / nullif(sum(seconds), 0) FROM migration_events"
                " WHERE target = %s AND status = 'migrated' AND seconds > 0"
                " AND at > now() - interval '30 days'",
                (target,),
            ).fetchone()
        assert row is not None
        return None if row[0] is None else float(row[0])
