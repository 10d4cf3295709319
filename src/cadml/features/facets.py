"""Facet groups: what a mesh has instead of faces.

A **facet group** is a connected region of triangles whose normals agree across every edge by
which it is connected, within :data:`SAME_NORMAL`. A flat face is one group, a finely meshed curve
one group, and a coarsely meshed curve is one group per strip; hence the second word, **curved**:
a group that bends by itself, or bends on into a neighbour by less than :data:`SOFT_BEND`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cadml.features.strips import unite
from cadml.features.surface import Surface

SAME_NORMAL = np.radians(1.0)  # float32 files keep normals of sound triangles far better than this
SOFT_BEND = np.radians(30.0)  # coarser than the 20–25° at which exporters usually facet a curve


@dataclass(frozen=True, slots=True)
class FacetGroups:
    """The regions of a mesh: how many, how many of them curved, and how many closed bodies."""

    planar: int
    curved: int
    closed_bodies: int

    @property
    def count(self) -> int:
        """All groups."""
        return self.planar + self.curved


def facet_groups(surface: Surface) -> FacetGroups:
    """Return the facet groups of ``surface``."""
    joins, angles = surface.joins, np.abs(surface.join_angle)
    group = unite(joins[angles <= SAME_NORMAL], surface.count)
    groups = int(group.max()) + 1
    curved = np.zeros(groups, dtype=bool)
    soft = joins[(angles > SAME_NORMAL) & (angles < SOFT_BEND)]
    curved[group[soft].ravel()] = True
    # A group bends by itself where a triangle's normal leaves the group's mean normal.
    total = np.stack(
        [np.bincount(group, surface.area * surface.normal[:, k], groups) for k in range(3)], axis=1
    )
    mean = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), np.finfo(float).tiny)
    cosine = np.einsum("ij,ij->i", surface.normal, mean[group])
    curved[group[cosine < np.cos(2 * SAME_NORMAL)]] = True
    return FacetGroups(int((~curved).sum()), int(curved.sum()), _closed_bodies(surface))


def _closed_bodies(surface: Surface) -> int:
    body = unite(surface.joins, surface.count)
    closed = np.ones(int(body.max()) + 1, dtype=bool)
    closed[body[surface.open_triangles]] = False
    return int(closed.sum())
