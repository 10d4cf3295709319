"""What serves in this process: what the database says should, or the first predecessor that loads here.

A thread looks once a second whether it changed, so that all processes on one database agree in the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from cadml.engine.judging import Judge
from cadml.errors import CadmlError, DatabaseUnavailable, GuardBroken, ModelRefused
from cadml.learning.probation import Probation
from cadml.learning.slot import Loaded, Place, Slot
from cadml.observability.metrics import Metrics, Reading
from cadml.store.models import PREDECESSORS, Event, ModelStore, State

LOOK_S = 1.0  # between two looks at what should serve
RETRY_S = 30.0  # before the newest model, which could not be loaded here, is tried again
ABSTAINED = "abstained"

log = structlog.get_logger("cadml.models")


class Serving:
    """The slot and what it follows; thread-safe. ``switching`` is held by whoever changes it."""

    def __init__(self, metrics: Metrics, store: ModelStore, judge: Judge) -> None:
        self._metrics = metrics
        self._store = store
        self._judge = judge
        self.slot = Slot()
        self.switching = threading.RLock()  # one switch at a time; nobody predicts under it
        self._state: State | None = None
        self._fallen: dict[str, str] = {}
        self._told: tuple[int, tuple[str, ...]] | None = None
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="models", daemon=True)
        metrics.declare_only("classification_prediction_distribution_total", [(ABSTAINED,)])
        metrics.read("model_rollback_level", lambda: self._gauge(lambda place: place.level))
        metrics.read("model_load_seq", lambda: self._gauge(lambda place: place.load_seq))
        metrics.read("model_snapshots_available", lambda: self._gauge(self.snapshots))
        metrics.read("classification_model_info", self._info)

    def close(self) -> None:
        """Stop watching and close what is loaded."""
        self._stop.set()
        if self._watch.is_alive():
            self._watch.join()
        self.slot.put(None)

    def state(self) -> State:
        """Return what should serve, as this process last saw it; the first time it loads that."""
        if self._state is None:
            with self.switching:
                if self._state is None:
                    self._follow(self._store.state())
                    self._watch.start()
        assert self._state is not None
        return self._state

    def place(self) -> Place | None:
        """Return what serves here, if anything does."""
        self.state()
        return self.slot.place

    def snapshots(self, place: Place) -> int:
        """Return how many predecessors a rollback could go to."""
        return len(self.state().line) - 1 - place.level

    @property
    def fallen(self) -> dict[str, str]:
        """Versions that should serve and could not be loaded here, with the reason."""
        return dict(self._fallen)

    def check(self) -> str:
        """Return ``ok``, or why no activated model serves; without any, nothing is missing."""
        if self.place() is not None or not self.state().line:
            return "ok"
        reasons = "; ".join(f"{version}: {why}" for version, why in self._fallen.items())
        return f"no activated model can be loaded: {reasons}"

    def refresh(self) -> State:
        """Follow what the database says now; return it."""
        with self.switching:
            self.state()
            now = self._store.state()
            place = self.slot.place
            is_behind = bool(now.line) and (place is None or place.level > now.level)
            if self._state != now or (is_behind and time.monotonic() > self._retry_at):
                self._follow(now)
            return now

    def install(self, loaded: Loaded, state: State, level: int) -> None:
        """Let the model serve from this instant; the newest is watched until it has proven itself."""
        former = self.slot.place
        before = former.loaded if former and former.loaded is not loaded else None
        is_new = level == 0 and not state.proven
        probation = Probation((before or loaded).usual()) if is_new else None
        self.slot.put(Place(loaded, level, state.activations, probation, before if is_new else None))
        self._state = state
        labels = [(label,) for label in (*loaded.card.classes, ABSTAINED)]
        self._metrics.declare_only("classification_prediction_distribution_total", labels)

    def loaded(self, version: str) -> Loaded:
        """Return the model: what is loaded already, or its bytes judged again.

        Raises
        ------
        ModelRefused, GuardBroken
            It cannot serve any more.
        """
        place = self.slot.place
        for each in (place.loaded, place.before) if place else ():
            if each is not None and each.card.version == version:
                return each
        return self._judge.load(version)

    def count_level(self, level: int) -> None:
        """Count that a predecessor came to serve."""
        if 1 <= level <= PREDECESSORS:
            self._metrics.count("model_rollback_total", level=str(level))

    def _look_after(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self.refresh()
            except DatabaseUnavailable as error:  # what serves serves on; the next look tells
                log.debug("models not looked after", reason=error.message)
            except Exception:  # a defect: without this thread the next switch would be missed, too
                log.exception("models not looked after")

    def _follow(self, state: State) -> None:
        """Serve what ``state`` says, or the first predecessor that can be loaded here."""
        self._fallen = {}
        for level, version in enumerate(state.line[state.level :], state.level):
            try:
                loaded = self.loaded(version)
            except (ModelRefused, GuardBroken) as error:
                self._fallen[version] = error.message
                continue
            self.install(loaded, state, level)
            break
        else:
            self.slot.put(None)
            self._state = state
        self._retry_at = time.monotonic() + RETRY_S
        if self._fallen:
            self._tell_fallen(state)

    def _tell_fallen(self, state: State) -> None:
        """Write down once what this process cannot serve, and what it serves instead."""
        place = self.slot.place
        told, self._told = self._told, (state.change, tuple(self._fallen))
        if told == self._told:
            return
        serving = place.loaded.card.version if place else "none"
        self.count_level(place.level if place else 0)
        for version, why in self._fallen.items():
            log.error("model cannot serve", version=version, why=why, instead=serving)
            with suppress(DatabaseUnavailable):  # the log has it
                self._store.record(Event("fell_back", "cadml", f"{why}; {serving} serves instead", version))

    def _gauge(self, of: Callable[[Place], int]) -> Reading:
        """Return a gauge of what serves: 0 where nothing does, none while the database cannot tell."""
        try:
            place = self.place()
        except CadmlError:
            return {}
        return 0.0 if place is None else float(of(place))

    def _info(self) -> Reading:
        try:
            place = self.place()
        except CadmlError:
            return {}
        return {} if place is None else {(place.loaded.card.version, place.loaded.format): 1.0}
