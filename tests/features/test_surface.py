"""Triangles, joins, recognised faces and the axis against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from cadml.errors import UndefinedFeature
from cadml.features.evidence import Evidence
from cadml.features.points import quantiles, weighted_quantiles
from cadml.features.recognition import BENT_TWICE, Bend
from cadml.features.surface import Surface
from cadml.features.walls import walls
from cadml.geometry.part import Tessellation, frozen
from solids import SOLIDS, box, cylinder, hexagon_nut, mesh, moved, ring, rotation, torus


def surface(part) -> Surface:
    return Surface(part.tessellation)


@pytest.mark.parametrize("name", list(SOLIDS))
def test_solids_are_closed_and_wound_outwards(name):
    found = surface(SOLIDS[name])
    assert len(found.open_triangles) == 0
    signed = np.einsum("ij,ij->", found.corners[:, 0], np.cross(found.corners[:, 1], found.corners[:, 2]))
    assert signed > 0
    assert found.enclosed_volume == pytest.approx(signed / 6)


def test_box_joins_are_convex_right_angles():
    found = surface(box(10, 20, 35))
    bent = np.abs(found.join_angle) > 0.1
    assert bent.sum() == 12
    assert found.join_angle[bent] == pytest.approx(np.pi / 2)
    assert found.join_length[bent].sum() == pytest.approx(4 * (10 + 20 + 35))
    assert found.area.sum() == pytest.approx(2 * (200 + 350 + 700))


def test_a_bore_bends_inwards():
    found = surface(ring(5, 10, 2))
    assert (found.join_angle < -0.05).sum() == 48
    evidence = Evidence(ring(5, 10, 2))
    shares = (
        np.bincount(evidence.recognised.strip_bend, evidence.recognised.strip_area, len(Bend))
        / evidence.surface.area.sum()
    )
    total = 2 * np.pi * (100 - 25) + 2 * np.pi * 2 * (5 + 10)
    assert shares[Bend.CONCAVE] == pytest.approx(2 * np.pi * 5 * 2 / total, abs=0.005)
    assert shares[Bend.CONVEX] == pytest.approx(2 * np.pi * 10 * 2 / total, abs=0.005)


def test_a_shaft_has_one_curved_face_of_its_radius():
    faces = Evidence(cylinder(5, 60, 96)).recognised
    assert sorted(faces.face_bend.tolist()) == [Bend.PLANE, Bend.PLANE, Bend.CONVEX]
    curved = faces.strip_bend == Bend.CONVEX
    assert 1 / faces.strip_curvature[curved] == pytest.approx(5, rel=0.01)


def test_touching_bodies_are_joined_through_their_material():
    one = box(10, 10, 10).tessellation
    shifted = one.vertices + np.array([10.0, 10.0, 0.0])  # two boxes that share one edge
    both = Surface(
        Tessellation(
            frozen(np.concatenate([one.vertices, shifted])),
            frozen(np.concatenate([one.triangles, one.triangles + 8]).astype(np.int32)),
        )
    )
    assert len(both.open_triangles) == 0
    bent = np.abs(both.join_angle) > 0.1
    assert bent.sum() == 24
    assert both.join_angle[bent] == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("turn", range(4))
def test_bodies_whose_faces_coincide_stay_apart_however_rounding_falls(turn):
    """A bolt in its hole: both walls lie on each other, and either body keeps its own."""
    bolt, bush = cylinder(5, 20).tessellation, ring(5, 10, 20).tessellation
    vertices = np.concatenate([bolt.vertices, bush.vertices + 1e-12 * turn])
    triangles = np.concatenate([bolt.triangles, bush.triangles + len(bolt.vertices)])
    part = moved(mesh(vertices, triangles), rotation(turn), (9, -3, 50))
    both = Surface(part.tessellation)
    of_bolt = both.joins < len(bolt.triangles)
    assert (of_bolt[:, 0] == of_bolt[:, 1]).all()
    assert len(both.joins) == 3 * both.count / 2
    recognised = Evidence(part).recognised
    walls = [
        recognised.strip_area[recognised.strip_bend == bend].sum() for bend in (Bend.CONVEX, Bend.CONCAVE)
    ]
    assert walls == pytest.approx([2 * np.pi * (5 + 10) * 20, 2 * np.pi * 5 * 20], rel=0.01)


def test_a_part_without_area_is_undefined():
    with pytest.raises(UndefinedFeature):
        surface(mesh([[0, 0, 0], [1, 1, 1], [2, 2, 2]], [[0, 1, 2]]))


@pytest.mark.parametrize("name", ["shaft", "disc", "ring", "cone"])
def test_a_turned_part_has_its_axis_wherever_it_lies(name):
    for seed in range(3):
        axis = Evidence(moved(SOLIDS[name], rotation(seed), (9, -3, 50))).axis
        assert axis.distinct > 0.9
        # Ends face along the axis, walls look straight out or in: every normal is one or a mix of the two.
        assert axis.along**2 + axis.outward**2 == pytest.approx(1, abs=0.05)


def test_no_axis_stands_out_of_a_cube():
    assert Evidence(box(10, 10, 10)).axis.distinct < 0.1


def test_a_nut_repeats_six_times():
    row = {s.name: v for s, v in _described(hexagon_nut(9, 5, 8))}
    repeats = [row[f"repeats_{order}"] for order in range(1, 13)]
    assert int(np.argmax(repeats)) + 1 == 6


def _described(part):
    from cadml.features.versions import version

    row = version("v5")
    return zip(row.slots, row.describe(part).values.tolist(), strict=True)


def test_walls_of_a_plate_are_its_thickness():
    evidence = Evidence(box(60, 40, 2))
    thickness = walls(evidence.surface, evidence.points) * evidence.points.gyration_radius
    # A ray begins 1e-4 gyration radii (0.002 mm here) below the surface.
    assert np.median(thickness) == pytest.approx(2, rel=2e-3)


def test_a_torus_bends_twice_where_its_curvatures_are_alike():
    faces = Evidence(torus(20, 12, 96, 96)).recognised
    turn = np.linspace(0, 2 * np.pi, 100_000)
    ratio = 12 * np.cos(turn) / (20 + 12 * np.cos(turn))  # of both principal curvatures
    weight = 20 + 12 * np.cos(turn)
    for bend, where in ((Bend.DOME, ratio > BENT_TWICE), (Bend.SADDLE, ratio < -BENT_TWICE)):
        share = faces.strip_area[faces.strip_bend == bend].sum() / faces.strip_area.sum()
        assert share == pytest.approx(weight[where].sum() / weight.sum(), abs=0.03)


def test_quantiles_of_a_uniform_distribution():
    assert quantiles(np.arange(1000.0), 4) == pytest.approx([124.5, 374.5, 624.5, 874.5])
    assert quantiles(np.array([3.0]), 4) == pytest.approx([3.0] * 4)
    assert weighted_quantiles(np.array([2.0, 1.0]), np.array([1.0, 3.0]), 4).tolist() == [1, 1, 1, 2]
