"""Exact distances by brute force: the oracle for every index, and the search of small sets."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cadml.features.spec import FeatureVersion, Metric

_SCIPY_NAMES: dict[Metric, Literal["cityblock", "euclidean", "cosine"]] = {
    Metric.L1: "cityblock",
    Metric.L2: "euclidean",
    Metric.COSINE: "cosine",
}


def distances(
    version: FeatureVersion, queries: NDArray[np.floating], gallery: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the version's distance of each query to each gallery vector: ``(Q, G) float64``.

    ``queries (Q, N)`` and ``gallery (G, N)`` hold stored values; they are scaled and rounded to
    half precision first, because that is what the database compares.
    """
    left, right = (version.scaled(v).astype(np.float16).astype(np.float64) for v in (queries, gallery))
    table: NDArray[np.float64] = cdist(left, right, _SCIPY_NAMES[version.metric])
    return table
