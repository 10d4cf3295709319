"""The fixed scaling that is released with a searchable version: where each slot usually lies, and its weight.

The constants come from parts without labels (``benchmarks/fit_scaling.py`` says which and how) and
stand in ``scaling/<version>.json``. They are part of the released version and never change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.special import ndtr

from cadml.features.spec import Descriptor
from cadml.geometry.part import Floats

NARROWEST = 0.05  # of the widest slot of its block: a slot that hardly varied in the pool is not blown up


@dataclass(frozen=True, slots=True)
class Scaling:
    """``offset``, ``scale`` and ``weight`` of each slot, ``(N,) float64``."""

    offset: Floats
    scale: Floats
    weight: Floats

    @classmethod
    def released(cls, version: str) -> Self:
        """Return the scaling that version ``version`` was released with."""
        stored: dict[str, Any] = json.loads(
            (files("cadml.features") / "scaling" / f"{version}.json").read_text()
        )
        slots = list(stored["slots"].values())
        offset, scale, weight = (
            np.array([slot[key] for slot in slots]) for key in ("offset", "scale", "weight")
        )
        return cls(offset, scale, weight)

    @classmethod
    def fitted(
        cls,
        values: NDArray[np.floating],
        descriptors: tuple[Descriptor, ...],
        again: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
    ) -> Self:
        """Return the scaling under which every block counts by its reliability over ``values (P, N)``.

        A slot's mean and standard deviation put it into the normal distribution function; a block's
        weight is one over the root mean square L1 distance of two parts within the block. ``again``
        holds parts described twice, the second time moved and tessellated otherwise: what changes
        is noise, and slots and blocks lose by the square of the share that noise has in the
        distances between parts. No label is used.
        """
        offset = values.mean(axis=0, dtype=np.float64)
        deviation = values.std(axis=0, dtype=np.float64)
        scale, weight = np.empty(len(offset)), np.empty(len(offset))
        start = 0
        for descriptor in descriptors:
            block = slice(start, start + len(descriptor.slots))
            start = block.stop
            widest = deviation[block].max()
            if not widest > 0:
                raise ValueError(f"{descriptor.name} is the same for every part of the pool")
            scale[block] = 1 / np.maximum(deviation[block], NARROWEST * widest)
            squash = _Squash(offset[block], scale[block])
            twice = None if again is None else (squash(again[0][:, block]), squash(again[1][:, block]))
            weight[block] = _weights(squash(values[:, block]), twice)
        return cls(offset, scale, weight)


@dataclass(frozen=True, slots=True)
class _Squash:
    offset: Floats
    scale: Floats

    def __call__(self, values: NDArray[np.floating]) -> Floats:
        return np.asarray(ndtr((values - self.offset) * self.scale))


def _weights(values: Floats, twice: tuple[Floats, Floats] | None) -> Floats:
    """Return the weight of each slot of one block of squashed ``values (P, N)``."""
    slots, block = np.ones(values.shape[1]), 1.0
    if twice is not None:
        noise = np.abs(twice[0] - twice[1]).mean(axis=0)
        spread = np.array([pdist(column[:, None], "cityblock").mean() for column in values.T])
        slots = np.clip(1 - noise / np.maximum(spread, np.finfo(float).tiny), 0, 1) ** 2
        block = float(np.clip(1 - (noise * slots).sum() / (spread * slots).sum(), 0, 1) ** 2)
    weights: Floats = slots * (block / _rms_distance(values * slots))
    return weights


def _rms_distance(values: Floats) -> float:
    """Return the root mean square L1 distance between two rows."""
    return float(np.sqrt(np.square(pdist(values, "cityblock")).mean()))
