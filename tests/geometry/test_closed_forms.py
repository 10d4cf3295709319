"""What the kernel half says of solids whose every number is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exact import (
    BOX,
    HEIGHT,
    HOLES,
    RADIUS,
    SOLIDS,
    carried,
    instances,
    motion,
    stalled,
    through_step,
    write_brep,
    write_iges,
    write_step,
)

from cadml.geometry import brep, formats
from cadml.geometry.part import Convexity, CurveType, SurfaceType
from cadml.geometry.samples.solids import prism
from cadml.geometry.samples.writing import write_3mf, write_glb, write_stl

PI, R, H, MAJOR = math.pi, RADIUS, HEIGHT, 25.0
CYLINDER_MASS, CONE_MASS, TORUS_MASS = PI * R**2 * H, PI * R**2 * H / 3, 2 * PI**2 * MAJOR * R**2
SPHERE_MASS = 4 / 3 * PI * R**3


def drilled() -> tuple[np.ndarray, list[float]]:
    """Centroid and principal moments of the plate: a box less three cylinders, by parallel axes."""
    hole = PI * 36 * 8
    bodies = [
        (48000.0, (50, 30, 4), [48000 * (b * b + c * c) / 12 for b, c in ((60, 8), (100, 8), (100, 60))])
    ]
    for x, y in HOLES:
        across = hole * (3 * 36 + 64) / 12
        bodies.append((-hole, (x, y, 4), [-across, -across, -hole * 36 / 2]))
    mass = sum(body for body, *_ in bodies)
    centre = sum(body * np.array(at, dtype=float) for body, at, _ in bodies) / mass
    inertia = np.zeros((3, 3))
    for body, at, own in bodies:
        arm = np.array(at) - centre
        inertia += np.diag(own) + body * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return centre, np.linalg.eigvalsh(inertia).tolist()


# volume, area, principal moments about the centroid (density 1), faces, edges, convex edges
EXPECTED = {
    "box": (
        6000.0,
        2200.0,
        [6000 * (b * b + c * c) / 12 for b, c in ((10, 20), (10, 30), (20, 30))],
        6,
        12,
        12,
    ),
    "cylinder": (
        CYLINDER_MASS,
        2 * PI * R * (R + H),
        [CYLINDER_MASS * R**2 / 2, *[CYLINDER_MASS * (3 * R**2 + H**2) / 12] * 2],
        3,
        3,
        2,
    ),
    "sphere": (SPHERE_MASS, 4 * PI * R**2, [0.4 * SPHERE_MASS * R**2] * 3, 1, 1, 0),
    "cone": (
        CONE_MASS,
        PI * R * (R + math.hypot(R, H)),
        [0.3 * CONE_MASS * R**2, *[CONE_MASS * (3 / 20 * R**2 + 3 / 80 * H**2)] * 2],
        2,
        2,
        1,
    ),
    "torus": (
        TORUS_MASS,
        4 * PI**2 * MAJOR * R,
        [TORUS_MASS * (MAJOR**2 + 0.75 * R**2), *[TORUS_MASS * (MAJOR**2 / 2 + 0.625 * R**2)] * 2],
        1,
        2,
        0,
    ),
    "plate": (
        (6000 - 3 * PI * 36) * 8,
        2 * (6000 - 3 * PI * 36) + 320 * 8 + 3 * 12 * PI * 8,
        drilled()[1],
        9,
        21,
        18,
    ),
}
CENTROIDS = {
    "box": (5, 10, 15),
    "cylinder": (0, 0, 15),
    "sphere": (0, 0, 0),
    "cone": (0, 0, 7.5),
    "torus": (0, 0, 0),
    "plate": drilled()[0],
}
BOXES = {
    "box": ((0, 0, 0), BOX),
    "cylinder": ((-R, -R, 0), (R, R, H)),
    "sphere": ((-R, -R, -R), (R, R, R)),
    "cone": ((-R, -R, 0), (R, R, H)),
    "torus": ((-MAJOR - R, -MAJOR - R, -R), (MAJOR + R, MAJOR + R, R)),
    "plate": ((0, 0, 0), (100, 60, 8)),
}
each_solid = pytest.mark.parametrize("name", SOLIDS)


@each_solid
@pytest.mark.parametrize("moved", [False, True], ids=["in place", "moved"])
def test_integrals_are_exact(name, moved, tmp_path):
    shape = SOLIDS[name]()
    part = through_step(carried(shape, motion()) if moved else shape, tmp_path)
    volume, area, moments, *_ = EXPECTED[name]
    assert part.mass.volume == pytest.approx(volume, rel=1e-9)
    assert part.mass.area == pytest.approx(area, rel=1e-9)
    assert part.brep.face_area.sum() == pytest.approx(area, rel=1e-9)
    assert np.linalg.eigvalsh(part.mass.inertia) == pytest.approx(sorted(moments), rel=1e-9)
    if not moved:
        assert part.mass.centroid == pytest.approx(np.array(CENTROIDS[name], dtype=float), abs=1e-8)


@each_solid
def test_structure_is_counted(name, tmp_path):
    part = through_step(SOLIDS[name](), tmp_path)
    *_, faces, edges, convex = EXPECTED[name]
    found = part.brep
    assert (len(found.face_surface), len(found.edge_curve)) == (faces, edges)
    assert (found.edge_convexity == Convexity.CONVEX).sum() == convex
    assert not np.isin(found.edge_convexity, (Convexity.CONCAVE, Convexity.OPEN)).any()
    assert (found.solids, found.shells, part.instances) == (1, 1, 1)
    assert part.findings == ()


@each_solid
def test_the_box_is_exact(name, tmp_path):
    part = through_step(SOLIDS[name](), tmp_path)
    low, high = (np.array(corner, dtype=float) for corner in BOXES[name])
    assert part.box.minimum == pytest.approx(low, abs=2e-7)
    assert part.box.maximum == pytest.approx(high, abs=2e-7)


@each_solid
def test_the_mesh_is_closed_outward_and_within_its_deflection(name, tmp_path):
    part = through_step(SOLIDS[name](), tmp_path)
    mesh = part.tessellation
    corners = mesh.vertices[mesh.triangles]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    if name not in ("plate", "torus"):  # the nodes lie on the surface: a convex solid holds its mesh
        assert volume <= part.mass.volume * (1 + 1e-12)
    assert abs(part.mass.volume - volume) < part.mass.area * mesh.linear_deflection
    assert set(mesh.face_of_triangle) == set(range(len(part.brep.face_area)))
    _, ids = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    triangles = ids[mesh.triangles]
    triangles = triangles[(triangles != np.roll(triangles, 1, axis=1)).all(axis=1)]
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert sorted(map(tuple, pairs)) == sorted(map(tuple, pairs[:, ::-1]))


def test_faces_know_their_surface_size_and_bend(tmp_path):
    plate = through_step(SOLIDS["plate"](), tmp_path).brep
    hole = plate.face_surface == SurfaceType.CYLINDER
    assert hole.sum() == 3
    assert plate.face_radius[hole] == pytest.approx(6.0)
    assert (plate.face_bend[hole] == -1).all()
    assert (plate.face_bend[~hole] == 0).all()
    assert np.isnan(plate.face_radius[~hole]).all()
    assert sorted(plate.face_loops.tolist()) == [1] * 7 + [4, 4]
    rims = plate.edge_curve == CurveType.CIRCLE
    assert plate.edge_length[rims] == pytest.approx(12 * math.pi)
    assert (plate.edge_convexity == Convexity.SEAM).sum() == 3

    for name, kind, radius in (
        ("cylinder", SurfaceType.CYLINDER, R),
        ("sphere", SurfaceType.SPHERE, R),
        ("torus", SurfaceType.TORUS, R),
        ("cone", SurfaceType.CONE, R / 2),
    ):
        found = through_step(SOLIDS[name](), tmp_path).brep
        curved = found.face_surface == kind
        assert curved.sum() == 1
        assert found.face_radius[curved] == pytest.approx(radius)
        assert found.face_bend[curved] == 1


def test_angles_between_faces_are_signed(tmp_path):
    step = prism([(0, 0), (20, 0), (20, 10), (10, 10), (10, 20), (0, 20)], 5.0)
    found = through_step(step, tmp_path).brep
    assert (found.edge_convexity == Convexity.CONCAVE).sum() == 1
    assert found.edge_angle[found.edge_convexity == Convexity.CONCAVE] == pytest.approx(-math.pi / 2)
    assert found.edge_angle[found.edge_convexity == Convexity.CONVEX] == pytest.approx(math.pi / 2)
    cone = through_step(SOLIDS["cone"](), tmp_path).brep
    rim = cone.edge_curve == CurveType.CIRCLE
    assert cone.edge_angle[rim] == pytest.approx(math.pi - math.atan2(H, R))


def test_an_angle_is_known_where_a_spline_has_no_direction(tmp_path):
    for unit in ("MM", "INCH"):
        found = through_step(stalled(), tmp_path, unit=unit).brep
        upright = (found.edge_curve == CurveType.LINE) & (found.edge_length < 3)
        # There the spline comes in along the line from its second control point, and the chord along x.
        turns = [math.pi - math.atan2(6, 2), math.pi - math.atan2(6, 8)]
        assert sorted(found.edge_angle[upright]) == pytest.approx(sorted(turns), abs=2e-3)
        assert (found.edge_convexity != Convexity.OPEN).all()


@pytest.mark.parametrize("name", ["box", "cylinder", "cone", "torus", "sphere", "plate"])
def test_step_iges_and_brep_tell_the_same(name, tmp_path):
    shape = carried(SOLIDS[name](), motion())
    step = through_step(shape, tmp_path)
    iges = brep.read_iges(write_iges(shape, tmp_path / "part.igs"))
    dump = brep.read_brep(write_brep(shape, tmp_path / "part.brep"))
    for other in (iges, dump):
        assert other.mass.volume == pytest.approx(step.mass.volume, rel=1e-6)
        assert other.mass.area == pytest.approx(step.mass.area, rel=1e-6)
        assert other.mass.centroid == pytest.approx(step.mass.centroid, abs=1e-5)
        assert sorted(other.brep.face_surface) == sorted(step.brep.face_surface)
        assert sorted(other.brep.face_bend) == sorted(step.brep.face_bend)
        assert len(other.brep.edge_length) == len(step.brep.edge_length)
        assert sorted(other.brep.edge_convexity) == sorted(step.brep.edge_convexity)
    assert (step.unit, iges.unit, dump.unit) == ("mm", "mm", "unstated")


@pytest.mark.parametrize("name", ["box", "cylinder"])
@pytest.mark.parametrize(("suffix", "write"), [(".stl", write_stl), (".3mf", write_3mf), (".glb", write_glb)])
def test_meshes_agree_with_the_exact_part_within_the_deflection(name, suffix, write, tmp_path):
    shape = SOLIDS[name]()
    exact = through_step(shape, tmp_path)
    path = tmp_path / f"part{suffix}"
    write(shape, path, "part", "steel")
    mesh = formats.read(path, formats.recognise(path, path.name))
    slack = exact.mass.area * exact.tessellation.linear_deflection + 1e-4
    assert abs(mesh.mass.volume - exact.mass.volume) <= slack
    assert mesh.box.extents == pytest.approx(
        exact.box.extents, abs=exact.tessellation.linear_deflection + 1e-4
    )
    assert mesh.mass.centroid == pytest.approx(
        exact.mass.centroid, abs=exact.tessellation.linear_deflection + 1e-4
    )


@pytest.mark.parametrize("name", ["cylinder", "plate"])
def test_inches_and_millimetres_describe_the_same_part(name, tmp_path):
    shape = carried(SOLIDS[name](), motion())
    for write, read in ((write_step, brep.read_step), (write_iges, brep.read_iges)):
        metric = read(write(shape, tmp_path / "a", unit="MM"))
        imperial = read(write(shape, tmp_path / "b", unit="INCH"))
        assert (metric.unit, metric.unit_in_mm) == ("mm", 1.0)
        assert (imperial.unit, imperial.unit_in_mm) == ("inch", 25.4)
        assert imperial.mass.volume == pytest.approx(metric.mass.volume, rel=1e-8)  # IGES writes 10 digits
        assert imperial.mass.inertia == pytest.approx(metric.mass.inertia, rel=1e-7, abs=1e-3)
        assert imperial.box.minimum == pytest.approx(metric.box.minimum, abs=1e-6)
        assert imperial.brep.face_area == pytest.approx(metric.brep.face_area, rel=1e-8)
        assert imperial.brep.edge_length == pytest.approx(metric.brep.edge_length, rel=1e-8)
        assert imperial.brep.edge_angle == pytest.approx(metric.brep.edge_angle, abs=1e-7, nan_ok=True)
        assert np.array_equal(imperial.brep.edge_convexity, metric.brep.edge_convexity)
        # Where four nodes lie on a circle, rounding decides which diagonal the mesh takes.
        assert np.array_equal(imperial.tessellation.face_of_triangle, metric.tessellation.face_of_triangle)
        assert imperial.tessellation.vertices == pytest.approx(metric.tessellation.vertices, abs=1e-5)


@pytest.mark.parametrize("assembly", [False, True])
def test_every_instance_counts_where_it_stands(assembly, tmp_path):
    part = through_step(instances(SOLIDS["plate"](), 4), tmp_path, assembly=assembly)
    one = EXPECTED["plate"]
    assert part.instances == part.brep.solids == 4
    assert len(part.brep.face_area) == 4 * one[3]
    assert len(part.brep.edge_length) == 4 * one[4]
    assert part.mass.volume == pytest.approx(4 * one[0], rel=1e-9)
    assert part.box.extents == pytest.approx([400.0, 60.0, 8.0])
    assert part.mass.centroid[0] == pytest.approx(
        through_step(SOLIDS["plate"](), tmp_path).mass.centroid[0] + 150
    )


def test_reading_twice_gives_the_same_arrays(tmp_path):
    path = write_step(SOLIDS["plate"](), tmp_path / "part.step")
    first, second = brep.read_step(path), brep.read_step(path)
    assert np.array_equal(first.tessellation.vertices, second.tessellation.vertices)
    assert np.array_equal(first.brep.edge_angle, second.brep.edge_angle, equal_nan=True)
    assert np.array_equal(first.mass.inertia, second.mass.inertia)
