"""Changes of the cache's settings: the 300 s in which one can be taken back, and the automatic mode."""

from __future__ import annotations

import pytest

from cadml.cache.adjustment import AutomaticMode, Bounds, Limits, RollbackWindow
from cadml.errors import CacheTuningRollbackWindowActive, Conflict, InvalidRequest, NothingToRollBack

OLD, WANTED, THIRD = Bounds(1000, 3600), Bounds(2000, 1800), Bounds(3000, 1800)


def test_a_second_apply_inside_the_window_is_refused_with_the_contracts_code():
    window = RollbackWindow()
    assert window.apply(OLD, WANTED, now=100.0) == WANTED
    for now in (100.0, 250.0, 399.999):
        with pytest.raises(CacheTuningRollbackWindowActive) as refused:
            window.apply(WANTED, THIRD, now=now)
    assert refused.value.code == "CACHE_TUNING_ROLLBACK_WINDOW_ACTIVE"
    assert isinstance(refused.value, Conflict)
    assert refused.value.context["seconds_left"] == 1
    assert window.former(399.0) == OLD
    assert window.apply(WANTED, THIRD, now=400.0) == THIRD
    assert window.rollback(now=401.0) == WANTED


def test_rollback_restores_once_and_only_within_the_window():
    window = RollbackWindow()
    with pytest.raises(NothingToRollBack):
        window.rollback(now=0.0)
    window.apply(OLD, WANTED, now=0.0)
    assert window.seconds_left(100.0) == 200.0
    assert window.rollback(now=299.9) == OLD
    with pytest.raises(NothingToRollBack):
        window.rollback(now=299.9)
    assert window.apply(OLD, WANTED, now=300.0) == WANTED  # after a rollback the way is free
    with pytest.raises(NothingToRollBack):
        window.rollback(now=600.0)


def test_a_refused_value_opens_no_window():
    window = RollbackWindow()
    for wanted in (Bounds(0, 60), Bounds(10, 0), Bounds(10**9, 60)):
        with pytest.raises(InvalidRequest):
            window.apply(OLD, wanted, now=0.0)
    assert window.former(0.0) is None
    assert window.apply(OLD, WANTED, now=0.0) == WANTED


class Drive:
    """A minute at a time: lookups come in with a hit ratio that the test chooses."""

    def __init__(self, limits=None):
        self.mode = AutomaticMode(limits)
        self.now = self.hits = self.lookups = 0
        self.bounds = OLD
        self.mode.step(0, 0, 0, self.bounds, None)

    def minutes(self, count, ratio, advised, each=1000):
        steps = []
        for _ in range(count):
            self.now += 60
            self.lookups += each
            self.hits += round(each * ratio)
            step = self.mode.step(self.now, self.hits, self.lookups, self.bounds, advised)
            if step.bounds is not None:
                self.bounds = step.bounds
            steps.append(step.action)
        return [action for action in steps if action != "keep"]


def test_advice_is_applied_in_bounded_steps_and_kept_when_hits_hold():
    drive = Drive()
    assert drive.minutes(2, 0.5, Bounds(10_000, 3600)) == ["apply"]
    assert drive.bounds == Bounds(2000, 3600)  # twice as large, no more
    assert drive.minutes(60, 0.6, Bounds(9000, 3600)) == ["apply"] * 2
    assert drive.bounds == Bounds(8000, 3600)


def test_a_change_that_costs_hits_is_rolled_back_and_not_retried_at_once():
    drive = Drive()
    advised = Bounds(500, 3600)
    assert drive.minutes(2, 0.6, advised) == ["apply"]
    assert drive.minutes(3, 0.5, advised) == ["rollback"]
    assert drive.bounds == OLD
    assert drive.minutes(28, 0.6, advised) == []  # rests for 1,800 s, twice the usual
    assert drive.minutes(3, 0.6, advised) == ["apply"]


def test_chance_alone_rolls_nothing_back():
    drive = Drive(Limits(lookups=200, fall=0.0))
    assert drive.minutes(1, 0.5, Bounds(500, 3600), each=200) == ["apply"]
    assert drive.minutes(1, 0.45, Bounds(500, 3600), each=200) == []  # 5 points: within two standard errors
    assert drive.bounds == Bounds(500, 3600)


def test_without_evidence_or_without_need_nothing_happens():
    drive = Drive()
    assert drive.minutes(60, 0.5, None) == []
    assert drive.minutes(60, 0.5, Bounds(1100, 3700)) == []  # not worth a change


def test_the_limits_hold():
    drive = Drive(Limits(smallest=800, largest=1500, factor=10, worth=0.1))
    drive.minutes(200, 0.5, Bounds(10**6, 3600))
    assert drive.bounds.capacity == 1500
    drive.minutes(200, 0.5, Bounds(1, 3600))
    assert drive.bounds.capacity == 800


def test_a_change_taken_back_by_hand_ends_the_trial():
    drive = Drive()
    assert drive.minutes(2, 0.5, Bounds(2000, 3600)) == ["apply"]
    drive.bounds = OLD
    assert drive.minutes(5, 0.1, Bounds(2000, 3600)) == []
