"""Exact integrals over faces and bodies, and the exact box."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from OCP.BRepGProp import BRepGProp
from OCP.GProp import GProp_GProps
from OCP.TopoDS import TopoDS_Shape

from cadml.geometry.kernel.topology import Topology
from cadml.geometry.part import Floats, MassProperties, frozen

ENDLESS = 1e20  # mm²: a square 10,000 km wide


def volume_of(body: TopoDS_Shape) -> GProp_GProps:
    """Return the integrals over what ``body`` encloses; its mass is negative if it is inside out."""
    found = GProp_GProps()
    BRepGProp.VolumeProperties_s(body, found)
    return found


def surface_of(shape: TopoDS_Shape) -> GProp_GProps:
    """Return the integrals over all faces of ``shape``."""
    found = GProp_GProps()
    BRepGProp.SurfaceProperties_s(shape, found)
    return found


def areas_of(topology: Topology) -> tuple[Floats, GProp_GProps]:
    """Return the area of each face, ``(F,) float64, mm²``, and the integrals over all of them."""
    areas = np.empty(len(topology.faces))
    together = GProp_GProps()
    for index, face in enumerate(topology.faces):
        found = surface_of(face)
        areas[index] = found.Mass()
        together.Add(found)
    return frozen(areas), together


def faulty(areas: Floats) -> NDArray[np.bool_]:
    """Return which faces ``(F,)`` have borders that enclose nothing, or all of an endless surface."""
    sound: NDArray[np.bool_] = (areas >= 0) & (areas < ENDLESS)
    if sound.all():  # as nearly always
        return ~sound
    slack = -1e-9 * areas[sound].sum()  # slivers come out a little on either side of zero
    bad: NDArray[np.bool_] = ~(sound | ((areas >= slack) & (areas < 0)))
    return bad


def size_of(surface: GProp_GProps) -> float:
    """Return three radii of gyration of the surface, mm.

    That is near the diagonal (2.7 for a cube's surface, 3.5 for a rod), but no turn of the part changes it.
    """
    spread = float(np.trace(_matrix(surface))) / 2 / surface.Mass()  # the trace counts every square twice
    return 3.0 * math.sqrt(max(spread, 0.0))


def mass_of(surface: GProp_GProps, volumes: Iterable[GProp_GProps], *, is_closed: bool) -> MassProperties:
    """Return the properties of the bodies whose integrals are given; of the surface alone if it is open."""
    area = float(surface.Mass())
    if not is_closed:
        return MassProperties(area, frozen(np.array(surface.CentreOfMass().Coord())), None, None)
    together = GProp_GProps()
    for volume in volumes:
        together.Add(volume)
    centroid = frozen(np.array(together.CentreOfMass().Coord()))
    return MassProperties(area, centroid, float(together.Mass()), frozen(_matrix(together)))


def _matrix(properties: GProp_GProps) -> Floats:
    matrix = properties.MatrixOfInertia()
    return np.array([[matrix.Value(row, column) for column in (1, 2, 3)] for row in (1, 2, 3)])
