"""Polygons of a mesh file cut into triangles."""

from __future__ import annotations

from dataclasses import dataclass

import mapbox_earcut
import numpy as np
from numpy.typing import NDArray

from cadml.geometry.part import Floats

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Polygons:
    """P polygons: ``sizes (P,)`` corners each, and their vertex ``indices`` one after another."""

    sizes: Indices
    indices: Indices

    def triangles(self, vertices: Floats) -> Indices:
        """Return ``(T, 3)`` indices into ``vertices (V, 3)`` that cover the polygons.

        A polygon of n corners gives n - 2 triangles of its own orientation. Convex ones are cut as
        fans; concave ones by ear clipping in their mean plane, as a fan would leave their outline.
        """
        starts = np.cumsum(self.sizes) - self.sizes
        pieces, origins = [], []
        for size in np.unique(self.sizes[self.sizes >= 3]):
            chosen = np.flatnonzero(self.sizes == size)
            corners = self.indices[starts[chosen, None] + np.arange(size)]
            pieces.append(_cut(corners, vertices).reshape(-1, 3))
            origins.append(np.repeat(chosen, size - 2))
        if not pieces:
            return np.zeros((0, 3), np.int64)
        order = np.argsort(np.concatenate(origins), kind="stable")  # the order of the file
        return np.concatenate(pieces)[order]


def _cut(corners: Indices, vertices: Floats) -> Indices:
    """Return ``(N, size - 2, 3)`` triangles of N polygons of equal size, ``corners (N, size)``."""
    size = corners.shape[1]
    steps = np.arange(1, size - 1)
    fans = np.stack(
        [np.broadcast_to(corners[:, :1], (len(corners), size - 2)), corners[:, steps], corners[:, steps + 1]],
        2,
    )
    if size == 3:
        return fans
    with np.errstate(invalid="ignore", over="ignore"):  # non-finite corners are dealt with later
        points = vertices[corners]
        points = points - points[:, :1]
        # Newell's normal: its length is twice the area, whatever the shape.
        normals = np.cross(points, np.roll(points, -1, axis=1)).sum(axis=1)
        edges = np.roll(points, -1, axis=1) - points
        turns = np.einsum("nij,nj->ni", np.cross(np.roll(edges, 1, axis=1), edges), normals)
        scale = np.einsum("ni,ni->n", normals, normals)
        concave = (turns < -1e-9 * scale[:, None]).any(axis=1) & np.isfinite(scale) & (scale > 0)
    for row in np.flatnonzero(concave):
        ears = _clip_ears(points[row], normals[row])
        if ears is not None:
            fans[row] = corners[row][ears]
    return fans


def _clip_ears(points: Floats, normal: Floats) -> Indices | None:
    """Return ``(size - 2, 3)`` positions among ``points (size, 3)``; None where it crosses itself."""
    axis = int(np.abs(normal).argmax())
    flat = np.delete(points, axis, axis=1)
    # Seen along +axis the remaining axes are right-handed for x and z, left-handed for y.
    if (normal[axis] > 0) == (axis == 1):
        flat = flat[:, ::-1]
    rings = np.array([len(points)], np.uint32)
    ears = (
        mapbox_earcut.triangulate_float64(np.ascontiguousarray(flat), rings).reshape(-1, 3).astype(np.int64)
    )
    if len(ears) != len(points) - 2:
        return None
    a, b, c = (flat[ears[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    backward = area < 0
    ears[backward] = ears[backward][:, ::-1]
    return ears
