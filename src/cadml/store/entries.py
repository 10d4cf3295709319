"""Library entries: what people call a content, and listings of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from cadml.errors import InvalidRequest
from cadml.store.filters import Filters, compile_filters
from cadml.store.paging import check_limit, decode_cursor, encode_cursor, order_of
from cadml.store.tags import LONGEST_TEXT, check_metadata, check_text

ROW = sql.SQL(
    "p.id, encode(c.sha256, 'hex') AS sha256, p.name, p.part_number, p.metadata, c.facts, c.findings,"
    " c.format, c.kind, c.bytes, p.created_at, p.updated_at,"
    " (SELECT jsonb_build_object('model', q.model, 'label', q.label, 'probabilities', q.probabilities,"
    " 'classes', m.card->'classes')"
    " FROM predictions q JOIN models m ON m.version = q.model WHERE q.content = c.key) AS prediction"
)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What people call a content; its identity in the library is its part number, or else its name."""

    name: str
    part_number: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartRow:
    """A library entry with its content, and what the model that looked at it last said."""

    id: str
    sha256: str
    name: str
    part_number: str | None
    metadata: dict[str, Any]
    facts: dict[str, Any]
    findings: list[dict[str, Any]]
    format: str
    kind: str
    bytes: int
    created_at: datetime
    updated_at: datetime
    prediction: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a listing, where the next page begins, and how many rows there are in all."""

    rows: list[PartRow]
    next: str | None
    total: int


def check_entry(entry: NewEntry) -> None:
    """Refuse an entry that cannot be stored.

    Raises
    ------
    InvalidRequest
        Its name, part number or metadata cannot.
    """
    check_text(entry.name, "the name", LONGEST_TEXT)
    if entry.part_number is not None:
        check_text(entry.part_number, "the part number", LONGEST_TEXT)
    check_metadata(entry.metadata)


def find(
    connection: psycopg.Connection[Any], filters: Filters | None, sort: str, after: str | None, limit: int
) -> Page:
    """Return the page that :meth:`cadml.store.parts.Parts.find` describes."""
    order, condition = order_of(sort), compile_filters(filters)
    values: dict[str, Any] = {**condition.values, "limit": check_limit(limit) + 1}
    key = sql.SQL(order.sort.expression)
    beyond: sql.Composable = sql.SQL("true")
    if after is not None:
        values["value"], values["seq"] = decode_cursor(order, after)
        compare = sql.SQL("<" if order.descending else ">")
        beyond = sql.SQL("({}, p.seq) {} (%(value)s::{}, %(seq)s)").format(
            key, compare, sql.SQL(order.sort.type)
        )
    query = sql.SQL(
        "SELECT {row}, ({key})::text, p.seq FROM parts p JOIN contents c ON c.key = p.content"
        " WHERE p.has_file AND {condition} AND {beyond} ORDER BY {key} {way}, p.seq {way} LIMIT %(limit)s"
    ).format(
        row=ROW,
        key=key,
        condition=sql.SQL(condition.text),
        beyond=beyond,
        way=sql.SQL("DESC" if order.descending else "ASC"),
    )
    count = sql.SQL("SELECT count(*) FROM parts p WHERE p.has_file AND {}").format(sql.SQL(condition.text))
    try:
        found = connection.execute(query, values).fetchall()
    except psycopg.DataError as error:  # the cursor's value is none of its type
        raise InvalidRequest("the page cursor is damaged; start again without it") from error
    total = connection.execute(count, condition.values).fetchone()
    assert total is not None
    rows = [PartRow(*columns[:-2]) for columns in found[:limit]]
    last = found[limit - 1] if len(found) > limit else None
    return Page(rows, encode_cursor(order, last[-2], last[-1]) if last else None, total[0])
