"""Drift of what comes in: observed with every request, judged beside them, never in their way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from cadml.config import Settings
from cadml.drift.verdict import Subject
from cadml.engine.comparing import EVER, Assessment, Comparing, Pair, age_s, sample_of
from cadml.engine.recorder import Recorder
from cadml.errors import DatabaseUnavailable, NotFound
from cadml.features.versions import VERSIONS
from cadml.observability.metrics import Metrics, Reading
from cadml.store.baselines import BaselineRow, Baselines, Sample
from cadml.store.database import Database
from cadml.store.observations import Observation, Observations

EVERY_S = 30.0
PATIENCE_S = 2.0  # how long a question waits for observations that are just being written
HISTOGRAMS = {
    "material": "material_distribution_drift_score",
    "prediction": "classification_prediction_drift_score",
}

log = structlog.get_logger("cadml.drift")


class Drift:
    """Observes, and compares with baselines. Thread-safe.

    ``features`` names the feature versions that searches use now.
    """

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        settings: Settings,
        features: Callable[[], Sequence[str]],
    ) -> None:
        self.settings = settings
        self.observations = Observations(database)
        self.baselines = Baselines(database)
        self._comparing = Comparing(settings, self.observations, self.baselines)
        self._recorder = Recorder(self.observations)
        self._features = features
        self._metrics = metrics
        self._counted: dict[Pair, tuple[int, int]] = {}
        metrics.read("feature_distribution_drift_score", partial(_when_up, self._scores))
        metrics.read("baseline_material_age_seconds", partial(_when_up, self._age, "material"))
        metrics.read("baseline_prediction_age_seconds", partial(_when_up, self._age, "prediction"))

    # -- observing ------------------------------------------------------------------------------

    def observe(self, observation: Observation) -> None:
        """Take note of one described part; returns at once whatever happens to the note."""
        self._recorder.add(observation)

    def counts(self) -> tuple[int, int]:
        """Return how many observations wait to be written, and how many were lost since the start."""
        return self._recorder.counts()

    def settle(self) -> None:
        """Wait a little for what was just observed to be written."""
        self._recorder.flush(PATIENCE_S)

    def close(self) -> None:
        """Write what was observed."""
        self._recorder.close()

    # -- judging --------------------------------------------------------------------------------

    def pairs(self, subject: Subject | None = None) -> list[Pair]:
        """Return what is compared now; predictions are those of the model that made the newest one."""
        model = self.observations.newest_model()
        every = [
            Pair("material"),
            *([Pair("prediction", model)] if model else []),
            *(Pair("feature", name) for name in self._features()),
        ]
        return [pair for pair in every if subject in {None, pair.subject}]

    def assess(self, count: int | None = None, hours: float | None = None) -> list[Assessment]:
        """Return how the newest ``count`` observations of the last ``hours`` compare."""
        return [self._comparing.assess(pair, count, hours) for pair in self.pairs()]

    def stale(self, row: BaselineRow) -> bool:
        """Whether the baseline is older than ``CADML_DRIFT_BASELINE_MAX_AGE_DAYS``."""
        return self._comparing.stale(row)

    def picture(self, subject: Subject, scope: str | None) -> str:
        """Return an SVG of a baseline in force beside the present window.

        Raises
        ------
        NotFound
            There is none.
        """
        for pair in self.pairs(subject):
            if scope in {None, pair.scope}:
                return self._comparing.picture(pair)
        raise NotFound("that is not compared now", subject=subject, scope=scope)

    # -- looking after it -----------------------------------------------------------------------

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Make and renew baselines and count scores from a thread: for the process that is scraped."""
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(stop,), name="drift", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _watch(self, stop: threading.Event) -> None:
        trigger = "startup"
        while not stop.is_set():
            try:
                self.care(trigger)
            except DatabaseUnavailable as error:
                log.warning("drift not judged", reason=error.message)
            except Exception:  # a defect: told in full, and the next round may do better
                log.exception("drift not judged")
            trigger = "stale"
            stop.wait(EVERY_S)

    def care(self, trigger: str = "stale") -> None:
        """Do one round: first baselines, stale ones, and the score of each window that has changed."""
        for now in self.assess():
            if now.baseline is not None:
                self._count(now, now.baseline)
                if self.stale(now.baseline):
                    self._renew(now.pair, now.baseline, trigger)
            elif now.size >= now.needed:
                sample = sample_of(now.pair, now.seen.values)
                self.install(now.pair, sample, origin="first", after=now.seen.last, replaces=None)

    def _count(self, now: Assessment, baseline: BaselineRow) -> None:
        """Count the window's score once, however often the same window is judged."""
        window = (baseline.number, now.seen.last)
        if now.found is None or now.found.score is None or self._counted.get(now.pair) == window:
            return
        self._counted[now.pair] = window
        subject, scope = now.pair.subject, now.pair.scope
        self.baselines.keep_score(subject, scope, baseline.number, now.found.score)
        if subject in HISTOGRAMS:
            self._metrics.observe(HISTOGRAMS[subject], now.found.score)
        log.info("drift judged", subject=subject, scope=scope, verdict=now.verdict, score=now.found.score)

    def _renew(self, pair: Pair, stale: BaselineRow, trigger: str) -> None:
        """Put what came since into the place of a stale baseline, if it is enough and no drift.

        Renewing from what has drifted would make the drift the new normal, and hide it.
        """
        now = self._comparing.assess(pair, self.settings.drift_baseline_size, EVER)
        if len(now.seen.values) < self.settings.drift_baseline_size:
            return
        if now.verdict == "drifted":
            log.warning("a stale baseline is kept: what came since has drifted", subject=pair.subject)
            return
        sample = sample_of(pair, now.seen.values)
        self.install(pair, sample, origin="stale", after=now.seen.last, replaces=stale, trigger=trigger)

    def install(
        self,
        pair: Pair,
        sample: Sample,
        *,
        origin: str,
        after: int,
        replaces: BaselineRow | None,
        created_at: datetime | None = None,
        trigger: str = "manual",
    ) -> BaselineRow | None:
        """Put a baseline in force and count it; None if ``replaces`` is not in force any more."""
        row = self.baselines.put(
            pair.subject,
            pair.scope,
            sample,
            origin=origin,
            created_at=created_at,
            after=after,
            replaces=replaces.number if replaces else None,
        )
        if row is not None and replaces is None:
            self._metrics.count("drift_baseline_created_total", type=pair.subject)
        elif row is not None:
            self._metrics.count("drift_baseline_refresh_total", type=pair.subject, trigger=trigger)
        return row

    # -- gauges ---------------------------------------------------------------------------------

    def _scores(self) -> Reading:
        known = self.baselines.scores("feature")
        return {(name,): known.get(name, 0.0) for name in VERSIONS}

    def _age(self, subject: Subject) -> Reading:
        scope = self.observations.newest_model() if subject == "prediction" else ""
        active = None if scope is None else self.baselines.standing(subject, scope).active
        return age_s(active) if active else 0.0


def _when_up(ask: Callable[..., Reading], *arguments: Any) -> Reading:
    """Return a gauge's values; none while the database cannot tell them."""
    try:
        return ask(*arguments)
    except DatabaseUnavailable:
        return {}
