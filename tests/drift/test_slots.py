"""Drift of feature vectors: all slot groups judged together, and the one that moved is named."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from vectors_like_parts import Mix

from cadml.drift import picture
from cadml.drift.slots import LARGEST_SAMPLE, SlotBaseline, sampled
from cadml.features.versions import VERSIONS

V5, V4 = VERSIONS["v5"], VERSIONS["v4"]


@pytest.fixture(scope="module")
def baseline() -> SlotBaseline:
    return SlotBaseline(V5, Mix(V5, seed=30).draw(500))


@pytest.fixture
def mix() -> Mix:
    """The baseline's classes; what a test draws does not depend on what others drew before it."""
    mix = Mix(V5, seed=30)
    mix.random = np.random.default_rng(32)
    return mix


@pytest.mark.parametrize("size", [30, 100])
def test_windows_of_the_baseline_itself_alarm_hardly_ever(baseline: SlotBaseline, size: int) -> None:
    random = np.random.default_rng(31)
    windows = (baseline.raw[random.integers(0, 500, size)] for _ in range(150))
    assert sum(baseline.compare(window).verdict == "drifted" for window in windows) <= 1


def test_fresh_windows_of_the_same_mix_alarm_hardly_ever(mix: Mix, baseline: SlotBaseline) -> None:
    found = [baseline.compare(mix.draw(100)) for _ in range(150)]
    assert sum(each.verdict == "drifted" for each in found) <= 2
    assert np.median([each.p_value for each in found]) > 0.2


@pytest.mark.parametrize(("size", "shifted"), [(30, 0.5), (100, 0.5), (300, 0.2)])
def test_a_new_class_is_seen(mix: Mix, baseline: SlotBaseline, size: int, shifted: float) -> None:
    found = [baseline.compare(mix.draw(size, shifted)) for _ in range(20)]
    seen = [each for each in found if each.verdict == "drifted"]
    assert len(seen) >= 18
    assert all(each.score == each.groups[0].score > 0.5 for each in seen)


def test_the_group_that_moved_is_named_with_its_slots(mix: Mix, baseline: SlotBaseline) -> None:
    window = mix.draw(200)
    names = [slot.name for slot in V5.slots]
    moved = names.index("volume") if "volume" in names else 6
    window[:, moved] += 2 / V5.scale[moved]
    found = baseline.compare(window)
    start = 0
    for group in V5.descriptors:
        if start <= moved < start + len(group.slots):
            break
        start += len(group.slots)
    worst = found.groups[0]
    assert found.verdict == "drifted"
    assert (worst.name, worst.slots[0].slot) == (group.name, names[moved])
    assert worst.slots[0].wasserstein == pytest.approx(2 / V5.scale[moved], rel=0.2)
    assert [each.score > 0.5 for each in found.groups].count(True) == 1
    assert [each.name for each in found.groups].count(group.name) == 1
    assert len(found.groups) == len(V5.descriptors)


def test_the_energy_distance_is_its_definition() -> None:
    random = np.random.default_rng(32)
    before, after = (random.integers(0, 40, (size, V4.length)).astype(np.float32) for size in (60, 50))
    found = {group.name: group.energy for group in SlotBaseline(V4, before).compare(after).groups}
    a, b = V4.scaled(before)[:, :7], V4.scaled(after)[:, :7]
    expected = 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()
    assert found["basic"] == pytest.approx(expected, rel=1e-6)


def test_a_slot_that_never_varied_does_not_alarm_for_one_part_in_many() -> None:
    random = np.random.default_rng(33)
    before, after = (random.integers(1, 9, (size, V4.length)).astype(np.float32) for size in (500, 1000))
    before[:, 22:] = after[:, 22:] = 1.0
    after[0, 22:] = 5.0
    one = SlotBaseline(V4, before).compare(after)
    after[:100, 22:] = 5.0
    many = SlotBaseline(V4, before).compare(after)
    assert one.verdict == "stable"
    assert (many.verdict, many.groups[0].name) == ("drifted", "surfaces")


def test_all_parts_alike_are_a_baseline_too() -> None:
    same = np.ones((100, V4.length), np.float32)
    baseline = SlotBaseline(V4, same)
    assert baseline.compare(same[:50]).verdict == "stable"
    assert baseline.compare(same[:50] * 9).verdict == "drifted"
    assert ET.fromstring(picture.of_slots("alike", baseline, None)).tag.endswith("svg")


def test_too_little_is_no_verdict(baseline: SlotBaseline) -> None:
    for size in (0, 29):
        found = baseline.compare(baseline.raw[:size])
        assert (found.verdict, found.size, found.score) == ("not enough data", size, None)


def test_a_large_sample_is_thinned_evenly_and_always_alike() -> None:
    raw = np.arange(5000, dtype=np.float32)[:, None]
    kept = sampled(raw)
    assert kept.shape == (LARGEST_SAMPLE, 1)
    assert (np.diff(kept[:, 0]) > 0).all()
    assert np.array_equal(kept, sampled(raw))
    assert np.array_equal(sampled(raw[:10]), raw[:10])


def test_pictures_say_what_is_compared(mix: Mix, baseline: SlotBaseline) -> None:
    drawn = picture.of_slots("v5 <now>", baseline, baseline.compare(mix.draw(50)))
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "score (50 %: alarm)" in drawn
    drawn = picture.of_categories("materials", {"steel & co": 5}, {"brass": 2})
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "steel &amp; co" in drawn
    assert "window" in drawn
