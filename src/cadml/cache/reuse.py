"""Re-use of cached vectors, watched through a bounded sample (SHARDS and a reference sample).

The **re-use distance** of a reference is the number of other keys used since the same key was
last used; an LRU cache of capacity ``c`` answers it exactly when the distance is below ``c``. So
the distribution of distances is the hit ratio at every capacity at once.

Exact distances need every key. Two samples of fixed size replace them:

* **keys**: the ``s_max`` keys with the smallest hash, threshold lowered as more keys come (SHARDS,
  Waldspurger et al., FAST '15, fixed-size variant). They count how many distinct keys passed.
* **references**: every ``2^k``-th reference on average, whatever its key, waits for the next use of
  its key; then its distance is counted, with weight ``2^k``.

SHARDS takes the measured references from the sampled keys as well. A few hot keys in or out of the
sample then move the whole curve, and its correction (SHARDS-adj) can only repair the first bucket:
measured on Zipf traces of 10⁶ references with 8,192 keys, errors of 3–46 points. References drawn
independently of their keys have no such error: n of them estimate a distribution within
``sqrt(ln(2/α)/2n)`` (Dvoretzky–Kiefer–Wolfowitz; Massart 1990), whatever the skew.
"""

from __future__ import annotations

import math
import random
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict

import numpy as np

from cadml.cache.curve import DISTANCES, INTERVALS, Reuse
from cadml.cache.distinct import DistinctCount

HASHES = 2**64


