"""The cache within the engine: counted once, true after deletion, warm after a restart, tuning itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import trimesh

from cadml import config
from cadml.cache.adjustment import Limits
from cadml.cache.feature_cache import CAPACITY_RANGE, TTL_RANGE, CacheKey
from cadml.config import Settings
from cadml.engine import Engine, Options
from cadml.errors import CacheTuningRollbackWindowActive, ConfigurationError, PartNotFound
from cadml.store.parts import NewEntry

VALUES = np.ones(24, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cached")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Engine]:
    """Keeps the embedded server running, so that the engines of the tests open quickly."""
    with Engine(Settings(data_dir=folder, extract_workers=1)) as opened:
        yield opened


@pytest.fixture
def engine(server: Engine) -> Iterator[Engine]:
    with Engine(server.settings) as opened:
        yield opened


def add(engine: Engine, folder: Path, *size: float) -> str:
    path = folder / ("x".join(map(str, size)) + ".stl")
    path.write_bytes(trimesh.creation.box(size).export(file_type="stl"))
    part = engine.analyze(path, NewEntry(path.name), Options(similar=0)).part
    assert part is not None
    return part.id


def exported(engine: Engine, name: str) -> float:
    lines = engine.metrics.text().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def agrees_with_metrics(engine: Engine) -> bool:
    counts = engine.cache_counts()
    told = [exported(engine, f"feature_cache_{name}_total") for name in ("hits", "miss", "evictions")]
    timed = exported(engine, "feature_cache_lookup_seconds_count")
    now = [exported(engine, f"feature_cache_{name}") for name in ("size", "capacity", "bytes")]
    return [*told, timed, *now] == [
        *(counts.hits, counts.misses, counts.evictions, counts.hits + counts.misses),
        *(counts.size, counts.capacity, counts.bytes),
    ]


def test_each_event_counts_once_from_many_threads(server: Engine, engine: Engine, tmp_path: Path) -> None:
    ids = [add(server, tmp_path, 1, 2, 3 + n) for n in range(4)]
    before = server.cache_counts()
    assert before.size == 0  # what was just read was not looked up
    engine.apply_cache(2, None)  # smaller than what is asked for: hits, misses and evictions

    def ask(number: int) -> None:
        for turn in range(25):
            engine.features(ids[(number * turn) % 4], "v4")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(4)))
    counts = engine.cache_counts()
    assert counts.hits + counts.misses == 100
    assert counts.size <= 2
    assert counts.evictions > 0
    assert agrees_with_metrics(engine)


def test_known_content_is_answered_from_memory_whole(server: Engine, engine: Engine, tmp_path: Path) -> None:
    add(server, tmp_path, 2, 2, 9)
    path = tmp_path / "2x2x9.stl"
    first = engine.analyze(path, NewEntry("again.stl"), Options(similar=0)).content
    missed = engine.cache_counts().misses
    assert missed == len(first.vectors) > 4
    second = engine.analyze(path, NewEntry("once more.stl"), Options(similar=0)).content
    counts = engine.cache_counts()
    assert (counts.hits, counts.misses) == (missed, missed)
    assert first.vectors.keys() == second.vectors.keys()
    for name, values in first.vectors.items():
        np.testing.assert_array_equal(second.vectors[name], values)


def test_a_difference_reads_through_the_cache(server: Engine, engine: Engine, tmp_path: Path) -> None:
    ids = [add(server, tmp_path, 5, 5, 1 + n) for n in range(2)]
    first = engine.diff(*ids, "v2")
    assert engine.diff(*ids, "v2") == first
    counts = engine.cache_counts()
    assert (counts.hits, counts.misses) == (2, 2)


def test_a_vector_described_elsewhere_has_no_key_and_is_not_cached(engine: Engine) -> None:
    engine.register("elsewhere", "v1", [1, 2, 3, 4, 24, 0, 0])
    for _ in range(2):
        assert engine.features("elsewhere", "v1").values.tolist() == [1, 2, 3, 4, 24, 0, 0]
    engine.vectors.unregister("elsewhere")
    with pytest.raises(PartNotFound):
        engine.features("elsewhere", "v1")
    assert engine.cache_counts().size == 0


def test_deleted_content_leaves_the_cache_and_the_uses(
    server: Engine, engine: Engine, tmp_path: Path
) -> None:
    part = add(server, tmp_path, 7, 7, 7)
    sha256 = engine.parts.get(part).sha256
    engine.features(part, "v4")
    engine.write_uses()
    assert sha256 in {row[0] for row in engine._use.most_used(1000)}
    engine.delete(part)
    assert engine.cache_counts().size == 0
    assert sha256 not in {row[0] for row in engine._use.most_used(1000)}
    with pytest.raises(PartNotFound):
        engine.features(part, "v4")
    engine.cache.put(CacheKey(sha256, "v4", engine.build), VALUES)  # a reader that was a moment late
    engine.write_uses()
    assert sha256 not in {row[0] for row in engine._use.most_used(1000)}


def test_uses_are_written_once_and_added_up(server: Engine, engine: Engine, tmp_path: Path) -> None:
    part = add(server, tmp_path, 3, 3, 8)
    sha256 = bytes.fromhex(engine.parts.get(part).sha256)

    def written() -> float:
        with engine.database.single() as connection:
            rows = connection.execute("SELECT uses FROM cache_use WHERE sha256 = %s", (sha256,)).fetchall()
        return sum(row[0] for row in rows)

    for _ in range(3):
        engine.features(part, "v4")
    for _ in range(2):
        engine.write_uses()
    assert written() == pytest.approx(3, rel=1e-3)  # a use fades by half in a week
    engine.cache.clear()
    engine.features(part, "v4")
    engine.write_uses()
    assert written() == pytest.approx(4, rel=1e-3)
    with engine.database.connection() as connection:
        connection.execute("UPDATE cache_use SET at = now() - interval '7 days' WHERE sha256 = %s", (sha256,))
    engine.features(part, "v4")
    engine.write_uses()
    assert written() == pytest.approx(3, rel=1e-3)


def test_prewarm_loads_after_a_restart_what_was_used_most(tmp_path: Path) -> None:
    with Engine(Settings(data_dir=tmp_path / "data", extract_workers=1)) as engine:
        ids = [add(engine, tmp_path, 1, 1, 1 + n) for n in range(3)]
        assert engine.prewarm().loaded == 0
        for part, times in zip(ids, (2, 9, 5), strict=True):
            for _ in range(times):
                values = engine.features(part, "v4").values
    small = Settings(data_dir=tmp_path / "data", extract_workers=1, feature_cache_capacity=2)
    with Engine(small) as later:
        warmed = later.prewarm()
        assert (warmed.loaded, warmed.size, warmed.capacity) == (2, 2, 2)
        assert later.prewarm().loaded == 0
        for part in ids[1:]:
            assert later.features(part, "v4").values.size == values.size
        counts = later.cache_counts()
        assert (counts.hits, counts.misses, counts.evictions) == (2, 0, 0)
        text = later.metrics.text().decode()
        assert 'feature_cache_prewarm_total{result="loaded"} 1.0' in text
        assert 'feature_cache_prewarm_total{result="nothing"} 1.0' in text


def loop(engine: Engine, count: int, keys: int, first: int = 0) -> None:
    for number in range(count):
        key = CacheKey(f"{first + number % keys:064x}", "v4", engine.build)
        engine._through(key, lambda: VALUES)


def test_the_automatic_mode_follows_the_evidence(engine: Engine) -> None:
    engine.cache.resize(400, 3600)
    now = 1e6
    engine.tune_itself(now)
    assert engine.cache_counts().capacity == 400  # no evidence yet
    loop(engine, 12_000, keys=600)  # a loop that just does not fit: all misses
    engine.tune_itself(now + 60)
    limits = Limits()
    loop(engine, limits.lookups, keys=600)
    engine.tune_itself(now + 120)
    grown = engine.cache_counts().capacity
    assert 600 <= grown <= 400 * limits.factor


def test_the_automatic_mode_takes_a_change_back_when_hits_fall(engine: Engine) -> None:
    engine.cache.resize(2000, 3600)
    limits, now = Limits(), 1e6
    loop(engine, 12_000, keys=600)  # far fewer than fit
    engine.tune_itself(now)
    loop(engine, limits.lookups, keys=600)
    engine.tune_itself(now + 60)
    assert engine.cache_counts().capacity == 2000 / limits.factor
    assert engine.adjusted().now.capacity == 1000
    loop(engine, limits.lookups + 1, keys=10**9, first=10**6)  # none of these ever comes back
    engine.tune_itself(now + 3600)
    assert engine.cache_counts().capacity == 2000


def test_a_person_may_not_change_what_can_still_be_rolled_back(engine: Engine) -> None:
    engine.apply_cache(123, None)
    with pytest.raises(CacheTuningRollbackWindowActive):
        engine.apply_cache(124, None)
    engine.tune_itself(0.0)
    assert engine.cache_counts().capacity == 123


def test_the_settings_have_the_ranges_of_the_cache() -> None:
    fields = config.Settings.model_fields
    for name, (low, high) in {
        "feature_cache_capacity": CAPACITY_RANGE,
        "feature_cache_ttl_seconds": TTL_RANGE,
    }.items():
        bounds = {type(rule).__name__: rule for rule in fields[name].metadata}
        assert (bounds["Ge"].ge, bounds["Le"].le) == (low, high)
    with pytest.raises(ConfigurationError, match="CADML_FEATURE_CACHE_CAPACITY"):
        Settings.load(feature_cache_capacity=0)
