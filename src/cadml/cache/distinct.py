"""How many distinct keys passed, estimated in 32 kB."""

from __future__ import annotations

import math


class DistinctCount:
    """An estimate of how many distinct hashes were seen (linear counting, Whang et al. 1990).

    2¹⁸ bits: standard error 0.15 % at 50,000 keys, 0.3 % at 10⁶, 1 % at 2·10⁶.
    """

    BITS = 2**18

    def __init__(self) -> None:
        self._bits = bytearray(self.BITS // 8)
        self._zeros = self.BITS

    def add(self, key: int) -> None:
        """Count this hash unless it was counted."""
        # The middle bits: the sample of keys is cut by the leading ones.
        bit = (key >> 20) % self.BITS
        mask = 1 << (bit & 7)
        if not self._bits[bit >> 3] & mask:
            self._bits[bit >> 3] |= mask
            self._zeros -= 1

    def estimate(self) -> float:
        """Return the number of distinct hashes; a lower bound once every bit is set."""
        return self.BITS * math.log(self.BITS / max(self._zeros, 1))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return len(self._bits)
