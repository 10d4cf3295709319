"""Models switched without pause: while clients predict, and while the service is killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from cadml.config import Settings
from cadml.engine import Engine
from made_models import bundle, keep, trust, vectors
from model_service import ModelService, model_service
from programs import API, installed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RELOADS, CLIENTS, KILLS = 200, 8, 20
HOSTILE = b"cos\nsystem\n(S'touch executed'\ntR."


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ModelService]:
    with model_service(tmp_path, model_max_mb=1) as opened:
        for number in range(8):
            keep(opened.engine, bundle(f"good-{number}"), f"good-{number}")
        opened.put("bad.cadml", bundle("bad", feature_version="v2"))
        opened.put("huge.cadml", bytes(3 << 20))
        opened.put("hostile.pkl", HOSTILE)
        opened.reload(version="good-0")
        yield opened


def test_no_prediction_fails_in_a_storm_of_reloads(service: ModelService) -> None:
    stop = threading.Event()
    row = vectors()[0][0].tolist()
    url = str(service.client.base_url)

    def predict(_: int) -> list[tuple[int, Any]]:
        said = []
        with httpx.Client(base_url=url, timeout=120) as client:
            while not stop.is_set():
                query = {"vector": row, "version": "v1", "k": 1, "classify": True}
                answer = client.post(f"{API}/search", json=query)
                said.append((answer.status_code, answer.json().get("classification")))
        return said

    turns = [
        (lambda n: service.reload(version=f"good-{n % 8}"), {200}),
        (lambda _: service.reload(path="bad.cadml"), {422}),
        (lambda _: service.reload(path="huge.cadml"), {413}),
        (lambda _: service.reload(path="hostile.pkl"), {403}),
        (lambda _: service.rollback(), {200, 409}),
    ]
    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(predict, k) for k in range(CLIENTS)]
        for number in range(RELOADS):
            turn, expected = turns[number % len(turns)]
            assert turn(number).status_code in expected
        stop.set()
        answers = [answer for each in running for answer in each.result()]
    assert len(answers) > RELOADS
    assert {status for status, _ in answers} == {200}
    for _, found in answers:
        assert found["status"] == "classified"
        assert found["model"].startswith("good-")
        assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert len({found["model"] for _, found in answers}) > 1


def test_a_kill_in_mid_switch_leaves_a_whole_model_and_the_right_level(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    versions = [f"good-{number}" for number in range(4)]
    with Engine(Settings(data_dir=folder, extract_workers=1)) as engine:
        for version in versions:
            keep(engine, bundle(version), version)
            trust(engine, bundle(version))
            engine.models.reload("tester", version=version)
    with installed(folder) as installation:
        for number in range(KILLS):
            service = installation.service
            assert service is not None
            switching = threading.Thread(target=ask, args=(installation.url, number))
            killer = threading.Timer(0.004 * number, service.kill)
            switching.start()
            killer.start()
            switching.join()
            killer.join()
            service.wait()
            installation.start_service()
            body = installation.ask("/model")
            assert body["fallen"] == {}
            assert body["model"]["version"] == body["line"][body["level"]]
            assert body["model"]["version"] in versions
            assert body["status"] == ("rollback" if body["level"] else "ok")


def ask(url: str, number: int) -> None:
    """Switch again and again until nobody answers."""
    try:
        for turn in range(number, number + 1000):
            if turn % 3 == 2:
                httpx.post(f"{url}{API}/model/rollback", json={}, timeout=30)
            else:
                httpx.post(f"{url}{API}/model/reload", json={"version": f"good-{turn % 4}"}, timeout=30)
    except httpx.HTTPError:
        return
