from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from store_words import VERSIONS, new_content, sha256_of

from cadml.errors import Conflict, InvalidRequest, PartNotFound, VectorNotFound
from cadml.store import vectors as vectors_module
from cadml.store.database import Database
from cadml.store.parts import NewEntry, Parts
from cadml.store.vectors import Vectors


@pytest.fixture
def parts(database: Database) -> Parts:
    return Parts(database)


def rows_of(database: Database, table: str) -> int:
    with database.single() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def assert_whole(database: Database) -> None:
    """Every content has an entry and all its vectors; every entry can be searched in every version."""
    with database.single() as connection:
        for query in (
            "SELECT 1 FROM contents c WHERE NOT EXISTS (SELECT 1 FROM parts WHERE content = c.key)",
            f"SELECT 1 FROM vectors GROUP BY content HAVING count(*) <> {len(VERSIONS)}",
            *(
                f"SELECT 1 FROM parts p WHERE NOT EXISTS (SELECT 1 FROM near_{v} WHERE seq = p.seq)"
                for v in VERSIONS
            ),
        ):
            assert connection.execute(query).fetchone() is None, query  # type: ignore[arg-type]
    assert_counted(database)


def assert_counted(database: Database) -> None:
    """What is said to be stored is what is stored."""
    with database.single() as connection:
        stored = connection.execute("SELECT version, count(*) FROM vectors GROUP BY version").fetchall()
    assert Vectors(database).counts() == {**dict.fromkeys(VERSIONS, 0), **dict(stored)}


def test_what_was_added_is_there(parts: Parts, database: Database) -> None:
    content = new_content("a", volume=7.5, faces=6)
    row, added = parts.add(content, NewEntry("a.step", "P-1", {"material": "steel", "rev": 2, "ok": True}))
    assert added
    assert row == parts.get(row.id)
    assert (row.sha256, row.name, row.part_number, row.bytes) == (content.sha256, "a.step", "P-1", 10)
    assert row.metadata == {"material": "steel", "rev": 2, "ok": True}
    assert row.facts == content.facts
    known = parts.content(content.sha256)
    assert known is not None
    assert known.versions == sorted(VERSIONS)
    for name, values in content.vectors.items():
        np.testing.assert_array_equal(parts.vector(row.id, name), values)
    stored = parts.content_vectors(content.sha256, ["m1"])
    assert list(stored) == ["m1"]
    np.testing.assert_array_equal(stored["m1"], content.vectors["m1"])
    assert parts.count() == 1
    assert_whole(database)


def test_vectors_are_counted_while_they_come_and_go(
    parts: Parts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors_module, "MOST_NOTED", 3)  # added up at nearly every question
    vectors = Vectors(database)

    def come_and_go(name: str) -> None:
        for number in range(6):
            row, _ = parts.add(new_content(f"{name} {number}"), NewEntry(f"{name}-{number}.step"))
            vectors.counts()
            if number % 2:
                sha256 = parts.delete(row.id)
                assert sha256 is not None
                parts.discard(sha256, lambda: None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, "abcd"))
    assert set(vectors.counts().values()) == {12}
    assert_counted(database)
    assert rows_of(database, "vector_counts") <= 3 + len(VERSIONS)


def test_adding_again_adds_nothing(parts: Parts, database: Database) -> None:
    first, _ = parts.add(new_content("a"), NewEntry("a.step", None, {"material": "steel"}))
    again, added = parts.add(new_content("a"), NewEntry("a.step", None, {"material": "brass"}))
    assert not added
    assert again == first  # metadata stays as it was: PATCH changes it
    numbered, added = parts.add(new_content("a"), NewEntry("x.step", "a.step"))
    assert added  # a number is another identity than the same text as a name
    renamed, added = parts.add(new_content("a"), NewEntry("other name.step", "a.step"))
    assert (renamed.id, added) == (numbered.id, False)
    assert (parts.count(), rows_of(database, "contents")) == (2, 1)


def test_the_same_bytes_under_two_numbers_are_two_entries_of_one_content(
    parts: Parts, database: Database
) -> None:
    one, _ = parts.add(new_content("a"), NewEntry("a.step", "P-1"))
    two, _ = parts.add(new_content("a"), NewEntry("a.step", "P-2"))
    assert one.id != two.id
    assert rows_of(database, "contents") == 1
    assert_whole(database)
    assert parts.delete(one.id) is None  # the other entry still needs it
    assert_whole(database)
    assert parts.delete(two.id) == one.sha256
    for table in ("contents", "parts", "vectors", "near_s1", "near_m1"):
        assert rows_of(database, table) == 0
    for call in (
        parts.get,
        parts.delete,
        lambda i: parts.vector(i, "m1"),
        lambda i: parts.update(i, name="x"),
    ):
        with pytest.raises(PartNotFound):
            call(one.id)


