"""Filters of a search or a listing as one SQL condition on ``p.tags``; values are always parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from cadml.errors import InvalidRequest
from cadml.store.tags import INDEXED, LONGEST_KEY, TYPED, check_scalar, check_text

# {"material": "steel", "volume": {"gte": 1, "lt": 9}, "project": {"in": ["a", "b"]}}
Filters = Mapping[str, Any]

RANGES: dict[str, LiteralString] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
MOST_CONDITIONS = 50
MOST_CHOICES = 500
WORDS = {str: "a text", float: "a number", bool: "a truth value"}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the table ``parts AS p``, with its named parameters.

    ``text`` is the same for all filters of one form; no value is ever part of it.
    """

    text: LiteralString
    values: dict[str, Any]
    keeps_all: bool  # there is no filter
    needs_parts: bool  # it has a range, which indexes of ``parts`` alone answer


def compile_filters(filters: Filters | None) -> Condition:
    """Return the condition that holds for the entries that pass every filter.

    Raises
    ------
    InvalidRequest
        A filter is malformed, or compares a fact with a value of another type.
    """
    filters = filters or {}
    if not isinstance(filters, Mapping) or len(filters) > MOST_CONDITIONS:
        raise InvalidRequest(f"filters must be an object of at most {MOST_CONDITIONS} conditions")
    values = _Values()
    equal: dict[str, Any] = {}
    pieces: list[LiteralString] = []
    has_range = False
    for key, wanted in filters.items():
        check_text(key, "a filter's key", LONGEST_KEY)
        for operator, value in _operations(key, wanted):
            if operator == "eq" and key not in equal:
                equal[key] = value
            elif operator in RANGES:
                pieces.append(_within(key, operator, value, values))
                has_range = True
            else:
                choices = value if operator == "in" else [value]
                pieces.append(_among([{key: choice} for choice in choices], values))
    if equal:
        pieces.insert(0, _among([equal], values))
    return Condition(
        " AND ".join(pieces) or "true",
        values.named,
        keeps_all=not pieces,
        needs_parts=has_range,
    )


class _Values:
    """Names for parameters, in the order they were asked for."""

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}

    def place(self, value: Any) -> LiteralString:
        """Return what stands for ``value`` in the text."""
        name = f"f{len(self.named)}"
        self.named[name] = value
        return f"%({name})s"


def _operations(key: str, wanted: Any) -> Iterator[tuple[str, Any]]:
    operations = wanted if isinstance(wanted, Mapping) else {"eq": wanted}
    if not operations:
        raise InvalidRequest(f"the filter on {key} says nothing", key=key)
    for operator, value in operations.items():
        if operator == "in":
            if not isinstance(value, list | tuple) or len(value) > MOST_CHOICES:
                raise InvalidRequest(f"{key}: in needs a list of at most {MOST_CHOICES} values", key=key)
            for choice in value:
                _check_type(key, choice)
        elif operator == "eq":
            _check_type(key, value)
        elif operator in RANGES:
            _check_type(key, value)
            if isinstance(value, bool):
                raise InvalidRequest(f"{key}: {operator} needs a number or a text", key=key)
        else:
            raise InvalidRequest(f"{key}: {operator!r} is none of eq, in, gt, gte, lt, lte", key=key)
        yield operator, value


def _check_type(key: str, value: Any) -> None:
    check_scalar(key, value)
    wanted = TYPED.get(key)
    given = bool if isinstance(value, bool) else str if isinstance(value, str) else float
    if wanted is not None and given is not wanted:
        raise InvalidRequest(f"{key} is {WORDS[wanted]}, not {WORDS[given]}", key=key)


def _among(objects: list[dict[str, Any]], values: _Values) -> LiteralString:
    """Whether tags contain one of ``objects`` (the GIN index answers each)."""
    if not objects:
        return "false"
    pieces: list[LiteralString] = ["p.tags @> " + values.place(Jsonb(one)) for one in objects]
    return "(" + " OR ".join(pieces) + ")"


def _within(key: str, operator: str, value: Any, values: _Values) -> LiteralString:
    compare = RANGES[operator]
    for fact in INDEXED:
        if key == fact:
            # The literal key lets the index on this very expression answer. JSON orders null below
            # every number, so an upper bound alone would let parts through that have no such fact.
            column: LiteralString = f"(p.tags -> '{fact}')"
            above_null = "" if operator in ("gt", "gte") else f" AND {column} > 'null'"
            return f"({column} {compare} {values.place(Jsonb(value))}{above_null})"
    name = values.place(key)
    one: LiteralString = f"(p.tags -> {name})"
    if isinstance(value, str):  # by code point, on whatever server
        text: LiteralString = f'(p.tags ->> {name}) COLLATE "C"'
        return f"(jsonb_typeof{one} = 'string' AND {text} {compare} {values.place(value)})"
    return f"(jsonb_typeof{one} = 'number' AND {one} {compare} {values.place(Jsonb(value))})"
