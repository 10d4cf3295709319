"""Mesh files of every kind against closed forms, and every kind of damage against its error."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import cad_files as files
from cadml.errors import (
    EmptyFile,
    FileError,
    FileTooLarge,
    MalformedFile,
    NoSurfaceGeometry,
    TruncatedFile,
    UnknownFormat,
)
from cadml.geometry import threemf
from cadml.geometry.gltf import read_gltf
from cadml.geometry.mesh import read_obj, read_off, read_stl
from cadml.geometry.orientation import is_closed
from cadml.geometry.part import Part
from cadml.geometry.ply import read_ply
from cadml.geometry.polygons import Polygons
from cadml.geometry.threemf import read_3mf
from cadml.geometry.triangles import measure

Reader = Callable[[Path], Part]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Reader, bytes | str], Part]:
    def reading(reader: Reader, content: bytes | str) -> Part:
        path = tmp_path / "upload"  # readers must never trust the name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return reader(path)

    return reading


def codes(part: Part) -> list[str]:
    return [finding.code for finding in part.findings]


# -- one box through every writer -------------------------------------------------------------------

WRITTEN = [
    (read_stl, files.stl, 1e-6),
    (read_stl, files.stl_text, 1e-9),
    (read_obj, files.obj, 1e-7),
    (read_off, files.off, 1e-9),
    (read_ply, files.ply, 1e-6),
    (read_ply, lambda mesh: files.ply(mesh, "ascii"), 1e-6),
    (read_gltf, files.glb, 1e-6),
    (read_gltf, files.gltf_json, 1e-6),
    (read_3mf, files.threemf, 1e-12),
]


@pytest.mark.parametrize(("reader", "write", "tolerance"), WRITTEN)
def test_a_box_is_a_box_in_every_format(
    read: Callable, reader: Reader, write: Callable, tolerance: float
) -> None:
    part = read(reader, write(files.box(30, 20, 10)))
    assert part.mass is not None
    assert part.mass.volume == pytest.approx(6000, rel=10 * tolerance)
    assert part.mass.area == pytest.approx(2200, rel=10 * tolerance)
    np.testing.assert_allclose(part.mass.centroid, (7, -3, 11), rtol=10 * tolerance)
    np.testing.assert_allclose(part.box.extents, (30, 20, 10), rtol=10 * tolerance)
    expected = np.diag(
        [6000 / 12 * (20**2 + 10**2), 6000 / 12 * (30**2 + 10**2), 6000 / 12 * (30**2 + 20**2)]
    )
    np.testing.assert_allclose(part.mass.inertia, expected, atol=100 * tolerance * expected.max())
    assert part.tessellation is not None
    assert (len(part.tessellation.vertices), len(part.tessellation.triangles)) == (8, 12)
    assert part.instances == 1
    assert not part.findings


@pytest.mark.parametrize(
    ("mesh", "volume"),
    [
        (trimesh.creation.cylinder(3, 10, sections=64), 10 * 0.5 * 64 * 9 * math.sin(2 * math.pi / 64)),
        (trimesh.creation.annulus(2, 5, 4, sections=48), 4 * 24 * 21 * math.sin(2 * math.pi / 48)),
        (trimesh.creation.icosahedron(), 5 * (3 + 5**0.5) / 12 * 1.0514622242382672**3),
    ],
)
def test_closed_forms_hold(mesh: trimesh.Trimesh, volume: float) -> None:
    found = measure(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    assert found.volume == pytest.approx(volume, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_mass_follows_rigid_motion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mesh = trimesh.creation.annulus(2, 5, 4, sections=12)
    matrix = trimesh.transformations.random_rotation_matrix(rng.random(3))
    shift = rng.normal(size=3) * 100
    still = measure(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    moved = measure(mesh.vertices @ matrix[:3, :3].T + shift, np.asarray(mesh.faces))
    assert moved.volume == pytest.approx(still.volume, rel=1e-12)
    np.testing.assert_allclose(moved.centroid, matrix[:3, :3] @ still.centroid + shift, atol=1e-10)
    np.testing.assert_allclose(moved.inertia, matrix[:3, :3] @ still.inertia @ matrix[:3, :3].T, atol=1e-8)


# -- units and placement ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("micron", 1e-3),
        ("millimeter", 1),
        ("centimeter", 10),
        ("inch", 25.4),
        ("foot", 304.8),
        ("meter", 1000),
    ],
)
def test_3mf_units_are_honoured(read: Callable, unit: str, factor: float) -> None:
    part = read(read_3mf, files.threemf(files.box(), unit))
    np.testing.assert_allclose(part.box.extents, np.array([30, 20, 10]) * factor, rtol=1e-12)
    assert part.unit_in_mm == factor


def test_gltf_is_in_metres(read: Callable) -> None:
    assert read(read_gltf, files.glb(files.box())).unit == "m"


def test_3mf_components_are_placed_counted_and_mirrored_the_right_way_round(read: Callable) -> None:
    objects = (
        f'<object id="1" name="leaf">{files.mesh_3mf(files.box())}</object>'
        '<object id="2"><components><component objectid="1"/>'
        '<component objectid="1" transform="-1 0 0 0 1 0 0 0 1 100 0 0"/></components></object>'
    )
    items = '<item objectid="2"/><item objectid="2" transform="0 1 0 -1 0 0 0 0 1 0 500 0"/>'
    part = read(read_3mf, files.package_3mf({"3D/3dmodel.model": files.model_3mf(objects, items)}))
    assert part.instances == 4
    assert part.mass.volume == pytest.approx(4 * 6000)
    np.testing.assert_allclose(part.box.minimum, (-8, -13, 6), atol=1e-9)
    np.testing.assert_allclose(part.box.maximum, (108, 608, 16), atol=1e-9)
    assert part.names == ("leaf",)


def test_3mf_parts_with_equal_object_ids_are_kept_apart(read: Callable) -> None:
    def leaf(size: float) -> str:
        return files.model_3mf(f'<object id="1">{files.mesh_3mf(files.box(size, 1, 1))}</object>', "")

    objects = (
        '<object id="9"><components><component p:path="/3D/a.model" objectid="1"/>'
        '<component p:path="/3D/b.model" objectid="1" transform="1 0 0 0 1 0 0 0 1 0 9 0"/>'
        "</components></object>"
    )
    root = files.model_3mf(objects, '<item objectid="9"/>')
    content = files.package_3mf({"3D/3dmodel.model": root, "3D/a.model": leaf(3), "3D/b.model": leaf(5)})
    assert read(read_3mf, content).mass.volume == pytest.approx(8)


def test_gltf_nodes_are_placed_and_mirrored_the_right_way_round(read: Callable) -> None:
    scene = trimesh.Scene()
    mesh = trimesh.creation.box((1, 1, 1))
    for k, sign in enumerate((1, -1)):
        matrix = np.diag([sign, 1.0, 1.0, 1.0])
        matrix[0, 3] = 5 * k
        scene.add_geometry(mesh, geom_name="cube", node_name=f"n{k}", transform=matrix)
    part = read(read_gltf, scene.export(file_type="glb"))
    assert part.instances == 2
    assert part.mass.volume == pytest.approx(2e9)
    np.testing.assert_allclose(part.box.extents, (6000, 1000, 1000), rtol=1e-6)


# -- polygons ---------------------------------------------------------------------------------------

ARROW = np.array([(0, 0), (4, 2), (0, 4), (1, 2)], float)  # concave at the last corner: area 6
SPIRAL = np.array(
    [(0, 0), (5, 0), (5, 5), (1, 5), (1, 2), (3, 2), (3, 3), (2, 3), (2, 4), (4, 4), (4, 1), (0, 1)], float
)


def shoelace(outline: np.ndarray) -> float:
    x, y = outline.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([ARROW, ARROW[::-1], SPIRAL, SPIRAL[::-1]]), st.integers(0, 11), st.integers(0, 2**32 - 1)
)
def test_concave_polygons_keep_area_and_side(outline: np.ndarray, roll: int, seed: int) -> None:
    rotation = trimesh.transformations.random_rotation_matrix(np.random.default_rng(seed).random(3))[:3, :3]
    points = np.column_stack([np.roll(outline, roll, axis=0), np.full(len(outline), 3.0)]) @ rotation.T
    size = len(points)
    triangles = Polygons(np.array([size]), np.arange(size)).triangles(points)
    assert len(triangles) == size - 2
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a) / 2
    area = shoelace(outline)
    np.testing.assert_allclose(normals.sum(axis=0), area * rotation[:, 2], atol=1e-9)
    assert np.linalg.norm(normals, axis=1).sum() == pytest.approx(abs(area)), "no triangle overlaps another"


def test_mixed_polygons_are_read_in_all_formats(read: Callable) -> None:
    # A house: quads, triangles and pentagons; 4 x 3 walls of height 2, a ridge of height 3 along y.
    points = [
        (0, 0, 0),
        (4, 0, 0),
        (4, 3, 0),
        (0, 3, 0),
        (0, 0, 2),
        (4, 0, 2),
        (4, 3, 2),
        (0, 3, 2),
        (2, 0, 3),
        (2, 3, 3),
    ]
    faces = [
        (0, 3, 2, 1),
        (0, 1, 5, 8, 4),
        (2, 3, 7, 9, 6),
        (1, 2, 6, 5),
        (3, 0, 4, 7),
        (5, 6, 9, 8),
        (7, 4, 8),
        (7, 8, 9),
    ]
    volume = 4 * 3 * 2 + 4 * 3 / 2
    lines = "\n".join(" ".join(map(str, p)) for p in points)
    listed = "\n".join(" ".join(map(str, (len(f), *f))) for f in faces)
    as_obj = "\n".join(f"v {line}" for line in lines.splitlines()) + "\n"
    as_obj += "\n".join("f " + " ".join(f"{i - len(points)}/1/1" for i in f) for f in faces)
    header = f"element vertex {len(points)}\nproperty float x\nproperty float y\nproperty float z\n"
    header += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    packed = {
        order: b"".join(struct.pack(order + "3f", *p) for p in points)
        + b"".join(struct.pack(f"{order}B{len(f)}i", len(f), *f) for f in faces)
        for order in "<>"
    }
    for reader, content in [
        (read_off, f"OFF\n{len(points)} {len(faces)} 0\n{lines}\n{listed}\n".encode()),
        (read_obj, as_obj.encode()),
        (read_ply, f"ply\nformat ascii 1.0\n{header}{lines}\n{listed}\n".encode()),
        (read_ply, f"ply\nformat binary_little_endian 1.0\n{header}".encode() + packed["<"]),
        (read_ply, f"ply\nformat binary_big_endian 1.0\n{header}".encode() + packed[">"]),
    ]:
        part = read(reader, content)
        assert part.mass.volume == pytest.approx(volume), reader
        assert not part.findings


# -- repair, and saying so --------------------------------------------------------------------------


def test_an_inside_out_body_is_turned(read: Callable) -> None:
    mesh = files.box()
    mesh.invert()
    part = read(read_stl, files.stl(mesh))
    assert part.mass.volume == pytest.approx(6000, rel=1e-6)
    assert codes(part) == ["INSIDE_OUT"]


def test_a_cavity_stays_a_cavity(read: Callable) -> None:
    hole = trimesh.creation.box((2, 2, 2))
    hole.invert()
    part = read(read_stl, files.stl(trimesh.util.concatenate([trimesh.creation.box((6, 6, 6)), hole])))
    assert part.mass.volume == pytest.approx(216 - 8, rel=1e-6)
    assert not part.findings


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 95), min_size=1, max_size=90))
def test_any_wrong_winding_is_repaired(tmp_path_factory: pytest.TempPathFactory, turned: set[int]) -> None:
    mesh = trimesh.creation.annulus(2, 5, 4, sections=12)  # 96 triangles
    faces = np.array(mesh.faces)
    chosen = sorted(turned)
    faces[chosen] = faces[chosen][:, ::-1]
    path = tmp_path_factory.mktemp("winding") / "x"
    path.write_bytes(files.off(trimesh.Trimesh(mesh.vertices, faces, process=False)))
    part = read_off(path)
    assert part.mass is not None
    assert part.mass.volume == pytest.approx(mesh.volume, rel=1e-8)
    assert "WINDING" in codes(part)


def test_doubles_and_degenerates_are_dropped_and_told(read: Callable) -> None:
    corners = files.box().triangles
    flat = [corners[0][[0, 1, 1]]]
    part = read(read_stl, files.soup(*corners, *corners[:3], *flat))
    assert part.mass.volume == pytest.approx(6000, rel=1e-6)
    assert codes(part) == ["DEGENERATE", "DOUBLE_TRIANGLES"]


def test_rounded_corners_are_welded_only_to_close(read: Callable) -> None:
    rng = np.random.default_rng(3)
    corners = files.box().triangles + rng.normal(scale=1e-7, size=(12, 3, 3))
    part = read(
        read_stl, files.stl_text(trimesh.Trimesh(**trimesh.triangles.to_kwargs(corners), process=False))
    )
    assert part.mass.volume == pytest.approx(6000, rel=1e-6)
    assert "WELDED" in codes(part)
    gap = read(read_stl, files.soup(*files.box().triangles[:-1]))
    assert gap.mass.volume is None
    assert codes(gap) == ["OPEN_SURFACE"]


def test_a_few_bad_coordinates_are_dropped_and_many_refused(read: Callable) -> None:
    corners = np.concatenate([trimesh.creation.icosphere(3).triangles])  # 1280
    corners[5, 1, 2] = np.nan
    corners[9, 0, 0] = np.inf
    part = read(read_stl, files.soup(*corners))
    assert codes(part)[0] == "NOT_FINITE"
    assert np.isfinite(part.tessellation.vertices).all()
    corners[:100, 0, 0] = np.nan
    with pytest.raises(MalformedFile, match="no numbers"):
        read(read_stl, files.soup(*corners))


def test_bodies_that_touch_along_an_edge_keep_their_volume(read: Callable) -> None:
    one, two = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 1, 1))
    two.apply_translation((1, 1, 0))
    assert read(read_stl, files.stl(trimesh.util.concatenate([one, two]))).mass.volume == pytest.approx(2)


def test_reading_twice_gives_the_same_arrays(read: Callable) -> None:
    content = files.stl(trimesh.creation.icosphere(3))
    one, two = read(read_stl, content), read(read_stl, content)
    assert one.tessellation.vertices.tobytes() == two.tessellation.vertices.tobytes()
    assert one.tessellation.triangles.tobytes() == two.tessellation.triangles.tobytes()
    assert is_closed(one.tessellation.triangles.astype(np.int64))


# -- damage -----------------------------------------------------------------------------------------

PLY_HEAD = "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
PLY_FACE = "element face {}\nproperty list uchar int vertex_indices\n"
SQUARE = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
PLY_SQUARE = PLY_HEAD.format(4) + PLY_FACE.format(1) + f"end_header\n{SQUARE}"
DAMAGED: list[tuple[Reader, bytes | str, type[FileError], str]] = [
    (read_stl, bytes(80) + struct.pack("<I", 4_000_000_000) + bytes(500), TruncatedFile, "4000000000"),
    (read_stl, bytes(84), EmptyFile, "no triangles"),
    (read_stl, "solid x\nendsolid x\n", EmptyFile, "no triangles"),
    (read_stl, files.stl_text(files.box())[:-12], TruncatedFile, "endsolid"),
    (read_stl, files.stl_text(files.box()).replace(b"vertex", b"vertex o", 1), MalformedFile, "three"),
    (read_stl, files.soup([(1, 1, 1), (2, 2, 2), (3, 3, 3)]), NoSurfaceGeometry, "no area"),
    (read_obj, "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", MalformedFile, "vertex 8, but there are 3"),
    (read_obj, "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -9\n", MalformedFile, "there are 3"),
    (read_obj, "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", MalformedFile, "count from 1"),
    (read_obj, "v 0 0\nf 1 1 1\n", MalformedFile, "fewer than three coordinates"),
    (read_obj, "v 0 0 zero\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", MalformedFile, "no number"),
    (read_obj, "v 0 0 0\nv 1 0 0\nl 1 2\n", NoSurfaceGeometry, "only lines"),
    (read_obj, "v 0 0 0\n", NoSurfaceGeometry, "only points"),
    (read_obj, "# nothing\n", EmptyFile, "no triangles"),
    (read_off, f"OFF\n4 2 0\n{SQUARE}4 0 1 2 3\n", TruncatedFile, "announces 4 vertices and 2 faces"),
    (read_off, f"OFF\n4 1 0\n{SQUARE}4 0 1 2\n", TruncatedFile, "announces 4 corners and has 3"),
    (read_off, f"OFF\n4 1 0\n{SQUARE}4 0 1 2 4\n", MalformedFile, "vertex 4"),
    (read_off, f"OFF\n4 1 0\n{SQUARE}4 0 1 2 -1\n", MalformedFile, "vertex -1"),
    (read_off, f"OFF\nfour 1 0\n{SQUARE}", MalformedFile, "no numbers"),
    (read_off, "OFF\n-4 1 0\n", MalformedFile, "negative"),
    (read_off, "OFF\n", EmptyFile, "after its first line"),
    (read_off, f"OFF\n4 0 0\n{SQUARE}", NoSurfaceGeometry, "only points"),
    (read_off, "OFF BINARY\n", MalformedFile, "plain OFF"),
    (read_ply, PLY_HEAD.format(4) + "end_header\n" + SQUARE, NoSurfaceGeometry, "only points"),
    (read_ply, PLY_HEAD.format(9) + "end_header\n" + SQUARE, TruncatedFile, "9 vertex"),
    (read_ply, PLY_HEAD.format(4_000_000_000) + "end_header\n" + SQUARE, TruncatedFile, "4000000000"),
    (read_ply, PLY_HEAD.format(4), TruncatedFile, "header"),
    (read_ply, PLY_HEAD.format(-4) + "end_header\n" + SQUARE, MalformedFile, "negative"),
    (read_ply, PLY_SQUARE + "4 0 1 2\n", TruncatedFile, "face"),
    (read_ply, PLY_SQUARE + "3 0 1 7\n", MalformedFile, "vertex 7"),
    (read_ply, PLY_SQUARE + "3 0 1 nan\n", MalformedFile, "whole"),
    (read_ply, "ply\nformat ascii 1.0\nproperty float x\nend_header\n", MalformedFile, "header"),
    (read_ply, "ply\nformat ascii 1.0\nelement vertex 0\nend_header\n", EmptyFile, "no triangles"),
    (read_gltf, '{"asset":{"version":"2.0"}}', EmptyFile, "no meshes"),
    (read_gltf, '{"asset":{"version":"1.0"},"meshes":{}}', UnknownFormat, "glTF 2.0"),
    (read_gltf, '{"asset":{"version":"2.0"},"meshes":[', TruncatedFile, "last bracket"),
    (read_gltf, '{"asset":{"version":"2.0"},,}', MalformedFile, "damaged"),
    (read_gltf, "[" * 100_000, FileError, "JSON"),
    (read_gltf, files.glb(files.box())[:-10], TruncatedFile, "announces"),
    (read_gltf, struct.pack("<4sII", b"glTF", 1, 12) + bytes(20), UnknownFormat, "export glTF 2.0"),
    (read_3mf, files.threemf(files.box())[:-30], TruncatedFile, "cut or damaged"),
    (read_3mf, files.package_3mf({"readme.txt": "x"}), MalformedFile, "no 3-D model"),
    (read_3mf, files.threemf(files.box(), "furlong"), MalformedFile, "furlong"),
    (read_3mf, files.package_3mf({"3D/3dmodel.model": "<model><oops"}), MalformedFile, "XML"),
    (read_3mf, files.package_3mf({"3D/3dmodel.model": files.model_3mf("", "")}), EmptyFile, "no triangles"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "content", "error", "words"), DAMAGED)
def test_damage_has_its_error(
    read: Callable, reader: Reader, content: bytes | str, error: type[FileError], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(reader, content)


def test_3mf_cycles_and_explosions_are_refused(read: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threemf, "_PLACES", 3000)  # the real limit takes seconds to reach

    def nested(levels: int, copies: int) -> bytes:
        objects = f'<object id="0">{files.mesh_3mf(files.box())}</object>'
        for level in range(1, levels + 1):
            inner = f'<component objectid="{level - 1}"/>' * copies
            objects += f'<object id="{level}"><components>{inner}</components></object>'
        return files.package_3mf(
            {"3D/3dmodel.model": files.model_3mf(objects, f'<item objectid="{levels}"/>')}
        )

    assert read(read_3mf, nested(40, 1)).mass.volume == pytest.approx(6000)
    with pytest.raises(MalformedFile, match="nested deeper"):
        read(read_3mf, nested(200, 1))
    with pytest.raises(FileTooLarge, match="multiply"):
        read(read_3mf, nested(30, 10))
    cycle = '<object id="1"><components><component objectid="2"/></components></object>'
    cycle += '<object id="2"><components><component objectid="1"/></components></object>'
    with pytest.raises(MalformedFile, match="contains itself"):
        read(
            read_3mf, files.package_3mf({"3D/3dmodel.model": files.model_3mf(cycle, '<item objectid="1"/>')})
        )


def test_a_3mf_bomb_is_refused_before_it_unpacks(read: Callable) -> None:
    with pytest.raises(FileTooLarge, match="no model does that"):
        read(read_3mf, files.package_3mf({"3D/3dmodel.model": b" " * (64 << 20)}))


def test_xml_entities_are_refused(read: Callable) -> None:
    laughs = "".join(f'<!ENTITY l{k + 1} "{f"&l{k};" * 10}">' for k in range(9))
    bomb = f'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY l0 "ha">{laughs}]><model unit="&l9;" {files.CORE}/>'
    with pytest.raises(MalformedFile):
        read(read_3mf, files.package_3mf({"3D/3dmodel.model": bomb}))
    leak = f'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><model {files.CORE}>&x;</model>'
    with pytest.raises(MalformedFile, match="document type"):
        read(read_3mf, files.package_3mf({"3D/3dmodel.model": leak}))


def test_a_3mf_with_a_flipped_byte_is_noticed(read: Callable) -> None:
    content = bytearray(files.threemf(trimesh.creation.icosphere(3)))
    content[len(content) // 2] ^= 0x40
    with pytest.raises((TruncatedFile, MalformedFile)):
        read(read_3mf, bytes(content))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda h: h["buffers"][0].update(uri="../../etc/passwd"), MalformedFile, "another file"),
        (lambda h: h.update(extensionsRequired=["KHR_draco_mesh_compression"]), UnknownFormat, "KHR_draco"),
        (lambda h: h["accessors"][0].update(count=10**9), MalformedFile, "breaks"),
        (lambda h: [accessor.update(sparse={}) for accessor in h["accessors"]], UnknownFormat, "sparse"),
        (lambda h: h["meshes"][0]["primitives"][0].update(mode=6), UnknownFormat, "fans"),
        (lambda h: h["meshes"][0]["primitives"][0].update(mode=1), NoSurfaceGeometry, "lines"),
        (lambda h: h.update(nodes=[{"children": [1]}, {"children": [0]}]), MalformedFile, "themselves"),
        (lambda h: h.update(nodes=[{"children": [1]}, {"children": [1]}]), MalformedFile, "two parents"),
        (lambda h: h.update(nodes=[{"children": [k]} for k in range(1, 3000)] + [{}]), MalformedFile, "nest"),
        (lambda h: h["bufferViews"][0].update(byteLength=10**8), MalformedFile, "breaks"),
    ],
)  # fmt: skip
def test_gltf_damage_has_its_error(
    read: Callable, change: Callable, error: type[FileError], words: str
) -> None:
    header = json.loads(files.gltf_json(files.box()))
    change(header)
    with pytest.raises(error, match=words):
        read(read_gltf, json.dumps(header))


def test_gltf_indices_beyond_the_vertices_are_refused(read: Callable) -> None:
    mesh = trimesh.Trimesh(np.eye(3), [[0, 1, 2]], process=False)
    content = bytearray(files.glb(mesh))
    header = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    index = header["accessors"][header["meshes"][0]["primitives"][0]["indices"]]
    start = 28 + struct.unpack_from("<I", content, 12)[0]
    start += header["bufferViews"][index["bufferView"]].get("byteOffset", 0)
    struct.pack_into("<I", content, start, 77)
    with pytest.raises(MalformedFile, match="77"):
        read(read_gltf, bytes(content))


def test_an_encrypted_3mf_is_refused(read: Callable) -> None:
    content = bytearray(files.threemf(files.box()))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    with pytest.raises(MalformedFile, match="unpacked"):
        read(read_3mf, bytes(content))
