"""Splits that never part a family: a size variant of a training part is no proof of recognition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Names = NDArray[np.str_]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]


def folds(labels: Names, families: Names, most: int) -> list[Split]:
    """Return (train, test) positions of up to ``most`` folds.

    Families are dealt to folds class by class, so that a class loses as few of its families as
    possible at a time; scikit-learn's stratified group folds warn about classes this small.
    """
    count = min(most, len(set(families)))
    fold_of: dict[str, int] = {}
    for _, family in sorted(set(zip(labels, families, strict=True))):
        fold_of.setdefault(family, len(fold_of) % count)
    numbers = np.array([fold_of[family] for family in families])
    return [(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in range(count)]
