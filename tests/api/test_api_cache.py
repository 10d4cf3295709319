"""The feature cache over HTTP: what it does, advice by bands and by evidence, change and rollback."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest

from cadml.cache.feature_cache import CAPACITY_RANGE, TTL_RANGE, CacheKey
from cadml.cache.tuning import NEEDED_REFERENCES
from cadml.config import Settings
from cadml.engine import Engine
from served import API, JSON, serving

CACHE = f"{API}/features/cache"
Fresh = tuple[Engine, httpx.Client]


@pytest.fixture
def fresh(engine: Engine) -> Iterator[Fresh]:
    """A service of its own, so that no other test's lookups count here; its database is shared."""
    settings = Settings(data_dir=engine.settings.data_dir, extract_workers=1)
    with Engine(settings) as opened, serving(opened) as client:
        yield opened, client


def status_counts(engine: Engine) -> dict[str, int]:
    lines = engine.metrics.text().decode().splitlines()
    name = "feature_cache_tuning_requests_total{status="
    return {line.split('"')[1]: int(float(line.split()[-1])) for line in lines if line.startswith(name)}


def gauge(engine: Engine, name: str) -> float:
    lines = engine.metrics.text().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def lookup_often(engine: Engine, count: int, keys: int) -> None:
    """Use ``keys`` vectors in turn, the way the engine does."""
    values = np.zeros(24, np.float32)
    for number in range(count):
        key = CacheKey(f"{number % keys:064x}", "v4", engine.build)
        engine._through(key, lambda: values)


def test_vectors_are_answered_from_memory_the_second_time(fresh: Fresh, library: dict[str, str]) -> None:
    engine, client = fresh
    first = client.get(f"{API}/parts/{library['box']}/features", params={"version": "v4"}).json()
    assert engine.cache_counts().misses == 1
    second = client.get(f"{API}/parts/{library['box']}/features", params={"version": "v4"}).json()
    assert first == second
    shown = client.get(CACHE).json()
    assert (shown["hits"], shown["misses"], shown["size"], shown["hit_ratio"]) == (1, 1, 1, 0.5)
    health = client.get(f"{API}/health/features/cache").json()
    assert (health["status"], health["second_tier"], health["size"]) == ("ok", "ok", 1)


ROWS = [
    ({"hit_rate": 0.32, "capacity": 1200, "ttl": 3600, "window_hours": 6}, 1800, 3600, 0.75, "low hit rate"),
    ({"hit_rate": 0.5, "capacity": 9, "ttl_seconds": 100, "window_hours": 1}, 9, 60, 0.6, "moderate"),
    ({"hit_rate": 0.5, "capacity": 9, "ttl": 1000}, 9, 1200, 0.6, "moderate hit rate"),
    ({"hit_rate": 0.7, "capacity": 9, "ttl": 1000}, 9, 1000, 0.55, "target band"),
    ({"hit_rate": 0.9, "capacity": 1, "ttl": 1000}, 1, 1000, 0.7, "high hit rate"),
]


def test_the_bands_answer_over_http(fresh: Fresh) -> None:
    engine, client = fresh
    for body, capacity, ttl, confidence, word in ROWS:
        answer = client.post(f"{CACHE}/tuning", json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["recommended_capacity"], found["recommended_ttl"]) == (capacity, ttl)
        assert found["confidence"] == confidence
        assert word in " ".join(found["reasoning"])
        assert isinstance(found["experimental"], bool)
        assert gauge(engine, "feature_cache_tuning_recommended_capacity") == capacity
        assert gauge(engine, "feature_cache_tuning_recommended_ttl_seconds") == ttl
    assert status_counts(engine) == {"ok": len(ROWS), "invalid": 0, "error": 0}


