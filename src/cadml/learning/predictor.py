"""What serves: anything that turns vectors into probabilities, wherever its code runs."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Predictor(Protocol):
    """A loaded model. Thread-safe; :meth:`close` ends what it holds once nobody predicts with it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The K labels, in the order of the probabilities."""

    @property
    def length(self) -> int:
        """Slots of a vector, N."""

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return ``(M, K)`` for raw vectors ``(M, N)``; each row sums to 1."""

    def close(self) -> None:
        """Free processes and memory; predicting afterwards is an error."""
