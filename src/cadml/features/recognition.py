"""Faces and edges recognised on triangles alone, so that a mesh has what a B-rep has.

Triangles of one plane make a **strip** (on a curved face, one facet of it). Two strips that meet
at a small angle and are about as wide as each other across it are one curved face approximated by
chords; a wide flat face beside the narrow strips of its fillet is not. From the angles at which a
strip meets its likes follows its curvature tensor (the normal cycle of Cohen-Steiner and Morvan,
2003, averaged over the strip); strips of like curvature unite to **recognised faces**.

The same code describes a STEP file's tessellation and an STL file, so both meet in one space, and
faces that a CAD system splits (a cylinder in two halves) come out whole. On 533 STEP files the area
share of planes differs from the exact one by 0.1 % in the median (docs/decisions/0002).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cadml.features.amounts import totals
from cadml.features.strips import unite
from cadml.features.surface import Surface
from cadml.geometry.part import Floats
from cadml.geometry.vectors import cross, lengths, order_of, run_starts, taken

CHORD = np.radians(42.0)  # coarser than exporters facet a curve, finer than the 45° of a chamfer
LIKE_WIDTH = 3.0  # widths of neighbouring chords of one curve differ by less
LIKE_CURVATURE = 2.5  # and their curvatures by less
BENT_TWICE = 0.2  # second to first curvature above this: doubly curved
STRAIGHT = 1e-3  # curvature times √area below this is none
TANGENT = np.radians(12.0)  # faces that meet more smoothly than this have no edge between them
TINY = np.finfo(float).tiny


class Bend(IntEnum):
    """How a recognised face curves, seen from outside the material."""

    PLANE = 0
    CONVEX = 1  # singly, as a shaft
    CONCAVE = 2  # singly, as a hole
    DOME = 3  # doubly, both ways convex
    BOWL = 4  # doubly, both ways concave
    SADDLE = 5


@dataclass(frozen=True, slots=True)
class Recognised:
    """G strips, F faces, E pairs of faces that meet."""

    strip_area: Floats  # (G,) mm²
    strip_bend: NDArray[np.int64]  # (G,) Bend
    strip_curvature: Floats  # (G,) 1/mm, the larger principal one, + convex
    face_area: Floats  # (F,) mm²
    face_bend: NDArray[np.int64]  # (F,) Bend of most of its area
    edge_faces: NDArray[np.int64]  # (E, 2)
    edge_length: Floats  # (E,) mm
    edge_angle: Floats  # (E,) rad, mean: + convex, - concave
    scale: float  # √area, mm


def recognise_faces(surface: Surface) -> Recognised:
    """Return the faces and edges that the triangles of ``surface`` approximate."""
    strip, area = surface.strips.of_triangle, surface.strips.area
    scale = float(np.sqrt(area.sum()))
    turned = surface.join_length * surface.join_angle
    meet, example = _Meetings.of(taken(strip, surface.joins), surface.join_length, turned)
    is_chord = meet.are_chords(area)
    chord, direction = meet.chosen(is_chord), taken(surface.join_direction, example[is_chord])
    first, second = _curvatures(chord, direction, surface.strips.normal, area)
    bend = _bends(first, second, scale)
    face = unite(chord.sides[_are_alike(chord, bend, first)], len(area))
    faces = int(face.max()) + 1
    of_bend = totals(face * len(Bend) + bend, area, faces * len(Bend)).reshape(faces, -1)
    edges, _ = _Meetings.of(taken(face, meet.sides), meet.length, meet.turned)
    return Recognised(
        strip_area=area,
        strip_bend=bend,
        strip_curvature=first,
        face_area=of_bend.sum(axis=1),
        face_bend=of_bend.argmax(axis=1),
        edge_faces=edges.sides,
        edge_length=edges.length,
        edge_angle=edges.angle,
        scale=scale,
    )


@dataclass(frozen=True, slots=True)
class _Meetings:
    """Pairs of regions and the line along which they meet."""

    sides: NDArray[np.intp]  # (M, 2)
    length: Floats  # (M,) mm
    turned: Floats  # (M,) mm rad, integral of the angle along the line

    @classmethod
    def of(
        cls, pairs: NDArray[np.intp], length: Floats, turned: Floats
    ) -> tuple[_Meetings, NDArray[np.intp]]:
        """Sum up the lines between two regions ``pairs (N, 2)``; return also the first of each sum."""
        low, high = np.minimum(*pairs.T), np.maximum(*pairs.T)
        between = np.flatnonzero(low != high)
        order = between[order_of(low[between], high[between])]
        if not len(order):  # one region: it meets nobody
            return cls(np.zeros((0, 2), np.intp), np.zeros(0), np.zeros(0)), order
        starts = run_starts(low[order], high[order])
        example = order[starts]
        sides = np.stack([low[example], high[example]]).T
        summed = (np.add.reduceat(amounts[order], starts) for amounts in (length, turned))
        return cls(sides, *summed), example

    @property
    def angle(self) -> Floats:
        """Mean angle along the line, ``(M,) rad``."""
        angle: Floats = self.turned / np.maximum(self.length, TINY)
        return angle

    def are_chords(self, area: Floats) -> NDArray[np.bool_]:
        """Tell which are meetings of two chords of one curve."""
        one, two = (area[side] for side in self.sides.T)
        is_chord: NDArray[np.bool_] = np.maximum(one, two) < LIKE_WIDTH * np.minimum(one, two)
        is_chord &= np.abs(self.angle) < CHORD
        return is_chord

    def chosen(self, which: NDArray[np.bool_]) -> _Meetings:
        """Return some of them."""
        return _Meetings(taken(self.sides, np.flatnonzero(which)), self.length[which], self.turned[which])


def _curvatures(chord: _Meetings, direction: Floats, normal: Floats, area: Floats) -> tuple[Floats, Floats]:
    """Return both principal curvatures of each strip, the larger in size first, ``(G,) 1/mm`` each."""
    unit = (normal.T / np.maximum(lengths(normal), TINY)).T
    side = chord.sides.T.ravel()
    x, y, z = cross(taken(unit, side), np.tile(direction.T, 2).T).T
    half = np.tile(chord.turned / 2, 2)  # the other half bends the other strip
    xx, yy, zz, xy, xz, yz = (
        totals(side, half * product, len(area)) / area
        for product in (x * x, y * y, z * z, x * y, x * z, y * z)
    )
    # The tensor lies in the strip's plane: one eigenvalue is 0, the others follow from two invariants.
    mean = (xx + yy + zz) / 2
    product = xx * yy - xy**2 + xx * zz - xz**2 + yy * zz - yz**2
    first = mean + np.copysign(np.sqrt(np.maximum(mean**2 - product, 0)), mean)
    return first, np.divide(product, first, out=np.zeros(len(area)), where=first != 0)


def _bends(first: Floats, second: Floats, scale: float) -> NDArray[np.intp]:
    outwards = first > 0
    single = np.where(outwards, Bend.CONVEX, Bend.CONCAVE)
    double = np.where(first * second < 0, Bend.SADDLE, np.where(outwards, Bend.DOME, Bend.BOWL))
    bent = np.where(np.abs(second) > BENT_TWICE * np.abs(first), double, single)
    return np.where(np.abs(first) * scale <= STRAIGHT, Bend.PLANE, bent)


def _are_alike(chord: _Meetings, bend: NDArray[np.intp], curvature: Floats) -> NDArray[np.bool_]:
    """Tell which chords have curvatures so alike that both belong to one face."""
    one, two = (np.where(bend[side] == Bend.PLANE, 0.0, curvature[side]) for side in chord.sides.T)
    larger, smaller = np.maximum(np.abs(one), np.abs(two)), np.minimum(np.abs(one), np.abs(two))
    return (one * two > 0) & (larger < LIKE_CURVATURE * smaller)
