"""Drift of a category (material, predicted class): whether two lists were drawn from the same urn.

The test is exact: under no drift, which of the pooled observations form the window is a draw without
replacement, so the real window is compared with random ones (a permutation test). That holds at every
size, for rare categories and for those that the baseline never had. Two distances are taken, each in
units of its own 99th percentile under chance, and the larger one counts: the Jensen–Shannon distance
sees shares that moved everywhere a little, the largest deviation of one share sees a single category
that took over, which the former loses in the noise of all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from cadml.drift.verdict import ALARM, DRAWS, SMALLEST, Verdict, judge, score

UNSTATED = "(not stated)"
RARE = "(rare)"
FEWEST = 5  # of both samples together; what is rarer is counted as one category
MOST_CATEGORIES = 50
LONGEST_NAME = 200
MOST_MOVED = 5
FLAT = 1e-9  # a distance that rounding can make


@dataclass(frozen=True, slots=True)
class Moved:
    """The shares that one category has in the baseline and in the window."""

    name: str
    baseline: float
    window: float


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance, and the value above which it raises the alarm at these sizes."""

    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class CategoryDrift:
    """How a window's categories differ from the baseline's.

    ``jensen_shannon`` is the distance (square root of the divergence in bits, 0 to 1), ``deviation``
    that of the share that deviates most, in standard deviations; ``psi`` the population stability index.
    """

    verdict: Verdict
    size: int
    score: float | None = None
    p_value: float | None = None
    jensen_shannon: Distance | None = None
    deviation: Distance | None = None
    psi: float | None = None
    moved: tuple[Moved, ...] = ()


def counted(labels: Iterable[Any], missing: str = UNSTATED) -> dict[str, int]:
    """Return how often each label occurs; ``None`` and blanks are counted as ``missing``.

    Case, outer space and what cannot be printed do not tell categories apart.
    """
    return dict(Counter(_name(label) or missing for label in labels))


def _name(label: Any) -> str:
    words = "" if label is None else " ".join(str(label).split())
    return "".join(letter for letter in words if letter.isprintable()).casefold()[:LONGEST_NAME]


def compare(baseline: Mapping[str, int], window: Mapping[str, int], seed: int = 0) -> CategoryDrift:
    """Return how the counts of ``window`` differ from those of ``baseline``."""
    size, reference = sum(window.values()), sum(baseline.values())
    if min(size, reference) < SMALLEST:
        return CategoryDrift("not enough data", size)
    before, after = _folded(baseline, window)
    pooled = before + after
    draws = np.random.default_rng(seed).multivariate_hypergeometric(pooled, size, DRAWS, method="marginals")
    distances = np.stack([f(pooled, np.vstack([after, draws])) for f in (_jensen_shannon, _deviation)])
    units = np.maximum(np.quantile(distances[:, 1:], 0.99, axis=1), FLAT)
    largest = (distances / units[:, None]).max(axis=0)
    real, chance = float(largest[0]), largest[1:]
    limit = float(np.quantile(chance, 1 - ALARM, method="higher"))
    # As large as, but for rounding: equal tables must count as equal.
    p_value = (1 + int((chance >= real - FLAT).sum())) / (1 + DRAWS)
    shannon, deviation = (
        Distance(float(d[0]), float(u * limit)) for d, u in zip(distances, units, strict=True)
    )
    return CategoryDrift(
        judge(p_value),
        size,
        score(real, float(chance.mean()), limit),
        p_value,
        shannon,
        deviation,
        stability_index(before, after),
        _moved(baseline, window),
    )


def stability_index(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """Return the population stability index of two counts ``(K,)``.

    Half an observation is added to each category, for the index of an empty one is infinite.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def _folded(
    baseline: Mapping[str, int], window: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both counts ``(K,)`` over one list of categories, the rare ones as one.

    What is rare is judged by both samples together, or the test would no longer be exact.
    """
    pooled = Counter(baseline) + Counter(window)
    kept = [name for name, count in pooled.most_common(MOST_CATEGORIES) if count >= FEWEST]
    tables = []
    for counts in (baseline, window):
        common = [counts.get(name, 0) for name in kept]
        tables.append(np.array([*common, sum(counts.values()) - sum(common)], dtype=np.int64))
    return tables[0], tables[1]


def _jensen_shannon(pooled: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distance of each window ``(B, K)`` from the rest of the pooled counts ``(K,)``."""
    return np.nan_to_num(np.asarray(jensenshannon(pooled - windows, windows, base=2, axis=1), np.float64))


def _deviation(pooled: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far the share that deviates most lies from the pooled one, in standard deviations."""
    total, size = pooled.sum(), windows[0].sum()
    shares = pooled / total
    # Of a draw without replacement (hypergeometric).
    spread = np.sqrt(size * shares * (1 - shares) * (total - size) / (total - 1))
    return np.asarray((np.abs(windows - size * shares) / np.maximum(spread, FLAT)).max(axis=1))


def _moved(baseline: Mapping[str, int], window: Mapping[str, int]) -> tuple[Moved, ...]:
    reference, size = sum(baseline.values()), sum(window.values())
    shares = [
        Moved(name, baseline.get(name, 0) / reference, window.get(name, 0) / size)
        for name in {**baseline, **window}
    ]
    shares.sort(key=lambda each: (-abs(each.window - each.baseline), each.name))
    return tuple(each for each in shares[:MOST_MOVED] if each.window != each.baseline)
