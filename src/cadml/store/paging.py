"""Pages of a listing: a closed set of orders, and the opaque place where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, LiteralString

from cadml.errors import InvalidRequest
from cadml.store.tags import INDEXED


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of ``parts AS p``: an indexed expression and the type its cursor value has."""

    expression: LiteralString
    type: LiteralString


SORTS: dict[str, Sort] = {
    "created_at": Sort("p.seq", "bigint"),  # entries are numbered as they come
    "updated_at": Sort("p.updated_at", "timestamptz"),
    "name": Sort("p.name", "text"),
    "part_number": Sort("(p.tags -> 'part_number')", "jsonb"),
}
SORTS |= {fact: Sort(f"(p.tags -> '{fact}')", "jsonb") for fact in INDEXED}  # parts without it come first
LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """A validated order: ``name`` or, descending, ``-name``."""

    asked: str
    sort: Sort
    descending: bool


def order_of(asked: str) -> Order:
    """Return the order called ``asked``.

    Raises
    ------
    InvalidRequest
        There is none.
    """
    name = asked.removeprefix("-")
    if name not in SORTS:
        raise InvalidRequest(f"sort by one of {', '.join(SORTS)}, with - in front for descending", sort=asked)
    return Order(asked, SORTS[name], asked.startswith("-"))


def encode_cursor(order: Order, value: str, seq: int) -> str:
    """Return the place after the entry ``seq`` whose sort expression reads ``value`` as text."""
    return base64.urlsafe_b64encode(json.dumps([order.asked, value, seq]).encode()).decode().rstrip("=")


def decode_cursor(order: Order, cursor: str) -> tuple[str, int]:
    """Return the value and number that ``cursor`` stands for.

    Raises
    ------
    InvalidRequest
        It is damaged, or belongs to another order.
    """
    try:
        asked, value, seq = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, TypeError) as error:
        raise InvalidRequest("the page cursor is damaged; start again without it") from error
    if asked != order.asked or not isinstance(value, str) or type(seq) is not int:
        raise InvalidRequest("the page cursor belongs to a listing in another order")
    return value, seq


def check_limit(limit: Any) -> int:
    """Return ``limit`` if it is a page size.

    Raises
    ------
    InvalidRequest
        It is not.
    """
    if not isinstance(limit, int) or not 1 <= limit <= LARGEST_PAGE:
        raise InvalidRequest(f"limit must be 1 to {LARGEST_PAGE}", limit=limit)
    return limit
