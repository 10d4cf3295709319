"""How far searches look through an index is chosen from recall as measured on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from cadml.cli import application
from cadml.migration.care import Care, examine_indexes, tune_searches
from cadml.migration.checks import LEAST_RECALL
from cadml.migration.recall import BREADTHS, GOOD_RECALL, choose_breadth, measured_recall
from cadml.store import near_index
from cadml.store.database import Database
from cadml.store.parity import sample
from cadml.store.vectors import Vectors
from cadml.store.versions import Versions

ENTRIES = 4000
# Noise in 194 dimensions: as hard on a graph as anything, so that a short walk misses neighbours.
FILL = (
    "SELECT setseed(0.5)",
    "INSERT INTO contents (facts) SELECT '{}' FROM generate_series(1, %(entries)s)",
    "INSERT INTO parts (content, has_file, name) SELECT key, false, 'noise ' || key FROM contents",
    """INSERT INTO near_v5 (seq, tags, scaled)
       SELECT seq, '{}', array_agg(random_normal())::halfvec
         FROM parts, generate_series(1, 194) GROUP BY seq""",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Path]]:
    folder = tmp_path_factory.mktemp("noise")
    database = Database.open(None, folder, pool_size=2)
    Versions(database, "v5")
    v5 = database.versions["v5"]
    with database.connection() as connection:
        near_index.drop(connection, v5)
        for statement in FILL:
            connection.execute(statement, {"entries": ENTRIES} if "entries" in statement else None)
    yield database, folder
    database.close()


@pytest.fixture
def noisy(filled: tuple[Database, Path]) -> tuple[Database, Path]:
    """The index as an earlier cadml built it."""
    with filled[0].connection() as connection:
        rebuilt(connection, m=16, ef_construction=100)
    near_index.set_breadth(filled[0], "v5", BREADTHS[0])
    return filled


def rebuilt(connection: psycopg.Connection[Any], m: int, ef_construction: int) -> None:
    connection.execute("DROP INDEX IF EXISTS near_v5_hnsw")
    connection.execute(
        "CREATE INDEX near_v5_hnsw ON near_v5 USING hnsw (scaled halfvec_l1_ops)"
        f" WITH (m = {m}, ef_construction = {ef_construction})"  # type: ignore[arg-type]
    )


def entries(database: Database) -> list[str]:
    return [entry for entry, _ in sample(database, "v5", 100)]


def test_the_smallest_breadth_with_good_recall_is_chosen(noisy: tuple[Database, Path]) -> None:
    database, _ = noisy
    choice = choose_breadth(Vectors(database), entries(database), "v5")
    *tried, last = [recall for recall in choice.recalls.values() if recall is not None]
    assert tried
    assert max(tried) < GOOD_RECALL <= last == choice.recall
    assert list(choice.recalls) == list(BREADTHS[: len(choice.recalls)])
    assert len(choice.found) == 100


def test_nothing_to_search_chooses_the_least(noisy: tuple[Database, Path]) -> None:
    choice = choose_breadth(Vectors(noisy[0]), [], "v5")
    assert (choice.breadth, choice.recall) == (BREADTHS[0], None)


def test_the_doctor_sees_low_recall_and_mends_it(
    noisy: tuple[Database, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, folder = noisy
    monkeypatch.setenv("CADML_DATA_DIR", str(folder))
    near_index.set_breadth(database, "v5", 20)
    _, before = measured_recall(database, Vectors(database), "v5", 100)
    ill = care_of(database)
    assert before is not None
    assert before < LEAST_RECALL
    assert ill.advice is not None
    assert "cadml doctor --tune-searches" in ill.advice

    told = CliRunner().invoke(application.app, ["doctor", "--tune-searches"])

    assert "v5: breadth " in told.output
    well = care_of(database)
    assert well.advice is None
    assert well.state.breadth in BREADTHS
    assert well.recall is not None
    assert well.recall > before


def test_an_index_that_is_missing_is_built(noisy: tuple[Database, Path]) -> None:
    database, _ = noisy
    with database.single() as connection:
        connection.execute("DROP INDEX near_v5_hnsw")
    assert "searches compare everything" in str(care_of(database).advice)
    tune_searches(database, 100)
    assert care_of(database).state.index_bytes
    assert care_of(database).advice is None


def test_an_index_that_misses_much_however_far_one_looks_is_built_anew(noisy: tuple[Database, Path]) -> None:
    database, _ = noisy
    with database.single() as connection:
        rebuilt(connection, m=2, ef_construction=4)
        # What a killed rebuild leaves behind.
        connection.execute("CREATE INDEX near_v5_hnsw_ccnew ON near_v5 USING hnsw (scaled halfvec_l1_ops)")
    poor = choose_breadth(Vectors(database), entries(database), "v5")
    assert poor.recall is not None
    assert poor.recall < GOOD_RECALL
    chosen = tune_searches(database, 100)["v5"]
    assert chosen.recall is not None
    assert chosen.recall >= GOOD_RECALL
    with database.single() as connection:
        rows = connection.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'near_v5'").fetchall()
    assert len(rows) == 3
    assert any("m='32'" in definition for (definition,) in rows)


def care_of(database: Database) -> Care:
    [care] = [care for care in examine_indexes(database, 100) if care.version == "v5"]
    return care


def test_a_breadth_that_is_none_is_refused(noisy: tuple[Database, Path]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        near_index.set_breadth(noisy[0], "v5", 0)
