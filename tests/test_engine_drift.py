"""Drift within the engine: it outlives a restart, never stands in the way, and renews itself with care."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import trimesh

import made_models
from cadml.config import Settings
from cadml.engine import Engine, Options
from cadml.engine.baselining import Chosen
from cadml.engine.comparing import EVER, Assessment, Pair
from cadml.engine.recorder import ROOM
from cadml.errors import InvalidRequest, NotEnoughData, PartNotFound
from cadml.features.versions import VERSIONS
from cadml.store.baselines import Sample
from cadml.store.observations import KEPT, Observation
from cadml.store.parts import NewEntry

V5 = VERSIONS["v5"]
SIZE = 100
NUMBERS = np.random.default_rng(40)
BEGUN = NUMBERS.bit_generator.state


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Keeps the embedded server running, so that the engines of the tests open quickly."""
    folder = tmp_path_factory.mktemp("drifting")
    with Engine(Settings(data_dir=folder, extract_workers=1, drift_baseline_size=SIZE)) as opened:
        yield opened


@pytest.fixture
def engine(server: Engine) -> Iterator[Engine]:
    NUMBERS.bit_generator.state = BEGUN  # what a test draws does not depend on those before it
    with server.database.connection() as connection:
        connection.execute("TRUNCATE drift_observations, drift_baselines, drift_subjects RESTART IDENTITY")
    with Engine(server.settings) as opened:
        yield opened


def see(
    engine: Engine, count: int, material: str = "steel", label: str | None = "bolt", mean: float = 0.0
) -> None:
    for _ in range(count):
        raw = (V5.offset + NUMBERS.normal(mean, size=V5.length) / V5.scale).astype(np.float32)
        engine.drift.observe(Observation(material, "v5", raw, "bolts 1", label))
    assert engine.drift._recorder.flush(60)


def judged(engine: Engine) -> dict[str, Assessment]:
    return {each.pair.subject: each for each in engine.drift.assess() if each.pair.scope != "d1"}


def exported(engine: Engine, name: str) -> float:
    lines = engine.metrics.text().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def age(engine: Engine, days: float) -> None:
    with engine.database.connection() as connection:
        connection.execute(
            "UPDATE drift_baselines SET created_at = created_at - make_interval(secs => %s)", (days * 86400,)
        )


def test_the_first_parts_become_usual_and_a_shift_is_told_in_every_subject(engine: Engine) -> None:
    see(engine, SIZE - 1)
    engine.drift.care()
    for each in judged(engine).values():
        assert (each.verdict, each.size, each.needed, each.baseline) == (
            *("not enough data", SIZE - 1, SIZE, None),
        )
    see(engine, 1)
    engine.drift.care()
    assert {each.baseline.origin for each in judged(engine).values()} == {"first"}
    see(engine, 29)
    assert {each.verdict for each in judged(engine).values()} == {"not enough data"}
    see(engine, 31)
    engine.drift.care()
    assert {each.verdict for each in judged(engine).values()} == {"stable"}
    assert exported(engine, "material_distribution_drift_score_count") == 1
    engine.drift.care()  # the same window counts once
    assert exported(engine, "material_distribution_drift_score_count") == 1
    see(engine, 60, "brass", "nut", mean=1.5)
    engine.drift.care()
    found = judged(engine)
    assert {each.verdict for each in found.values()} == {"drifted"}
    assert found["material"].found.moved[0].name == "brass"
    assert found["prediction"].found.moved[0].name in {"nut", "bolt"}
    assert exported(engine, 'feature_distribution_drift_score{version="v5"}') > 0.5
    assert exported(engine, 'feature_distribution_drift_score{version="v6"}') == 0
    assert exported(engine, 'classification_prediction_drift_score_bucket{le="0.5"}') == 1
    assert exported(engine, "classification_prediction_drift_score_count") == 2


def test_a_restart_loses_neither_window_nor_baseline_nor_score(engine: Engine) -> None:
    see(engine, SIZE)
    engine.drift.care()
    see(engine, 50, "brass")
    engine.drift.care()
    before = judged(engine)
    score = exported(engine, 'feature_distribution_drift_score{version="v5"}')
    with Engine(engine.settings) as later:
        assert exported(later, 'feature_distribution_drift_score{version="v5"}') == score > 0
        assert exported(later, "baseline_material_age_seconds") > 0
        after = judged(later)
        assert exported(later, "baseline_prediction_age_seconds") > 0
        for subject, each in after.items():
            assert (each.verdict, each.found) == (before[subject].verdict, before[subject].found)


