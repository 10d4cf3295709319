"""The triangles of a part, welded and cleaned, with how they meet along their edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cadml.errors import UndefinedFeature
from cadml.features.strips import SAME_PLANE, Strips
from cadml.geometry.part import Floats, Tessellation
from cadml.geometry.vectors import cross, dot, lengths, order_of, run_starts, taken

WELD = 1e-6  # of the box diagonal: float32 files (STL) keep about 1e-7
COINCIDE = 1e-4  # rad: triangles of two bodies closer than this lie on each other
SLIVER = 1e-12  # of the squared diagonal: less area than this has no trustworthy normal


@dataclass(frozen=True, slots=True)
class _Edges:
    """How triangles meet; half-edge ``k T + t`` runs from corner k of triangle t to the next."""

    pairs: NDArray[np.intp]  # (J, 2) half-edges
    opposed: NDArray[np.bool_]  # (J,) they run against each other, as on a consistently wound surface
    lone: NDArray[np.intp]  # half-edges that no other meets
    count: int  # distinct edges


class Surface:
    """T triangles with area; vertices that coincide within :data:`WELD` are one.

    Raises
    ------
    UndefinedFeature
        No triangle has an area.
    """

    def __init__(self, tessellation: Tessellation) -> None:
        vertices = np.ascontiguousarray(tessellation.vertices.T, dtype=np.float64)  # (3, V)
        triangles = np.ascontiguousarray(tessellation.triangles.T, dtype=np.intp)  # (3, T)
        corners = vertices.take(triangles, axis=1)
        lowest, highest = corners.min(axis=(1, 2)), corners.max(axis=(1, 2))
        middle = (lowest + highest) / 2
        self.diagonal = float(np.linalg.norm(highest - lowest))
        one, two, three = corners.transpose(1, 2, 0)
        twice = cross(two - one, three - one)
        doubled = lengths(twice)
        sound = doubled > 2 * SLIVER * self.diagonal**2
        if not sound.any():
            raise UndefinedFeature("no triangle of this part has an area")
        corners -= middle[:, None, None]
        if not sound.all():
            corners, triangles = corners[:, :, sound], triangles[:, sound]
            twice, doubled = taken(twice, np.flatnonzero(sound)), doubled[sound]
        self.places: Floats = (vertices - middle[:, None]).T  # (V, 3) mm, about the box centre
        self.triangles: NDArray[np.intp] = triangles.T  # (T, 3)
        self.corners: Floats = corners.T  # (T, 3, 3) mm, about the box centre
        self.area: Floats = doubled / 2  # (T,) mm²
        self.normal: Floats = (twice.T / doubled).T  # (T, 3)

    @property
    def count(self) -> int:
        """Number of triangles."""
        return len(self.area)

    @cached_property
    def middle(self) -> Floats:
        """Centre of each triangle, ``(T, 3) mm``."""
        middle: Floats = self.corners.sum(axis=1) / 3
        return middle

    @cached_property
    def centre(self) -> Floats:
        """Centre of the area, ``(3,) mm``."""
        centre: Floats = self.middle.T @ self.area / self.area.sum()
        return centre

    @cached_property
    def sides(self) -> Floats:
        """Middles of each triangle's sides about :attr:`centre`, ``(T, 3, 3) mm``.

        Their mean integrates polynomials of second degree over a triangle exactly.
        """
        corners = self.corners.T  # by component
        middles = (corners + corners[:, [1, 2, 0]]) / 2
        middles -= self.centre[:, None, None]
        return middles.T

    @cached_property
    def share(self) -> Floats:
        """A third of each triangle's share of the area, ``(T,)``: the weight of each of its sides."""
        share: Floats = self.area / (3 * self.area.sum())
        return share

    @cached_property
    def spread(self) -> Floats:
        """Second moments about :attr:`centre`, over the area: ``(3, 3) mm²``."""
        sides = self.sides.T
        moments: Floats = (sides * self.share).reshape(3, -1) @ sides.reshape(3, -1).T
        return moments

    @cached_property
    def gyration_radius(self) -> float:
        """Root mean square distance of the surface from its centre, mm."""
        return float(np.sqrt(np.trace(self.spread)))

    @cached_property
    def strips(self) -> Strips:
        """Connected triangles of one plane."""
        flat = taken(self.joins, np.flatnonzero(np.abs(self.join_angle) < SAME_PLANE))
        return Strips.of(flat, self.area, self.normal, self.middle, self.triangles)

    @cached_property
    def _welding(self) -> NDArray[np.int64]:
        """The number of each vertex when those that coincide are one, ``(V,)``."""
        x, y, z = np.rint(self.places.T * (1 / (WELD * self.diagonal))).astype(np.int64)
        # Three coordinates within ±2^20 grid steps fit one 63-bit word.
        key = ((x + (1 << 20)) << 42) | ((y + (1 << 20)) << 21) | (z + (1 << 20))
        number: NDArray[np.int64] = np.unique(key, return_inverse=True)[1]
        return number

    @cached_property
    def welded(self) -> NDArray[np.int64]:
        """Triangles as indices of welded vertices, ``(T, 3)``."""
        return taken(self._welding, self.triangles)

    @cached_property
    def points(self) -> Floats:
        """Where the welded vertices are, ``(W, 3) mm`` about the box centre."""
        points = np.empty((int(self._welding.max()) + 1, 3))
        points[self._welding] = self.places
        return points

    @cached_property
    def _edges(self) -> _Edges:
        start, end = self.welded.T.ravel(), self.welded.T[[1, 2, 0]].ravel()
        low, high, is_backward = np.minimum(start, end), np.maximum(start, end), start > end
        # Along an edge, half-edges that run from the lower to the higher vertex come first.
        order = order_of(low, 2 * high + is_backward)
        first = run_starts(low[order], high[order])
        uses = np.diff(first, append=len(order))
        two = first[uses == 2]
        pairs = np.stack([order[two], order[two + 1]])
        four = order[first[uses == 4][:, None] + np.arange(4)]
        if len(four):
            four = four[(is_backward[four] == [False, False, True, True]).all(axis=1)]
            leads = np.argsort(four.reshape(-1, 2, 2) % self.count, axis=2)  # of equals, the file's first
            four = np.take_along_axis(four.reshape(-1, 2, 2), leads, axis=2).reshape(-1, 4)
            pairs = np.concatenate([pairs, self._through_material(four).T], axis=1)
        opposed = start[pairs[0]] == end[pairs[1]]
        return _Edges(pairs.T, opposed, order[first[uses == 1]], len(first))

    def _through_material(self, four: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return which half-edges belong together where two bodies touch along an edge.

        ``four (Q, 4)`` holds two forward and two backward half-edges. Material fills the rotation
        about the edge from a backward triangle to its forward one, and bodies do not overlap: of the two
        pairings the one that fills less is the right one. Where faces of two bodies coincide, rounding would
        make nothing or a full turn of what lies between them: it is a full turn, for no body is so thin.
        """
        here, ahead, opposite = (np.ascontiguousarray(self._starts(four + k * self.count)) for k in range(3))
        along = ahead[:, 0] - here[:, 0]
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        inward = opposite - here
        inward -= np.einsum("qkd,qd->qk", inward, along)[:, :, None] * along[:, None]
        sideways = np.cross(along, inward[:, 0])
        zero = np.einsum("qkd,qd->qk", inward, inward[:, 0])
        turn = np.arctan2(np.einsum("qkd,qd->qk", inward, sideways), zero)
        between = turn[:, :2, None] - turn[:, None, 2:]  # [forward, backward]
        filled = (between - COINCIDE) % (2 * np.pi) + COINCIDE
        # The sums differ by whole turns or, where bodies do overlap, by nothing: then the file's order rules.
        straight = filled[:, 0, 0] + filled[:, 1, 1] < filled[:, 0, 1] + filled[:, 1, 0] + 1
        partner = np.where(straight[:, None], four[:, 2:], four[:, :1:-1])
        return np.stack([four[:, :2].ravel(), partner.ravel()], axis=1)

    def _starts(self, half: NDArray[np.intp]) -> Floats:
        """Return where half-edges start, ``half.shape + (3,) mm``; those beyond the last count on from 0."""
        corners = self.corners.T.reshape(3, -1)
        return taken(corners.T, half % corners.shape[1])

    @cached_property
    def joins(self) -> NDArray[np.intp]:
        """The two triangles that meet at each edge, ``(J, 2)``; see :meth:`_through_material` for four."""
        return self._edges.pairs % self.count

    @cached_property
    def open_triangles(self) -> NDArray[np.intp]:
        """Triangles with an edge that no other shares."""
        return self._edges.lone % self.count

    @cached_property
    def _join_vector(self) -> Floats:
        half = self._edges.pairs[:, 0]
        return self._starts(half + self.count) - self._starts(half)

    @cached_property
    def enclosed_volume(self) -> float:
        """Volume by the divergence theorem, mm³: of an open surface, as if closed towards the box centre."""
        # Twice the area along the normal, at one corner: a third of it is the volume of two tetrahedra.
        return float(abs((dot(self.corners[:, 0], self.normal) * self.area).sum()) / 3)

    @cached_property
    def join_length(self) -> Floats:
        """Length of each join, ``(J,) mm``."""
        return lengths(self._join_vector)

    @cached_property
    def join_direction(self) -> Floats:
        """Unit vector along each join, ``(J, 3)``; zero where the join has no length."""
        direction = self._join_vector.T / np.maximum(self.join_length, np.finfo(float).tiny)
        return direction.T

    @cached_property
    def join_angle(self) -> Floats:
        """Angle between the normals at each join, ``(J,) rad``: + convex, - concave.

        Where the two triangles are wound against each other the angle is that of the folded
        sheet, without sign.
        """
        one, two = (taken(self.normal, side) for side in self.joins.T)
        # The normals' cross product lies along the edge, with the first triangle on the left if convex.
        sine = dot(cross(one, two), self.join_direction) + 0.0  # -0.0 would turn π into -π
        cosine = dot(one, two)
        angle: Floats = np.arctan2(sine, cosine)
        if self._edges.opposed.all():
            return angle
        return np.where(self._edges.opposed, angle, np.arctan2(np.abs(sine), -cosine))
