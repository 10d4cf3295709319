"""Which feature versions the library keeps, and which of them searches use: one record for all processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from cadml.errors import DatabaseUnavailable, UnknownVersion, VersionNotKept
from cadml.features.lineage import needed
from cadml.features.spec import FeatureVersion
from cadml.geometry.part import Kind
from cadml.store import near_index
from cadml.store.database import Database

Connection = psycopg.Connection[Any]
State = Literal["absent", "building", "kept"]

FRESH_S = 1.0  # how long a process may go on with what it knew
LOCK = 0x6361646D6C76  # "cadmlv": held shared while a content is added, alone while the record changes


class VersionsChangedError(Exception):
    """The library came to keep more versions while a content was being described."""

    def __init__(self, lacking: tuple[str, ...]) -> None:
        super().__init__(f"not described in {', '.join(lacking)}")
        self.lacking = lacking


@dataclass(frozen=True, slots=True)
class Standing:
    """The active version, and the state of every version."""

    active: str
    states: Mapping[str, State]

    @property
    def kept(self) -> frozenset[str]:
        """The versions that may be searched."""
        return frozenset(name for name, state in self.states.items() if state == "kept")

    @property
    def described(self) -> tuple[str, ...]:
        """The versions that new contents are described in."""
        return tuple(name for name, state in self.states.items() if state != "absent")


class Versions:
    """The record of one database, read anew every second at most; thread-safe."""

    def __init__(self, database: Database, first: str) -> None:
        """Open the record; where there is none yet, the library begins with ``first`` active."""
        self._database = database
        self._reading = threading.Lock()
        with database.connection() as connection:
            change(connection)
            begun = connection.execute("SELECT version FROM active_version").fetchone()
            if begun is None:
                connection.execute("INSERT INTO active_version (version) VALUES (%s)", (first,))
                connection.execute(
                    "UPDATE feature_versions SET state = 'kept' WHERE name = ANY(%s)", (list(needed(first)),)
                )
            self._standing = standing(connection)
            near_index.ensure(connection, database.versions[self._standing.active])
        self._until = time.monotonic() + FRESH_S

    def now(self) -> Standing:
        """Return the record: at most ``FRESH_S`` old, or as last known while the database is away."""
        if time.monotonic() > self._until and self._reading.acquire(blocking=False):
            try:
                self._read()
            except DatabaseUnavailable:  # whoever needs the database next says so
                self._until = time.monotonic() + FRESH_S
            finally:
                self._reading.release()
        return self._standing

    def refresh(self) -> Standing:
        """Read the record and return it: as it is now, whatever else is being read."""
        with self._reading:
            self._read()
            return self._standing

    def _read(self) -> None:
        with self._database.single() as connection:
            self._standing = standing(connection)
        self._until = time.monotonic() + FRESH_S

    @property
    def active(self) -> str:
        """The version that searches use unless asked otherwise."""
        return self.now().active

    def searchable(self, name: str) -> str:
        """Return ``name`` if searches may use it.

        Raises
        ------
        UnknownVersion, VersionNotKept
            There is none, or the library does not keep it (yet).
        """
        state = self.now().states.get(name)
        if state is None:
            raise UnknownVersion(f"there is no feature version {name!r}", version=name)
        if state != "kept":
            still = "is still being built" if state == "building" else f"is not kept; `cadml migrate {name}`"
            raise VersionNotKept(f"{name} {still}: the library cannot be searched with it", version=name)
        return name


def standing(connection: Connection) -> Standing:
    """Return the record in one statement, so that no change comes between."""
    rows = connection.execute(
        "SELECT f.name, f.state, a.version FROM feature_versions f CROSS JOIN active_version a"
        " ORDER BY f.created_at, f.name"
    ).fetchall()
    return Standing(rows[0][2], {name: state for name, state, _ in rows})


def change(connection: Connection) -> None:
    """Wait until no content is being added; none is until the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def check_described(
    connection: Connection, kind: str, described: frozenset[str], versions: Mapping[str, FeatureVersion]
) -> None:
    """Let a content be added that was described in all versions that the library keeps or builds now.

    They stay those until the end of the transaction, so that a migration finds every content either
    in the library when it begins, or described in its target.

    Raises
    ------
    VersionsChangedError
        It was not.
    """
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
    rows = connection.execute("SELECT name FROM feature_versions WHERE state <> 'absent'").fetchall()
    wanted = {name for (name,) in rows if name in versions and Kind(kind) in versions[name].kinds}
    if wanted - described:
        raise VersionsChangedError(tuple(sorted(wanted - described)))