def test_what_fails_validation_is_a_problem_and_counts_as_invalid(fresh: Fresh) -> None:
    engine, client = fresh
    good = {"hit_rate": 0.5, "capacity": 100, "ttl": 60}
    wrong = [
        {},
        good | {"hit_rate": 1.01},
        good | {"hit_rate": "0.5"},
        good | {"hit_rate": True},
        good | {"capacity": 0},
        good | {"capacity": 1.5},
        good | {"ttl": -1},
        good | {"ttl_seconds": 61},
        good | {"window_hours": 0},
        good | {"hitrate": 1},
        [1],
    ]
    texts = ["", "nonsense", '{"hit_rate": NaN, "capacity": 1, "ttl": 1}', "[" * 100_000]
    texts += ['{"hit_rate": 0.5, "capacity": 1' + "0" * 5000 + ', "ttl": 1}']
    texts += ['{"hit_rate": 1e999, "capacity": 1, "ttl": 1}', '"\ud800"'.encode("utf-8", "surrogatepass")]
    answers = [client.post(f"{CACHE}/tuning", json=body) for body in wrong]
    answers += [client.post(f"{CACHE}/tuning", content=text, headers=JSON) for text in texts]
    answers += [client.get(f"{CACHE}/tuning", params={"format": "png"})]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "INVALID_REQUEST"
    assert status_counts(engine) == {"ok": 0, "invalid": len(answers), "error": 0}


def test_evidence_says_what_is_missing_and_then_advises(fresh: Fresh) -> None:
    engine, client = fresh
    little = client.get(f"{CACHE}/tuning").json()
    assert little["status"] == "not enough evidence"
    assert little["needed"]["references"] == NEEDED_REFERENCES
    assert little["recommended_capacity"] is None
    lookup_often(engine, 3 * NEEDED_REFERENCES, keys=400)
    found = client.get(f"{CACHE}/tuning").json()
    assert found["status"] == "ok", found
    # A loop over 400 vectors: nothing below 400 helps, everything from there on hits.
    assert 400 <= found["recommended_capacity"] <= 440
    assert found["expected_hit_ratio"] == pytest.approx(1 - 400 / found["references"], abs=0.02)
    assert found["recommended_bytes"] == pytest.approx(
        found["recommended_capacity"] * engine.cache_counts().entry_bytes, rel=1e-6
    )
    assert found["curve"][0]["capacity"] == 1
    assert (found["capacity"], found["ttl"]) == (10_000, 86_400)
    drawn = client.get(f"{CACHE}/tuning", params={"format": "svg"})
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(drawn.text).tag.endswith("svg")
    assert "recommended" in drawn.text
    assert gauge(engine, "feature_cache_tuning_recommended_capacity") == found["recommended_capacity"]
    assert status_counts(engine) == {"ok": 3, "invalid": 0, "error": 0}


def test_apply_holds_the_former_settings_for_one_rollback(fresh: Fresh) -> None:
    engine, client = fresh
    lookup_often(engine, 50, keys=50)
    applied = client.post(f"{CACHE}/apply", json={"capacity": 20, "ttl": 600})
    assert applied.status_code == 200, applied.text
    body = applied.json()
    assert (body["capacity"], body["ttl"], body["size"], body["evictions"]) == (20, 600, 20, 30)
    assert body["rollback"] == {"capacity": 10_000, "ttl": 86_400}
    assert 0 < body["rollback_seconds_left"] <= 300
    again = client.post(f"{CACHE}/apply", json={"capacity": 30})
    assert (again.status_code, again.json()["code"]) == (409, "CACHE_TUNING_ROLLBACK_WINDOW_ACTIVE")
    back = client.post(f"{CACHE}/rollback").json()
    assert (back["capacity"], back["ttl"], back["rollback"]) == (10_000, 86_400, None)
    twice = client.post(f"{CACHE}/rollback")
    assert (twice.status_code, twice.json()["code"]) == (409, "NOTHING_TO_ROLL_BACK")
    assert gauge(engine, "feature_cache_capacity") == 10_000


REFUSED = [
    {},
    {"capacity": 0},
    {"capacity": CAPACITY_RANGE[1] + 1},
    {"ttl": TTL_RANGE[1] + 1},
    {"ttl": 0},
    {"capacity": 1.5},
    {"capacity": True},
    {"size": 3},
]


def test_apply_refuses_what_is_out_of_range_and_changes_nothing(fresh: Fresh) -> None:
    engine, client = fresh
    for body in REFUSED:
        answer = client.post(f"{CACHE}/apply", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST"), body
    assert engine.adjusted().former is None
    assert engine.cache_counts().capacity == 10_000
