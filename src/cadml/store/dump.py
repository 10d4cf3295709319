"""The whole database as one file and back, by PostgreSQL's own programs from the embedded server's wheel."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cadml.errors import BackupFailed
from cadml.store.database import translated
from cadml.store.embedded import EmbeddedServer
from cadml.store.installation import Installation

COUNTED = ("contents", "parts", "vectors", "ingest_items")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The database as it was at one moment; pg_dump sees the same, however long it takes."""

    id: str
    steps: list[str]
    counts: dict[str, int]
    blobs: set[str]  # keys of the blobs that its rows refer to


@contextmanager
def reached(database_url: str | None, data_dir: Path) -> Iterator[str]:
    """Yield how to reach the database as it is, its schema untouched; an embedded server runs meanwhile."""
    if database_url:
        yield database_url
        return
    server = EmbeddedServer(data_dir)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def snapshot(dsn: str) -> Iterator[Snapshot]:
    """Yield the database as it is now; it stays so for :func:`dump` while the block lasts.

    Raises
    ------
    BackupFailed
        There is no library in this database.
    """
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        if _one(connection, "SELECT to_regclass('schema_steps') IS NULL"):
            raise BackupFailed("there is no library of cadml in this database")
        steps = [name for (name,) in connection.execute("SELECT name FROM schema_steps ORDER BY name")]
        counts = {table: _one(connection, f"SELECT count(*) FROM {table}") for table in COUNTED}  # noqa: S608 - names above
        blobs = {
            key
            for (key,) in connection.execute(
                "SELECT unnest(ARRAY['source/' || encode(sha256, 'hex'), 'part/' || encode(sha256, 'hex')])"
                " FROM contents WHERE sha256 IS NOT NULL"
                " UNION SELECT 'source/' || encode(sha256, 'hex') FROM ingest_items"
                " WHERE state IN ('queued', 'running')"
            )
        }
        yield Snapshot(_one(connection, "SELECT pg_export_snapshot()"), steps, counts, blobs)


def dump(dsn: str, snapshot_id: str, target: Path, data_dir: Path) -> None:
    """Write the database as of the snapshot to ``target``, in pg_dump's compressed archive format.

    Raises
    ------
    BackupFailed
        pg_dump fails; the message quotes it.
    """
    words = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot_id}"]
    _run("pg_dump", dsn, data_dir, *words, f"--file={target}")


def restore(dsn: str, source: Path, data_dir: Path) -> None:
    """Fill an empty database from what :func:`dump` wrote: all of it or, on any error, nothing.

    Raises
    ------
    BackupFailed
        pg_restore fails; the message quotes it.
    """
    words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments"]
    _run("pg_restore", dsn, data_dir, *words, str(source))


def is_empty(dsn: str) -> bool:
    """Whether the database holds no table of anybody's (those of extensions apart)."""
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        return not _one(
            connection,
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_|^information_schema$'"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')",
        )


def counts(dsn: str) -> dict[str, int]:
    """Return how many rows the library's main tables hold."""
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        return {table: _one(connection, f"SELECT count(*) FROM {table}") for table in COUNTED}  # noqa: S608 - names above


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _run(program: str, dsn: str, data_dir: Path, *words: str) -> None:
    fields: dict[str, Any] = dict(conninfo_to_dict(dsn))
    password = fields.pop("password", None)
    with tempfile.NamedTemporaryFile("w", prefix="cadml-", encoding="utf-8") as secret:  # mode 0600
        if password is not None:  # command lines can be read by everyone on the machine
            escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
            secret.write(f"*:*:*:*:{escaped}\n")
            secret.flush()
            fields["passfile"] = secret.name
        ran = subprocess.run(  # noqa: S603 - PostgreSQL's program and our own words
            [
                str(Installation(data_dir).programs / program),
                "--no-password",
                f"--dbname={make_conninfo(**fields)}",
                *words,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"exit {ran.returncode}"]
        raise BackupFailed(next((line for line in said if "error" in line), said[-1]))
