"""Swept surfaces that are planes or quadrics in disguise.

IGES knows a cylinder only as a line turned round an axis, and some STEP writers do the same: without
this, one part would have other surfaces in each format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from OCP.BRepAdaptor import BRepAdaptor_Surface
from OCP.GeomAbs import GeomAbs_CurveType, GeomAbs_SurfaceType

from cadml.geometry.part import Floats, SurfaceType

_SAME = 1e-7  # relative to the size of what is compared, as the kernel's own confusion of points


@dataclass(frozen=True, slots=True)
class Form:
    """A plane or quadric: ``slope`` is a cone's half angle (rad) or a torus's major radius (mm)."""

    kind: SurfaceType
    origin: Floats | tuple[float, float, float]  # (3,) mm
    axis: Floats | tuple[float, float, float]  # (3,)
    radius: float = math.nan
    slope: float = 0.0


def plain_form(adaptor: BRepAdaptor_Surface) -> Form | None:
    """Return what the swept surface really is, or None where it is nothing simpler."""
    basis = adaptor.BasisCurve()
    kind = basis.GetType()
    if kind not in (GeomAbs_CurveType.GeomAbs_Line, GeomAbs_CurveType.GeomAbs_Circle):
        return None
    is_line = kind == GeomAbs_CurveType.GeomAbs_Line
    if adaptor.GetType() == GeomAbs_SurfaceType.GeomAbs_SurfaceOfExtrusion:
        along = np.array(adaptor.Direction().Coord())
        return _extruded_line(basis, along) if is_line else _extruded_circle(basis, along)
    turning = adaptor.AxeOfRevolution()
    origin = np.array(turning.Location().Coord())
    axis = np.array(turning.Direction().Coord())
    return _turned_line(basis, origin, axis) if is_line else _turned_circle(basis, origin, axis)


def _extruded_line(basis: BRepAdaptor_Surface, along: Floats) -> Form | None:
    line = basis.Line()
    normal = np.cross(line.Direction().Coord(), along)
    size = float(np.linalg.norm(normal))
    return Form(SurfaceType.PLANE, np.array(line.Location().Coord()), normal / size) if size > _SAME else None


def _extruded_circle(basis: BRepAdaptor_Surface, along: Floats) -> Form | None:
    circle = basis.Circle()
    axis = np.array(circle.Axis().Direction().Coord())
    if np.linalg.norm(np.cross(axis, along)) > _SAME:
        return None
    return Form(SurfaceType.CYLINDER, np.array(circle.Location().Coord()), axis, float(circle.Radius()))


def _turned_line(basis: BRepAdaptor_Surface, origin: Floats, axis: Floats) -> Form | None:
    line = basis.Line()
    point, direction = np.array(line.Location().Coord()), np.array(line.Direction().Coord())
    rise = float(direction @ axis)
    foot = origin + ((point - origin) @ axis) * axis
    away = point - foot
    radius = float(np.linalg.norm(away))
    if abs(rise) < _SAME:
        return Form(SurfaceType.PLANE, foot, axis)
    if abs(rise) > 1 - _SAME:
        return Form(SurfaceType.CYLINDER, foot, axis, radius)
    outward = direction - rise * axis
    outward /= np.linalg.norm(outward)
    if np.linalg.norm(away - (away @ outward) * outward) > _SAME * max(radius, 1.0):
        return None  # the line passes the axis by: a hyperboloid
    slope = math.atan2(float(direction @ outward), rise)
    slope -= math.pi * round(slope / math.pi)
    return Form(SurfaceType.CONE, foot, axis, float(away @ outward), slope)


def _turned_circle(basis: BRepAdaptor_Surface, origin: Floats, axis: Floats) -> Form | None:
    circle = basis.Circle()
    centre, normal = np.array(circle.Location().Coord()), np.array(circle.Axis().Direction().Coord())
    minor = float(circle.Radius())
    foot = origin + ((centre - origin) @ axis) * axis
    away = centre - foot
    major = float(np.linalg.norm(away))
    if abs(float(normal @ axis)) > _SAME or abs(float(away @ normal)) > _SAME * max(major, 1.0):
        return None  # the axis does not lie in the circle's plane
    if major < _SAME * minor:
        return Form(SurfaceType.SPHERE, centre, axis, minor)
    return Form(SurfaceType.TORUS, foot, axis, minor, major)
