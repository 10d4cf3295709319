"""Points drawn evenly along the lines of a drawing, always the same ones."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from cadml.errors import UndefinedFeature
from cadml.geometry.part import Drawing, Floats

POINTS = 1024
PAIRS = 8192
TINY = np.finfo(float).tiny
# Which points make pairs: drawn once with a fixed seed, part of the released version.
_RANDOM = np.random.RandomState(20261122)  # its stream is frozen for ever, Generator's is not
_FIRST = _RANDOM.randint(0, POINTS, PAIRS)
_SECOND = (_FIRST + _RANDOM.randint(1, POINTS, PAIRS)) % POINTS


class Linework:
    """The segments of a drawing and points drawn evenly along them."""

    def __init__(self, drawing: Drawing) -> None:
        self.start, self.end = (np.asarray(drawing.segments[:, k], dtype=np.float64) for k in (0, 1))
        along = self.end - self.start
        self.length: Floats = np.hypot(along[:, 0], along[:, 1])
        self.total = float(self.length.sum())
        if not self.total > 0:
            raise UndefinedFeature("this drawing has no line to describe")
        self.direction: Floats = along / np.maximum(self.length, TINY)[:, None]
        reached = np.cumsum(self.length)
        where = (np.arange(POINTS) + 0.5) / POINTS * reached[-1]
        on = np.minimum(np.searchsorted(reached, where), len(reached) - 1)
        within = (where - (reached - self.length)[on])[:, None]
        drawn = self.start[on] + within * self.direction[on]
        self.position: Floats = drawn - drawn.mean(axis=0)
        self.heading: Floats = self.direction[on]
        self.radius = float(np.sqrt(np.einsum("ij,ij->", self.position, self.position) / POINTS))

    @cached_property
    def pair_distance(self) -> Floats:
        """Distance within each pair of points, in gyration radii, ``(8192,)``."""
        distance: Floats = np.linalg.norm(self.position[_FIRST] - self.position[_SECOND], axis=1)
        return distance / self.radius

    @cached_property
    def pair_alignment(self) -> Floats:
        """Cosine of the angle between the directions of each pair, unsigned, ``(8192,)``."""
        cosine: Floats = np.abs(np.einsum("ij,ij->i", self.heading[_FIRST], self.heading[_SECOND]))
        return cosine
