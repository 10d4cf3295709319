"""Exact solids and their files, for tests of the readers against closed forms."""

from __future__ import annotations

import re
from pathlib import Path

from OCP.BRep import BRep_Builder
from OCP.BRepBuilderAPI import (
    BRepBuilderAPI_MakeEdge,
    BRepBuilderAPI_MakeFace,
    BRepBuilderAPI_MakePolygon,
    BRepBuilderAPI_MakeWire,
    BRepBuilderAPI_Transform,
)
from OCP.BRepPrimAPI import BRepPrimAPI_MakeCone, BRepPrimAPI_MakePrism, BRepPrimAPI_MakeTorus
from OCP.BRepTools import BRepTools
from OCP.collections import Array1_double, Array1_gp_Pnt, Array1_int
from OCP.Geom import Geom_BSplineCurve
from OCP.gp import gp_Ax1, gp_Dir, gp_Pnt, gp_Trsf, gp_Vec
from OCP.IGESControl import IGESControl_Writer
from OCP.Interface import Interface_Static
from OCP.STEPControl import STEPControl_StepModelType, STEPControl_Writer
from OCP.TopLoc import TopLoc_Location
from OCP.TopoDS import TopoDS_Compound, TopoDS_Shape

from cadml.geometry import brep
from cadml.geometry.part import Part
from cadml.geometry.samples.solids import box, cut, cylinder, sphere

BOX, RADIUS, HEIGHT = (10.0, 20.0, 30.0), 10.0, 30.0
HOLES = ((20.0, 20.0), (80.0, 20.0), (80.0, 40.0))


def cone() -> TopoDS_Shape:
    return BRepPrimAPI_MakeCone(RADIUS, 0.0, HEIGHT).Shape()


def torus() -> TopoDS_Shape:
    return BRepPrimAPI_MakeTorus(25.0, RADIUS).Shape()


def plate() -> TopoDS_Shape:
    return cut(box((100.0, 60.0, 8.0)), *(cylinder(6.0, 8.0, (x, y, 0.0)) for x, y in HOLES))


SOLIDS = {
    "box": lambda: box(BOX),
    "cylinder": lambda: cylinder(RADIUS, HEIGHT),
    "sphere": lambda: sphere(RADIUS, (0.0, 0.0, 0.0)),
    "cone": cone,
    "torus": torus,
    "plate": plate,
}


def polyline(points: list[tuple[float, float, float]]) -> TopoDS_Shape:
    wire = BRepBuilderAPI_MakePolygon()
    for point in points:
        wire.Add(gp_Pnt(*point))
    return wire.Wire()


def stalled() -> TopoDS_Shape:
    """A wall 2 mm high on a chord of 10 mm and a spline over it whose last two control points coincide."""
    poles, knots, multiplicities = Array1_gp_Pnt(1, 4), Array1_double(1, 2), Array1_int(1, 2)
    for i, (x, y) in enumerate(((0.0, 0.0), (2.0, 6.0), (10.0, 1e-12), (10.0, 0.0)), 1):
        poles.SetValue(i, gp_Pnt(x, y, 0.0))
    for i in (1, 2):
        knots.SetValue(i, i - 1.0)
        multiplicities.SetValue(i, 4)
    spline = BRepBuilderAPI_MakeEdge(Geom_BSplineCurve(poles, knots, multiplicities, 3)).Edge()
    chord = BRepBuilderAPI_MakeEdge(gp_Pnt(10.0, 0.0, 0.0), gp_Pnt(0.0, 0.0, 0.0)).Edge()
    face = BRepBuilderAPI_MakeFace(BRepBuilderAPI_MakeWire(spline, chord).Wire()).Face()
    return BRepPrimAPI_MakePrism(face, gp_Vec(0.0, 0.0, 2.0)).Shape()


def motion(angle: float = 0.7, shift: tuple[float, float, float] = (5.0, -3.0, 11.0)) -> gp_Trsf:
    turn, move = gp_Trsf(), gp_Trsf()
    turn.SetRotation(gp_Ax1(gp_Pnt(3.0, 1.0, 2.0), gp_Dir(1.0, 2.0, 3.0)), angle)
    move.SetTranslation(gp_Vec(*shift))
    return move.Multiplied(turn)


def carried(shape: TopoDS_Shape, change: gp_Trsf) -> TopoDS_Shape:
    return BRepBuilderAPI_Transform(shape, change, True).Shape()


def instances(shape: TopoDS_Shape, count: int) -> TopoDS_Shape:
    """The same body, placed ``count`` times 100 mm apart."""
    builder, compound = BRep_Builder(), TopoDS_Compound()
    builder.MakeCompound(compound)
    for k in range(count):
        place = gp_Trsf()
        place.SetTranslation(gp_Vec(100.0 * k, 0.0, 0.0))
        builder.Add(compound, shape.Located(TopLoc_Location(place)))
    return compound


def write_step(shape: TopoDS_Shape, path: Path, unit: str = "MM", *, assembly: bool = False) -> Path:
    writer = STEPControl_Writer()  # the first one makes the parameters known
    assert Interface_Static.SetCVal_s("write.step.unit", unit)
    assert Interface_Static.SetIVal_s("write.step.assembly", int(assembly))
    writer.Transfer(shape, STEPControl_StepModelType.STEPControl_AsIs)
    writer.Write(str(path))
    Interface_Static.SetCVal_s("write.step.unit", "MM")
    Interface_Static.SetIVal_s("write.step.assembly", 0)
    return path


def write_iges(shape: TopoDS_Shape, path: Path, unit: str = "MM") -> Path:
    writer = IGESControl_Writer(unit, 0)
    writer.AddShape(shape)
    writer.ComputeModel()
    writer.Write(str(path))
    return path


def write_brep(shape: TopoDS_Shape, path: Path) -> Path:
    BRepTools.Write_s(shape, str(path))
    return path


def through_step(shape: TopoDS_Shape, folder: Path, **options: object) -> Part:
    return brep.read_step(write_step(shape, folder / "part.step", **options))


def edited(path: Path, pattern: str, replacement: str) -> Path:
    """The file with the first match of ``pattern`` replaced."""
    text, hits = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.DOTALL)
    assert hits == 1, f"{pattern} is not in {path.name}"
    path.write_text(text)
    return path
