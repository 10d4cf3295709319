"""The cache's settings while it runs: advice, change, rollback, and the mode that tunes by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from cadml.cache.adjustment import AutomaticMode, Bounds, RollbackWindow
from cadml.cache.bands import Recommendation, recommend_for
from cadml.cache.tuning import Advice, advise
from cadml.config import Settings
from cadml.engine.caching import Caching
from cadml.errors import DatabaseUnavailable, InvalidRequest

EVERY_S = 60.0

log = structlog.get_logger("cadml.cache")


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The settings in force, and those that ``rollback`` would restore for some seconds yet."""

    now: Bounds
    former: Bounds | None
    seconds_left: float


class Tuning(Caching):
    """Advises on the cache and changes it; a thread looks after it every minute."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._adjusting = threading.Lock()
        self._window = RollbackWindow()
        self._automatic = AutomaticMode()
        self._by_itself = False  # whether the open window is the automatic mode's own
        self._recommended = Bounds(0, 0)
        self.metrics.read(
            "feature_cache_tuning_recommended_capacity", lambda: float(self._recommended.capacity)
        )
        self.metrics.read(
            "feature_cache_tuning_recommended_ttl_seconds", lambda: float(self._recommended.ttl)
        )
        self._stop = threading.Event()
        self._care = threading.Thread(target=self._look_after, name="cache", daemon=True)
        self._care.start()

    def close(self) -> None:
        """Write down what was used, and close the rest."""
        self._stop.set()
        self._care.join()
        self._write_uses_if_up()
        super().close()

    def _look_after(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._write_uses_if_up()
            if self.settings.feature_cache_auto:
                self.tune_itself(time.monotonic())

    def _write_uses_if_up(self) -> None:
        try:
            self.write_uses()
        except DatabaseUnavailable as error:  # they are written the next time
            log.warning("uses of the cache not written", reason=error.message)

    # -- advice ---------------------------------------------------------------------------------

    @contextmanager
    def tuning_request(self) -> Iterator[None]:
        """Count a request for advice once: ok, invalid or error."""
        status = "error"
        try:
            yield
            status = "ok"
        except InvalidRequest:
            status = "invalid"
            raise
        finally:
            self.metrics.count("feature_cache_tuning_requests_total", status=status)

    def recommend(self, fields: Mapping[str, object]) -> Recommendation:
        """Return what the contract's bands recommend for the numbers given.

        Raises
        ------
        InvalidRequest
            A field is unknown, missing or out of range.
        """
        advice = recommend_for(fields)
        self._recommended = Bounds(advice.recommended_capacity, advice.recommended_ttl)
        return advice

    def advice(self) -> Advice:
        """Return what the observed re-use says about the running cache."""
        counts = self.cache_counts()
        advice = advise(self.reuse.reuse(), counts)
        if advised := _advised(advice):
            self._recommended = advised
        return advice

    # -- change ---------------------------------------------------------------------------------

    def adjusted(self) -> Adjusted:
        """Return the settings in force and what can be rolled back."""
        now = time.monotonic()
        with self._adjusting:
            return Adjusted(self._bounds(), self._window.former(now), self._window.seconds_left(now))

    def apply_cache(self, capacity: int | None, ttl: int | None) -> None:
        """Set capacity, ttl or both; the former ones are kept 300 s for :meth:`rollback_cache`.

        Raises
        ------
        InvalidRequest
            Neither is given, or one is out of range.
        CacheTuningRollbackWindowActive
            A former change can still be rolled back.
        """
        if capacity is None and ttl is None:
            raise InvalidRequest("give capacity, ttl or both")
        with self._adjusting:
            now = self._bounds()
            wanted = Bounds(now.capacity if capacity is None else capacity, now.ttl if ttl is None else ttl)
            self._resize(self._window.apply(now, wanted, time.monotonic()))
            self._begin_anew()

    def rollback_cache(self) -> None:
        """Restore the settings before the last change.

        Raises
        ------
        NothingToRollBack
            Nothing was applied within the last 300 s.
        """
        with self._adjusting:
            self._resize(self._window.rollback(time.monotonic()))
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Let a person's change stand: what the automatic mode was trying is forgotten."""
        self._automatic = AutomaticMode()
        self._by_itself = False

    def tune_itself(self, now: float) -> None:
        """Do what the automatic mode says at ``now`` (s), unless a person's change can be rolled back."""
        advised = _advised(self.advice())
        with self._adjusting:
            if self._window.former(now) is not None and not self._by_itself:
                return
            counts, current = self.cache.counts(), self._bounds()
            step = self._automatic.step(now, counts.hits, counts.hits + counts.misses, current, advised)
            if step.bounds is None:
                return
            if self._window.former(now) is not None:  # its own change: taken back, or made anew after that
                self._window.rollback(now)
            if step.action == "apply":
                self._window.apply(current, step.bounds, now)
            self._by_itself = step.action == "apply"
            self._resize(step.bounds)
        log.info("cache tuned itself", action=step.action, why=step.why)

    def _bounds(self) -> Bounds:
        counts = self.cache.counts()
        return Bounds(counts.capacity, counts.ttl)

    def _resize(self, bounds: Bounds) -> None:
        self.cache.resize(bounds.capacity, bounds.ttl)


def _advised(advice: Advice) -> Bounds | None:
    if advice.recommended_capacity is None:
        return None
    return Bounds(advice.recommended_capacity, advice.recommended_ttl or advice.ttl)
