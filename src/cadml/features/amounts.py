"""Sums by class, and shares of their total."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml.geometry.part import Floats


def totals(classes: NDArray[np.integer], amounts: NDArray[np.floating], count: int) -> Floats:
    """Return the sum of ``amounts (N,)`` in each of ``count`` classes, ``(count,) float64``."""
    sums: Floats = np.bincount(classes, amounts, count).astype(np.float64, copy=False)
    return sums


def vector_totals(classes: NDArray[np.integer], amounts: Floats, count: int) -> Floats:
    """Return the sum of the vectors ``amounts (N, 3)`` in each of ``count`` classes, ``(count, 3)``."""
    sums = np.empty((3, count))
    for row, component in zip(sums, amounts.T, strict=True):
        row[:] = np.bincount(classes, component, count)
    return sums.T


def counts(classes: NDArray[np.integer], count: int) -> Floats:
    """Return how many fall into each of ``count`` classes, ``(count,) float64``."""
    return np.bincount(classes, minlength=count).astype(np.float64)


def shares(amounts: Floats) -> Floats:
    """Return amounts over their sum; where there is nothing, nothing has a share."""
    total = float(amounts.sum())
    return amounts / total if total > 0 else np.zeros(len(amounts))
