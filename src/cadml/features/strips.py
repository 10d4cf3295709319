"""Strips: connected triangles of one plane, which stay the same however the mesher cut them.

Four corners on one circle can be cut along either diagonal, and a difference of 1e-12 mm decides which:
the same part written in inches is cut otherwise. What is asked of strips does not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml.features.amounts import totals, vector_totals
from cadml.geometry.part import Floats

SAME_PLANE = np.radians(0.8)


@dataclass(frozen=True, slots=True)
class Strips:
    """G strips of T triangles."""

    of_triangle: NDArray[np.intp]  # (T,)
    area: Floats  # (G,) mm²
    normal: Floats  # (G, 3) mm², integral over the strip
    centroid: Floats  # (G, 3) mm
    first: NDArray[np.intp]  # (G,) lowest and
    last: NDArray[np.intp]  # highest vertex: what tells strips apart that are alike

    @classmethod
    def of(
        cls,
        pairs: NDArray[np.intp],
        area: Floats,
        normal: Floats,
        middle: Floats,
        triangles: NDArray[np.intp],
    ) -> Strips:
        """Return the strips that ``pairs`` of triangles connect."""
        label = unite(pairs, len(area))
        count = int(label.max()) + 1
        size = totals(label, area, count)
        whole_normal, whole_middle = (
            vector_totals(label, (vectors.T * area).T, count) for vectors in (normal, middle)
        )
        first, last = np.full(count, np.iinfo(np.intp).max), np.zeros(count, dtype=np.intp)
        np.minimum.at(first, label, triangles.min(axis=1))
        np.maximum.at(last, label, triangles.max(axis=1))
        return cls(label, size, whole_normal, (whole_middle.T / size).T, first, last)


def unite(pairs: NDArray[np.integer], count: int) -> NDArray[np.intp]:
    """Return the component of each of ``count`` things that ``pairs (P, 2)`` connect.

    Each step hangs the higher of two joined components below the lower; for graphs this small
    that takes half as long as building a sparse matrix for scipy.
    """
    label = np.arange(count)
    one, two = pairs.T
    while True:
        here, there = label[one], label[two]
        apart = np.flatnonzero(here != there)
        if not len(apart):
            break
        one, two, here, there = one[apart], two[apart], here[apart], there[apart]
        np.minimum.at(label, np.maximum(here, there), np.minimum(here, there))
        while (label != (up := label[label])).any():
            label = up
    number: NDArray[np.intp] = (np.cumsum(label == np.arange(count)) - 1)[label]
    return number
