"""A mesh of an exact shape with a stated deflection."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from OCP.BinTools import BinTools, BinTools_FormatVersion
from OCP.BRep import BRep_Builder, BRep_Tool
from OCP.BRepMesh import BRepMesh_IncrementalMesh
from OCP.BRepTools import BRepTools
from OCP.Message import Message_ProgressRange
from OCP.Poly import Poly_Triangulation
from OCP.TopLoc import TopLoc_Location
from OCP.TopoDS import TopoDS_Compound, TopoDS_Face

from cadml.errors import InternalError
from cadml.geometry.kernel.topology import Topology
from cadml.geometry.part import Floats, Ints, Tessellation, frozen

# A chord of 0.3 % of the size keeps shape distributions within their own sampling noise (0.4 % of
# the size at 100,000 pairs); 0.4 rad gives every full circle 16 chords, however small it is.
LINEAR = 0.003
ANGULAR = 0.4
_SECTION = b"\nTriangulations "
_COUNTS = struct.Struct("<ii?d")  # nodes, triangles, has parameters, deflection


def tessellate(topology: Topology, size: float) -> float:
    """Let the kernel lay a mesh on every face, and return its linear deflection, mm.

    ``size`` is a length, mm, that does not depend on how the part lies, so that a moved part is
    meshed alike.
    """
    deflection = LINEAR * size
    BRepTools.Clean_s(topology.shape)  # a file may bring its own, coarser mesh
    BRepMesh_IncrementalMesh(topology.shape, deflection, False, ANGULAR, False)  # noqa: FBT003 — kernel
    return deflection


def collect(topology: Topology, deflection: float) -> tuple[Tessellation, list[int]]:
    """Return the triangles that lie on the faces, and the faces that could not be meshed."""
    kept: dict[int, tuple[int, Poly_Triangulation]] = {}  # instances of a body share their meshes
    uses: list[tuple[int, int, TopLoc_Location]] = []
    bare: list[int] = []
    for index, face in enumerate(topology.faces):
        location = TopLoc_Location()
        mesh = BRep_Tool.Triangulation_s(face, location)
        if mesh is None or not mesh.NbTriangles():
            bare.append(index)
            continue
        number, _ = kept.setdefault(id(mesh), (len(kept), mesh))
        uses.append((index, number, location))
    meshes = _arrays([mesh for _, mesh in kept.values()])
    points = [placed(meshes[number][0], location) for _, number, location in uses]
    corners = [meshes[number][1] for _, number, _ in uses]
    owners = np.array([index for index, _, _ in uses], dtype=np.int32)
    return _together(points, corners, owners, topology.face_reversed[owners], deflection), bare


def _together(
    points: list[Floats],
    corners: list[Ints],
    owners: Ints,
    turned: NDArray[np.bool_],
    deflection: float,
) -> Tessellation:
    """Return the meshes of the faces ``owners`` as one; triangles of ``turned`` ones run the other way."""
    nodes, sizes = (np.array([len(array) for array in arrays], dtype=np.intp) for arrays in (points, corners))
    triangles = np.concatenate([np.zeros((0, 3), dtype=np.int32), *corners])
    other_way = np.flatnonzero(np.repeat(turned, sizes))
    triangles[other_way] = triangles[other_way, ::-1]
    before = np.cumsum(nodes) - nodes - 1  # the kernel counts from 1
    triangles += np.repeat(before.astype(np.int32), sizes)[:, None]
    return Tessellation(
        vertices=frozen(np.concatenate([np.zeros((0, 3)), *points])),
        triangles=frozen(triangles),
        face_of_triangle=frozen(np.repeat(owners, sizes)),
        linear_deflection=deflection,
        angular_deflection=ANGULAR,
    )


def placed(points: Floats, location: TopLoc_Location) -> Floats:
    """Return ``points (N, 3)`` moved to ``location``."""
    if location.IsIdentity():
        return points
    motion: Any = location.Transformation()
    matrix = np.array([[motion.Value(i, j) for j in (1, 2, 3, 4)] for i in (1, 2, 3)])
    moved: Floats = points @ matrix[:, :3].T + matrix[:, 3]
    return moved


def _arrays(meshes: list[Poly_Triangulation]) -> list[tuple[Floats, Ints]]:
    """Return nodes ``(N, 3)`` and triangles ``(T, 3)`` of each mesh, corners counted from 1.

    The kernel writes them into one block of memory, in its own binary form; asking for each node
    and triangle from Python takes ten times as long.
    """
    builder, bundle = BRep_Builder(), TopoDS_Compound()
    builder.MakeCompound(bundle)
    for mesh in meshes:
        face = TopoDS_Face()
        builder.MakeFace(face, mesh)
        builder.Add(bundle, face)
    stream = io.BytesIO()
    version = BinTools_FormatVersion.BinTools_FormatVersion_VERSION_3
    BinTools.Write_s(bundle, stream, True, False, version, Message_ProgressRange())  # noqa: FBT003 — kernel
    data = stream.getvalue()
    at = data.index(_SECTION) + len(_SECTION)
    end = data.index(b"\n", at)
    if int(data[at:end]) != len(meshes):
        raise InternalError("the kernel wrote another number of meshes than it was given")
    at, arrays = end + 1, []
    for _ in meshes:
        nodes, triangles, has_parameters, _ = _COUNTS.unpack_from(data, at)
        at += _COUNTS.size
        points = np.frombuffer(data, np.float64, 3 * nodes, at).reshape(-1, 3)
        at += (5 if has_parameters else 3) * 8 * nodes
        arrays.append((points, np.frombuffer(data, np.int32, 3 * triangles, at).reshape(-1, 3)))
        at += 12 * triangles
    return arrays
