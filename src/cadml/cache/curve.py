"""The hit ratio at every capacity, read from re-use distances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Buckets:
    """Buckets of equal width up to ``exact`` units, then each ``ratio`` wider than the one before.

    The unit is the resolution: 1 key, or a hundredth of a second.
    """

    def __init__(self, unit: float, exact: int, ratio: float, largest: float) -> None:
        self.unit = unit
        self.exact = exact
        self._per_log = 1.0 / math.log(ratio)
        self._ratio = ratio
        self.size = exact + int(math.log(largest / unit / exact) * self._per_log) + 1

    def bucket(self, value: float) -> int:
        """Return the bucket of ``value``; what is larger than the largest goes into the last."""
        units = value / self.unit
        if units < self.exact:
            return max(int(units), 0)
        return min(self.exact + int(math.log(units / self.exact) * self._per_log), self.size - 1)

    def edges(self) -> Floats:
        """Return the lower edge of each bucket and the upper edge of the last: ``(size + 1,)``."""
        wide = self.exact * self._ratio ** np.arange(self.size - self.exact + 1)
        return self.unit * np.concatenate([np.arange(self.exact), wide])


DISTANCES = Buckets(unit=1, exact=256, ratio=1.004, largest=1e8)
INTERVALS = Buckets(unit=0.01, exact=50, ratio=1.02, largest=90 * 86400)


@dataclass(frozen=True, slots=True)
class Reuse:
    """What a sample of references says: totals, and weights per bucket of distance and interval."""

    references: int
    distinct: float
    sampled: int  # references whose re-use was measured or is awaited
    measured: int  # re-uses among them
    keys: int  # keys that distances are counted with
    seconds: float
    distances: tuple[float, ...]
    intervals: tuple[float, ...]


class Curve:
    """Hit ratio by capacity of an LRU cache that starts empty, for the references observed.

    ``error`` bounds the hit ratio's deviation with 95 % confidence at every capacity at once
    (Dvoretzky–Kiefer–Wolfowitz); ``stretch(c)`` bounds, with the same confidence, by what share a
    capacity may be off, since distinct keys were counted on a sample.
    """

    def __init__(self, reuse: Reuse) -> None:
        self.reuse = reuse
        weights = np.asarray(reuse.distances, dtype=np.float64)
        total = weights.sum()
        self.best = max(1.0 - reuse.distinct / reuse.references, 0.0) if reuse.references and total else 0.0
        # Weights estimate the number of re-uses, which is known better: references less keys.
        self._edges = DISTANCES.edges()
        self._cumulated = np.concatenate([[0.0], np.cumsum(weights)]) * (self.best / total if total else 0.0)

    @property
    def error(self) -> float:
        """Bound of the hit ratio's sampling error (95 %), 1 without references."""
        return dkw(self.reuse.sampled)

    def stretch(self, capacity: float) -> float:
        """Return the bound of the relative error of a capacity (95 %)."""
        rate = self.reuse.keys / self.reuse.distinct if self.reuse.distinct else 1.0
        if rate >= 1.0:
            return 0.004  # the buckets' width
        covered = min(capacity / self.reuse.distinct, 1.0)
        counted = max(capacity * rate, 1.0)
        return min(0.01 + 2.0 * math.sqrt((1.0 - covered) / counted), 1.0)

    def hit_ratio(self, capacities: object) -> Floats:
        """Return the hit ratio at these capacities, same shape, 0 … 1."""
        # A distance d (integer) is a hit when d < c: everything in buckets below c.
        return np.interp(np.asarray(capacities, dtype=np.float64), self._edges, self._cumulated)

    def smallest(self, hit_ratio: float) -> int:
        """Return the smallest capacity whose hit ratio is at least ``hit_ratio`` (at least 1)."""
        place = int(np.searchsorted(self._cumulated, hit_ratio - 1e-12))
        return max(math.ceil(float(self._edges[min(place, len(self._edges) - 1)])), 1)

    @property
    def largest(self) -> int:
        """The smallest capacity beyond which nothing is gained."""
        return self.smallest(self.best)

    def points(self, count: int = 64) -> list[tuple[int, float]]:
        """Return the curve as ``(capacity, hit ratio)``, closer together at small capacities."""
        capacities = np.unique(np.geomspace(1, max(self.largest * 1.25, 2), count).round().astype(int))
        return [
            (int(c), round(float(h), 6)) for c, h in zip(capacities, self.hit_ratio(capacities), strict=True)
        ]

    def interval(self, share: float) -> float:
        """Return the re-use interval (s) that ``share`` of all re-uses stay within; 0 without re-use."""
        cumulated = np.cumsum(np.asarray(self.reuse.intervals))
        if not cumulated[-1]:
            return 0.0
        place = int(np.searchsorted(cumulated, share * cumulated[-1]))
        return float(INTERVALS.edges()[place + 1])


def dkw(samples: int, confidence: float = 0.95) -> float:
    """Return how far an empirical distribution of ``samples`` may lie from the true one, at most 1."""
    return min(math.sqrt(math.log(2.0 / (1.0 - confidence)) / (2.0 * samples)), 1.0) if samples else 1.0


def references_for(error: float, confidence: float = 0.95) -> int:
    """Return how many references bound the error of the hit ratio by ``error``."""
    return math.ceil(math.log(2.0 / (1.0 - confidence)) / (2.0 * error * error))
