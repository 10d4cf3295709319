"""The library: entries that people gave names to, each referring to one content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cadml.errors import Conflict, PartNotFound, VectorNotFound
from cadml.store import contents, entries, near, predictions
from cadml.store.contents import Connection, ContentRow, Contents, Floats, NewContent
from cadml.store.entries import ROW, NewEntry, Page, PartRow, check_entry
from cadml.store.filters import Filters
from cadml.store.predictions import StoredPrediction
from cadml.store.tags import LONGEST_TEXT, check_metadata, check_text
from cadml.store.versions import check_described

__all__ = ["ContentRow", "NewContent", "NewEntry", "Page", "PartRow", "Parts", "check_entry"]

# The entry of a content with one identity (the unique index parts_identity).
SAME: LiteralString = (
    "p.content = %s AND (p.part_number IS NOT NULL) = (%s::text IS NOT NULL)"
    " AND coalesce(p.part_number, p.name) = %s"
)


class Parts(Contents):
    """The entries of one database, and their contents."""

    def add(
        self,
        content: NewContent,
        entry: NewEntry,
        *,
        item: tuple[str, int] | None = None,
        keep: Callable[[], None] | None = None,
        prediction: StoredPrediction | None = None,
    ) -> tuple[PartRow, bool]:
        """Store content, vectors and entry in one transaction; return the row and whether it is new.

        ``prediction`` is the content's class. ``keep`` writes the blobs that the rows refer to, before
        the commit; ``item`` is the ingest item that becomes final with this very commit.

        Raises
        ------
        InvalidRequest
            Name, part number, metadata or a vector cannot be stored.
        VersionsChangedError
            The content is new, and the library keeps more versions than it was described in.
        """
        check_entry(entry)
        with self._database.connection() as connection:
            contents.claim(connection, content.sha256)
            if content.described is not None and contents.key_of(connection, content.sha256) is None:
                check_described(connection, content.kind, content.described, self._database.versions)
            if keep:
                keep()
            versions = self._database.versions
            key = contents.put(connection, content, versions)
            if prediction:
                predictions.put(connection, {key: prediction})
            added = _insert_entry(connection, key, entry)
            near.place(connection, key, contents.vectors_of(connection, key), versions)
            row = _one(connection, SAME, (key, entry.part_number, entry.part_number or entry.name))
            assert row is not None
            if item:
                _finish_item(connection, item, row.id, added=added)
            return row, added

    def get(self, part_id: str) -> PartRow:
        """Return the entry.

        Raises
        ------
        PartNotFound
            There is none with this id.
        """
        with self._database.single() as connection:
            row = _one(connection, "p.id = %s", (part_id,))
        if row is None:
            raise _not_found(part_id)
        return row

    def kinds(self, part_ids: Sequence[str]) -> dict[str, str]:
        """Return the kind of each entry that has a content; those without one, or missing, are left out."""
        with self._database.single() as connection:
            rows = connection.execute(
                "SELECT p.id, c.kind FROM parts p JOIN contents c ON c.key = p.content"
                " WHERE p.id = ANY(%s) AND c.kind IS NOT NULL",
                (list(part_ids),),
            ).fetchall()
        return dict(rows)

    def find(
        self,
        filters: Filters | None = None,
        sort: str = "created_at",
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return a page of the entries that pass ``filters``, in the order ``sort`` (``-sort``: descending).

        Raises
        ------
        InvalidRequest
            A filter, the order, the cursor or the limit is malformed.
        """
        with self._database.connection() as connection:
            return entries.find(connection, filters, sort, after, limit)

    def update(
        self,
        part_id: str,
        *,
        name: str | None = None,
        part_number: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> PartRow:
        """Change what is given and return the entry; a metadata value of None removes its key.

        Raises
        ------
        PartNotFound
            There is none with this id.
        Conflict
            Another entry of the same content has this part number or name.
        """
        check_metadata(metadata or {}, removals=True)
        for text, what in ((name, "the name"), (part_number, "the part number")):
            if text is not None:
                check_text(text, what, LONGEST_TEXT)
        values = {"id": part_id, "name": name, "number": part_number, "changes": Jsonb(dict(metadata or {}))}
        with self._database.connection() as connection:
            try:
                changed = connection.execute(
                    """
                    UPDATE parts p SET name = n.name, part_number = n.part_number, metadata = n.metadata,
                           tags = part_tags(c.facts, n.metadata, n.name, n.part_number), updated_at = now()
                      FROM contents c, parts o, LATERAL (
                          SELECT coalesce(%(name)s, o.name) AS name,
                                 coalesce(%(number)s, o.part_number) AS part_number,
                                 jsonb_strip_nulls(o.metadata || %(changes)s) AS metadata
                      ) n
                     WHERE o.id = %(id)s AND o.has_file AND p.seq = o.seq AND c.key = o.content
                    """,
                    values,
                )
            except psycopg.errors.UniqueViolation as error:
                raise Conflict(
                    "another entry of the same file has this part number or name", id=part_id
                ) from error
            row = _one(connection, "p.id = %s", (part_id,)) if changed.rowcount else None
            near.retag(connection, part_id, self._database.versions)
        if row is None:
            raise _not_found(part_id)
        return row

    def delete(self, part_id: str) -> str | None:
        """Remove the entry; return its SHA-256 if its content went with it, as the last entry's does.

        Raises
        ------
        PartNotFound
            There is none with this id.
        """
        sha256 = self.get(part_id).sha256
        with self._database.connection() as connection:
            contents.claim(connection, sha256)
            gone = connection.execute(
                "DELETE FROM parts WHERE id = %s AND has_file RETURNING content", (part_id,)
            ).fetchone()
            if gone is None:
                raise _not_found(part_id)
            last = connection.execute(
                "DELETE FROM contents WHERE key = %(key)s"
                " AND NOT EXISTS (SELECT 1 FROM parts WHERE content = %(key)s)",
                {"key": gone[0]},
            )
            return sha256 if last.rowcount else None

    def count(self) -> int:
        """Return the number of entries."""
        with self._database.single() as connection:
            row = connection.execute("SELECT count(*) FROM parts WHERE has_file").fetchone()
        assert row is not None
        return int(row[0])

    def vector(self, part_id: str, version: str) -> Floats:
        """Return the raw vector ``(N,) float32`` of the entry's content.

        Raises
        ------
        PartNotFound, VectorNotFound
            There is no such entry, or it has no vector of this version.
        """
        with self._database.single() as connection:
            row = connection.execute(
                "SELECT v.raw FROM parts p LEFT JOIN vectors v ON v.content = p.content AND v.version = %s"
                " WHERE p.id = %s",
                (version, part_id),
                binary=True,
            ).fetchone()
        if row is None:
            raise _not_found(part_id)
        if row[0] is None:
            raise VectorNotFound(f"part {part_id} has no vector of {version}", id=part_id, version=version)
        return contents.raw_values(row[0])


def _insert_entry(connection: Connection, key: int, entry: NewEntry) -> bool:
    values = {"key": key, "name": entry.name, "number": entry.part_number, "metadata": Jsonb(entry.metadata)}
    inserted = connection.execute(
        "INSERT INTO parts (content, has_file, name, part_number, metadata, tags)"
        " SELECT key, true, %(name)s, %(number)s, %(metadata)s,"
        " part_tags(facts, %(metadata)s, %(name)s, %(number)s)"
        " FROM contents WHERE key = %(key)s ON CONFLICT DO NOTHING",
        values,
    )
    return bool(inserted.rowcount)


def _finish_item(connection: Connection, item: tuple[str, int], part_id: str, *, added: bool) -> None:
    connection.execute(
        "UPDATE ingest_items SET state = %s, part = %s, changed_at = now()"
        " WHERE job = %s AND seq = %s AND state IN ('queued', 'running')",
        ("added" if added else "known", part_id, *item),
    )


def _one(connection: Connection, condition: LiteralString, values: tuple[Any, ...]) -> PartRow | None:
    with connection.cursor(row_factory=class_row(PartRow)) as cursor:
        query = sql.SQL("SELECT {} FROM parts p JOIN contents c ON c.key = p.content WHERE p.has_file AND {}")
        cursor.execute(query.format(ROW, sql.SQL(condition)), values)
        return cursor.fetchone()


def _not_found(part_id: str) -> PartNotFound:
    return PartNotFound(f"no part has the id {part_id}", id=part_id)
