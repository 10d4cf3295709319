"""Single parts and registered vectors, moved for real."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from boxes import add_box, add_drawing

from cadml.config import Settings
from cadml.engine import Engine
from cadml.errors import UnknownVersion, VectorNotFound


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("items")
    with Engine(Settings(data_dir=folder, extract_workers=2)) as opened:
        yield opened


def statuses(engine: Engine, ids: list[str], target: str, *, dry_run: bool = False) -> list[str]:
    return [outcome.status for outcome in engine.migrations.migrate(ids, target, dry_run=dry_run)]


def test_down_and_up_again_gives_the_original_bit_for_bit(engine: Engine, tmp_path: Path) -> None:
    part = add_box(engine, tmp_path, 1)
    before = {name: engine.parts.vector(part, name) for name in ("v1", "v2", "v3", "v4", "v5")}
    for name in ("v3", "v2", "v1"):
        (outcome,) = engine.migrations.migrate([part], name)
        assert outcome.status == "downgraded"
        assert outcome.dimension_before is not None
        assert outcome.dimension_after == len(before[name]) < outcome.dimension_before
        np.testing.assert_array_equal(engine.parts.vector(part, name), before["v4"][: len(before[name])])
    for gone in ("v2", "v3", "v4"):
        with pytest.raises(VectorNotFound):
            engine.parts.vector(part, gone)
    assert part not in {n.part_id for n in engine.search_vector("v4", before["v4"].tolist(), 5).neighbours}
    (outcome,) = engine.migrations.migrate([part], "v4")
    assert (outcome.status, outcome.from_version, outcome.to_version) == ("migrated", "v1", "v4")
    for name, values in before.items():  # the shorter ones that the library keeps are there again too
        assert engine.parts.vector(part, name).tobytes() == values.tobytes()
    nearest = engine.search_vector("v4", before["v4"].tolist(), 5).neighbours[0]
    assert (nearest.part_id, nearest.distance) == (part, 0)


def test_a_registered_vector_goes_down_and_refuses_to_go_up(engine: Engine) -> None:
    values = np.arange(24, dtype=np.float32)
    engine.register("elsewhere", "v4", values.tolist())
    for target, length in (("v3", 22), ("v2", 12), ("v1", 7)):
        assert statuses(engine, ["elsewhere"], target) == ["downgraded"]
        stored = engine.vectors.foreign("elsewhere").vectors
        assert list(stored) == [target]
        np.testing.assert_array_equal(stored[target], values[:length])
    for target in ("v2", "v4", "v5"):
        (outcome,) = engine.migrations.migrate(["elsewhere"], target)
        assert (outcome.status, outcome.reason) == ("error", "source_unavailable")
        assert outcome.dimension_after is None
    assert list(engine.vectors.foreign("elsewhere").vectors) == ["v1"]


def test_a_version_that_the_library_does_not_keep_can_be_tried_on_some_parts(
    engine: Engine, tmp_path: Path
) -> None:
    part, drawing = add_box(engine, tmp_path, 2), add_drawing(engine, tmp_path)
    outcomes = engine.migrations.migrate([part, drawing, "nobody", part], "v6")
    assert [outcome.status for outcome in outcomes] == ["error", "error", "not_found"]
    assert [outcome.reason for outcome in outcomes[:2]] == 2 * ["version_not_applicable"]
    assert statuses(engine, [drawing], "d1") == ["skipped"]


def test_a_dry_run_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    part = add_box(engine, tmp_path, 3)
    before = engine.parts.content_vectors(engine.parts.get(part).sha256)
    (outcome,) = engine.migrations.migrate([part], "v2", dry_run=True)
    assert (outcome.status, outcome.would, outcome.dimension_before) == ("dry_run", "downgraded", 24)
    assert statuses(engine, [part], "v5", dry_run=True) == ["skipped"]
    after = engine.parts.content_vectors(engine.parts.get(part).sha256)
    assert {name: v.tobytes() for name, v in after.items()} == {n: v.tobytes() for n, v in before.items()}


def test_a_part_whose_stored_geometry_is_lost_says_so(engine: Engine, tmp_path: Path) -> None:
    part = add_box(engine, tmp_path, 4)
    statuses(engine, [part], "v1")
    engine.blobs.delete(f"part/{engine.parts.get(part).sha256}")
    (outcome,) = engine.migrations.migrate([part], "v4")
    assert (outcome.status, outcome.reason) == ("error", "blob_unavailable")


def test_entries_of_one_file_move_together(engine: Engine, tmp_path: Path) -> None:
    part = add_box(engine, tmp_path, 5)
    (tmp_path / "again.stl").write_bytes((tmp_path / "box-5.stl").read_bytes())
    from boxes import add

    other = add(engine, tmp_path / "again.stl")
    assert other != part
    assert statuses(engine, [part, other], "v3") == ["downgraded", "downgraded"]
    with pytest.raises(VectorNotFound):
        engine.parts.vector(other, "v4")
    assert statuses(engine, [other], "v4") == ["migrated"]
    assert engine.parts.vector(part, "v4").tobytes() == engine.parts.vector(other, "v4").tobytes()


def test_two_who_move_a_part_at_once_both_hear_where_it_is(engine: Engine, tmp_path: Path) -> None:
    part = add_box(engine, tmp_path, 6)
    with ThreadPoolExecutor(4) as callers:
        for target in ("v3", "v2", "v1"):
            became = callers.map(lambda _, to=target: statuses(engine, [part], to)[0], range(4))
            assert set(became) <= {"downgraded", "skipped"}


def test_an_unknown_version_is_refused(engine: Engine) -> None:
    with pytest.raises(UnknownVersion):
        engine.migrations.migrate(["any"], "v99")
