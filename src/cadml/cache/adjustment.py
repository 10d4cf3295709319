"""Applying cache settings: the rollback window, and the mode that tunes by itself.

Both are state machines over plain numbers and a given clock; whoever owns the cache carries out
what they say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cadml.cache.feature_cache import check_bounds
from cadml.errors import CacheTuningRollbackWindowActive, NothingToRollBack

ROLLBACK_WINDOW_S = 300.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The two settings that tuning changes."""

    capacity: int
    ttl: int  # seconds


class RollbackWindow:
    """Keeps the former settings for 300 s after each change, and allows one change in that time.

    Not thread-safe: its owner serialises changes.
    """

    def __init__(self) -> None:
        self._former: Bounds | None = None
        self._until = -math.inf

    def apply(self, current: Bounds, wanted: Bounds, now: float) -> Bounds:
        """Return ``wanted`` and remember ``current``.

        Raises
        ------
        InvalidRequest
            Capacity or ttl is out of range.
        CacheTuningRollbackWindowActive
            A former change can still be rolled back.
        """
        check_bounds(wanted.capacity, wanted.ttl)
        if self.former(now) is not None:
            left = math.ceil(self._until - now)
            raise CacheTuningRollbackWindowActive(
                f"the last change can be rolled back for another {left} s; roll back or wait",
                seconds_left=left,
            )
        self._former, self._until = current, now + ROLLBACK_WINDOW_S
        return wanted

    def rollback(self, now: float) -> Bounds:
        """Return the former settings and close the window.

        Raises
        ------
        NothingToRollBack
            Nothing was applied within the last 300 s.
        """
        former = self.former(now)
        if former is None:
            raise NothingToRollBack("no cache settings were applied within the last 300 s")
        self._former, self._until = None, -math.inf
        return former

    def former(self, now: float) -> Bounds | None:
        """Return the settings that ``rollback`` would restore, None outside the window."""
        return self._former if now < self._until else None

    def seconds_left(self, now: float) -> float:
        """Return how long ``rollback`` remains possible."""
        return max(self._until - now, 0.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the automatic mode may do."""

    smallest: int = 100
    largest: int = 1_000_000
    factor: float = 2.0  # the most that one step multiplies or divides the capacity by
    worth: float = 0.25  # a change of capacity below this share is not worth making
    fall: float = 0.02  # of the hit ratio, which rolls a change back
    lookups: int = 2000  # needed before and after a change to judge it
    rest_s: float = 900.0  # between changes; doubled after each rollback, up to a day


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now, and why."""

    action: Literal["apply", "rollback", "keep"]
    bounds: Bounds | None
    why: str


@dataclass(frozen=True, slots=True)
class _Trial:
    former: Bounds
    hits: int
    lookups: int
    hit_ratio: float


class AutomaticMode:
    """Applies the evidence's advice in bounded steps and takes a step back when hits fall.

    Feed :meth:`step` with cumulative counts from time to time (a minute is fine). A change is on
    trial until ``lookups`` more were seen *after* the cache had time to fill; it is rolled back when
    the hit ratio is lower than before by more than ``fall`` and by more than chance (two standard
    errors) allows.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._trial: _Trial | None = None
        self._filling = 0
        self._rest_s = self.limits.rest_s
        self._rest_until = -math.inf
        self._mark: tuple[int, int] | None = None

    def step(self, now: float, hits: int, lookups: int, current: Bounds, advised: Bounds | None) -> Step:
        """Return what to do, given cumulative counts, the bounds in force and the advice, if any."""
        if self._trial is not None:
            return self._judge(self._trial, now, hits, lookups, current)
        if self._mark is None:
            self._mark = (hits, lookups)
        seen = lookups - self._mark[1]
        if advised is None:
            return Step("keep", None, "not enough evidence")
        if now < self._rest_until:
            return Step("keep", None, f"resting for {self._rest_until - now:.0f} s after the last change")
        if seen < self.limits.lookups:
            return Step(
                "keep",
                None,
                f"{self.limits.lookups - seen} more lookups needed to know the present hit ratio",
            )
        wanted = self._bounded(current, advised)
        if wanted == current:
            return Step("keep", None, "the present settings are as good as the advice")
        self._trial = _Trial(current, hits, lookups, (hits - self._mark[0]) / seen)
        # A larger cache first has to fill: judge it only after as many lookups as it gained entries.
        self._filling = max(wanted.capacity - current.capacity, 0)
        self._mark = None
        return Step("apply", wanted, f"advice: capacity {advised.capacity}, ttl {advised.ttl} s")

    def _judge(self, trial: _Trial, now: float, hits: int, lookups: int, current: Bounds) -> Step:
        if current == trial.former:  # somebody rolled back by hand
            self._finish(now, rolled_back=True)
            return Step("keep", None, "the change was taken back by someone else")
        if self._filling and lookups - trial.lookups >= self._filling:
            self._filling = 0
            self._trial = trial = _Trial(trial.former, hits, lookups, trial.hit_ratio)
        seen = lookups - trial.lookups
        if self._filling or seen < self.limits.lookups:
            return Step("keep", None, "the last change is on trial")
        ratio = (hits - trial.hits) / seen
        chance = 2.0 * math.sqrt((ratio * (1 - ratio) + trial.hit_ratio * (1 - trial.hit_ratio)) / seen)
        fell = trial.hit_ratio - ratio
        if fell > max(self.limits.fall, chance):
            self._finish(now, rolled_back=True)
            return Step("rollback", trial.former, f"hit ratio fell from {trial.hit_ratio:.1%} to {ratio:.1%}")
        self._finish(now, rolled_back=False)
        return Step("keep", None, f"change kept: hit ratio {trial.hit_ratio:.1%} before, {ratio:.1%} after")

    def _finish(self, now: float, *, rolled_back: bool) -> None:
        self._rest_s = min(self._rest_s * 2, 86400.0) if rolled_back else self.limits.rest_s
        self._rest_until = now + self._rest_s
        self._trial = None
        self._mark = None

    def _bounded(self, current: Bounds, advised: Bounds) -> Bounds:
        limits = self.limits
        capacity = min(max(advised.capacity, limits.smallest), limits.largest)
        capacity = min(capacity, math.floor(current.capacity * limits.factor))
        capacity = max(capacity, math.ceil(current.capacity / limits.factor), 1)
        if abs(capacity - current.capacity) < limits.worth * current.capacity:
            capacity = current.capacity
        ttl = advised.ttl if abs(advised.ttl - current.ttl) >= limits.worth * current.ttl else current.ttl
        return Bounds(capacity, ttl)
