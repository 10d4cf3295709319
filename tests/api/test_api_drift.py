"""Drift over HTTP: verdicts, baselines, pictures, and documents from strangers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest

from cadml.config import Settings
from cadml.engine import Engine
from cadml.features.versions import VERSIONS
from cadml.store.observations import Observation
from served import API, JSON, serving, upload

DRIFT = f"{API}/drift"
SIZE = 100
V5 = VERSIONS["v5"]
Fresh = tuple[Engine, httpx.Client]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """A service of its own: nobody else's parts come in here."""
    folder = tmp_path_factory.mktemp("drift")
    settings = Settings(data_dir=folder, extract_workers=1, drift_baseline_size=SIZE)
    with Engine(settings) as engine, serving(engine) as client:
        yield engine, client


def come(engine: Engine, count: int, material: str, seed: int, mean: float = 0.0) -> None:
    numbers = np.random.default_rng(seed)
    for _ in range(count):
        raw = (V5.offset + numbers.normal(mean, size=V5.length) / V5.scale).astype(np.float32)
        engine.drift.observe(Observation(material, "v5", raw, "bolts 1", "bolt"))
    assert engine.drift._recorder.flush(60)


@pytest.fixture
def usual(fresh: Fresh) -> Fresh:
    """The service with a hundred steel parts as its baseline, and nothing since."""
    engine, _ = fresh
    with engine.database.connection() as connection:
        connection.execute("TRUNCATE drift_observations, drift_subjects, drift_baselines RESTART IDENTITY")
    come(engine, SIZE, "steel", 1)
    engine.drift.care()
    return fresh


