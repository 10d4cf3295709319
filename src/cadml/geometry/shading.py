"""Triangles become a surface to look at: creases kept, curved faces smooth, a colour per triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cadml.geometry.part import Floats, Ints, Part, SurfaceType, Tessellation

Colours = NDArray[np.uint8]

# A mesh has no faces: triangles that meet more sharply than this belong to different ones (rad).
CREASE = np.radians(30)
STEEL = (178, 188, 200, 255)

# The legend of a preview whose file states no colours (docs/reference/colours.md).
SURFACE_COLOURS: dict[SurfaceType, tuple[int, int, int, int]] = {
    SurfaceType.PLANE: (182, 194, 206, 255),
    SurfaceType.CYLINDER: (108, 158, 206, 255),
    SurfaceType.CONE: (240, 178, 92, 255),
    SurfaceType.SPHERE: (214, 110, 110, 255),
    SurfaceType.TORUS: (126, 186, 126, 255),
    SurfaceType.BEZIER: (190, 150, 210, 255),
    SurfaceType.BSPLINE: (166, 128, 196, 255),
    SurfaceType.REVOLUTION: (232, 206, 96, 255),
    SurfaceType.EXTRUSION: (120, 190, 184, 255),
    SurfaceType.OFFSET: (200, 164, 134, 255),
    SurfaceType.OTHER: (150, 150, 150, 255),
}


@dataclass(frozen=True, slots=True)
class Surface:
    """What is drawn: C corners (a vertex once per patch it belongs to) and T triangles."""

    positions: Floats  # (C, 3) mm
    normals: Floats  # (C, 3) unit length
    triangles: Ints  # (T, 3) indices of corners
    patch: Ints  # (T,) the face, or the crease-free region of a mesh
    colour: Colours  # (T, 4) sRGB with alpha


def surface(part: Part, *, by_type: bool) -> Surface:
    """Return the part's drawable surface; degenerate triangles are left out.

    ``by_type`` colours faces without a stated colour by their surface type, else all are steel.
    """
    if part.tessellation is None:
        raise ValueError("only a part with a tessellation has a surface to draw")
    tessellation = part.tessellation
    corners = tessellation.vertices[tessellation.triangles]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled_area = np.linalg.norm(crossed, axis=1)
    kept = doubled_area > 0
    triangles, crossed = tessellation.triangles[kept], crossed[kept]
    patch = _patches(tessellation, kept)
    # One corner per (patch, vertex): a vertex on a crease keeps a normal for each side.
    keys = patch[:, None].astype(np.int64) * (len(tessellation.vertices) + 1) + triangles
    unique, index = np.unique(keys, return_inverse=True)
    index = index.reshape(-1, 3)
    normals = np.zeros((len(unique), 3))
    for column in range(3):
        np.add.at(normals, index[:, column], crossed)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    # Triangles that cancel out at a corner (a folded sheet) leave it their own direction.
    lost = np.flatnonzero(lengths[:, 0] == 0)
    if len(lost):
        unit = crossed / doubled_area[kept][:, None]
        where = np.isin(index, lost)
        normals[index[where]] = np.broadcast_to(unit[:, None], (*index.shape, 3))[where]
    positions = tessellation.vertices[unique % (len(tessellation.vertices) + 1)]
    return Surface(positions, normals, index.astype(np.int32), patch, _colours(part, kept, by_type=by_type))


def _patches(tessellation: Tessellation, kept: NDArray[np.bool_]) -> Ints:
    if tessellation.face_of_triangle is not None:
        return tessellation.face_of_triangle[kept]
    # trimesh takes small triangles for degenerate ones: hand it a part of size 1.
    unit = tessellation.vertices / max(float(np.abs(tessellation.vertices).max()), np.finfo(float).tiny)
    mesh = trimesh.Trimesh(unit, tessellation.triangles[kept], process=False)
    smooth = mesh.face_adjacency[mesh.face_adjacency_angles < CREASE]
    count = len(mesh.faces)
    graph = coo_array((np.ones(len(smooth), np.int8), (smooth[:, 0], smooth[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)


def _colours(part: Part, kept: NDArray[np.bool_], *, by_type: bool) -> Colours:
    tessellation = part.tessellation
    assert tessellation is not None
    face = tessellation.face_of_triangle
    if face is None:
        stated = tessellation.face_colour
        # A mesh may state one colour for all of it, or one for each triangle.
        if stated is not None and len(stated) == len(kept):
            return np.where(stated[:, 3:] > 0, stated, np.array(STEEL, np.uint8))[kept]
        return np.tile(np.array(STEEL, np.uint8), (int(kept.sum()), 1))
    faces = int(face.max(initial=-1)) + 1 if part.brep is None else len(part.brep.face_surface)
    colours = np.tile(np.array(STEEL, np.uint8), (faces, 1))
    if by_type and part.brep is not None:
        legend = np.array([SURFACE_COLOURS[kind] for kind in SurfaceType], np.uint8)
        colours = legend[part.brep.face_surface]
    if tessellation.face_colour is not None:
        stated = tessellation.face_colour
        colours = np.where(stated[:, 3:] > 0, stated, colours)
    return np.asarray(colours[face[kept]], dtype=np.uint8)