def test_what_is_stale_is_renewed_by_what_came_since(engine: Engine) -> None:
    see(engine, SIZE)
    engine.drift.care()
    see(engine, SIZE - 1)
    age(engine, 91)
    engine.drift.care()
    assert {each.baseline.number for each in judged(engine).values()} == {1}  # too little has come
    assert all(engine.drift.stale(each.baseline) for each in judged(engine).values())
    see(engine, 1)
    engine.drift.care("startup")
    found = judged(engine)
    assert {(each.baseline.number, each.baseline.origin) for each in found.values()} == {(2, "stale")}
    assert {each.size for each in found.values()} == {0}
    for subject in ("material", "prediction", "feature"):
        labels = f'{{trigger="startup",type="{subject}"}}'
        labels = (
            labels if labels in engine.metrics.text().decode() else f'{{type="{subject}",trigger="startup"}}'
        )
        assert exported(engine, f"drift_baseline_refresh_total{labels}") == 1


def test_a_drift_is_never_made_usual_by_age_alone(engine: Engine) -> None:
    see(engine, SIZE)
    engine.drift.care()
    see(engine, SIZE, "brass", "nut", mean=1.5)
    age(engine, 91)
    engine.drift.care()
    assert {(each.baseline.number, each.verdict) for each in judged(engine).values()} == {(1, "drifted")}


def test_a_reset_takes_the_next_the_recent_or_chosen_parts(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughData):
        engine.baselining.reset(None, "recent", Chosen())
    see(engine, SIZE)
    engine.drift.care()
    see(engine, SIZE, "brass")
    assert engine.baselining.reset("material", "recent", Chosen()) == [Pair("material")]
    found = judged(engine)
    assert (found["material"].baseline.number, found["material"].size) == (2, 0)
    assert found["feature"].baseline.number == 1
    see(engine, 40, "brass")
    assert judged(engine)["material"].verdict == "stable"
    changed = engine.baselining.reset(None, "next", Chosen())
    assert {pair.subject for pair in changed} == {"material", "prediction", "feature"}
    assert {(each.baseline, each.size) for each in judged(engine).values()} == {(None, 0)}
    path = tmp_path / "box.stl"
    path.write_bytes(trimesh.creation.box((1, 2, 3)).export(file_type="stl"))
    ids = [
        engine.analyze(path, NewEntry("box.stl", f"N{n}", {"material": "wood"}), Options(similar=0)).part.id
        for n in range(SIZE)
    ]
    for chosen in (Chosen(ids), Chosen(filters={"material": "wood"})):
        changed = engine.baselining.reset(None, "chosen", chosen)
        assert {(pair.subject, pair.scope) for pair in changed} == {("material", ""), ("feature", "v5")}
        rows = {row.subject: row for row in engine.drift.baselines.every() if row.active}
        assert {(row.size, row.origin) for row in rows.values()} == {(SIZE, "chosen")}
    with pytest.raises(NotEnoughData):
        engine.baselining.reset("prediction", "chosen", Chosen(ids))
    with pytest.raises(PartNotFound):
        engine.baselining.reset(None, "chosen", Chosen(["nobody"]))
    for source, chosen in (("chosen", Chosen()), ("recent", Chosen(ids)), ("next", Chosen(filters={}))):
        with pytest.raises(InvalidRequest):
            engine.baselining.reset(None, source, chosen)


def test_baselines_travel_with_their_age(engine: Engine) -> None:
    see(engine, SIZE)
    engine.drift.care()
    age(engine, 10)
    document = engine.baselining.export()
    see(engine, 60, "brass", mean=1.5)
    engine.baselining.reset(None, "next", Chosen())
    rows = engine.baselining.import_(document)
    assert {(row.origin, row.number) for row in rows} == {("imported", 2)}
    assert all(timedelta(days=9) < datetime.now(UTC) - row.created_at < timedelta(days=11) for row in rows)
    assert judged(engine)["material"].size == SIZE + 60  # all that came is news to it
    assert engine.baselining.export()["baselines"] == document["baselines"]
    broken = document | {"baselines": [*document["baselines"][:2], {"subject": "feature"}]}
    with pytest.raises(InvalidRequest):
        engine.baselining.import_(broken)
    assert {row.number for row in engine.drift.baselines.every() if row.active} == {2}


