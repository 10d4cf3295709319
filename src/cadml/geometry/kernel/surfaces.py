"""The surface under each face: type, size, and its outward normal at points of its border."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from OCP.BRepAdaptor import BRepAdaptor_Curve2d, BRepAdaptor_Surface
from OCP.BRepTools import BRepTools
from OCP.GeomAbs import GeomAbs_SurfaceType
from OCP.gp import gp_Ax3, gp_Pnt, gp_Vec
from OCP.TopoDS import TopoDS_Edge

from cadml.geometry.kernel.swept import Form, plain_form
from cadml.geometry.kernel.topology import Topology
from cadml.geometry.part import Floats, SurfaceType
from cadml.geometry.vectors import dot, lengths, scaled, taken

TYPES: dict[int, SurfaceType] = {
    sort.value: surface
    for sort, surface in {
        GeomAbs_SurfaceType.GeomAbs_Plane: SurfaceType.PLANE,
        GeomAbs_SurfaceType.GeomAbs_Cylinder: SurfaceType.CYLINDER,
        GeomAbs_SurfaceType.GeomAbs_Cone: SurfaceType.CONE,
        GeomAbs_SurfaceType.GeomAbs_Sphere: SurfaceType.SPHERE,
        GeomAbs_SurfaceType.GeomAbs_Torus: SurfaceType.TORUS,
        GeomAbs_SurfaceType.GeomAbs_BezierSurface: SurfaceType.BEZIER,
        GeomAbs_SurfaceType.GeomAbs_BSplineSurface: SurfaceType.BSPLINE,
        GeomAbs_SurfaceType.GeomAbs_SurfaceOfRevolution: SurfaceType.REVOLUTION,
        GeomAbs_SurfaceType.GeomAbs_SurfaceOfExtrusion: SurfaceType.EXTRUSION,
        GeomAbs_SurfaceType.GeomAbs_OffsetSurface: SurfaceType.OFFSET,
        GeomAbs_SurfaceType.GeomAbs_OtherSurface: SurfaceType.OTHER,
    }.items()
}
# How much of its normal is radial, axial, away from the origin; cones and tori have their own measures.
_PARTS = np.full((3, len(SurfaceType)), 0.0)
_PARTS[0, SurfaceType.CYLINDER] = _PARTS[1, SurfaceType.PLANE] = 1
_PARTS[2, [SurfaceType.SPHERE, SurfaceType.TORUS]] = 1
Row = tuple[float, ...]
_SWEPT = (SurfaceType.REVOLUTION, SurfaceType.EXTRUSION)
TINY = np.finfo(float).tiny
_GRAZING = 1e-12  # relative; below it two derivatives do not span a plane
_STANDSTILL = 1e-7  # mm per parameter, the kernel's own tolerance; below it a derivative points anywhere
_INWARD = 1e-3  # of the way to the middle of a face, to get away from where its surface is singular


@dataclass(slots=True)
class Surfaces:
    """Per face ``(F,)``: what its surface is, in numbers that give normals without the kernel."""

    topology: Topology
    adaptors: dict[int, BRepAdaptor_Surface]  # of the faces for which the kernel was asked
    outward: Floats  # (F,) ±1: the outward normal is along or against the surface's own
    kind: NDArray[np.int8]
    sense: Floats  # (F,) ±1: it is along or against the radius (curved) or axis (plane)
    origin: Floats  # (F, 3) mm
    axis: Floats  # (F, 3)
    radius: Floats  # (F,) mm; as BRep.face_radius, but a cone's at its origin
    slope: Floats  # (F,) rad: a cone's half angle; a torus: its major radius in mm
    closed_form: NDArray[np.bool_]  # (F,) the normal follows from the numbers above

    @classmethod
    def of(cls, topology: Topology) -> Surfaces:
        """Return the surfaces of all faces."""
        kinds: list[SurfaceType] = []
        rows: list[float] = []
        adaptor = BRepAdaptor_Surface()
        for face in topology.faces:
            adaptor.Initialize(face, False)  # noqa: FBT003 — kernel
            kind = TYPES[adaptor.GetType().value]
            kinds.append(kind)
            rows += _ELEMENTARY[kind](adaptor) if kind in _ELEMENTARY else _NO_FORM
        table = np.asfortranarray(np.array(rows, dtype=np.float64).reshape(-1, 9))
        outward = np.where(topology.face_reversed, -1.0, 1.0)
        types = np.array(kinds, dtype=np.int8)
        found = cls(
            topology=topology,
            adaptors={},
            outward=outward,
            kind=types,
            sense=outward * table[:, 8],
            origin=table[:, :3],
            axis=table[:, 3:6],
            radius=table[:, 6],
            slope=table[:, 7],
            closed_form=types <= SurfaceType.TORUS,  # the elementary ones come first
        )
        # A torus that meets itself has points with two normals: there the kernel is asked.
        found.closed_form[(types == SurfaceType.TORUS) & (found.radius >= found.slope)] = False
        for index, kind in enumerate(kinds):
            if kind in _SWEPT:
                found._unmask(index)
        return found

    def _adaptor(self, index: int) -> BRepAdaptor_Surface:
        if index not in self.adaptors:
            self.adaptors[index] = BRepAdaptor_Surface(self.topology.faces[index], False)  # noqa: FBT003 — kernel
        return self.adaptors[index]

    def _take(self, index: int, form: Form) -> None:
        self.kind[index] = form.kind
        self.origin[index], self.axis[index] = form.origin, form.axis
        self.radius[index], self.slope[index] = form.radius, form.slope
        self.closed_form[index] = form.kind != SurfaceType.TORUS or form.radius < form.slope

    def _unmask(self, index: int) -> None:
        """Take a swept face for the plane or quadric that it is, if the kernel's own normals agree."""
        form = plain_form(self._adaptor(index))
        if form is None:
            return
        kind = self.kind[index]
        self._take(index, form)
        low_u, high_u, low_v, high_v = BRepTools.UVBounds_s(self.topology.faces[index])
        agree = []
        for share in (0.3, 0.7):
            point, normal = self._sampled(
                index, low_u + share * (high_u - low_u), low_v + share * (high_v - low_v)
            )
            if normal is not None:
                agree.append(float(normal @ self.normals(np.array([index], dtype=np.int32), point[None])[0]))
        if len(agree) == 2 and min(map(abs, agree)) > 1 - 1e-6 and agree[0] * agree[1] > 0:
            self.sense[index] *= np.sign(agree[0])
        else:
            self.kind[index], self.radius[index], self.closed_form[index] = kind, np.nan, False

    def _sampled(self, index: int, u: float, v: float) -> tuple[Floats, Floats | None]:
        point, along_u, along_v = gp_Pnt(), gp_Vec(), gp_Vec()
        self._adaptor(index).D1(u, v, point, along_u, along_v)
        normal = along_u.Crossed(along_v)
        size, lengths = normal.Magnitude(), (along_u.Magnitude(), along_v.Magnitude())
        where = np.array(point.Coord())
        if size <= _GRAZING * math.prod(lengths) or min(lengths) < _STANDSTILL:
            return where, None
        return where, np.array(normal.Coord()) * (self.outward[index] / size)

    def bend(self) -> NDArray[np.int8]:
        """Return ``(F,)`` +1 bulging out of the material, -1 hollow, 0 flat or mixed."""
        curved = self.closed_form & (self.kind != SurfaceType.PLANE)
        return np.where(curved, self.sense, 0).astype(np.int8)

    def face_radius(self) -> Floats:
        """Return ``(F,) mm`` as :class:`BRep` states it: a cone's is taken at mid-height."""
        radii = self.radius.copy()
        cones = np.flatnonzero(self.kind == SurfaceType.CONE)
        if len(cones):
            points = np.array([point for index in cones.tolist() for point in self._ends(index)])
            twice = np.repeat(cones, 2)
            ends, axis = points - self.origin[twice], self.axis[twice]
            radii[cones] = lengths(ends - scaled(axis, dot(ends, axis))).reshape(-1, 2).mean(axis=1)
        return radii

    def _ends(self, index: int) -> tuple[Row, Row]:
        """Return a point at the lower and one at the upper end of a face."""
        u, _, low, high = BRepTools.UVBounds_s(self.topology.faces[index])
        adaptor = self._adaptor(index)
        return adaptor.Value(u, low).Coord(), adaptor.Value(u, high).Coord()

    def normals(self, faces: NDArray[np.int32], points: Floats) -> Floats:
        """Return the outward normals of ``faces (N,)`` at ``points (N, 3)``; NaN where no formula tells."""
        axis, away = taken(self.axis, faces), points - taken(self.origin, faces)
        height = dot(away, axis)
        radial = away - scaled(axis, height)
        radial = scaled(radial, 1 / np.maximum(lengths(radial), TINY))
        out, along, straight = self._parts(faces, height)
        normals = scaled(radial, out) + scaled(axis, along) + scaled(away, straight)
        with np.errstate(invalid="ignore", divide="ignore"):
            return scaled(normals, self.sense[faces] / lengths(normals))

    def _parts(self, faces: NDArray[np.int32], height: Floats) -> Floats:
        """Return how much of a normal is radial, axial and away from the origin: ``(3, N)``.

        ``height (N,)`` is that of the points above the origin, mm.
        """
        kind = self.kind[faces]
        parts = _PARTS[:, kind]
        cone = np.flatnonzero(kind == SurfaceType.CONE)
        if len(cone):
            slope = self.slope[faces[cone]]
            side = np.sign(self.radius[faces[cone]] + height[cone] * np.tan(slope))  # all turns at the apex
            parts[0, cone], parts[1, cone] = np.cos(slope), -side * np.sin(slope)
        torus = np.flatnonzero(kind == SurfaceType.TORUS)
        parts[0, torus] = -self.slope[faces[torus]]
        parts[:, ~self.closed_form[faces]] = np.nan
        return parts

    def evaluated(self, index: int, edge: TopoDS_Edge, parameter: float) -> Floats | None:
        """Return the outward normal at ``parameter`` of ``edge``, asked of the kernel; None if singular.

        A spline whose last control points coincide has no direction at its very end: there the normal is
        taken a little further inside the face.
        """
        face = self.topology.faces[index]
        uv = BRepAdaptor_Curve2d(edge, face).Value(parameter)
        normal = self._sampled(index, uv.X(), uv.Y())[1]
        if normal is None:
            low_u, high_u, low_v, high_v = BRepTools.UVBounds_s(face)
            u = uv.X() + _INWARD * ((low_u + high_u) / 2 - uv.X())
            v = uv.Y() + _INWARD * ((low_v + high_v) / 2 - uv.Y())
            normal = self._sampled(index, u, v)[1]
        return normal


