"""Drift of feature vectors: slot group by slot group, judged together.

Each group (a descriptor's slots) is compared by the energy distance (Székely & Rizzo 2013) of the
values as searches compare them: 0 only for equal distributions, in any number of slots. What chance
does is drawn from the baseline alone (bootstrap): two fresh samples, of the baseline's and of the
window's size, at the same time for all groups. The alarm is set on the largest group of each draw,
so a version of twenty groups raises no more false alarms than one of two.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import wasserstein_distance

from cadml.drift.verdict import ALARM, DRAWS, SMALLEST, Verdict, judge, score
from cadml.features.spec import FeatureVersion, Slot

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]

LARGEST_SAMPLE = 1000  # vectors of a baseline: its distances are kept, and their number is the square
# Chance is drawn for these window sizes; a window between two of them is judged as the smaller one,
# whose limits are wider.
SIZES = (30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000)
MOST_MOVED, SLOTS_SHOWN = 5, 3
FLAT = 1e-9  # a distance that rounding can make


@dataclass(frozen=True, slots=True)
class MovedSlot:
    """How one slot moved: medians, and the Wasserstein distance, in the slot's unit."""

    slot: str
    unit: str
    baseline: float
    window: float
    wasserstein: float


@dataclass(frozen=True, slots=True)
class GroupDrift:
    """How one slot group differs: its energy distance, and where that alarms at these sizes."""

    name: str
    score: float
    energy: float
    threshold: float
    slots: tuple[MovedSlot, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """How a window's vectors differ from the baseline's; ``score`` is that of the worst group.

    ``groups`` are all of them, the worst first; the first ones say which slots moved most.
    """

    verdict: Verdict
    size: int
    score: float | None = None
    p_value: float | None = None
    groups: tuple[GroupDrift, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chance:
    """What two samples of one baseline do: per group ``(G,)``, and the largest of each draw, sorted."""

    expected: Doubles
    unit: Doubles
    largest: Doubles

    @property
    def limit(self) -> float:
        return float(np.quantile(self.largest, 1 - ALARM, method="higher"))


class SlotBaseline:
    """The vectors ``(M, N)`` that windows of one feature version are compared with. Thread-safe."""

    def __init__(self, version: FeatureVersion, raw: Floats, seed: int = 0) -> None:
        self.version = version
        self._seed = seed
        self.raw = sampled(raw, seed)
        self._blocks = _blocks(version, self.raw)
        # Mean distance of two vectors, by slot group.
        self.spread = np.array([2 * pdist(block).sum() / len(block) ** 2 for block in self._blocks])
        self._chance: dict[int, _Chance] = {}
        self._drawing = threading.Lock()

    def compare(self, window: Floats) -> FeatureDrift:
        """Return how the vectors ``(W, N)`` differ from the baseline."""
        window = np.asarray(window[: SIZES[-1]], dtype=np.float32)
        if min(len(window), len(self.raw)) < SMALLEST:
            return FeatureDrift("not enough data", len(window))
        chance = self._chance_at(max(size for size in SIZES if size <= len(window)))
        energy = self._energy(window)
        largest = float((energy / chance.unit).max())
        p_value = float(1 + (chance.largest >= largest).sum()) / (1 + DRAWS)
        groups = self._groups(energy, chance, window)
        return FeatureDrift(judge(p_value), len(window), groups[0].score, p_value, groups)

    def _energy(self, window: Floats) -> Doubles:
        blocks = _blocks(self.version, window)
        within = np.array([2 * pdist(block).sum() / len(block) ** 2 for block in blocks])
        across = np.array([cdist(a, b).mean() for a, b in zip(self._blocks, blocks, strict=True)])
        return np.asarray(np.maximum(2 * across - self.spread - within, 0.0))

    def _chance_at(self, size: int) -> _Chance:
        with self._drawing:
            if size not in self._chance:
                self._chance[size] = self._draw(size)
            return self._chance[size]

    def _draw(self, size: int) -> _Chance:
        """Draw baselines and windows of ``size`` anew from the baseline's vectors.

        One vector more takes part, far from all others: that a sample of M has never seen something
        does not make it impossible, only about as rare as one in M.
        """
        count = len(self.raw)
        random = np.random.default_rng(self._seed)
        even = np.full(count + 1, 1 / (count + 1))
        weights = (
            random.multinomial(size, even, DRAWS) / size - random.multinomial(count, even, DRAWS) / count
        )
        weights = weights.astype(np.float32)
        energies = np.empty((DRAWS, len(self._blocks)))
        for number, block in enumerate(self._blocks):
            distances = squareform(pdist(block))
            wide = np.pad(distances, (0, 1), constant_values=distances.max() or 1.0).astype(np.float32)
            wide[-1, -1] = 0.0
            energies[:, number] = -np.einsum("bm,bm->b", weights @ wide, weights)
        energies = np.maximum(energies, 0.0)
        unit = np.maximum(np.quantile(energies, 0.99, axis=0), FLAT)
        return _Chance(energies.mean(axis=0), unit, np.sort((energies / unit).max(axis=1)))

    def _groups(self, energy: Doubles, chance: _Chance, window: Floats) -> tuple[GroupDrift, ...]:
        thresholds = chance.unit * chance.limit
        scores = [score(*numbers) for numbers in zip(energy, chance.expected, thresholds, strict=True)]
        order = sorted(range(len(scores)), key=lambda number: -scores[number])
        starts = np.cumsum([0, *(len(each.slots) for each in self.version.descriptors)])
        return tuple(
            GroupDrift(
                self.version.descriptors[number].name,
                scores[number],
                float(energy[number]),
                float(thresholds[number]),
                self._slots(int(starts[number]), self.version.descriptors[number].slots, window)
                if place < MOST_MOVED
                else (),
            )
            for place, number in enumerate(order)
        )

    def _slots(self, start: int, slots: tuple[Slot, ...], window: Floats) -> tuple[MovedSlot, ...]:
        """Return the slots of a group that moved most, measured as they are compared."""
        block = slice(start, start + len(slots))
        before, after = (self.version.scaled(raw)[:, block] for raw in (self.raw, window))
        moved = [wasserstein_distance(a, b) for a, b in zip(before.T, after.T, strict=True)]
        order = sorted(range(len(slots)), key=lambda number: -moved[number])[:SLOTS_SHOWN]
        return tuple(
            _moved_slot(slots[number], self.raw[:, start + number], window[:, start + number])
            for number in order
        )


def sampled(raw: Floats, seed: int = 0) -> NDArray[np.float32]:
    """Return at most :data:`LARGEST_SAMPLE` of the vectors ``(M, N)``, evenly drawn, in their order."""
    raw = np.asarray(raw, dtype=np.float32)
    if len(raw) <= LARGEST_SAMPLE:
        return raw
    kept = np.random.default_rng(seed).choice(len(raw), LARGEST_SAMPLE, replace=False)
    return raw[np.sort(kept)]


def _blocks(version: FeatureVersion, raw: Floats) -> list[Doubles]:
    """Return the vectors as they are compared, one array ``(M, slots of the group)`` per slot group."""
    ends = np.cumsum([len(each.slots) for each in version.descriptors])[:-1]
    return [np.asarray(block, np.float64) for block in np.split(version.scaled(raw), ends, axis=1)]


def _moved_slot(slot: Slot, before: Floats, after: Floats) -> MovedSlot:
    distance = float(wasserstein_distance(before, after))
    return MovedSlot(slot.name, slot.unit, float(np.median(before)), float(np.median(after)), distance)
