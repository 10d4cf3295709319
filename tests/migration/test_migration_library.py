"""The whole library from one version to another, with real workers, while it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from boxes import add_box, add_drawing, box_bytes, settled, wait_for

import made_models
from cadml.config import Settings
from cadml.engine import Engine
from cadml.errors import InvalidRequest, MigrationConflict, MigrationNotFound, UnknownVersion, VersionNotKept
from cadml.migration.care import examine_indexes
from cadml.store import near_index
from cadml.store.vectors import Found
from served import queue_working

COUNT = 20


@pytest.fixture
def library(tmp_path: Path) -> Iterator[tuple[Engine, list[str]]]:
    """A library of boxes that is searched with v4."""
    settings = Settings(data_dir=tmp_path / "data", extract_workers=2, feature_version="v4")
    with Engine(settings) as engine:
        yield engine, [add_box(engine, tmp_path, number) for number in range(COUNT)]


def answers(engine: Engine, ids: list[str]) -> dict[str, list[tuple[str, float]]]:
    found = engine.similar_batch(ids, 10)
    assert all(isinstance(each, Found) for each in found.values()), found
    return {
        i: [(n.part_id, n.distance) for n in f.neighbours] for i, f in found.items() if isinstance(f, Found)
    }


def test_a_library_moves_there_back_and_there_for_good(
    library: tuple[Engine, list[str]], tmp_path: Path
) -> None:
    engine, ids = library
    drawing = add_drawing(engine, tmp_path)
    before = answers(engine, ids)
    asked = engine.migrations.library.run("v5")
    assert asked.state == "planned"
    with pytest.raises(VersionNotKept):
        engine.search_part(ids[0], 3, "v5")
    with pytest.raises(MigrationConflict, match="a migration to v5 is planned"):
        engine.migrations.library.run("v6")
    during = add_box(engine, tmp_path, COUNT)  # described in both from the first moment
    assert {"v4", "v5"} <= set(engine.parts.content_vectors(engine.parts.get(during).sha256))
    with pytest.raises(MigrationConflict, match="cannot be activated"):
        engine.migrations.activate()
    with queue_working(engine):
        ready = settled(engine)
        assert (ready["state"], ready["done"], ready["failed"]) == ("ready", ready["total"], 0)
        assert ready["total"] == COUNT + 1
        checks = ready["checks"]
        assert (checks["vectors"], checks["missing"], checks["unplaced"]) == (COUNT + 1, 0, 0)
        assert checks["recall_at_10"] >= 0.95
        assert 0 < checks["overlap_at_10"] <= 1
        assert 0 < len(checks["least_alike"]) <= 5
        assert engine.search_part(ids[0], 3).version == "v4"
        engine.migrations.activate()
        assert {engine.search_part(part, 3).version for part in ids} == {"v5"}
        assert engine.search_part(drawing, 3).version == "d1"
        after = answers(engine, ids)
        engine.migrations.roll_back()
        engine.delete(during)
        assert answers(engine, ids) == before
        engine.migrations.activate()
        assert after != before
        engine.migrations.retire()
        with pytest.raises(MigrationNotFound):
            engine.migrations.roll_back()
        assert settled(engine)["state"] == "retired"
    assert engine.vectors.counts()["v4"] == 0
    assert near_index.states(engine.database)["v4"].table_bytes < 20_000
    with pytest.raises(VersionNotKept):
        engine.search_part(ids[0], 3, "v4")
    assert len(engine.features(ids[0], "v4").values) == 24  # described on the spot
    summary = engine.migrations.reports.summary()
    assert summary["by_status"]["migrated"] == COUNT
    assert summary["entries_by_version"]["v5"] == COUNT
    assert summary["mean_dimension_delta"] == len(engine.features(ids[0], "v5").values) - 24
    assert engine.migrations.reports.plan("v4", 2)["parts_per_second_per_worker"] is None
    assert engine.migrations.reports.plan("v5", 2)["parts_per_second_per_worker"] > 0


def test_what_cannot_be_described_is_listed_refused_and_tried_again(
    library: tuple[Engine, list[str]],
) -> None:
    engine, ids = library
    sha256 = engine.parts.get(ids[3]).sha256
    kept = engine.blobs.get_bytes(f"part/{sha256}")
    engine.blobs.delete(f"part/{sha256}")
    engine.register("elsewhere", "v4", np.ones(24).tolist())
    with queue_working(engine):
        engine.migrations.library.run("v5", most_failed=0.01)
        failed = settled(engine)
        assert failed["state"] == "failed"
        assert failed["reason"].startswith(f"2 of {COUNT + 1} could not be described")
        listed = engine.migrations.reports.status()["failures"]
        assert {(f["id"], f["reason"]) for f in listed} == {
            (ids[3], "blob_unavailable"),
            ("elsewhere", "source_unavailable"),
        }
        with pytest.raises(MigrationConflict):
            engine.migrations.activate()
        engine.blobs.put_bytes(f"part/{sha256}", kept)
        engine.vectors.unregister("elsewhere")
        engine.migrations.library.retry()
        assert settled(engine)["state"] == "ready"
        assert engine.migrations.reports.status()["failures"] == []
        engine.migrations.library.cancel()
        assert settled(engine)["state"] == "cancelled"
    assert engine.vectors.counts()["v5"] == 0
    assert engine.versions.refresh().states["v5"] == "absent"
    assert engine.search_part(ids[0], 3).version == "v4"


def test_a_file_read_before_a_migration_began_is_described_in_its_target_too(
    library: tuple[Engine, list[str]], tmp_path: Path
) -> None:
    engine, _ = library
    path = tmp_path / "late.stl"
    path.write_bytes(box_bytes(99))
    content = engine.content(path, *engine.receive(path, path.name))
    assert "v5" not in content.vectors
    engine.migrations.library.run("v5")  # between reading and storing
    from cadml.store.parts import NewEntry

    row, _ = engine.store(path, content, NewEntry("late.stl"), None)
    assert "v5" in engine.parts.content_vectors(row.sha256)
    engine.migrations.library.cancel()


def test_another_process_follows_within_a_moment(library: tuple[Engine, list[str]]) -> None:
    engine, ids = library
    with Engine(Settings(data_dir=engine.settings.data_dir, extract_workers=1)) as other:
        assert other.versions.active == "v4"  # the setting's default does not change what exists
        with queue_working(other):
            engine.migrations.library.run("v3")
            assert settled(engine)["state"] == "ready"
        engine.migrations.activate()
        wait_for(lambda: other.search_part(ids[0], 3).version == "v3", 10)


def test_a_version_that_still_serves_meshes_cannot_be_retired(tmp_path: Path) -> None:
    with Engine(Settings(data_dir=tmp_path / "data", extract_workers=1)) as engine:
        part = add_box(engine, tmp_path, 1)
        engine.migrations.library.run("v6")
        with queue_working(engine):
            settled(engine)
        engine.migrations.activate()
        assert engine.search_part(part, 3).version == "v5"
        assert next(iter(engine.similar_batch([part], 3).values())).version == "v5"  # type: ignore[union-attr]
        with pytest.raises(MigrationConflict, match="parts of kind mesh are searched with it"):
            engine.migrations.retire()
        assert engine.versions.refresh().states["v5"] == "kept"
        other = add_box(engine, tmp_path, 2)
        assert engine.search_part(other, 3).neighbours[0].part_id == part
        engine.migrations.roll_back()
        engine.migrations.library.cancel()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with Engine(Settings(data_dir=tmp_path / "data", extract_workers=1)) as engine:
        library = engine.migrations.library
        with pytest.raises(UnknownVersion):
            library.run("v99")
        with pytest.raises(InvalidRequest):
            library.run("d1")
        with pytest.raises(MigrationConflict, match="already"):
            library.run("v5")
        for step in (library.activate, library.roll_back, library.retire, library.cancel, library.retry):
            with pytest.raises(MigrationNotFound):
                step()
        with pytest.raises(MigrationNotFound):
            library.records.get("nothing")
        assert engine.migrations.reports.trends(24)["success_rate"] is None


def test_the_index_is_built_after_the_backfill_and_a_broken_one_again(tmp_path: Path) -> None:
    with Engine(Settings(data_dir=tmp_path / "data", extract_workers=1, feature_version="v4")) as engine:
        add_box(engine, tmp_path, 1)
        engine.migrations.library.run("v5")
        library = engine.migrations.library
        migration = library.records.open()
        assert migration is not None
        assert library.advance(migration.id)
        assert near_index.states(engine.database)["v5"].index_bytes is None
        with engine.database.single() as connection:  # as a kill in the middle of the build leaves it
            connection.execute("CREATE INDEX near_v5_hnsw ON near_v5 USING hnsw (scaled halfvec_l1_ops)")
            connection.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'near_v5_hnsw'::regclass"
            )
        assert near_index.states(engine.database)["v5"].index_bytes is None
        library.chunk(migration.id, 0)
        assert library.advance(migration.id)
        assert library.records.get(migration.id).state == "ready"
        assert near_index.states(engine.database)["v5"].index_bytes


def test_a_short_version_has_an_index_where_searches_use_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", extract_workers=1, feature_version="v4")
    with Engine(settings) as engine:
        add_box(engine, tmp_path, 1)
        with engine.database.single() as connection:
            connection.execute("DROP INDEX near_v4_hnsw")
    with Engine(settings) as engine:
        states = near_index.states(engine.database)
        assert states["v4"].expected
        assert states["v4"].index_bytes
        assert not states["v3"].expected
        assert states["v3"].index_bytes is None
        (row,) = engine.parts.find(limit=1).rows
        assert engine.search_part(row.id, 5, "v3").exact
        assert [care.advice for care in examine_indexes(engine.database, 1)] == [None] * 5


def test_two_workers_do_not_take_the_same_step(tmp_path: Path) -> None:
    with Engine(Settings(data_dir=tmp_path / "data", extract_workers=1)) as engine:
        library = engine.migrations.library
        migration = library.run("v4")
        with library._steps.driving(migration.id) as held:
            assert held is not None
            assert library.advance(migration.id) is False
        assert library.advance(migration.id) is True


def test_a_version_that_the_model_reads_cannot_be_retired(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", extract_workers=1, feature_version="v1")
    with Engine(settings) as engine:
        for number in (1, 2, 3):
            add_box(engine, tmp_path, number)
        made_models.keep(engine, made_models.bundle("made-1"), "made-1")
        engine.models.reload("a test", version="made-1")
        engine.migrations.library.run("v2")
        with queue_working(engine):
            settled(engine)
        engine.migrations.activate()
        with pytest.raises(MigrationConflict, match="the model made-1 reads it"):
            engine.migrations.retire()
        assert engine.versions.refresh().states["v1"] == "kept"
        assert engine.migrations.library.records.all()[-1].state == "active"
