"""The slot under concurrency, and the probation's rules, with real models."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cadml.learning.guard import Expected, Guard
from cadml.learning.probation import ENOUGH, MOST_ERRORS, WATCHED, Probation, Record, Usual
from cadml.learning.slot import Loaded, Place, Slot
from made_models import bundle, card, vectors

GUARD = Guard("whitelist", 1 << 20)


def loaded(version: str) -> Loaded:
    verdict, predictor = GUARD.admit(
        bundle(version), "m.cadml", trusted=True, expected=Expected(7), floor=None
    )
    assert predictor is not None, verdict
    return Loaded(card(version), verdict.sha256 or "", "bundle", predictor)


def is_open(model: Loaded) -> bool:
    try:
        model.predictor.probabilities(vectors()[0][:1])
    except AttributeError:
        return False
    return True


def test_a_replaced_model_closes_when_its_last_request_has_left() -> None:
    slot, first, second = Slot(), loaded("a"), loaded("b")
    slot.put(Place(first, 0, 1))
    with slot.use() as one:
        slot.put(Place(second, 0, 2))
        with slot.use() as two:
            assert one is not None
            assert two is not None
            assert (one.loaded, two.loaded) == (first, second)
        assert is_open(first)
        assert slot.holds(first)
    assert not is_open(first)
    assert not slot.holds(first)
    assert is_open(second)
    slot.put(None)
    assert not is_open(second)


def test_the_model_before_stays_open_while_the_new_one_is_watched() -> None:
    slot, first, second = Slot(), loaded("a"), loaded("b")
    slot.put(Place(first, 0, 1))
    watched = Place(second, 0, 2, Probation(Usual(None, 0)), first)
    slot.put(watched)
    assert is_open(first)
    slot.put(Place(second, 0, 2))
    assert not is_open(first)
    assert is_open(second)
    slot.put(None)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_prediction_fails_while_models_change() -> None:
    slot = Slot()
    slot.put(Place(loaded("m0"), 0, 0))
    stop = threading.Event()
    rows = vectors()[0][:4]

    def predict() -> int:
        done = 0
        while not stop.is_set():
            with slot.use() as place:
                assert place is not None
                assert place.loaded.predictor.probabilities(rows).shape == (4, 2)
            done += 1
        return done

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(predict) for _ in range(4)]
        try:
            for number in range(60):
                slot.put(Place(loaded(f"m{number}"), 0, number))
        finally:
            stop.set()
        assert sum(each.result() for each in running) > 60
    slot.put(None)


def test_errors_end_a_probation_at_once() -> None:
    probation = Probation(Usual(0.001, 0.1))
    for _ in range(MOST_ERRORS - 1):
        assert probation.add_error() is None
    assert "3 errors" in (probation.add_error() or "")


def test_slowness_and_abstention_are_compared_with_what_was_usual() -> None:
    before = Usual(0.02, 0.2)
    assert Probation(before).add(WATCHED, 0.09 * WATCHED, 0) is None
    assert "ms per prediction" in (Probation(before).add(WATCHED, 0.11 * WATCHED, 0) or "")
    assert Probation(before).add(WATCHED, 0, WATCHED // 2) is None
    assert "abstained from 60%" in (Probation(before).add(WATCHED, 0, 120) or "")
    assert Probation(before).add(ENOUGH - 1, 9.0 * ENOUGH, ENOUGH - 1) is None  # too few to mean anything


def test_a_probation_passes_after_enough_predictions() -> None:
    probation = Probation(Usual(None, 0.0))
    assert not probation.passed
    for _ in range(WATCHED):
        assert probation.add(1, 0.001, 0) is None
    assert probation.passed
    assert probation.seen() == {"seen": WATCHED, "errors": 0, "abstained": 0}


def test_what_is_usual_comes_from_the_card_until_enough_was_seen() -> None:
    record = Record()
    assert record.usual(0.1) == Usual(None, 0.1)
    record.add(10, 0.1, 9)
    assert record.usual(0.1) == Usual(pytest.approx(0.01), 0.1)
    record.add(90, 0.9, 9)
    assert record.usual(0.1) == Usual(pytest.approx(0.01), pytest.approx(0.18))
    assert np.isfinite(record.usual(0.1).abstained)
