"""Our walk over the topology: what the faces are and how they meet.

The kernel is asked as little as possible, because each question from Python costs about 1 µs:
middle points and tangents come from it, normals of planes and quadrics from their formulas, the
rest is done for all edges at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from OCP.BRepAdaptor import BRepAdaptor_Curve
from OCP.GCPnts import GCPnts_AbscissaPoint
from OCP.GeomAbs import GeomAbs_CurveType
from OCP.gp import gp_Pnt, gp_Vec
from OCP.TopAbs import TopAbs_ShapeEnum

from cadml.geometry.kernel.failures import FAILURES
from cadml.geometry.kernel.surfaces import Surfaces
from cadml.geometry.kernel.topology import Topology, count, mapped
from cadml.geometry.part import BRep, Convexity, CurveType, Floats, Ints, frozen
from cadml.geometry.vectors import cross, dot, lengths, taken

SMOOTH = np.deg2rad(1.0)  # tangent faces of real files meet within far less; a draft or crease is more
LINE: int = GeomAbs_CurveType.GeomAbs_Line.value
CURVES: dict[int, CurveType] = {
    sort.value: curve
    for sort, curve in {
        GeomAbs_CurveType.GeomAbs_Line: CurveType.LINE,
        GeomAbs_CurveType.GeomAbs_Circle: CurveType.CIRCLE,
        GeomAbs_CurveType.GeomAbs_Ellipse: CurveType.ELLIPSE,
        GeomAbs_CurveType.GeomAbs_Hyperbola: CurveType.HYPERBOLA,
        GeomAbs_CurveType.GeomAbs_Parabola: CurveType.PARABOLA,
        GeomAbs_CurveType.GeomAbs_BezierCurve: CurveType.BEZIER,
        GeomAbs_CurveType.GeomAbs_BSplineCurve: CurveType.BSPLINE,
        GeomAbs_CurveType.GeomAbs_OffsetCurve: CurveType.OFFSET,
        GeomAbs_CurveType.GeomAbs_OtherCurve: CurveType.OTHER,
    }.items()
}


@dataclass(frozen=True, slots=True)
class _Edges:
    """Per edge: its curve and where its middle is."""

    kind: NDArray[np.int8]
    length: Floats
    parameter: Floats
    middle: Floats  # (E, 3) mm
    tangent: Floats  # (E, 3), with the material of the first face on its left


def explore(topology: Topology, surfaces: Surfaces, areas: Floats) -> BRep:
    """Return the exact structure; ``areas`` are those of the faces, ``(F,) float64, mm²``."""
    edges = _edges(topology)
    wires = count(topology.shape, TopAbs_ShapeEnum.TopAbs_WIRE)
    convexity, angle = _dihedrals(topology, surfaces, edges)
    return BRep(
        face_surface=frozen(surfaces.kind),
        face_area=areas,
        face_loops=frozen(_loops(topology, wires)),
        face_radius=frozen(surfaces.face_radius()),
        face_bend=frozen(surfaces.bend()),
        edge_curve=frozen(edges.kind),
        edge_length=frozen(edges.length),
        edge_convexity=frozen(convexity),
        edge_angle=frozen(angle),
        edge_faces=topology.edge_faces,
        solids=count(topology.shape, TopAbs_ShapeEnum.TopAbs_SOLID),
        shells=count(topology.shape, TopAbs_ShapeEnum.TopAbs_SHELL),
        wires=wires,
        vertices=count(topology.shape, TopAbs_ShapeEnum.TopAbs_VERTEX),
    )


def _loops(topology: Topology, wires: int) -> Ints:
    loops = np.array([face.NbChildren() for face in topology.faces], dtype=np.int32)
    if loops.sum() != wires:  # a face may also hold loose vertices
        loops[:] = [mapped(face, TopAbs_ShapeEnum.TopAbs_WIRE).Extent() for face in topology.faces]
    return loops


def _edges(topology: Topology) -> _Edges:
    rows: list[tuple[float, ...]] = []
    curve, point, vector = BRepAdaptor_Curve(), gp_Pnt(), gp_Vec()
    for edge in topology.edges:
        curve.Initialize(edge)
        sort = curve.GetType().value
        first, last = curve.FirstParameter(), curve.LastParameter()
        half = (first + last) / 2
        curve.D1(half, point, vector)
        length = last - first if sort == LINE else GCPnts_AbscissaPoint.Length_s(curve)
        rows.append((CURVES[sort], length, half, *point.Coord(), *vector.Coord()))
    table = np.asfortranarray(np.array(rows, dtype=np.float64).reshape(-1, 9))
    tangent = table[:, 6:]
    tangent[topology.edge_reversed] *= -1
    return _Edges(
        kind=table[:, 0].astype(np.int8),
        length=table[:, 1],
        parameter=table[:, 2],
        middle=table[:, 3:6],
        tangent=tangent,
    )


def _dihedrals(topology: Topology, surfaces: Surfaces, edges: _Edges) -> tuple[NDArray[np.int8], Floats]:
    pairs, uses = topology.edge_faces, topology.edge_uses
    angle = np.full(len(pairs), np.nan)
    meet = np.flatnonzero((uses == 2) & (pairs[:, 0] != pairs[:, 1]))  # more uses: no single outside
    normals = _normals(topology, surfaces, edges, meet)
    tangent = taken(edges.tangent, meet)
    turn = dot(tangent, cross(*normals))
    with np.errstate(invalid="ignore", divide="ignore"):
        turn /= lengths(tangent)
    angle[meet] = np.arctan2(turn, dot(*normals))
    convexity = np.full(len(pairs), Convexity.OPEN, dtype=np.int8)
    convexity[angle > SMOOTH] = Convexity.CONVEX
    convexity[angle < -SMOOTH] = Convexity.CONCAVE
    convexity[np.abs(angle) <= SMOOTH] = Convexity.SMOOTH
    convexity[(uses == 2) & (pairs[:, 0] == pairs[:, 1])] = Convexity.SEAM
    return convexity, angle


def _normals(
    topology: Topology, surfaces: Surfaces, edges: _Edges, meet: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Return the outward normals of both faces at the middle of each edge, ``(M, 3)`` each."""
    faces = taken(topology.edge_faces, meet).T.ravel()
    at = np.concatenate([meet, meet])
    normals = surfaces.normals(faces, taken(edges.middle, at))
    for row in np.flatnonzero(np.isnan(normals[:, 0])):
        face, edge = int(faces[row]), int(at[row])
        try:
            normal = surfaces.evaluated(face, topology.edges[edge], float(edges.parameter[edge]))
        except FAILURES:  # no curve on the surface: the angle stays undefined
            continue
        if normal is not None:
            normals[row] = normal
    return normals[: len(meet)], normals[len(meet) :]
