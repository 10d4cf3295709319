"""What is drawn is the part: silhouettes have the closed forms' areas, models the part's extents."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import trimesh
from PIL import Image

from cadml.errors import NotFound
from cadml.geometry.display import glb, png, svg
from cadml.geometry.part import BoundingBox, BRep, Drawing, Kind, Part, SurfaceType, Tessellation
from cadml.geometry.picture import CAMERA, MARGIN
from cadml.geometry.shading import STEEL, SURFACE_COLOURS, surface


def mesh_part(mesh: trimesh.Trimesh, face=None, colour=None, brep=None) -> Part:
    tessellation = Tessellation(
        np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32), face_of_triangle=face, face_colour=colour
    )
    kind = Kind.MESH if brep is None else Kind.BREP
    return Part(kind, "stl", "mm", 1.0, BoundingBox.of(mesh.vertices), brep=brep, tessellation=tessellation)


def exact_box(extents, colour=None) -> Part:
    mesh = trimesh.creation.box(extents)
    face = np.unique(np.round(mesh.face_normals), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)
    kinds = np.array([SurfaceType.PLANE] * 3 + [SurfaceType.CYLINDER] * 3, np.int8)
    six, none = np.ones(6, np.int32), np.zeros(0)
    edges = (none.astype(np.int8), none, none.astype(np.int8), none, np.zeros((0, 2), np.int32))
    brep = BRep(kinds, np.ones(6), six, np.full(6, np.nan), np.zeros(6, np.int8), *edges, 1, 1, 6, 8)
    return mesh_part(mesh, face, colour, brep)


def drawing_part(segments, layer_of_segment=None, layers=("walls",)) -> Part:
    segments = np.asarray(segments, float)
    count = len(segments)
    layer = np.zeros(count, np.int32) if layer_of_segment is None else np.asarray(layer_of_segment, np.int32)
    drawing = Drawing(
        ("LINE",) * count, layer, layers, segments, np.arange(count, dtype=np.int32), 0.01, (), np.zeros(0), 0
    )
    box = BoundingBox.of(segments.reshape(-1, 2))
    return Part(Kind.DRAWING, "dxf", "mm", 1.0, box, drawing=drawing)


def pixels(part: Part, size: int = 256) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png(part, size))), dtype=float)


def covered(picture: np.ndarray) -> float:
    """Share of the picture that the part covers."""
    return float((picture[..., 3] / 255).mean())


def test_a_sphere_covers_its_great_circle():
    expected = np.pi / 4 * (1 - 2 * MARGIN) ** 2
    picture = pixels(mesh_part(trimesh.creation.icosphere(5, radius=17)))
    assert covered(picture) == pytest.approx(expected, rel=0.003)
    assert picture[..., 3][0].max() == 0  # nothing touches the border


@pytest.mark.parametrize("extents", [(10, 20, 30), (100, 100, 1), (4, 4, 40)])
def test_a_box_covers_the_area_its_faces_project_to(extents):
    x, y, z = extents
    eye = np.abs(CAMERA[2])
    area = y * z * eye[0] + x * z * eye[1] + x * y * eye[2]
    corners = trimesh.creation.box(extents).vertices @ CAMERA[:2].T
    side = np.ptp(corners, axis=0).max() / (1 - 2 * MARGIN)
    assert covered(pixels(exact_box(extents))) == pytest.approx(area / side**2, rel=0.02)


def test_faces_that_turn_away_from_the_light_are_darker_and_edges_darkest():
    picture = pixels(exact_box((10, 10, 10)))
    opaque = picture[picture[..., 3] == 255][:, :3].mean(axis=1)
    levels, counts = np.unique(np.round(opaque / 4) * 4, return_counts=True)
    assert (counts > 0.1 * counts.sum()).sum() >= 3  # three visible faces, three shades
    assert levels[0] < 0.55 * levels[counts > 0.1 * counts.sum()].min()


def test_a_picture_is_the_same_bytes_every_time():
    part = mesh_part(trimesh.creation.annulus(3, 5, 4))
    assert png(part) == png(part)


def test_a_hole_is_seen_through():
    ring = mesh_part(trimesh.creation.annulus(8, 10, 0.5, sections=128))
    disc = mesh_part(trimesh.creation.cylinder(10, 0.5, sections=128))
    share = covered(pixels(ring)) / covered(pixels(disc))
    assert 0.36 < share < 0.46  # 1 - 0.8² = 0.36, and the wall's thickness


def test_a_part_of_no_width_leaves_the_picture_empty():
    sheet = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 0, 0]], [[0, 1, 2]], process=False)
    assert covered(pixels(mesh_part(sheet))) == 0.0


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_size_does_not_change_the_picture(scale):
    reference = mesh_part(trimesh.creation.capsule(4, 2))
    mesh = trimesh.creation.capsule(4, 2)
    mesh.apply_scale(scale)
    assert np.abs(pixels(mesh_part(mesh), 64) - pixels(reference, 64)).mean() < 1


def test_a_model_read_again_has_the_extents_and_volume_in_metres_upright():
    part = mesh_part(trimesh.creation.box((10, 20, 30)))
    again = trimesh.load_scene(io.BytesIO(glb(part)), file_type="glb").to_mesh()
    assert again.extents == pytest.approx([0.010, 0.030, 0.020], rel=1e-6)  # z up becomes y up
    assert again.volume == pytest.approx(6e-6, rel=1e-6)


def test_faces_keep_the_colour_the_file_states_and_others_take_that_of_their_type():
    stated = np.zeros((6, 4), np.uint8)
    stated[0] = (255, 0, 0, 255)
    part = exact_box((1, 2, 3), stated)
    shown = surface(part, by_type=True)
    by_face = {int(f): tuple(c) for f, c in zip(shown.patch, shown.colour.tolist(), strict=True)}
    assert by_face[0] == (255, 0, 0, 255)
    assert by_face[1] == SURFACE_COLOURS[SurfaceType.PLANE]
    assert by_face[4] == SURFACE_COLOURS[SurfaceType.CYLINDER]
    assert set(map(tuple, surface(part, by_type=False).colour.tolist())) == {(255, 0, 0, 255), STEEL}


def test_stated_colours_arrive_in_the_model_as_linear_light():
    stated = np.tile(np.uint8([188, 0, 255, 255]), (6, 1))
    data = glb(exact_box((1, 1, 1), stated))
    again = trimesh.load_scene(io.BytesIO(data), file_type="glb")
    (mesh,) = again.geometry.values()
    colours = (
        mesh.visual.vertex_attributes["color"] if mesh.visual.kind == "texture" else mesh.visual.vertex_colors
    )
    # sRGB 188 is half of the light: IEC 61966-2-1.
    assert np.unique(np.asarray(colours), axis=0).tolist() == [[128, 0, 255, 255]]


def test_creases_keep_two_normals_and_round_faces_one():
    box = surface(mesh_part(trimesh.creation.box((1, 1, 1))), by_type=False)
    assert len(box.positions) == 24
    assert len(np.unique(box.patch)) == 6
    sphere = surface(mesh_part(trimesh.creation.icosphere(4)), by_type=False)
    assert len(np.unique(sphere.patch)) == 1
    assert np.allclose(sphere.normals, sphere.positions, atol=0.01)


def test_a_drawing_keeps_its_layers_and_its_millimetres():
    square = [[[0, 0], [40, 0]], [[40, 0], [40, 20]], [[40, 20], [0, 20]], [[10, 5], [20, 5]]]
    part = drawing_part(square, [0, 0, 0, 1], ('walls & "more"', "holes"))
    tree = ET.fromstring(svg(part))
    space = "{http://www.w3.org/2000/svg}"
    groups = tree.findall(f"{space}g/{space}g")
    assert [group.get("class") for group in groups] == ['walls & "more"', "holes"]
    assert groups[0].find(f"{space}path").get("d") == "M0 0 L40 0 L40 -20 L0 -20"  # one chain, y up
    margin = MARGIN * 40
    assert [float(x) for x in tree.get("viewBox").split()] == pytest.approx(
        [-margin, -20 - margin, 40 + 2 * margin, 20 + 2 * margin]
    )


def test_a_drawing_has_a_thumbnail_where_its_lines_are():
    picture = pixels(drawing_part([[[0, 0], [40, 0]], [[0, 20], [40, 20]]]))
    rows = np.flatnonzero(picture[..., 3].max(axis=1))
    middle = 128 + np.array([-1, 1]) * 0.25 * 256 * (1 - 2 * MARGIN)
    assert rows.min() == pytest.approx(middle[0], abs=2)
    assert rows.max() == pytest.approx(middle[1], abs=2)


def test_views_a_kind_does_not_have_are_refused():
    with pytest.raises(NotFound, match="no 3-D model"):
        glb(drawing_part([[[0, 0], [1, 1]]]))
    with pytest.raises(NotFound, match="no drawing"):
        svg(mesh_part(trimesh.creation.box((1, 1, 1))))
