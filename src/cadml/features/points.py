"""Points drawn on the surface, always the same ones: what the shape distributions look at.

Strips are taken from the centre outwards, whatever their order in the file; points lie evenly along the area
so cumulated. Within a strip they lie on lines across it, evenly by area from end to end, and along their
lines by van der Corput's sequence, so that 1,024 of them cover a part better than as many random
ones would (Hammersley 1960). Nothing depends on how a strip is cut into triangles, so a part written in
inches has its points where it had them in millimetres. The pairs of points are a fixed table.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from cadml.features.scanlines import scan
from cadml.features.surface import Surface
from cadml.geometry.part import Floats
from cadml.geometry.vectors import dot, lengths, order_of, taken

POINTS = 1024
PAIRS = 2048
DISTANCE_CLASSES = 4
PAIR_STEPS = 1e6  # per gyration radius: distances within one count as alike
STEP = 1e-4  # of the diagonal, in which strips are taken from the centre outwards


def _halton(count: int) -> Floats:
    """Return the first ``count`` points of Halton's sequence in bases 2 and 3, ``(count, 2)``.

    scipy.stats has it too, at the price of 0.7 s for its import in every process.
    """
    points = np.zeros((count, 2))
    for column, base in enumerate((2, 3)):
        rest, place = np.arange(count), 1.0
        while rest.any():
            place /= base
            points[:, column] += place * (rest % base)
            rest = rest // base
    return points


# Off the middle and the quarters, where symmetric faces have gaps and corners and rounding would decide.
_ALONG = (_halton(POINTS)[:, 0] + (np.sqrt(5) - 1) / 2) % 1
# Which points make pairs: points follow each other outwards, so a sequence that covers the
# square evenly pairs every region with every other, with less noise than random pairs.
_SQUARE = (_halton(PAIRS + 1)[1:] * POINTS).astype(np.intp)
FIRST = _SQUARE[:, 0]
SECOND = np.where(_SQUARE[:, 1] == FIRST, (FIRST + POINTS // 2) % POINTS, _SQUARE[:, 1])


class Points:
    """``position (P, 3) mm`` about the surface's centre, ``normal (P, 3)``, and what pairs of them say."""

    def __init__(self, surface: Surface) -> None:
        strips = surface.strips
        # In steps, so that strips equally far out keep their order when rounding differs: a part written
        # in inches, or turned, then has its points where it had them before.
        steps = np.rint(lengths(strips.centroid - surface.centre) / (STEP * surface.diagonal))
        outwards = order_of(steps.astype(np.intp), strips.first, strips.last)
        reached = np.cumsum(strips.area[outwards])
        where = (np.arange(POINTS) + 0.5) / POINTS * reached[-1]
        number = np.bincount(np.searchsorted(reached, where), minlength=len(outwards))
        self.on_surface, triangle = scan(surface, outwards, number, _ALONG, STEP)
        self.position: Floats = self.on_surface - surface.centre
        self.normal: Floats = taken(surface.normal, triangle)
        self.gyration_radius = surface.gyration_radius

    @cached_property
    def pair_arm(self) -> Floats:
        """Way from the first point of each pair to the second, mm, ``(2048, 3)``."""
        arm: Floats = taken(self.position, SECOND) - taken(self.position, FIRST)
        return arm

    @cached_property
    def pair_distance(self) -> Floats:
        """Distance within each pair, in gyration radii, ``(2048,)``."""
        distance: Floats = lengths(self.pair_arm) / self.gyration_radius
        return distance

    @cached_property
    def near_to_far(self) -> NDArray[np.intp]:
        """Pairs by distance, ``(2048,)``: four classes of equal number."""
        # Rounded, so that pairs equally far apart stay in the order of the table.
        return order_of(np.rint(self.pair_distance * PAIR_STEPS).astype(np.intp))

    @cached_property
    def _first_normal(self) -> Floats:
        return taken(self.normal, FIRST)

    @cached_property
    def pair_normals(self) -> Floats:
        """Cosine of the angle between a pair's normals, ``(2048,)``."""
        return dot(self._first_normal, taken(self.normal, SECOND))

    @cached_property
    def pair_incidence(self) -> Floats:
        """Unsigned cosine of a pair's first normal to the way to the second, ``(2048,)``."""
        length = np.maximum(self.pair_distance * self.gyration_radius, np.finfo(float).tiny)
        cosine: Floats = np.abs(dot(self._first_normal, self.pair_arm)) / length
        return cosine


def quantiles(values: NDArray[np.floating], count: int) -> Floats:
    """Return the means of ``count`` groups of equal number in rising order, along the last axis.

    A group holds one value at least. Between two means L1 is the earth mover's distance; unlike the
    value at a rank they move little where a distribution has steps, as those of flat parts have.
    """
    if values.shape[-1] < count:
        values = np.repeat(values, count, axis=-1)
    start, size = _groups(values.shape[-1], count)
    means: Floats = np.add.reduceat(np.sort(values, axis=-1), start, axis=-1) / size
    return means


@cache
def _groups(length: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each of ``count`` groups of equal number begins among ``length`` values, and its size."""
    start = np.arange(count + 1) * length // count
    return start[:-1], np.diff(start)


def weighted_quantiles(values: NDArray[np.floating], weights: NDArray[np.floating], count: int) -> Floats:
    """Return ``count`` evenly spaced quantiles of ``values``, at least one, counted by ``weights``."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    at = (np.arange(count) + 0.5) / count * reached[-1]
    found: Floats = values[order][np.minimum(np.searchsorted(reached, at), len(values) - 1)]
    return found
