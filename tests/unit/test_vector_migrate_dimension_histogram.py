"""``vector_migrate_dimension_delta``: how much longer or shorter each vector became."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from cadml.config import Settings
from cadml.engine import Engine, Options
from cadml.store.parts import NewEntry
from scraped import METRICS_ON, OFF, samples

NAME = "vector_migrate_dimension_delta"
BUCKETS = [-500, -100, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 100, 500]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("delta"), extract_workers=1)
    with Engine(settings) as opened:
        yield opened


@pytest.fixture
def part(engine: Engine, tmp_path: Path) -> str:
    path = tmp_path / "box.stl"
    size = 1 + np.random.default_rng().random(3)
    path.write_bytes(trimesh.creation.box(size).export(file_type="stl"))
    stored = engine.analyze(path, NewEntry(path.name), Options(similar=0)).part
    assert stored is not None
    return stored.id


def buckets(engine: Engine) -> dict[float, float]:
    """Return how many were observed up to each edge, as one scrape says; none where metrics are off."""
    found = samples(engine.metrics.text().decode())
    if not METRICS_ON:
        assert found == OFF
    return {float(name.split('"')[1]): n for name, n in found.items() if name.startswith(f"{NAME}_bucket")}


def observed(engine: Engine, ids: list[str], target: str, **rest: Any) -> list[int]:
    """Return by how much the vectors grew, as the items say; the histogram must have seen just that."""
    before = buckets(engine)
    deltas = [
        (item.dimension_after or 0) - item.dimension_before
        for item in engine.migrations.migrate(ids, target, **rest)
        if item.status in {"migrated", "downgraded"} and item.dimension_before is not None
    ]
    grown = {edge: n - before[edge] for edge, n in buckets(engine).items()}
    assert grown == {edge: sum(delta <= edge for delta in deltas) for edge in grown}
    return deltas


def test_the_buckets_are_the_contracts(engine: Engine) -> None:
    edges = [*map(float, BUCKETS), float("inf")]
    assert sorted(buckets(engine)) == (edges if METRICS_ON else [])


@pytest.mark.parametrize(("target", "delta"), [("v3", 22 - 24), ("v2", 12 - 24), ("v1", 7 - 24)])
def test_a_cut_is_negative(engine: Engine, part: str, target: str, delta: int) -> None:
    assert observed(engine, [part], target) == [delta]


def test_a_description_is_positive(engine: Engine, part: str) -> None:
    engine.migrations.migrate([part], "v1")
    assert observed(engine, [part], "v2") == [12 - 7]
    assert observed(engine, [part], "v4") == [24 - 12]


def test_what_changes_no_vector_is_not_observed(engine: Engine, part: str) -> None:
    engine.register(f"of {part}", "v1", np.ones(7).tolist())
    assert observed(engine, [part], "v2", dry_run=True) == []
    assert observed(engine, [part], "v5") == []
    assert observed(engine, ["nobody", f"of {part}"], "v4") == []