def test_blobs_are_written_before_and_removed_only_after_all_entries(parts: Parts) -> None:
    kept: list[str] = []
    row, _ = parts.add(new_content("a"), NewEntry("a"), keep=lambda: kept.append("written"))
    parts.discard(row.sha256, lambda: kept.append("removed"))
    assert kept == ["written"]
    parts.delete(row.id)
    parts.discard(row.sha256, lambda: kept.append("removed"))
    assert kept == ["written", "removed"]


def test_a_failure_to_write_blobs_leaves_no_part(parts: Parts, database: Database) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        parts.add(new_content("a"), NewEntry("a"), keep=fail)
    assert rows_of(database, "contents") == rows_of(database, "parts") == 0


def test_a_version_that_a_content_lacks_is_added_to_all_its_entries(parts: Parts, database: Database) -> None:
    whole = new_content("a")
    half = type(whole)(
        **{f: getattr(whole, f) for f in whole.__slots__} | {"vectors": {"m1": whole.vectors["m1"]}}
    )
    row, _ = parts.add(half, NewEntry("a"))
    with pytest.raises(VectorNotFound):
        parts.vector(row.id, "m2")
    parts.add(whole, NewEntry("b"))
    np.testing.assert_array_equal(parts.vector(row.id, "m2"), whole.vectors["m2"])
    assert_whole(database)


def test_a_patch_merges_and_removes(parts: Parts) -> None:
    row, _ = parts.add(new_content("a", volume=3.0), NewEntry("a", None, {"material": "steel", "rev": 1}))
    changed = parts.update(row.id, name="b", metadata={"rev": 2, "material": None, "colour": "red"})
    assert (changed.name, changed.metadata) == ("b", {"rev": 2, "colour": "red"})
    assert changed.updated_at > row.updated_at
    assert [
        found.id for found in parts.find({"colour": "red", "rev": 2, "name": "b", "volume": 3.0}).rows
    ] == [row.id]
    assert parts.find({"material": "steel"}).rows == []
    assert parts.update(row.id, part_number="P-9").part_number == "P-9"
    other, _ = parts.add(new_content("a"), NewEntry("c", "P-10"))
    with pytest.raises(Conflict):
        parts.update(other.id, part_number="P-9")
    assert parts.get(other.id).part_number == "P-10"


@pytest.mark.parametrize(
    "entry",
    [
        NewEntry(""),
        NewEntry("a\x00b"),
        NewEntry("a\ud800"),
        NewEntry("a", ""),
        NewEntry("a", None, {"volume": 3}),
        NewEntry("a", None, {"name": "x"}),
        NewEntry("a", None, {"": "x"}),
        NewEntry("a", None, {"x": None}),
        NewEntry("a", None, {"x": [1]}),
        NewEntry("a", None, {"x": float("nan")}),
        NewEntry("a", None, {"x": "a\x00"}),
        NewEntry("a", None, {str(i): i for i in range(101)}),
    ],
)
def test_what_could_not_be_stored_or_filtered_is_refused(parts: Parts, entry: NewEntry) -> None:
    with pytest.raises(InvalidRequest):
        parts.add(new_content("a"), entry)
    assert parts.count() == 0


def test_a_vector_that_cannot_be_compared_is_refused_whole(parts: Parts, database: Database) -> None:
    content = new_content("a")
    content.vectors["m2"][3] = np.inf
    with pytest.raises(InvalidRequest, match="m2"):
        parts.add(content, NewEntry("a"))
    assert rows_of(database, "contents") == 0


def test_many_may_add_and_delete_one_content_at_once(parts: Parts, database: Database) -> None:
    blobs = {"there": False}
    errors: list[Exception] = []

    def work(worker: int) -> None:
        for turn in range(12):
            row, _ = parts.add(
                new_content("shared"), NewEntry(f"{worker % 3}"), keep=lambda: blobs.update(there=True)
            )
            if turn % 2:
                try:
                    gone = parts.delete(row.id)
                except PartNotFound:  # another worker deleted the same entry first
                    continue
                if gone:
                    parts.discard(gone, lambda: blobs.update(there=False))

    def watched(worker: int) -> None:
        try:
            work(worker)
        except Exception as error:
            errors.append(error)
            raise

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(watched, range(6)))
    assert_whole(database)
    assert blobs["there"] == (parts.content(sha256_of("shared")) is not None)


def test_one_entry_comes_of_many_at_once(parts: Parts) -> None:
    barrier = threading.Barrier(8)

    def add(_: int) -> tuple[str, bool]:
        barrier.wait()
        row, added = parts.add(new_content("a"), NewEntry("a"))
        return row.id, added

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(add, range(8)))
    assert len({part_id for part_id, _ in answers}) == 1
    assert sum(added for _, added in answers) == 1


def test_two_failures_of_a_reader_put_a_content_in_quarantine_until_it_is_pardoned(parts: Parts) -> None:
    bad, good = sha256_of("bad"), sha256_of("good")
    for expected in (False, True):
        parts.record_failure(bad, "READER_CRASHED")
        assert parts.quarantined(bad) is expected
    assert (parts.failures(bad), parts.failures(good)) == (2, 0)
    parts.pardon(bad)
    assert not parts.quarantined(bad)