def _plane(adaptor: BRepAdaptor_Surface) -> Row:
    return _row(adaptor.Plane().Position())


def _cylinder(adaptor: BRepAdaptor_Surface) -> Row:
    cylinder = adaptor.Cylinder()
    return _row(cylinder.Position(), cylinder.Radius())


def _cone(adaptor: BRepAdaptor_Surface) -> Row:
    cone = adaptor.Cone()
    return _row(cone.Position(), cone.RefRadius(), cone.SemiAngle())


def _sphere(adaptor: BRepAdaptor_Surface) -> Row:
    sphere = adaptor.Sphere()
    return _row(sphere.Position(), sphere.Radius())


def _torus(adaptor: BRepAdaptor_Surface) -> Row:
    torus = adaptor.Torus()
    return _row(torus.Position(), torus.MinorRadius(), torus.MajorRadius())


def _row(position: gp_Ax3, radius: float = math.nan, slope: float = 0.0) -> Row:
    """Return origin, axis, radius, slope, and -1 where the axes are left-handed: that turns the normal."""
    handed = 1.0 if position.Direct() else -1.0
    return (*position.Location().Coord(), *position.Direction().Coord(), radius, slope, handed)


_NO_FORM: Row = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.nan, 0.0, 1.0)
_ELEMENTARY = {
    SurfaceType.PLANE: _plane,
    SurfaceType.CYLINDER: _cylinder,
    SurfaceType.CONE: _cone,
    SurfaceType.SPHERE: _sphere,
    SurfaceType.TORUS: _torus,
}