def subjects(client: httpx.Client, **query: object) -> dict[str, dict]:
    answer = client.get(DRIFT, params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return {each["subject"]: each for each in body["subjects"] if each["scope"] != "d1"} | {"all": body}


def test_a_verdict_says_what_moved(usual: Fresh) -> None:
    engine, client = usual
    before = subjects(client)
    assert before["all"]["verdict"] == "not enough data"
    assert (before["material"]["size"], before["material"]["needed"]) == (0, 30)
    come(engine, 40, "steel", 2)
    now = subjects(client)
    assert {now[name]["verdict"] for name in ("material", "prediction", "feature", "all")} == {"stable"}
    come(engine, 40, "brass", 3, mean=1.5)
    now = subjects(client, hours=1)
    assert now["all"]["verdict"] == "drifted"
    assert now["prediction"]["verdict"] == "stable"
    material, feature = now["material"], now["feature"]
    assert material["categories"]["moved"][0]["window"] == 0.5
    for distance in ("jensen_shannon", "deviation"):
        assert material["categories"][distance]["value"] > material["categories"][distance]["threshold"]
    assert material["baseline"]["origin"] == "first"
    assert feature["groups"][0]["score"] == feature["score"] > 0.5
    assert feature["groups"][0]["slots"]
    assert len(feature["groups"]) == len(V5.descriptors)
    assert subjects(client, count=40)["material"]["size"] == 40
    for wrong in ({"count": 29}, {"count": 2001}, {"hours": 0}, {"hours": "nan"}):
        assert client.get(DRIFT, params=wrong).status_code == 422


def test_an_analysis_is_seen_at_once_with_its_material(usual: Fresh, files: dict[str, Path]) -> None:
    engine, client = usual
    data = {"material": "Oak", "options": '{"store": false}'}
    for name in ("box", "drawing"):
        answer = client.post(f"{API}/analyze", files=upload(files[name]), data=data)
        assert answer.status_code == 200, answer.text
    assert engine.drift._recorder.flush(60)  # GET waits for it too, but not for ever
    body = client.get(DRIFT).json()
    found = {(each["subject"], each["scope"]): each["size"] for each in body["subjects"]}
    assert found == {
        ("material", ""): 2,
        ("prediction", "bolts 1"): 0,
        ("feature", "v5"): 1,
        ("feature", "d1"): 1,
    }
    assert (body["waiting"], body["lost"]) == (0, 0)


def test_baselines_are_listed_and_drawn(usual: Fresh) -> None:
    engine, client = usual
    rows = client.get(f"{DRIFT}/baseline").json()["baselines"]
    assert [(row["subject"], row["number"], row["active"], row["stale"], row["size"]) for row in rows] == [
        (name, 1, True, False, SIZE) for name in ("feature", "material", "prediction")
    ]
    come(engine, 40, "brass", 4)
    for subject in ("material", "prediction", "feature"):
        drawn = client.get(f"{DRIFT}/baseline", params={"format": "svg", "subject": subject})
        assert drawn.headers["content-type"] == "image/svg+xml"
        assert ET.fromstring(drawn.text).tag.endswith("svg")
    assert "brass" in client.get(f"{DRIFT}/baseline", params={"format": "svg"}).text
    wanted = {"format": "svg", "subject": "feature", "scope": "d1"}
    assert client.get(f"{DRIFT}/baseline", params=wanted).status_code == 404
    assert client.get(f"{DRIFT}/baseline", params=wanted | {"scope": "v9"}).status_code == 404
    assert client.get(f"{DRIFT}/baseline", params={"format": "png"}).status_code == 422


def test_what_is_exported_can_be_imported(usual: Fresh) -> None:
    _, client = usual
    document = client.post(f"{DRIFT}/baseline/export").json()
    assert [each["subject"] for each in document["baselines"]] == ["feature", "material", "prediction"]
    one = client.post(f"{DRIFT}/baseline/export", json={"subject": "material"}).json()
    assert [each["counts"] for each in one["baselines"]] == [{"steel": SIZE}]
    reset = client.post(f"{DRIFT}/reset", json={})
    assert reset.status_code == 200, reset.text
    assert len(reset.json()["changed"]) == 4
    assert not any(row["active"] for row in reset.json()["baselines"])
    answer = client.post(f"{DRIFT}/baseline/import", json=document)
    assert answer.status_code == 200, answer.text
    assert {(row["origin"], row["number"]) for row in answer.json()["baselines"]} == {("imported", 2)}
    assert client.post(f"{DRIFT}/baseline/export").json() == document


def test_a_hostile_document_changes_nothing(usual: Fresh) -> None:
    _, client = usual
    document = client.post(f"{DRIFT}/baseline/export").json()
    document["baselines"][0]["vectors"][7][3] = 1e300
    texts = [
        "",
        "[]",
        "nonsense",
        "[" * 100_000,
        '{"format": "cadml drift baselines 1"}',
        '{"baselines": NaN}',
    ]
    answers = [client.post(f"{DRIFT}/baseline/import", content=text, headers=JSON) for text in texts]
    answers.append(client.post(f"{DRIFT}/baseline/import", json=document))
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] == "INVALID_REQUEST"
    rows = client.get(f"{DRIFT}/baseline").json()["baselines"]
    assert {row["number"] for row in rows} == {1}


def test_a_reset_says_what_is_missing(usual: Fresh) -> None:
    engine, client = usual
    with engine.database.connection() as connection:
        connection.execute("DELETE FROM drift_observations WHERE seq > 50")
    for body, status, code in (
        ({"source": "recent"}, 409, "NOT_ENOUGH_DATA"),
        ({"source": "chosen"}, 422, "INVALID_REQUEST"),
        ({"source": "chosen", "ids": ["nobody"]}, 404, "PART_NOT_FOUND"),
        ({"source": "chosen", "filters": {"material": {"near": 1}}}, 422, "INVALID_REQUEST"),
        ({"source": "chosen", "filters": {"material": "gold"}}, 409, "NOT_ENOUGH_DATA"),
        ({"source": "often"}, 422, "INVALID_REQUEST"),
        ({"subject": "colour"}, 422, "INVALID_REQUEST"),
    ):
        answer = client.post(f"{DRIFT}/reset", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
