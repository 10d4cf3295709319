"""v4 says what it says, and costs next to nothing beside v3."""

from __future__ import annotations

import math
import time
from collections import Counter

import numpy as np
import pytest

from cadml.features.counts import shape_entropy
from cadml.features.evidence import Evidence
from cadml.features.versions import version
from exact_box import exact_box
from solids import DRAWINGS, SOLIDS, drawing, turned


def v4(part) -> dict[str, float]:
    row = version("v4")
    return dict(zip((slot.name for slot in row.slots), row.describe(part).values.tolist(), strict=True))


def test_an_exact_box_in_numbers():
    found = v4(exact_box(10, 20, 40))
    expected = {
        "entity_count": 6,
        "bbox_width": 10,
        "bbox_height": 20,
        "bbox_depth": 40,
        "bbox_volume_estimate": 8000,
        "layer_count": 0,
        "complexity_high_flag": 0,
        "norm_width": 0.25,
        "norm_height": 0.5,
        "norm_depth": 1,
        "width_height_ratio": 0.5,
        "width_depth_ratio": 0.25,
        "solids_count": 1,
        "facets_count": 6,
        "avg_volume_per_entity": 8000 / 6,
        "solids_ratio": 1 / 6,
        "facets_ratio": 1,
        "top_kind_freq_1": 1,
        "top_kind_freq_2": 0,
        "top_kind_freq_3": 0,
        "top_kind_freq_4": 0,
        "top_kind_freq_5": 0,
        "surface_count": 6,
        "shape_entropy": 0,
    }
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_mesh_is_counted_by_its_facet_groups():
    box, shaft = v4(SOLIDS["box"]), v4(SOLIDS["shaft"])
    assert (box["entity_count"], box["facets_count"], box["solids_count"]) == (6, 12, 1)
    assert box["top_kind_freq_1"] == 1
    # 48 strips and 2 ends: strips of a coarse curve are curved groups.
    assert (shaft["entity_count"], shaft["surface_count"]) == (50, 50)
    assert shaft["top_kind_freq_1"] == pytest.approx(0.96)
    assert shaft["top_kind_freq_2"] == pytest.approx(0.04)


def test_a_drawing_is_counted_by_its_entities():
    plate = v4(DRAWINGS["plate"])
    assert (plate["entity_count"], plate["layer_count"], plate["surface_count"]) == (3, 1, 0)
    assert (plate["bbox_depth"], plate["width_depth_ratio"], plate["solids_count"]) == (0, 0, 0)
    assert plate["top_kind_freq_1"] == pytest.approx(2 / 3)
    # Two kinds, smoothed to 3/5 and 2/5.
    entropy = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)) / math.log(2)
    assert plate["shape_entropy"] == pytest.approx(entropy)


def test_more_than_500_elements_are_many():
    lines = [[(i, 0), (i, 1)] for i in range(501)]
    assert v4(drawing(lines[:500]))["complexity_high_flag"] == 0
    assert v4(drawing(lines))["complexity_high_flag"] == 1


def test_surface_like_entities_of_a_drawing_are_its_surfaces():
    assert v4(drawing([[(0, 0), (1, 1)]] * 3, surfaces=2))["surface_count"] == 2


@pytest.mark.parametrize(
    ("kinds", "entropy"),
    [
        ({}, 0.0),
        ({"plane": 9}, 0.0),
        ({"plane": 4, "cone": 4}, 1.0),
        ({"a": 1, "b": 1, "c": 1}, 1.0),
        ({"a": 98, "b": 0}, -(0.99 * math.log(0.99) + 0.01 * math.log(0.01)) / math.log(2)),
    ],
)
def test_entropy_against_the_formula(kinds, entropy):
    assert shape_entropy(Counter(kinds)) == pytest.approx(entropy, abs=1e-12)


def test_entropy_grows_with_evenness():
    values = [shape_entropy(Counter({"a": 100 - n, "b": n})) for n in range(1, 51)]
    assert values == sorted(values)
    assert all(0 < value <= 1 for value in values)


def test_v4_costs_little_beside_v3():
    """Side by side in one process, on the part that costs most: a mesh whose groups must be found."""
    part = turned([(5 + 3 * math.sin(i / 3), i) for i in range(60)], 60)
    took = {"v3": [], "v4": []}
    for _ in range(9):
        for name, seconds in took.items():
            start = time.thread_time()
            version(name).describe(part, Evidence(part))
            seconds.append(time.thread_time() - start)
    # v4 adds two numbers to what v3 has found. Measured ratio 1.0; the bound leaves room for a busy machine.
    assert min(took["v4"]) <= 1.5 * min(took["v3"]), took


def test_v4_looks_at_the_part_once(monkeypatch):
    """The same evidence serves both tails: facet groups are found one time."""
    from cadml.features import evidence

    calls = []
    real = evidence.facet_groups
    monkeypatch.setattr(evidence, "facet_groups", lambda surface: calls.append(1) or real(surface))
    version("v4").describe(SOLIDS["nut"])
    assert len(calls) == 1
    assert np.isfinite(version("v4").describe(SOLIDS["nut"]).values).all()
