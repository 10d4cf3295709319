"""Probabilities become answers: a label or an abstention, with how sure and what else it could be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml.learning.artifact import ModelCard


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one model says of one part; ``label`` is None where it abstains.

    ``probabilities`` are in the order of ``classes``.
    """

    label: str | None
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    model_version: str
    feature_version: str

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Classes with their probabilities, the most probable first."""
        pairs = zip(self.classes, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    @property
    def confidence(self) -> float:
        """The probability of the most probable class."""
        return max(self.probabilities)


def predictions(card: ModelCard, probabilities: NDArray[np.float64]) -> list[Prediction]:
    """Return the answers that ``probabilities (M, K)``, in the order of the card's classes, mean."""
    best = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1) >= card.abstain_below
    return [
        Prediction(
            card.classes[code] if answers else None,
            card.classes,
            tuple(row),
            card.version,
            card.feature_version,
        )
        for code, answers, row in zip(best.tolist(), sure.tolist(), probabilities.tolist(), strict=True)
    ]
