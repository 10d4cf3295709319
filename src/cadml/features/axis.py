"""The axis about which turning would move the surface least along its normals: that of a turned part.

A surface of revolution slides on itself when turned about its axis, and the rotational part of the
slippage matrix (Gelfand and Guibas 2004) is then singular; its least eigenvector is the axis, and it stays
distinct where principal axes do not. Where no axis stands out (a cube, a ball), any direction would do
and none may count: all slots fade to 0 with :attr:`Axis.distinct`, so they stay the same when turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml.features.points import Points
from cadml.features.surface import Surface
from cadml.geometry.part import Floats
from cadml.geometry.vectors import cross, dot, lengths

TINY = np.finfo(float).tiny
UNMOVED = 1e-3  # squared gyration radii: a ball's own noise; below it two ways of turning are alike


@dataclass(frozen=True, slots=True)
class Axis:
    """Where surface points lie round the axis, in gyration radii, and how they face."""

    distinct: float  # 0 no axis stands out, 1 a surface of revolution
    radius: Floats  # (P,) distance from the axis
    azimuth: NDArray[np.complex128]  # (P,) on the unit circle
    outward: Floats  # (P,) cosine of the normal to the way out from the axis: -1 a bore, +1 a shaft
    along: Floats  # (P,) unsigned cosine of the normal to the axis: 1 an end face


def find_axis(surface: Surface, points: Points) -> Axis:
    """Return the axis of least slippage through the surface's centre."""
    place, normal = points.position / points.gyration_radius, points.normal
    torque = cross(surface.sides / points.gyration_radius, surface.normal[:, None]).T
    moved, ways = np.linalg.eigh((torque * surface.share).reshape(3, -1) @ torque.reshape(3, -1).T)
    axis, first, second = ways.T
    across = (place.T - np.outer(axis, place @ axis)).T
    radius = lengths(across)
    return Axis(
        distinct=float(1 - (max(moved[0], 0.0) + UNMOVED) / (moved[1] + UNMOVED)),
        radius=radius,
        azimuth=(across @ first + 1j * (across @ second)) / np.maximum(radius, TINY),
        outward=dot(normal, across) / np.maximum(radius, TINY),
        along=np.abs(normal @ axis),
    )
