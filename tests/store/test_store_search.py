from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg.conninfo import conninfo_to_dict
from store_words import VERSIONS, new_content, sha256_of

from cadml.errors import (
    Conflict,
    DimensionMismatch,
    InvalidRequest,
    PartNotFound,
    UnknownVersion,
    VectorNotFound,
)
from cadml.store import near, planner
from cadml.store.database import Database
from cadml.store.near import is_short
from cadml.store.parts import NewContent, NewEntry, PartRow, Parts
from cadml.store.vectors import Found, Vectors

COUNT = 400


class Library:
    """Entries whose vectors the test knows, and a search of them by brute force."""

    def __init__(self, database: Database) -> None:
        self.parts, self.vectors = Parts(database), Vectors(database)
        self.rows: list[PartRow] = []
        self.contents: list[NewContent] = []

    def add(self, content: NewContent, name: str, **metadata: Any) -> PartRow:
        row, _ = self.parts.add(content, NewEntry(name, None, metadata))
        self.rows.append(row)
        self.contents.append(content)
        return row

    def distances(self, version: str, query: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distance of ``query (N,)``, raw, to every row, as stored: halves where there is an index."""
        row = VERSIONS[version]
        stored = np.float32 if is_short(row) else np.float16
        scaled = [
            row.scaled(content.vectors[version]).astype(stored).astype(np.float64)
            for content in self.contents
        ]
        asked = row.scaled(query).astype(stored).astype(np.float64)
        return np.array([measured(row.metric.value, asked, one) for one in scaled])

    def nearest(self, version: str, query: NDArray[np.float32], k: int, keep: Sequence[bool]) -> list[float]:
        return sorted(self.distances(version, query)[np.asarray(keep, bool)])[:k]


def measured(metric: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if metric == "l1":
        return float(np.abs(a - b).sum())
    if metric == "l2":
        return float(np.linalg.norm(a - b))
    return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.fixture(scope="module")
def library(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    name = conninfo_to_dict(module_url)["dbname"]
    with psycopg.connect(module_url, autocommit=True) as connection:
        # At this size the planner would rather look through the table than walk the index.
        connection.execute(f"ALTER DATABASE {name} SET enable_seqscan = off")  # type: ignore[arg-type]
    database = Database.open(module_url, tmp_path_factory.mktemp("unused"), versions=VERSIONS)
    made = Library(database)
    for index in range(COUNT):
        number = index % (COUNT - 20)  # 20 contents have two entries
        content = new_content(number, volume=float(number))
        metadata = {"half": index % 2 == 0, "tenth": index % 10, "one": index == 7, "word": f"w{index % 40}"}
        made.add(content, f"part {index}", **metadata)
    with database.single() as connection:
        for version in VERSIONS:
            connection.execute(f"ANALYZE near_{version}")  # type: ignore[arg-type]
        connection.execute("ANALYZE parts")
    yield made
    database.close()


@pytest.fixture(params=["index", "comparison", "chosen"])
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each plan must answer every question."""
    if request.param != "chosen":
        monkeypatch.setattr(planner, "WORTH", {"index": 0, "comparison": 1e12}[request.param])
    return str(request.param)


in_every_plan = pytest.mark.usefixtures("plan")


def query_of(seed: int, version: str) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(1, 1, VERSIONS[version].length).astype(np.float32)


def told(found: Found) -> list[float]:
    return [neighbour.distance for neighbour in found.neighbours]


def in_the_middle(row: PartRow) -> bool:
    return 100 <= row.facts["volume"] < 300


FILTERS: list[tuple[dict[str, Any] | None, Any]] = [
    (None, lambda _: True),
    ({"half": True}, lambda row: row.metadata["half"]),
    ({"tenth": 3}, lambda row: row.metadata["tenth"] == 3),
    ({"tenth": {"in": [1, 2]}, "half": False}, lambda row: row.metadata["tenth"] == 1),
    ({"one": True}, lambda row: row.metadata["one"]),
    ({"one": True, "half": True}, lambda _: False),
    ({"volume": {"lt": 5}}, lambda row: row.facts["volume"] < 5),
    (
        {"volume": {"gte": 100, "lt": 300}, "half": True},
        lambda row: in_the_middle(row) and row.metadata["half"],
    ),
    ({"word": {"gte": "w38"}}, lambda row: row.metadata["word"] >= "w38"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("k", [1, 10, 80])
def test_a_search_is_what_brute_force_finds(library: Library, plan: str, version: str, k: int) -> None:
    for number, (filters, passes) in enumerate(FILTERS):
        query = query_of(number, version)
        keep = [passes(row) for row in library.rows]
        found = library.vectors.search(version, query, k, filters)
        expected = library.nearest(version, query, k, keep)
        assert len(found.neighbours) == len(expected), filters  # never fewer than exist
        assert told(found) == sorted(told(found))
        by_id = {row.id: row for row in library.rows}
        for neighbour in found.neighbours:
            row = by_id[neighbour.part_id]
            assert passes(row)
            assert (neighbour.name, neighbour.sha256, neighbour.metadata) == (
                row.name,
                row.sha256,
                row.metadata,
            )
            assert neighbour.facts == row.facts
        if found.exact:
            np.testing.assert_allclose(told(found), expected, rtol=1e-5, atol=1e-6)
        else:
            assert plan != "comparison"
            hits = sum(distance <= expected[-1] * (1 + 1e-5) for distance in told(found))
            assert hits >= 0.9 * len(expected)


@in_every_plan
@pytest.mark.parametrize("version", VERSIONS)
def test_an_exact_search_is_exact_whatever_the_plan(library: Library, version: str) -> None:
    for seed in range(5):
        query = query_of(seed, version)
        found = library.vectors.search(version, query, 20, {"half": True}, exact=True)
        assert found.exact
        expected = library.nearest(version, query, 20, [row.metadata["half"] for row in library.rows])
        np.testing.assert_allclose(told(found), expected, rtol=1e-5, atol=1e-6)


@in_every_plan
def test_more_neighbours_than_exist_are_all_there_are(library: Library) -> None:
    found = library.vectors.search("m1", query_of(1, "m1"), 1000)
    assert len(found.neighbours) == COUNT
    assert found.exact
    assert found.requested == 1000


@in_every_plan
def test_a_largest_distance_cuts_the_list(library: Library) -> None:
    query = query_of(4, "m1")
    every = library.nearest("m1", query, COUNT, [True] * COUNT)
    limit = (every[4] + every[5]) / 2
    found = library.vectors.search("m1", query, 10, None, limit)
    np.testing.assert_allclose(told(found), every[:5], rtol=1e-5)
    assert library.vectors.search("m1", query, 10, None, 0.0).neighbours == []


@in_every_plan
def test_what_is_excluded_is_not_found(library: Library) -> None:
    content, row = library.contents[3], library.rows[3]  # a content of two entries
    values = content.vectors["m1"]
    both = library.vectors.search("m1", values, 2)
    assert told(both) == [0, 0]
    assert {one.sha256 for one in both.neighbours} == {content.sha256}
    assert len({one.part_id for one in both.neighbours}) == 2
    without = library.vectors.search("m1", values, 5, exclude_part=row.id)
    assert [one.distance == 0 for one in without.neighbours] == [True, False, False, False, False]
    assert row.id not in {one.part_id for one in without.neighbours}
    none = library.vectors.search("m1", values, 5, exclude_sha256=content.sha256)
    assert len(none.neighbours) == 5
    assert content.sha256 not in {one.sha256 for one in none.neighbours}


@in_every_plan
@pytest.mark.parametrize("filters", [None, {"tenth": 3}, {"volume": {"lt": 50}}], ids=str)
@pytest.mark.parametrize("version", ["s1", "m1", "mc"])
def test_a_batch_answers_each_id_like_a_search_of_its_own(
    library: Library, version: str, filters: dict[str, Any] | None
) -> None:
    ids = [row.id for row in library.rows[5:17]] + ["nobody", library.rows[5].id]
    answers = library.vectors.search_many(ids, version, 4, filters)
    assert list(answers) == ids[:-1]
    assert isinstance(answers["nobody"], PartNotFound)
    for id_, index in zip(ids[:12], range(5, 17), strict=True):
        found = answers[id_]
        assert isinstance(found, Found)
        assert found == library.vectors.search_part(id_, version, 4, filters)
        assert id_ not in {one.part_id for one in found.neighbours}
        assert len(found.neighbours) == 4
        if found.exact:
            keep = [row.id != id_ and passes_all(row, filters) for row in library.rows]
            expected = library.nearest(version, library.contents[index].vectors[version], 4, keep)
            np.testing.assert_allclose(told(found), expected, rtol=1e-5, atol=1e-6)


def passes_all(row: PartRow, filters: dict[str, Any] | None) -> bool:
    if filters is None:
        return True
    return bool(row.metadata["tenth"] == 3 if "tenth" in filters else row.facts["volume"] < 50)


def test_a_batch_is_one_round_trip(library: Library) -> None:
    with library.parts._database.single() as connection:
        connection.execute("SELECT 1")
    statements: list[str] = []
    original = library.vectors._ask

    def count(*arguments: Any, **options: Any) -> Any:
        statements.append("asked")
        return original(*arguments, **options)

    library.vectors._ask = count  # type: ignore[method-assign]
    try:
        answers = library.vectors.search_many([row.id for row in library.rows], "m1", 3, {"half": True})
    finally:
        library.vectors._ask = original  # type: ignore[method-assign]
    assert len(answers) == COUNT
    assert statements == ["asked"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("m1", [0.0] * 39, 3), DimensionMismatch),
        (("m1", [np.nan] * 40, 3), InvalidRequest),
        (("m1", [[0.0] * 40], 3), InvalidRequest),
        (("v99", [0.0], 3), UnknownVersion),
        (("m1", [0.0] * 40, 0), InvalidRequest),
        (("m1", [0.0] * 40, 1001), InvalidRequest),
        (("m1", [0.0] * 40, True), InvalidRequest),
        (("m1", [0.0] * 40, 3, {"volume": "x"}), InvalidRequest),
        (("m1", [0.0] * 40, 3, None, -1.0), InvalidRequest),
        (("m1", [0.0] * 40, 3, None, float("nan")), InvalidRequest),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(
    library: Library, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        library.vectors.search(*arguments)


def test_batches_that_make_no_sense_are_refused(library: Library) -> None:
    for ids in ([], [str(i) for i in range(1001)]):
        with pytest.raises(InvalidRequest):
            library.vectors.search_many(ids, "m1", 3)


def test_a_part_without_a_vector_of_the_version_says_so(database: Database) -> None:
    library = Library(database)
    whole = new_content("a")
    partial = NewContent(whole.sha256, 1, "dxf", "drawing", {}, [], {"s1": whole.vectors["s1"]})
    row = library.add(partial, "a")
    other = library.add(new_content("b"), "b")
    with pytest.raises(VectorNotFound):
        library.vectors.search_part(row.id, "m1", 3)
    with pytest.raises(PartNotFound):
        library.vectors.search_part("nobody", "m1", 3)
    assert [one.part_id for one in library.vectors.search_part(row.id, "s1", 3).neighbours] == [other.id]
    assert library.vectors.counts() == {"s1": 2, "m1": 1, "m2": 1, "mc": 1}


def test_searches_see_changes_at_once(database: Database) -> None:
    library = Library(database)
    rows = [library.add(new_content(i), f"{i}", colour="red") for i in range(6)]
    query = library.contents[0].vectors["m1"]
    library.parts.update(rows[0].id, metadata={"colour": "blue"})
    assert [one.part_id for one in library.vectors.search("m1", query, 9, {"colour": "blue"}).neighbours] == [
        rows[0].id
    ]
    assert len(library.vectors.search("m1", query, 9, {"colour": "red"}).neighbours) == 5
    library.parts.delete(rows[0].id)
    assert library.vectors.search("m1", query, 9, {"colour": "blue"}).neighbours == []
    assert len(library.vectors.search("m1", query, 9).neighbours) == 5


def test_a_vector_described_elsewhere_is_found_like_a_part(database: Database) -> None:
    library = Library(database)
    rows = [library.add(new_content(i), f"{i}") for i in range(5)]
    values = new_content("elsewhere").vectors
    vectors = library.vectors
    vectors.register("site B/77", "m1", values["m1"], {"project": "x"})
    vectors.register("site B/77", "m1", values["m1"], {"project": "x"})  # again changes nothing
    vectors.register("site B/77", "s1", values["s1"])
    with pytest.raises(Conflict):
        vectors.register("site B/77", "m1", values["m1"] + 1)
    with pytest.raises(Conflict):
        vectors.register(rows[0].id, "m1", values["m1"])
    with pytest.raises(DimensionMismatch):
        vectors.register("other", "m1", values["s1"])
    stored = vectors.foreign("site B/77")
    assert (stored.id, sorted(stored.vectors), stored.metadata) == (
        "site B/77",
        ["m1", "s1"],
        {"project": "x"},
    )
    np.testing.assert_array_equal(stored.vectors["m1"], values["m1"])
    for filters in (None, {"project": "x"}):
        first = vectors.search("m1", values["m1"], 3, filters).neighbours[0]
        assert (first.part_id, first.sha256, first.distance, first.facts) == ("site B/77", None, 0, {})
    mates = vectors.search_part(rows[0].id, "m1", 9).neighbours
    assert {one.part_id for one in mates} == {"site B/77", *(row.id for row in rows[1:])}
    assert len(vectors.search_part("site B/77", "m1", 9).neighbours) == 5
    # It is no part of the library.
    assert library.parts.count() == library.parts.find().total == 5
    with pytest.raises(PartNotFound):
        library.parts.get("site B/77")
    vectors.unregister("site B/77")
    for call in (vectors.foreign, vectors.unregister):
        with pytest.raises(VectorNotFound):
            call("site B/77")
    assert len(vectors.search("m1", values["m1"], 9).neighbours) == 5
    assert library.parts.content(sha256_of("elsewhere")) is None


def test_a_guide_that_is_nearer_than_what_the_index_found_makes_the_search_exact(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "WORTH", 0)
    library = Library(database)
    for index in range(150):
        library.add(new_content(index), f"{index}")
    query = query_of(1, "m1")
    assert not library.vectors.search("m1", query, 5).exact
    with database.single() as connection:
        # The only guide claims to lie on the query, and no such entry was found: the answer is in doubt.
        claim = near.scaled_column(VERSIONS["m1"], query)
        assert connection.execute("UPDATE near_m1_guide SET scaled = %s", (claim,)).rowcount == 1
    found = library.vectors.search("m1", query, 5)
    assert found.exact
    np.testing.assert_allclose(told(found), library.nearest("m1", query, 5, [True] * 150), rtol=1e-5)
