"""d1 against what a drawing is known to hold."""

from __future__ import annotations

import numpy as np
import pytest

from cadml.errors import UndefinedFeature
from cadml.features.versions import version
from solids import DRAWINGS, circle, drawing


def d1(part) -> dict[str, float]:
    row = version("d1")
    return dict(zip((slot.name for slot in row.slots), row.describe(part).values.tolist(), strict=True))


def test_a_plate_with_two_holes_has_three_pieces_and_three_loops():
    found = d1(DRAWINGS["plate"])
    assert np.expm1(found["number_pieces"]) == pytest.approx(3, rel=1e-5)
    assert np.expm1(found["number_loops"]) == pytest.approx(3, rel=1e-5)
    assert found["number_free_ends"] == 0
    assert found["entities_circle"] == pytest.approx(2 / 3)


def test_directions_tell_squares_from_circles():
    square, round_ = d1(drawing([[(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)]])), d1(drawing([circle(0, 0, 9)]))
    assert square["fold_4"] == pytest.approx(1, abs=1e-6)
    assert square["fold_2"] == pytest.approx(0, abs=1e-6)
    assert max(round_[f"fold_{fold}"] for fold in (2, 4, 6, 8)) < 1e-6


def test_a_single_circle_has_one_radius():
    found = d1(drawing([circle(7, 3, 20, 256)]))
    assert [found[f"d1_{i}"] for i in range(1, 13)] == pytest.approx([1] * 12, abs=1e-3)
    assert found["size"] == pytest.approx(np.log(20), abs=1e-3)
    assert found["slenderness"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.5])
def test_any_turn_changes_nothing(angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lines = [np.array([(0, 0), (80, 0), (80, 50), (0, 50), (0, 0)]), circle(20, 25, 6)]
    row = version("d1")
    straight, turned = row.describe(drawing(lines)), row.describe(drawing([line @ turn.T for line in lines]))
    assert turned.values == pytest.approx(straight.values, abs=1e-5)


def test_ends_that_nearly_meet_are_one_corner():
    gap = 1e-9
    closed = d1(drawing([[(0, 0), (5, 0)], [(5, gap), (5, 5)], [(5 - gap, 5), (0, 0)]]))
    assert np.expm1(closed["number_loops"]) == pytest.approx(1, rel=1e-5)


def test_a_drawing_without_a_line_is_undefined():
    with pytest.raises(UndefinedFeature):
        d1(drawing([[(1, 1), (1, 1)]]))
