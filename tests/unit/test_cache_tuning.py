"""The contract's tuning table, to the digit, with each band's ends and every bad input."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml.cache.bands import LARGEST, recommend, recommend_for
from cadml.errors import InvalidRequest


def test_the_contracts_example():
    advice = recommend(0.32, 1200, 3600, 6)
    assert (advice.recommended_capacity, advice.recommended_ttl, advice.confidence) == (1800, 3600, 0.75)
    assert advice.experimental is True
    assert any("low hit rate" in sentence for sentence in advice.reasoning)


@pytest.mark.parametrize(
    ("hit_rate", "capacity", "confidence", "words"),
    [
        (0, 1500, 0.75, "low hit rate"),
        (0.0, 1500, 0.75, "low hit rate"),
        (math.nextafter(0.4, 0), 1500, 0.75, "low hit rate"),
        (0.4, 1000, 0.60, "moderate hit rate"),
        (math.nextafter(0.7, 0), 1000, 0.60, "moderate hit rate"),
        (0.7, 1000, 0.55, "target band"),
        (0.85, 1000, 0.55, "target band"),
        (math.nextafter(0.85, 1), 800, 0.70, "high hit rate"),
        (1, 800, 0.70, "high hit rate"),
        (1.0, 800, 0.70, "high hit rate"),
    ],
)
def test_each_band_holds_up_to_its_ends(hit_rate, capacity, confidence, words):
    advice = recommend(hit_rate, 1000, 3600, 12)
    assert advice.recommended_capacity == capacity
    assert advice.recommended_ttl == 3600
    assert advice.confidence == confidence
    assert words in " ".join(advice.reasoning)
    others = {"low hit rate", "moderate hit rate", "target band", "high hit rate"} - {words}
    assert not any(other in " ".join(advice.reasoning) for other in others)


@pytest.mark.parametrize(
    ("hours", "ttl"),
    [
        (1e-9, 1800),
        (1, 1800),
        (math.nextafter(1.0, 2), 2880),
        (6, 2880),
        (math.nextafter(6.0, 7), 3600),
        (math.nextafter(24.0, 0), 3600),
        (24, 4320),
        (1e308, 4320),
    ],
)
def test_a_moderate_hit_rate_fits_the_ttl_to_the_window(hours, ttl):
    advice = recommend(0.5, 1000, 3600, hours)
    assert advice.recommended_ttl == ttl
    assert advice.recommended_capacity == 1000


def test_the_window_is_a_day_unless_said():
    assert recommend(0.5, 1000, 3600) == recommend(0.5, 1000, 3600, 24)


@pytest.mark.parametrize(
    ("ttl", "hours", "wanted"),
    [
        (1, 1, 1),
        (59, 1, 59),
        (60, 1, 60),
        (61, 1, 60),
        (119, 1, 60),
        (120, 1, 60),
        (122, 1, 61),
        (74, 6, 60),
        (75, 6, 60),
        (76, 6, 61),
        (30, 6, 30),
        (1, 24, 1),
        (30, 24, 36),
    ],
)
def test_shrinking_a_ttl_stops_at_a_minute_and_never_raises_one(ttl, hours, wanted):
    assert recommend(0.5, 1000, ttl, hours).recommended_ttl == wanted


@pytest.mark.parametrize(
    ("capacity", "larger", "smaller"),
    # Halves go to the even neighbour, as Python's round does: 4.5 → 4, 7.5 → 8, 10.5 → 10.
    [(1, 2, 1), (2, 3, 2), (3, 4, 2), (4, 6, 3), (5, 8, 4), (7, 10, 6), (9, 14, 7), (1201, 1802, 961)],
)
def test_small_and_odd_capacities(capacity, larger, smaller):
    assert recommend(0.1, capacity, 60).recommended_capacity == larger
    assert recommend(0.9, capacity, 60).recommended_capacity == smaller


def test_large_capacities_keep_every_digit():
    assert recommend(0.1, LARGEST, 60).recommended_capacity == LARGEST // 2 * 3
    assert recommend(0.9, LARGEST - 1, 60).recommended_capacity == 799_999_999_999_999
    assert recommend(0.5, 1, LARGEST, 24).recommended_ttl == LARGEST // 5 * 6


NO_NUMBERS = [
    math.nan,
    math.inf,
    -math.inf,
    "0.5",
    "",
    True,
    False,
    None,
    [1],
    {},
    b"1",
    10**400,
    -(10**400),
    1j,
]


@pytest.mark.parametrize("field", ["hit_rate", "capacity", "ttl", "window_hours"])
@pytest.mark.parametrize(
    "value", NO_NUMBERS, ids=lambda value: f"{value!r:.12}" if value.__class__ is not int else "huge"
)
def test_what_is_no_proper_number_is_refused(field, value):
    fields = {"hit_rate": 0.5, "capacity": 10, "ttl": 60, "window_hours": 6} | {field: value}
    with pytest.raises(InvalidRequest) as refused:
        recommend(**fields)
    assert refused.value.context["field"] == field
    assert field in refused.value.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hit_rate", -1e-9),
        ("hit_rate", math.nextafter(1.0, 2)),
        ("hit_rate", 2),
        ("capacity", 0),
        ("capacity", -5),
        ("capacity", 10.0),
        ("capacity", 10.5),
        ("capacity", LARGEST + 1),
        ("ttl", 0),
        ("ttl", -1),
        ("ttl", 59.9),
        ("ttl", LARGEST + 1),
        ("window_hours", 0),
        ("window_hours", -1),
    ],
)
def test_what_is_out_of_range_is_refused(field, value):
    fields = {"hit_rate": 0.5, "capacity": 10, "ttl": 60, "window_hours": 6} | {field: value}
    with pytest.raises(InvalidRequest, match=field):
        recommend(**fields)


@pytest.mark.parametrize("missing", ["hit_rate", "capacity", "ttl"])
def test_a_missing_field_is_named(missing):
    fields = {"hit_rate": 0.5, "capacity": 10, "ttl": 60}
    del fields[missing]
    with pytest.raises(InvalidRequest, match=f"{missing} is required"):
        recommend_for(fields)


def test_the_ttl_has_two_names():
    fields = {"hit_rate": 0.32, "capacity": 1200, "window_hours": 6}
    assert recommend_for(fields | {"ttl_seconds": 3600}) == recommend_for(fields | {"ttl": 3600})
    assert recommend_for(fields | {"ttl_seconds": 3600, "ttl": 3600}).recommended_ttl == 3600
    with pytest.raises(InvalidRequest, match="must not differ"):
        recommend_for(fields | {"ttl_seconds": 3600, "ttl": 60})
    with pytest.raises(InvalidRequest, match="hitrate"):
        recommend_for(fields | {"ttl": 3600, "hitrate": 1})


@settings(deadline=None)
@given(
    st.floats(0, 1),
    st.integers(1, LARGEST),
    st.integers(1, LARGEST),
    st.floats(0, exclude_min=True, allow_infinity=False),
)
def test_what_holds_for_every_request(hit_rate, capacity, ttl, hours):
    advice = recommend(hit_rate, capacity, ttl, hours)
    assert advice == recommend(hit_rate, capacity, ttl, hours)
    assert type(advice.recommended_capacity) is int
    assert type(advice.recommended_ttl) is int
    assert advice.recommended_capacity >= 1
    assert advice.recommended_ttl >= min(ttl, 60)
    if hit_rate < 0.4:
        assert advice.recommended_capacity > capacity
    elif hit_rate <= 0.85:
        assert advice.recommended_capacity == capacity
    else:
        assert advice.recommended_capacity <= capacity