def test_only_the_newest_numbers_and_observations_are_kept(engine: Engine) -> None:
    document = {"format": "cadml drift baselines 1", "baselines": []}
    made = datetime.now(UTC).isoformat()
    document["baselines"].append(
        {"subject": "material", "scope": "", "created_at": made, "counts": {"a": 99}}
    )
    for _ in range(7):
        engine.baselining.import_(document)
    assert [row.number for row in engine.drift.baselines.every()] == [7, 6, 5, 4, 3]
    engine.drift.observations.record([Observation(version="")] * (KEPT + 10))
    engine.drift.observations.record([Observation("steel")])
    with engine.database.connection() as connection:
        rows = connection.execute("SELECT count(*), max(material) FROM drift_observations").fetchone()
    assert rows == (KEPT, "steel")


def test_an_analysis_is_observed_with_its_material(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "box.stl"
    path.write_bytes(trimesh.creation.box((1, 2, 3)).export(file_type="stl"))
    engine.analyze(path, NewEntry("box.stl", metadata={"material": 304}), Options(store=False))
    with pytest.raises(InvalidRequest):
        engine.analyze(path, NewEntry("a\x00b.stl"), Options())
    assert engine.drift._recorder.flush(60)
    seen = engine.drift.observations.first("material", "", 0, 10)
    assert seen.values == ["304"]
    assert len(engine.drift.observations.first("feature", "v5", 0, 10).values[0]) == V5.length


def test_observing_never_blocks_and_what_is_lost_is_counted(
    server: Engine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cadml.engine.recorder.RETRY_S", 0.01)
    with server.database.connection() as connection:
        connection.execute("LOCK TABLE drift_observations IN ACCESS EXCLUSIVE MODE")  # the writer waits
        for number in range(ROOM + 7):
            engine.drift.observe(Observation(material=str(number)))
        assert engine.drift.counts() == (ROOM, 7)
        with server.database.single() as other:  # and its connection is cut
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND pid != pg_backend_pid()"
            )
            while not other.execute(cut).fetchall():
                time.sleep(0.01)
        assert engine.drift.counts() == (ROOM, 7)
    assert engine.drift._recorder.flush(120)
    assert engine.drift.counts() == (0, 7)
    seen = engine.drift.observations.latest("material", "", 0, ROOM, EVER).values
    assert seen == [str(number) for number in range(ROOM - KEPT, ROOM)]


def test_one_observation_that_cannot_be_kept_ends_nothing(engine: Engine) -> None:
    engine.drift.observe(Observation(version="v5", raw=None))  # the table refuses it
    assert engine.drift._recorder.flush(60)
    assert engine.drift.counts() == (0, 1)
    see(engine, 1)
    assert len(engine.drift.observations.first("material", "", 0, 10).values) == 1


def test_hostile_text_is_kept_without_what_postgresql_cannot_hold(engine: Engine) -> None:
    engine.drift.observations.record([Observation(material="st\x00eel\ud800" + "x" * 500)])
    assert engine.drift.observations.first("material", "", 0, 1).values == [("steel" + "x" * 195)]


def test_two_processes_make_one_baseline(engine: Engine) -> None:
    see(engine, SIZE)
    with Engine(engine.settings) as other:
        first, second = engine.drift.assess()[0], other.drift.assess()[0]
        made = [
            each.drift.baselines.put(
                "material", "", Sample({"steel": SIZE}), origin="first", after=now.seen.last
            )
            for each, now in ((engine, first), (other, second))
        ]
    assert [row is None for row in made] == [False, True]


def test_predicted_classes_are_observed_and_chosen_ones_become_a_baseline(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", extract_workers=1, drift_baseline_size=SIZE)
    with Engine(settings) as engine:  # of its own: an active model would classify what others analyse
        made_models.keep(engine, made_models.bundle("made 1"), "made 1")
        engine.models.reload("a test", version="made 1")
        path = tmp_path / "box.stl"
        path.write_bytes(trimesh.creation.box((4, 5, 6)).export(file_type="stl"))
        ids = []
        for number in range(SIZE):
            found = engine.analyze(path, NewEntry("box.stl", f"P{number}"), Options(similar=0))
            ids.append(found.part.id)
        assert engine.drift._recorder.flush(60)
        assert engine.drift.pairs("prediction") == [Pair("prediction", "made 1")]
        label = found.classified.prediction.label
        assert engine.drift.observations.first("prediction", "made 1", 0, 2 * SIZE).values == [label] * SIZE
        assert engine.baselining.reset("prediction", "chosen", Chosen(ids)) == [Pair("prediction", "made 1")]
        assert engine.drift.baselines.sample("prediction", "made 1", 1).size == SIZE
        assert judged(engine)["prediction"].verdict == "stable"
