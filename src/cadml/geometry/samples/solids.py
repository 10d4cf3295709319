"""Building blocks of sample parts: profiles, sweeps and cuts in millimetres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from OCP.BRepAdaptor import BRepAdaptor_Curve
from OCP.BRepAlgoAPI import BRepAlgoAPI_Common, BRepAlgoAPI_Cut, BRepAlgoAPI_Fuse
from OCP.BRepBuilderAPI import (
    BRepBuilderAPI_MakeFace,
    BRepBuilderAPI_MakePolygon,
    BRepBuilderAPI_Transform,
)
from OCP.BRepFilletAPI import BRepFilletAPI_MakeFillet
from OCP.BRepPrimAPI import (
    BRepPrimAPI_MakeBox,
    BRepPrimAPI_MakeCylinder,
    BRepPrimAPI_MakePrism,
    BRepPrimAPI_MakeRevol,
    BRepPrimAPI_MakeSphere,
)
from OCP.collections import List_TopoDS_Shape
from OCP.GeomAbs import GeomAbs_CurveType
from OCP.gp import gp_Ax1, gp_Ax2, gp_Dir, gp_Pnt, gp_Trsf, gp_Vec
from OCP.TopoDS import TopoDS, TopoDS_Edge, TopoDS_Face, TopoDS_Shape, TopoDS_Wire

from cadml.errors import InternalError
from cadml.geometry.kernel.topology import EDGE, bundle, keys, mapped

Point = tuple[float, float]
Vector = tuple[float, float, float]
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def box(size: Vector, corner: Vector = (0.0, 0.0, 0.0)) -> TopoDS_Shape:
    """Return a box of ``size`` that begins at ``corner``."""
    return BRepPrimAPI_MakeBox(gp_Pnt(*corner), *size).Shape()


def cylinder(radius: float, height: float, base: Vector = (0.0, 0.0, 0.0), axis: Vector = Z) -> TopoDS_Shape:
    """Return a cylinder that stands on ``base``."""
    return BRepPrimAPI_MakeCylinder(gp_Ax2(gp_Pnt(*base), gp_Dir(*axis)), radius, height).Shape()


def sphere(radius: float, centre: Vector) -> TopoDS_Shape:
    """Return a sphere."""
    return BRepPrimAPI_MakeSphere(gp_Pnt(*centre), radius).Shape()


def polygon(points: Sequence[Point], height: float = 0.0) -> TopoDS_Wire:
    """Return the closed polygon through ``points`` in the plane z = ``height``."""
    wire = BRepBuilderAPI_MakePolygon()
    for x, y in points:
        wire.Add(gp_Pnt(x, y, height))
    wire.Close()
    return wire.Wire()


def hexagon(across_flats: float) -> list[Point]:
    """Return the corners of a hexagon round the origin."""
    radius = across_flats / math.sqrt(3.0)
    return [(radius * math.cos(k * math.pi / 3), radius * math.sin(k * math.pi / 3)) for k in range(6)]


def face_of(outline: TopoDS_Wire) -> TopoDS_Face:
    """Return the flat face inside ``outline``."""
    return BRepBuilderAPI_MakeFace(outline, True).Face()  # noqa: FBT003 — the kernel's "only plane"


def prism(outline: TopoDS_Wire | Sequence[Point], height: float, base: float = 0.0) -> TopoDS_Shape:
    """Return ``outline`` drawn up by ``height``."""
    wire = outline if isinstance(outline, TopoDS_Wire) else polygon(outline, base)
    return BRepPrimAPI_MakePrism(face_of(wire), gp_Vec(0.0, 0.0, height)).Shape()


def turned(profile: Sequence[Point]) -> TopoDS_Shape:
    """Return ``profile``, points of radius and height, turned round the z axis."""
    wire = BRepBuilderAPI_MakePolygon()
    for radius, height in profile:
        wire.Add(gp_Pnt(radius, 0.0, height))
    wire.Close()
    axis = gp_Ax1(gp_Pnt(0.0, 0.0, 0.0), gp_Dir(0.0, 0.0, 1.0))
    return BRepPrimAPI_MakeRevol(face_of(wire.Wire()), axis).Shape()


def moved(shape: TopoDS_Shape, by: Vector) -> TopoDS_Shape:
    """Return ``shape`` shifted."""
    motion = gp_Trsf()
    motion.SetTranslation(gp_Vec(*by))
    return BRepBuilderAPI_Transform(shape, motion, True).Shape()  # noqa: FBT003 — a copy, not a location


def rotated(
    shape: TopoDS_Shape, angle: float, axis: Vector = Z, at: Vector = (0.0, 0.0, 0.0)
) -> TopoDS_Shape:
    """Return ``shape`` turned by ``angle`` rad round ``axis`` through ``at``."""
    motion = gp_Trsf()
    motion.SetRotation(gp_Ax1(gp_Pnt(*at), gp_Dir(*axis)), angle)
    return BRepBuilderAPI_Transform(shape, motion, True).Shape()  # noqa: FBT003 — a copy, not a location


def cut(shape: TopoDS_Shape, *tools: TopoDS_Shape) -> TopoDS_Shape:
    """Return ``shape`` less all ``tools``."""
    return _boolean(BRepAlgoAPI_Cut(), shape, tools)


def fused(shape: TopoDS_Shape, *others: TopoDS_Shape) -> TopoDS_Shape:
    """Return all shapes as one body, seams between coplanar faces removed."""
    operation = BRepAlgoAPI_Fuse()
    result = _boolean(operation, shape, others)
    operation.SimplifyResult()
    return operation.Shape() if not operation.Shape().IsNull() else result


def common(shape: TopoDS_Shape, other: TopoDS_Shape) -> TopoDS_Shape:
    """Return what both shapes share."""
    return _boolean(BRepAlgoAPI_Common(), shape, (other,))


def together(shapes: Iterable[TopoDS_Shape]) -> TopoDS_Shape:
    """Return several bodies as one part."""
    return bundle(shapes)


def filleted(shape: TopoDS_Shape, radius: float, direction: Vector) -> TopoDS_Shape:
    """Return ``shape`` with its straight edges along ``direction`` rounded."""
    operation = BRepFilletAPI_MakeFillet(shape)
    for edge, _ in straight_edges(shape, direction):
        operation.Add(radius, edge)
    return operation.Shape()


def ring_of(count: int, radius: float, start: float = 0.0) -> list[Point]:
    """Return ``count`` points on a circle."""
    angles = start + np.arange(count) * (2 * math.pi / count)
    return [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]


def holes(points: Iterable[Point], radius: float, height: float, base: float = 0.0) -> list[TopoDS_Shape]:
    """Return drills through a plate that lies between ``base`` and ``base + height``."""
    return [cylinder(radius, height + 2.0, (x, y, base - 1.0)) for x, y in points]


def straight_edges(shape: TopoDS_Shape, direction: Vector) -> list[tuple[TopoDS_Edge, Vector]]:
    """Return the straight edges along ``direction``, each with its middle."""
    wanted, kept = gp_Dir(*direction), []
    for edge in map(TopoDS.Edge, keys(mapped(shape, EDGE))):
        curve = BRepAdaptor_Curve(edge)
        if curve.GetType() == GeomAbs_CurveType.GeomAbs_Line and curve.Line().Direction().IsParallel(
            wanted, 1e-6
        ):
            middle = curve.Value((curve.FirstParameter() + curve.LastParameter()) / 2)
            kept.append((edge, (middle.X(), middle.Y(), middle.Z())))
    return kept


def _boolean(operation: BRepAlgoAPI_Cut, shape: TopoDS_Shape, tools: Iterable[TopoDS_Shape]) -> TopoDS_Shape:
    left, right = List_TopoDS_Shape(), List_TopoDS_Shape()
    left.Append(shape)
    for tool in tools:
        right.Append(tool)
    operation.SetArguments(left)
    operation.SetTools(right)
    operation.Build()
    if not operation.IsDone():
        raise InternalError("the kernel could not combine the solids of a sample part")
    return operation.Shape()
