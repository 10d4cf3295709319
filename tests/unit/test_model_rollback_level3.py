"""Three predecessors are kept: back by one, two and three levels, and no further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_service import ModelService, model_service
from scraped import assert_exported, growing


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ModelService]:
    """Five models activated one after the other, for each test anew: every test changes the line."""
    with model_service(tmp_path) as opened:
        for number in range(1, 6):
            opened.activate(f"m-{number}")
        yield opened


def state(service: ModelService) -> tuple[str, int]:
    body = service.get("/model")
    return body["model"]["version"], body["level"]


def test_the_line_holds_the_newest_and_three_predecessors(service: ModelService) -> None:
    assert service.get("/model")["line"] == ["m-5", "m-4", "m-3", "m-2"]
    assert_exported(service.scrape(), {"model_snapshots_available": 3})


def test_three_levels_at_once_and_one_by_one(service: ModelService) -> None:
    service.rollback(version="m-5")
    assert service.rollback(levels=3).status_code == 200
    assert state(service) == ("m-2", 3)
    assert_exported(service.scrape(), {"model_rollback_level": 3})
    assert service.classify()["model"] == "m-2"
    assert service.rollback(levels=1).json()["code"] == "NOTHING_TO_ROLL_BACK"
    assert service.rollback(version="m-1").status_code == 409  # known, but no longer in the line
    service.rollback(version="m-5")
    for level, version in enumerate(("m-4", "m-3", "m-2"), 1):
        with growing(service.scrape, "model_rollback_total", {str(level): 1}):
            assert service.rollback().status_code == 200
        assert state(service) == (version, level)
    service.rollback(version="m-5")
    assert state(service) == ("m-5", 0)


def test_other_levels_are_wrong_usage(service: ModelService) -> None:
    for levels in (0, 4, -1, 1.5, "2"):
        assert service.rollback(levels=levels).status_code == 422, levels
    assert state(service) == ("m-5", 0)


def test_what_a_rollback_skipped_is_no_predecessor_of_the_next(service: ModelService) -> None:
    service.rollback(version="m-3")
    service.activate("m-6")
    assert service.get("/model")["line"] == ["m-6", "m-3", "m-2"]
    assert state(service) == ("m-6", 0)
    happened = [event["what"] for event in service.get("/model/versions?limit=3")["events"]]
    assert happened == ["activated", "trained", "rolled_back"]
