"""How sure is sure: probabilities set right by one temperature, and the line below which cadml abstains.

One temperature (Guo et al., ICML 2017) suits small sets: it has a single parameter, keeps the order
of the classes, and is two operators at the end of an ONNX graph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Probabilities = NDArray[np.float64]
# A forest of some hundred trees, or a few neighbours, cannot tell a smaller probability from none.
FLOOR = 1e-3
COLDEST, HOTTEST = 0.1, 10.0


def calibrated(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return ``(P, K)`` raw probabilities as they are served; each row sums to 1."""
    powers: Probabilities = np.maximum(probabilities, FLOOR) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fit_temperature(probabilities: Probabilities, truth: NDArray[np.intp]) -> float:
    """Return the temperature under which held-out ``(P, K)`` give the ``truth (P,)`` most credit."""

    def loss(logarithm: float) -> float:
        served = calibrated(probabilities, float(np.exp(logarithm)))
        return -float(np.log(served[np.arange(len(truth)), truth]).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def fit_threshold(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Return the confidence below which held-out answers are more often wrong than right.

    It maximises right answers less wrong ones over ``(P,)`` pairs.
    """
    order = np.argsort(-confidence, kind="stable")
    gain = np.cumsum(np.where(correct[order], 1, -1))
    return float(confidence[order][int(np.argmax(gain))])
