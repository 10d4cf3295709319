"""Traces of references, and the exact LRU stack distances that estimates are judged by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def traces(count: int, seed: int = 1) -> Iterator[tuple[str, Ints]]:
    """Yield named traces of ``count`` references: skewed, looping, scanning, and a mixture."""
    rng = np.random.default_rng(seed)
    yield "zipf 0.8", zipf(count, count // 2, 0.8, rng)
    yield "zipf 1.0", zipf(count, count, 1.0, rng)
    yield "loop", np.arange(count) % (count // 5)
    yield "scan", np.arange(count)
    yield "mixed", mixed(count, rng)


def zipf(count: int, keys: int, exponent: float, rng: np.random.Generator) -> Ints:
    cumulated = np.cumsum(np.arange(1, keys + 1) ** -exponent)
    return np.searchsorted(cumulated / cumulated[-1], rng.random(count))


def mixed(count: int, rng: np.random.Generator) -> Ints:
    """Return four quarters: skewed, a loop, skewed again, skewed with a scan between."""
    trace = zipf(count, count // 5, 0.9, rng)
    quarter = count // 4
    trace[quarter : 2 * quarter] = count + np.arange(quarter) % (count // 20)
    scan = rng.random(count - 3 * quarter) < 0.5
    trace[3 * quarter :][scan] = 3 * count + np.flatnonzero(scan)
    return trace


def hashes(trace: Ints, salt: int = 0) -> list[int]:
    """Return a uniform 64-bit hash of each key (the finaliser of splitmix64)."""
    x = trace.astype(np.uint64) + np.uint64(salt * 10**9) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).tolist()


def stack_distances(trace: Ints) -> Ints:
    """Return the number of other keys since each key's last use, −1 at its first: O(n log² n).

    With p(i) the place of the last use, the keys between are the places between, less those whose
    own last use lies between as well: ``i − p(i) − 1 − #{j < i: p(j) > p(i)}``. The last term counts
    inversions, level by level as in a merge sort.
    """
    order = np.argsort(trace, kind="stable")
    last = np.full(len(trace), -1)
    same = trace[order][1:] == trace[order][:-1]
    last[order[1:][same]] = order[:-1][same]
    place = np.flatnonzero(last >= 0)
    count = len(place)
    by_rank = np.argsort(last[place])
    inversions = np.zeros(count, np.int64)
    width = 1
    while width < count:
        grouped = by_rank[np.argsort(by_rank // (2 * width), kind="stable")]
        group = grouped // (2 * width)
        left = (grouped // width) % 2 == 0
        before = np.concatenate([[0], np.cumsum(left)])
        groups = np.arange(group[-1] + 1)
        first = before[np.searchsorted(group, groups)]
        in_left = np.minimum(width, count - groups * 2 * width)
        right = ~left
        inversions[grouped[right]] += in_left[group[right]] - (before[1:][right] - first[group[right]])
        width *= 2
    distances = np.full(len(trace), -1)
    distances[place] = place - last[place] - 1 - inversions
    return distances


def exact_hit_ratio(distances: Ints, capacities: Ints) -> NDArray[np.float64]:
    reused = np.sort(distances[distances >= 0])
    return np.searchsorted(reused, capacities, side="left") / len(distances)


def capacities(keys: int) -> Ints:
    """Return capacities to compare at: all scales, and evenly up to all keys."""
    return np.unique(np.concatenate([np.geomspace(1, keys, 150), np.linspace(1, keys, 150)]).astype(np.int64))


def replay(trace: Ints, capacity: int) -> float:
    """Return the hit ratio of a real LRU list: nothing but a dictionary and the rule."""
    held: dict[int, None] = {}
    hits = 0
    for key in trace.tolist():
        if key in held:
            hits += 1
            del held[key]
        elif len(held) >= capacity:
            del held[next(iter(held))]
        held[key] = None
    return hits / len(trace)
