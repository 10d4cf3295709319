"""Durable ingest jobs: one row per file; what a job's state is follows from its items alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from cadml.errors import JobNotFound
from cadml.store.database import Database
from cadml.store.entries import NewEntry, check_entry

Connection = psycopg.Connection[Any]
ITEM_STATES = ("queued", "running", "added", "known", "failed", "cancelled")
MOST_FAILURES = 1000  # listed in a status; the counts are complete


@dataclass(frozen=True, slots=True)
class IngestItem:
    """One file of a job; its bytes are the blob ``source/<sha256>``. ``attempts`` counts this one too."""

    job_id: str
    seq: int
    sha256: str
    name: str
    part_number: str | None
    metadata: dict[str, Any]
    attempts: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item did not become a part."""

    seq: int
    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is. ``counts`` has every item state; ``finished`` is None while items are open."""

    id: str
    state: Literal["queued", "running", "finished", "cancelled"]
    counts: dict[str, int]
    failures: list[Failure]
    created: datetime
    finished: datetime | None


def create(connection: Connection, items: Sequence[tuple[str, NewEntry]]) -> str:
    """Store a job with its items (SHA-256 and entry each) and return its id.

    Raises
    ------
    InvalidRequest
        An entry cannot be stored.
    """
    for _, entry in items:
        check_entry(entry)
    row = connection.execute("INSERT INTO ingest_jobs DEFAULT VALUES RETURNING id").fetchone()
    assert row is not None
    columns = "COPY ingest_items (job, seq, sha256, name, part_number, metadata) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(columns) as copy:
        for seq, (sha256, entry) in enumerate(items):
            copy.write_row(
                (row[0], seq, bytes.fromhex(sha256), entry.name, entry.part_number, Jsonb(entry.metadata))
            )
    return str(row[0])


def begin(connection: Connection, job_id: str, seq: int) -> IngestItem | None:
    """Mark the item as running and return it; None if it is final, or its job was cancelled."""
    row = connection.execute(
        """
        UPDATE ingest_items i
           SET state = CASE WHEN j.cancelled THEN 'cancelled' ELSE 'running' END,
               attempts = attempts + 1, changed_at = now()
          FROM ingest_jobs j
         WHERE j.id = i.job AND i.job = %s AND i.seq = %s AND i.state IN ('queued', 'running')
        RETURNING i.state, encode(i.sha256, 'hex'), i.name, i.part_number, i.metadata, i.attempts
        """,
        (job_id, seq),
    ).fetchone()
    return None if row is None or row[0] == "cancelled" else IngestItem(job_id, seq, *row[1:])


def fail(connection: Connection, item: IngestItem, code: str, message: str) -> None:
    """Make the item final as failed."""
    connection.execute(
        "UPDATE ingest_items SET state = 'failed', code = %s, message = %s, changed_at = now()"
        " WHERE job = %s AND seq = %s AND state = 'running'",
        (code, message.replace("\x00", "�"), item.job_id, item.seq),
    )


def postpone(connection: Connection, item: IngestItem, *, counts: bool) -> None:
    """Put the item back; ``counts``: the attempt counts towards those it has."""
    connection.execute(
        "UPDATE ingest_items SET state = 'queued', attempts = attempts - %s, changed_at = now()"
        " WHERE job = %s AND seq = %s AND state = 'running'",
        (0 if counts else 1, item.job_id, item.seq),
    )


def status(database: Database, job_id: str) -> JobStatus:
    """Return how far the job is.

    Raises
    ------
    JobNotFound
        There is none with this id.
    """
    with database.single() as connection:
        row = connection.execute(
            """
            SELECT j.created_at, j.cancelled, max(i.changed_at),
                   coalesce(jsonb_object_agg(i.state, i.n) FILTER (WHERE i.state IS NOT NULL), '{}'),
                   (SELECT coalesce(jsonb_agg(f), '[]') FROM (
                        SELECT seq, name, code, message FROM ingest_items
                         WHERE job = j.id AND state = 'failed' ORDER BY seq LIMIT %s) f)
              FROM ingest_jobs j
              LEFT JOIN LATERAL (SELECT state, count(*) AS n, max(changed_at) AS changed_at
                                   FROM ingest_items WHERE job = j.id GROUP BY state) i ON true
             WHERE j.id = %s GROUP BY j.id
            """,
            (MOST_FAILURES, _uuid(job_id)),
        ).fetchone()
    if row is None:
        raise _not_found(job_id)
    created_at, cancelled, changed_at, counted, failures = row
    counts = {state: counted.get(state, 0) for state in ITEM_STATES}
    is_open = counts["queued"] + counts["running"] > 0
    return JobStatus(
        job_id,
        _state(counts, cancelled=cancelled),
        counts,
        [Failure(**failure) for failure in failures],
        created_at,
        None if is_open else changed_at or created_at,
    )


def cancel(database: Database, job_id: str) -> None:
    """Cancel what has not begun; what runs is finished.

    Raises
    ------
    JobNotFound
        There is none with this id.
    """
    with database.connection() as connection:
        known = connection.execute("UPDATE ingest_jobs SET cancelled = true WHERE id = %s", (_uuid(job_id),))
        if not known.rowcount:
            raise _not_found(job_id)
        connection.execute(
            "UPDATE ingest_items SET state = 'cancelled', changed_at = now()"
            " WHERE job = %s AND state = 'queued'",
            (job_id,),
        )


def depths(database: Database) -> dict[str, int]:
    """Return how many items of all jobs are queued, running and failed."""
    with database.single() as connection:
        rows = connection.execute(
            "SELECT state, count(*) FROM ingest_items"
            " WHERE state IN ('queued', 'running', 'failed') GROUP BY state"
        ).fetchall()
    return {"queued": 0, "running": 0, "failed": 0} | dict(rows)


def _state(
    counts: dict[str, int], *, cancelled: bool
) -> Literal["queued", "running", "finished", "cancelled"]:
    if not counts["queued"] + counts["running"]:
        return "cancelled" if cancelled else "finished"
    return "queued" if counts["queued"] == sum(counts.values()) else "running"


def _uuid(job_id: str) -> UUID:
    try:
        return UUID(job_id)
    except ValueError:
        raise _not_found(job_id) from None


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"no job has the id {job_id}", id=job_id)
