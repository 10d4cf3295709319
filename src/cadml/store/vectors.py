"""Vectors of every feature version, and what lies nearest to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from cadml.errors import (
    CadmlError,
    Conflict,
    InvalidRequest,
    PartNotFound,
    UnknownVersion,
    VectorNotFound,
)
from cadml.features.spec import FeatureVersion
from cadml.store import contents, near
from cadml.store.contents import Floats
from cadml.store.database import Database
from cadml.store.filters import Filters, compile_filters
from cadml.store.near import CANDIDATES
from cadml.store.nearest import Asked, statement
from cadml.store.planner import Plan, Planner
from cadml.store.tags import check_metadata, check_text

MOST_NEIGHBOURS = 1000
MOST_IDS = 1000
LONGEST_ID = 200
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An entry and how far its vector is; ``sha256`` is None for a vector described elsewhere."""

    part_id: str
    name: str
    part_number: str | None
    sha256: str | None
    distance: float
    metadata: dict[str, Any]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """Neighbours, nearest first; ``exact``: every candidate was compared."""

    version: str
    neighbours: list[Neighbour]
    exact: bool
    requested: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """A vector described elsewhere: its raw values by version, and its metadata."""

    id: str
    vectors: dict[str, Floats]
    metadata: dict[str, Any]


MOST_NOTED = 1000  # changes that are added up at each question, before they become one row for each version
# One statement: whoever reads beside it sees the rows before or the rows after.
ADD_UP = """
WITH noted AS (DELETE FROM vector_counts RETURNING version, change)
INSERT INTO vector_counts SELECT version, sum(change) FROM noted GROUP BY version
"""


