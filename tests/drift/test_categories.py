"""Drift of categories: right about chance at every size, and able to see a shift."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml.drift.categories import MOST_CATEGORIES, UNSTATED, compare, counted, stability_index
from cadml.drift.verdict import ALARM, score, worst

SHARES = np.array([35, 20, 15, 10, 8, 5, 3, 2, 1, 1]) / 100
NAMES = [f"material {number}" for number in range(10)]


def drawn(random: np.random.Generator, size: int, shifted: float = 0.0) -> dict[str, int]:
    """Return counts of the usual mix, of which ``shifted`` comes from one category instead."""
    moved = random.binomial(size, shifted)
    counts = dict(zip(NAMES, random.multinomial(size - moved, SHARES).tolist(), strict=True))
    counts[NAMES[3]] += int(moved)
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("size", [30, 100, 1000])
def test_windows_of_the_baseline_itself_alarm_hardly_ever(size: int) -> None:
    random = np.random.default_rng(20)
    baseline = drawn(random, 500)
    names, counts = zip(*baseline.items(), strict=True)
    shares = np.array(counts) / 500
    alarms = 0
    for _ in range(200):
        window = dict(zip(names, random.multinomial(size, shares).tolist(), strict=True))
        alarms += compare(baseline, {n: c for n, c in window.items() if c}).verdict == "drifted"
    assert alarms <= 2


def test_chance_is_judged_at_its_level_when_the_baseline_is_drawn_too() -> None:
    random = np.random.default_rng(21)
    values = [compare(drawn(random, 500), drawn(random, 300)).p_value for _ in range(300)]
    # An exact test: p values under chance are even. 99.9 % bounds of a binomial share of 300.
    for level, most in ((0.05, 0.10), (0.2, 0.29), (0.5, 0.61)):
        assert level - (most - level) <= np.mean(np.array(values) <= level) <= most
    assert np.mean(np.array(values) <= ALARM) <= 0.015


@pytest.mark.parametrize(("size", "shifted"), [(30, 0.5), (100, 0.5), (100, 0.2), (1000, 0.2), (1000, 0.1)])
def test_a_shift_that_the_size_can_show_is_seen(size: int, shifted: float) -> None:
    random = np.random.default_rng(22)
    baseline = drawn(random, 500)
    found = [compare(baseline, drawn(random, size, shifted)) for _ in range(40)]
    seen = [each for each in found if each.verdict == "drifted"]
    assert len(seen) >= 32
    assert all(each.score > 0.5 for each in seen)
    moved = Counter(each.moved[0].name for each in seen)
    assert moved.most_common(1)[0][0] == NAMES[3]


def test_a_category_that_was_never_there_alarms_in_number_only() -> None:
    baseline = {"steel": 400, "brass": 100}
    one = compare(baseline, {"steel": 79, "brass": 20, "titanium": 1})
    many = compare(baseline, {"steel": 64, "brass": 16, "titanium": 20})
    assert one.verdict == "stable"
    assert many.verdict == "drifted"
    assert many.moved[0].name == "titanium"
    assert many.deviation.value > many.deviation.threshold
    assert many.jensen_shannon.value > many.jensen_shannon.threshold


def test_equal_samples_do_not_differ_at_all() -> None:
    found = compare({"a": 300, "b": 200}, {"a": 30, "b": 20})
    assert (found.verdict, found.score, found.p_value, found.moved) == ("stable", 0.0, 1.0, ())
    assert found.jensen_shannon.value == found.deviation.value == pytest.approx(0, abs=1e-6)
    only = compare({UNSTATED: 500}, {UNSTATED: 50})
    assert (only.verdict, only.score) == ("stable", 0.0)


def test_the_stability_index_is_its_formula() -> None:
    before, after = np.array([50, 50]), np.array([80, 20])
    p, q = np.array([50.5, 50.5]) / 101, np.array([80.5, 20.5]) / 101
    assert stability_index(before, after) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


def test_too_little_is_no_verdict() -> None:
    for baseline, window in (({"a": 500}, {"a": 29}), ({"a": 29}, {"a": 500}), ({"a": 500}, {})):
        assert compare(baseline, window).verdict == "not enough data"


def test_names_are_told_apart_by_what_can_be_read() -> None:
    labels = ["Steel", " steel ", "STEEL\x00", None, "", "  ", 304, "304", "a\ud800b", "x" * 900]
    assert counted(labels) == {"steel": 3, UNSTATED: 3, "304": 2, "ab": 1, "x" * 200: 1}


def test_the_gravest_verdict_counts() -> None:
    assert worst([]) == worst(["not enough data"]) == "not enough data"
    assert worst(["stable", "not enough data"]) == "stable"
    assert worst(["watch", "drifted", "stable"]) == "drifted"


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_score_is_a_share_and_half_at_the_threshold(
    distance: float, expected: float, above: float
) -> None:
    threshold = expected + above + 1e-3
    assert 0 <= score(distance, expected, threshold) < 1
    assert score(threshold, expected, threshold) == pytest.approx(0.5)
    assert score(expected, expected, threshold) == 0


COUNTS = st.dictionaries(st.text(max_size=3), st.integers(1, 5000), max_size=3 * MOST_CATEGORIES)


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS)
def test_any_counts_give_a_sound_answer(baseline: dict[str, int], window: dict[str, int]) -> None:
    found = compare(baseline, window)
    assert found.size == sum(window.values())
    if found.score is not None:
        assert 0 <= found.score <= 1
        assert 0 <= found.jensen_shannon.value <= 1
        assert found.deviation.value >= 0
        beyond = [each.value > each.threshold + 1e-9 for each in (found.jensen_shannon, found.deviation)]
        assert (found.score > 0.5 + 1e-9) == any(beyond)
        assert 0 < found.p_value <= 1
        assert (found.verdict == "drifted") == (found.p_value <= ALARM)
        assert compare(baseline, window) == found
