from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from store_words import VERSIONS, new_content

from cadml.errors import InvalidRequest
from cadml.store.database import Database
from cadml.store.paging import SORTS, encode_cursor, order_of
from cadml.store.parts import NewEntry, PartRow, Parts


def fill(parts: Parts) -> list[PartRow]:
    """Add entries with facts and metadata of every kind; return them as they were added."""
    choose = random.Random(3)
    for index in range(80):
        facts: dict[str, Any] = {"faces": choose.randrange(5), "is_closed": choose.random() < 0.5}
        if choose.random() < 0.7:
            facts["volume"] = choose.choice([0.0, 1.5, 2.0, 1e9])
        metadata: dict[str, Any] = {}
        if choose.random() < 0.8:
            metadata["material"] = choose.choice(["steel", "brass", "Ünobtainium ✓", 'quo"te', "50%"])
        if choose.random() < 0.5:
            metadata["mixed"] = choose.choice([1, 2.5, "1", "b", "é", True])
        number = f"N-{choose.randrange(9)}" if choose.random() < 0.5 else None
        content = new_content(index % 60, kind=choose.choice(["brep", "mesh"]), **facts)
        parts.add(content, NewEntry(f"n{choose.randrange(30)}", number, metadata))
    rows = parts.find(limit=1000).rows
    assert len(rows) > 70
    return rows


@pytest.fixture(scope="module")
def parts(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    database = Database.open(module_url, tmp_path_factory.mktemp("unused"), versions=VERSIONS)
    yield Parts(database)
    database.close()


@pytest.fixture(scope="module")
def library(parts: Parts) -> list[PartRow]:
    return fill(parts)


def passes(row: PartRow, filters: dict[str, Any]) -> bool:
    """The meaning of filters, said again in Python."""
    values = {**row.facts, **row.metadata, "name": row.name, "part_number": row.part_number}
    return all(_passes(values.get(key), wanted) for key, wanted in filters.items())


def _passes(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        wanted = {"eq": wanted}
    return all(_holds(value, operator, limit) for operator, limit in wanted.items())


def _holds(value: Any, operator: str, limit: Any) -> bool:
    if operator == "in":
        return any(_holds(value, "eq", one) for one in limit)
    if (
        value is None
        or (isinstance(value, bool) != isinstance(limit, bool))
        or (isinstance(value, str) != isinstance(limit, str))
    ):
        return False
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda a, b: a == b,
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
    }
    return compare[operator](value, limit)


FILTERS: list[dict[str, Any]] = [
    {},
    {"material": "steel"},
    {"material": 'quo"te'},
    {"material": {"in": ["50%", "Ünobtainium ✓"]}},
    {"material": {"in": []}},
    {"material": {"eq": "steel", "in": ["steel", "brass"]}},
    {"kind": "mesh", "is_closed": True},
    {"volume": {"lt": 2}},
    {"volume": {"lte": 2}},
    {"volume": {"gt": 0}},
    {"volume": {"gte": 1.5, "lt": 1e9}},
    {"volume": 2},
    {"volume": {"in": [0, 1.5]}, "faces": {"gt": 1}},
    {"mixed": 1},
    {"mixed": "1"},
    {"mixed": True},
    {"mixed": {"gte": 1}},
    {"mixed": {"gt": "a"}},
    {"mixed": {"in": [1, "b", True]}},
    {"part_number": "N-3"},
    {"name": {"gte": "n2", "lt": "n3"}},
    {"unheard": {"lt": 5}},
    {"material": "steel", "volume": {"gte": 1}, "mixed": {"in": [1, 2.5]}},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_mean_what_they_say(parts: Parts, library: list[PartRow], filters: dict[str, Any]) -> None:
    page = parts.find(filters, limit=1000)
    expected = {row.id for row in library if passes(row, filters)}
    assert {row.id for row in page.rows} == expected
    assert page.total == len(expected)
    assert page.next is None


@pytest.mark.parametrize("sort", [sign + name for name in SORTS for sign in ("", "-")])
def test_pages_hold_every_entry_once_in_order(parts: Parts, library: list[PartRow], sort: str) -> None:
    seen: list[PartRow] = []
    after = None
    for _ in range(100):
        page = parts.find(None, sort, after, 7)
        assert page.total == len(library)
        seen += page.rows
        after = page.next
        if after is None:
            break
    assert sorted(row.id for row in seen) == sorted(row.id for row in library)
    name = sort.removeprefix("-")
    keys = [getattr(row, name) if hasattr(row, name) else row.facts.get(name) for row in seen]
    order = [(key is not None, key) for key in keys]  # entries without it stand together, lowest
    assert order == sorted(
        order, key=lambda k: (k[0], k[1]) if k[0] else (False,), reverse=sort.startswith("-")
    )


def test_a_page_goes_on_where_it_stopped_whatever_was_added_or_deleted(database: Database) -> None:
    parts = Parts(database)
    library = fill(parts)
    first = parts.find(None, "created_at", None, 10)
    parts.delete(first.rows[-1].id)
    parts.add(new_content("late"), NewEntry("late"))
    second = parts.find(None, "created_at", first.next, 1000)
    assert [row.id for row in second.rows[:-1]] == [row.id for row in library[10:]]
    assert second.rows[-1].name == "late"


@pytest.mark.parametrize(
    "arguments",
    [
        {"filters": {"volume": "big"}},
        {"filters": {"volume": {"gt": True}}},
        {"filters": {"is_closed": 1}},
        {"filters": {"kind": 5}},
        {"filters": {"volume": {"between": [1, 2]}}},
        {"filters": {"volume": {}}},
        {"filters": {"material": None}},
        {"filters": {"material": {"in": "steel"}}},
        {"filters": {"material": ["steel"]}},
        {"filters": {"x": float("inf")}},
        {"filters": {"x": 1 << 64}},
        {"filters": {"x": "a\x00"}},
        {"filters": {"": "a"}},
        {"filters": {str(i): i for i in range(51)}},
        {"filters": ["a"]},
        {"sort": "sha256"},
        {"sort": "name; DROP TABLE parts"},
        {"limit": 0},
        {"limit": 1001},
        {"after": "zzz"},
        {"after": "WyJuYW1lIiwgIngiLCAxXQ"},  # of a listing by name
    ],
    ids=str,
)
def test_malformed_listings_are_refused(parts: Parts, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parts.find(**arguments)


def test_a_cursor_whose_value_is_forged_is_refused(parts: Parts) -> None:
    for sort in ("created_at", "updated_at", "volume"):
        forged = encode_cursor(order_of(sort), "not this type", 5)
        with pytest.raises(InvalidRequest):
            parts.find(None, sort, forged)


def test_hostile_keys_and_values_are_only_data(database: Database) -> None:
    parts = Parts(database)
    key = "x'); DROP TABLE parts; --"
    row, _ = parts.add(new_content("a"), NewEntry("%s {0} %(f0)s", None, {key: "'; DELETE FROM parts"}))
    for filters in ({key: "'; DELETE FROM parts"}, {key: {"gte": "'"}}, {"name": "%s {0} %(f0)s"}):
        assert [found.id for found in parts.find(filters).rows] == [row.id]
    assert parts.count() == 1