class ReuseSample:
    """Counts re-use distances and intervals of a stream of keys in about 0.2 MB. Thread-safe.

    After ``window`` references or ``window_s`` seconds it begins anew, so that it speaks of the
    present; what the finished window said stands until the next one has seen a quarter as much.
    """

    def __init__(
        self,
        *,
        keys: int = 4096,
        waiting: int = 2048,
        near: int = 256,
        settled: int = 8192,
        window: int = 2**22,  # more distinct keys than that and the count of them saturates
        window_s: float = 7 * 86400.0,
        seed: int = 0,
    ) -> None:
        self.key_limit = keys
        self.waiting_limit = waiting
        self.near_limit = near
        self.settled_limit = settled
        self.window = window
        self.window_s = window_s
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret
        self._lock = threading.Lock()
        self._former: Reuse | None = None
        self._begin()

    def _begin(self) -> None:
        self.references = 0
        self._began: float | None = None
        self._now = 0.0
        # Keys, sorted by hash; beside each the number of the reference that last used it.
        self._threshold = HASHES
        self._keys = array("Q")
        self._last = array("I")
        # The most recently used keys of all, for distances too short for the key sample.
        self._near: OrderedDict[int, int] = OrderedDict()
        # References that wait for the next use of their key, sorted by hash.
        self._waiting = array("Q")
        self._started = array("I")
        self._since = array("I")  # hundredths of a second since the window began
        self._halvings = 0
        self._skip = 1
        self._settled_now = 0
        self._settled = 0
        self._weights = 0.0
        self._squares = 0.0
        self._distances = array("d", bytes(8 * DISTANCES.size))
        self._intervals = array("d", bytes(8 * INTERVALS.size))
        self._seen = DistinctCount()

    def record(self, key: int, now: float) -> None:
        """Note one use of the key with this hash (uniform in 0 … 2⁶⁴ − 1) at ``now`` (seconds)."""
        with self._lock:
            if self._began is None:
                self._began = now
            elif self.references >= self.window or now - self._began >= self.window_s:
                self._former = self._present()
                self._begin()
                self._began = now
            self._now = now
            self.references = number = self.references + 1
            waiting = self._waiting
            place = bisect_left(waiting, key)
            if place < len(waiting) and waiting[place] == key:
                self._settle(place, now)
            self._seen.add(key)
            near = self._near
            near[key] = number
            near.move_to_end(key)
            if len(near) > self.near_limit:
                near.popitem(last=False)
            if key < self._threshold:
                self._use(key, number)
            self._skip -= 1
            if self._skip <= 0:
                self._wait(key, number, now)

    def reuse(self) -> Reuse:
        """Return what is known about the present window, or the former one while this one is young."""
        with self._lock:
            present = self._present()
            if self._former is not None and 4 * present.references < self._former.references:
                return self._former
            return present

    def _present(self) -> Reuse:
        # References of unequal weight say as much as this many equal ones (Kish 1965).
        weight = float(1 << self._halvings)
        weights = self._weights + weight * len(self._waiting)
        squares = self._squares + weight * weight * len(self._waiting)
        return Reuse(
            references=self.references,
            distinct=min(self._seen.estimate(), self.references),
            sampled=int(weights * weights / squares) if squares else 0,
            measured=self._settled,
            keys=len(self._keys),
            seconds=self._now - self._began if self._began is not None else 0.0,
            distances=tuple(self._distances),
            intervals=tuple(self._intervals),
        )

    @property
    def nbytes(self) -> int:
        """Bytes held by the samples (the short list of recent keys at 220 bytes each, as measured)."""
        arrays = (
            self._keys,
            self._last,
            self._waiting,
            self._started,
            self._since,
            self._distances,
            self._intervals,
        )
        return sum(a.itemsize * len(a) for a in arrays) + self._seen.nbytes + 220 * len(self._near)

    # -- the sample of keys ---------------------------------------------------------------------

    def _use(self, key: int, number: int) -> None:
        keys = self._keys
        place = bisect_left(keys, key)
        if place < len(keys) and keys[place] == key:
            self._last[place] = number
            return
        keys.insert(place, key)
        self._last.insert(place, number)
        if len(keys) > self.key_limit:
            self._threshold = keys.pop()  # a key at the threshold is outside from now on
            self._last.pop()

    def _distance(self, started: int) -> float:
        """Return how many other keys were used after reference ``started``."""
        count = 0
        for number in reversed(self._near.values()):
            if number <= started:
                return count
            count += 1
        if count < self.near_limit:
            return count
        last = np.frombuffer(self._last, np.uint32)
        sampled = int(np.count_nonzero(last > started))
        if self._threshold == HASHES:
            return sampled
        # Distinct keys over sampled keys: the sampling rate as it really came out.
        return max(sampled * self._seen.estimate() / len(self._keys), count)

    # -- the sample of references ---------------------------------------------------------------

    def _wait(self, key: int, number: int, now: float) -> None:
        place = bisect_left(self._waiting, key)
        self._waiting.insert(place, key)
        self._started.insert(place, number)
        self._since.insert(place, self._ticks(now))
        if len(self._waiting) > self.waiting_limit or self._settled_now > self.settled_limit:
            self._halve()
        self._skip = self._gap()

    def _settle(self, place: int, now: float) -> None:
        weight = float(1 << self._halvings)
        self._distances[DISTANCES.bucket(self._distance(self._started[place]))] += weight
        self._intervals[INTERVALS.bucket((self._ticks(now) - self._since[place]) * INTERVALS.unit)] += weight
        self._settled_now += 1
        self._settled += 1
        self._weights += weight
        self._squares += weight * weight
        del self._waiting[place], self._started[place], self._since[place]

    def _ticks(self, now: float) -> int:
        # Threads may arrive a moment out of order.
        return max(int((now - (self._began or 0.0)) / INTERVALS.unit), 0)

    def _halve(self) -> None:
        """Let half of the waiting references go, at random; those that stay weigh twice as much."""
        stay = [i for i in range(len(self._waiting)) if self._random.random() < 0.5]
        self._waiting = array("Q", [self._waiting[i] for i in stay])
        self._started = array("I", [self._started[i] for i in stay])
        self._since = array("I", [self._since[i] for i in stay])
        self._halvings += 1
        self._settled_now = 0

    def _gap(self) -> int:
        """Return how many references on is the next one to wait: geometric, mean ``2^halvings``."""
        if not self._halvings:
            return 1
        return int(math.log(1.0 - self._random.random()) / math.log1p(-(0.5**self._halvings))) + 1
