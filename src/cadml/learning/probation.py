"""The first predictions of a model that was just activated are watched: it may be worse than the last.

Three things are watched, since they show without knowing any true label: errors, time per vector
and the share of abstentions. A model that fails goes back by itself; one that passes stays.
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from dataclasses import dataclass

WATCHED = 200  # predictions
MOST_ERRORS = 3  # 1.5 % of those watched; a sound model has none, for every vector is finite
SLOWER = 5.0  # times as slow as its predecessor is noticed by whoever waits,
SLOW_S = 0.05  # but only beyond this: analysing a file takes longer anyway
MORE_ABSTAINING = 0.3  # share above what is usual: the model does not know what comes in here
ENOUGH = 50  # predictions before a share means something


@dataclass(frozen=True, slots=True)
class Usual:
    """What is normal: seconds per vector (None: unknown) and share of abstentions."""

    seconds: float | None
    abstained: float


class Record:
    """The last predictions of one model; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, int, int]] = deque(maxlen=WATCHED)

    def add(self, rows: int, seconds: float, abstained: int) -> None:
        """Add a call that answered ``rows`` vectors."""
        with self._lock:
            self._seen.append((seconds / rows, rows, abstained))

    def usual(self, expected_abstained: float) -> Usual:
        """Return what is normal for the model; before enough was seen, its card's share is."""
        with self._lock:
            seen = list(self._seen)
        rows = sum(count for _, count, _ in seen)
        if rows < ENOUGH:
            return Usual(statistics.median(each[0] for each in seen) if seen else None, expected_abstained)
        return Usual(statistics.median(each[0] for each in seen), sum(each[2] for each in seen) / rows)


class Probation:
    """Judges a model while it answers its first :data:`WATCHED` vectors; thread-safe."""

    def __init__(self, before: Usual) -> None:
        self._before = before
        self._lock = threading.Lock()
        self._rows = self._abstained = self._errors = 0
        self._seconds: list[float] = []

    def add(self, rows: int, seconds: float, abstained: int) -> str | None:
        """Add a call that answered; return why the model fails, if it does now."""
        with self._lock:
            self._rows += rows
            self._abstained += abstained
            self._seconds.append(seconds / rows)
            return self._too_slow() or self._too_shy()

    def add_error(self) -> str | None:
        """Add a call that raised; return why the model fails, if it does now."""
        with self._lock:
            self._errors += 1
            if self._errors < MOST_ERRORS:
                return None
            return f"{self._errors} errors in its first {self._rows + self._errors} predictions"

    def seen(self) -> dict[str, int]:
        """Return how many predictions were seen, and how many failed or abstained."""
        with self._lock:
            return {"seen": self._rows, "errors": self._errors, "abstained": self._abstained}

    @property
    def passed(self) -> bool:
        """Whether enough was seen and nothing spoke against the model."""
        with self._lock:
            return self._rows >= WATCHED

    def _too_slow(self) -> str | None:
        if self._rows < ENOUGH:
            return None
        median = statistics.median(self._seconds)
        limit = max(SLOW_S, SLOWER * (self._before.seconds or 0.0))
        if median <= limit:
            return None
        return f"{1000 * median:.1f} ms per prediction, {1000 * limit:.1f} ms is the limit"

    def _too_shy(self) -> str | None:
        share, limit = self._abstained / self._rows, self._before.abstained + MORE_ABSTAINING
        if self._rows < ENOUGH or share <= limit:
            return None
        return f"abstained from {share:.0%} of {self._rows} predictions, {limit:.0%} is the limit"
