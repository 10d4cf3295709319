"""Vectors of a mix of part classes, drawn in the slots of a released version."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml.features.spec import FeatureVersion

CLASSES = 12


class Mix:
    """Parts of twelve classes; ``shifted`` of a draw are of a thirteenth that is not in the usual mix."""

    def __init__(self, version: FeatureVersion, seed: int) -> None:
        self.version = version
        self.random = np.random.default_rng(seed)
        self.centres = self.random.normal(size=(CLASSES + 1, version.length))

    def draw(self, size: int, shifted: float = 0.0) -> NDArray[np.float32]:
        """Return raw vectors ``(size, N)``."""
        classes = self.random.integers(0, CLASSES, size)
        classes[self.random.random(size) < shifted] = CLASSES
        noise = self.random.normal(size=(size, self.version.length))
        usual = self.centres[classes] + 0.7 * noise
        return (self.version.offset + usual / self.version.scale).astype(np.float32)