class Vectors:
    """Searches and the vectors without files."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._planner = Planner()

    def search(
        self,
        version: str,
        values: Any,
        k: int,
        filters: Filters | None = None,
        max_distance: float | None = None,
        *,
        exclude_part: str | None = None,
        exclude_sha256: str | None = None,
        exact: bool = False,
    ) -> Found:
        """Return the ``k`` entries nearest to raw ``values (N,)``; fewer only if fewer exist.

        Raises
        ------
        UnknownVersion, DimensionMismatch, InvalidRequest
            The version, the vector, ``k`` or a filter cannot be used.
        """
        row = self._version(version)
        asked = Asked(row, _check_k(k), compile_filters(filters), _check_distance(max_distance))
        given = {
            "query": near.scaled_column(row, values),
            "exclude_part": exclude_part,
            "exclude_sha256": bytes.fromhex(exclude_sha256) if exclude_sha256 else None,
        }
        found, is_exact = self._ask(asked, given, exact=exact)
        return _found(asked, found, is_exact=is_exact)

    def search_part(
        self,
        part_id: str,
        version: str,
        k: int,
        filters: Filters | None = None,
        max_distance: float | None = None,
        *,
        exact: bool = False,
    ) -> Found:
        """Return the ``k`` entries nearest to a stored one, itself left out.

        Raises
        ------
        PartNotFound, VectorNotFound
            There is no such entry, or it has no vector of this version.
        """
        found = self.search_many([part_id], version, k, filters, max_distance, exact=exact)[part_id]
        if isinstance(found, CadmlError):
            raise found
        return found

    def search_many(
        self,
        ids: Sequence[str],
        version: str,
        k: int,
        filters: Filters | None = None,
        max_distance: float | None = None,
        *,
        exact: bool = False,
        breadth: int | None = None,
    ) -> dict[str, Found | CadmlError]:
        """Return for each id what :meth:`search_part` would return or raise, in one round trip.

        ``breadth``: how many candidates to look at in the index; None: as was chosen for the version.

        Raises
        ------
        UnknownVersion, InvalidRequest
            The version, the number of ids, ``k`` or a filter cannot be used.
        """
        row = self._version(version)
        if not 1 <= len(ids) <= MOST_IDS:
            raise InvalidRequest(f"give 1 to {MOST_IDS} ids", given=len(ids))
        asked = Asked(
            row,
            _check_k(k),
            compile_filters(filters),
            _check_distance(max_distance),
            by_id=True,
            breadth=breadth,
        )
        found, is_exact = self._ask(asked, {"ids": list(dict.fromkeys(ids))}, exact=exact)
        return _by_id(asked, found, is_exact=is_exact)

    def register(self, id: str, version: str, values: Any, metadata: Mapping[str, Any] | None = None) -> None:  # noqa: A002  # the contract's word
        """Store a vector described elsewhere under ``id``; again with another version adds that one.

        Raises
        ------
        UnknownVersion, DimensionMismatch, InvalidRequest
            The version, the vector, the id or the metadata cannot be used.
        Conflict
            A library entry has this id, or other values are stored under it.
        """
        row = self._version(version)
        check_text(id, "the id", LONGEST_ID)
        check_metadata(metadata or {})
        near.scaled_column(row, values)  # refuses before anything is written
        with self._database.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (id,))
            known = connection.execute("SELECT content, has_file FROM parts WHERE id = %s", (id,)).fetchone()
            if known is not None and known[1]:
                raise Conflict(f"a part of the library has the id {id}", id=id)
            key = known[0] if known is not None else _new_foreign(connection, id, metadata or {})
            if known is not None:
                stored = connection.execute(
                    "SELECT raw FROM vectors WHERE content = %s AND version = %s", (key, version), binary=True
                ).fetchone()
                if stored is not None and not np.array_equal(
                    contents.raw_values(stored[0]), np.float32(values)
                ):
                    raise Conflict(
                        f"{id} has another vector of {version} already; unregister it first", id=id
                    )
            contents.put_vectors(connection, key, {version: values}, self._database.versions)
            near.place(connection, key, {version: values}, self._database.versions)

    def foreign(self, id: str) -> Foreign:  # noqa: A002  # the contract's word
        """Return what was registered under ``id``.

        Raises
        ------
        VectorNotFound
            Nothing was.
        """
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT p.metadata, v.version, v.raw FROM parts p JOIN vectors v ON v.content = p.content"
                " WHERE p.id = %s AND NOT p.has_file",
                (id,),
                binary=True,
            ).fetchall()
        if not rows:
            raise VectorNotFound(f"no vector is registered under {id}", id=id)
        return Foreign(id, {name: contents.raw_values(raw) for _, name, raw in rows}, rows[0][0])

    def unregister(self, id: str) -> None:  # noqa: A002  # the contract's word
        """Forget what was registered under ``id``.

        Raises
        ------
        VectorNotFound
            Nothing was.
        """
        with self._database.connection() as connection:
            gone = connection.execute(
                "DELETE FROM parts WHERE id = %s AND NOT has_file RETURNING content", (id,)
            ).fetchone()
            if gone is None:
                raise VectorNotFound(f"no vector is registered under {id}", id=id)
            connection.execute("DELETE FROM contents WHERE key = %s", (gone[0],))

    def content_of(self, part_id: str) -> tuple[str | None, str | None]:
        """Return SHA-256 and kind of an entry's content; neither for a vector described elsewhere.

        Raises
        ------
        PartNotFound
            There is no such entry.
        """
        with self._database.single() as connection:
            row = connection.execute(
                "SELECT encode(c.sha256, 'hex'), c.kind FROM parts p JOIN contents c ON c.key = p.content"
                " WHERE p.id = %s",
                (part_id,),
            ).fetchone()
        if row is None:
            raise PartNotFound(f"no part has the id {part_id}", id=part_id)
        return row[0], row[1]

    def counts(self) -> dict[str, int]:
        """Return the number of stored vectors by version."""
        counts = dict.fromkeys(self._database.versions, 0)
        with self._database.single() as connection:
            noted = connection.execute(
                "SELECT version, sum(change)::int8, count(*) FROM vector_counts GROUP BY version"
            ).fetchall()
            if sum(rows for _, _, rows in noted) > MOST_NOTED:
                connection.execute(ADD_UP)
        return counts | {version: count for version, count, _ in noted}

    def _ask(self, asked: Asked, given: Mapping[str, Any], *, exact: bool) -> tuple[Rows, bool]:
        """Return the rows of one statement, and whether its plan was the exact one."""

        def question(connection: contents.Connection) -> tuple[Rows, bool]:
            plan = Plan(exact=True, breadth=0) if exact else self._planner.plan(connection, asked)
            query = statement(asked, exact=plan.exact)
            values = {**query.values, **given}
            changed = {} if query.is_plain else {"plan_cache_mode": "force_custom_plan"}
            if not plan.exact and plan.breadth != CANDIDATES:
                changed["hnsw.ef_search"] = str(plan.breadth)
            if not changed:
                return connection.execute(query.text, values, binary=True).fetchall(), plan.exact
            with connection.pipeline(), connection.transaction():  # one round trip too
                for setting in changed.items():
                    connection.execute("SELECT set_config(%s, %s, true)", setting)
                return connection.execute(query.text, values, binary=True).fetchall(), plan.exact

        return self._database.ask(question)

    def _version(self, name: str) -> FeatureVersion:
        try:
            return self._database.versions[name]
        except KeyError:
            raise UnknownVersion(f"there is no feature version {name!r}", version=name) from None


def _new_foreign(connection: contents.Connection, id: str, metadata: Mapping[str, Any]) -> int:  # noqa: A002  # as above
    row = connection.execute("INSERT INTO contents DEFAULT VALUES RETURNING key").fetchone()
    assert row is not None
    connection.execute(
        "INSERT INTO parts (id, content, has_file, name, metadata, tags)"
        " VALUES (%(id)s, %(key)s, false, %(id)s, %(metadata)s, part_tags('{}', %(metadata)s, %(id)s, NULL))",
        {"id": id, "key": row[0], "metadata": Jsonb(dict(metadata))},
    )
    return int(row[0])


def _found(asked: Asked, rows: Sequence[Sequence[Any]], *, is_exact: bool) -> Found:
    """Build the answer from rows (asked id, is known, has vector, is exact, neighbour's columns …)."""
    flags = [row[3] for row in rows if row[4] is not None]
    # Nothing found: the index had given up, so all were compared; unless they were just too far away.
    complete = is_exact or (all(flags) if flags else asked.max_distance is None)
    neighbours = [Neighbour(*row[4:]) for row in rows if row[4] is not None]
    return Found(asked.version.name, neighbours, exact=complete, requested=asked.k)


def _by_id(asked: Asked, rows: Sequence[Sequence[Any]], *, is_exact: bool) -> dict[str, Found | CadmlError]:
    version = asked.version.name
    grouped: dict[str, list[Sequence[Any]]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(row)
    answers: dict[str, Found | CadmlError] = {}
    for id_, group in grouped.items():
        if not group[0][1]:
            answers[id_] = PartNotFound(f"no part has the id {id_}", id=id_)
        elif not group[0][2]:
            answers[id_] = VectorNotFound(f"part {id_} has no vector of {version}", id=id_, version=version)
        else:
            answers[id_] = _found(asked, group, is_exact=is_exact)
    return answers


def _check_k(k: Any) -> int:
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MOST_NEIGHBOURS:
        raise InvalidRequest(f"k must be 1 to {MOST_NEIGHBOURS}", k=k)
    return k


def _check_distance(distance: Any) -> float | None:
    if distance is not None and not distance >= 0:
        raise InvalidRequest("max_distance must be 0 or more", max_distance=distance)
    return None if distance is None else float(distance)
