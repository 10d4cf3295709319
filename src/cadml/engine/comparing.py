"""Windows beside their baselines: what is compared, how it compares, and a picture of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cadml.config import Settings
from cadml.drift import categories, picture
from cadml.drift.categories import CategoryDrift
from cadml.drift.slots import FeatureDrift, SlotBaseline, sampled
from cadml.drift.verdict import SMALLEST, Subject, Verdict
from cadml.errors import NotFound
from cadml.features.versions import version
from cadml.store.baselines import BaselineRow, Baselines, Sample
from cadml.store.observations import Observations, Seen

ABSTAINED = "(abstained)"
EVER = float("inf")

Found = CategoryDrift | FeatureDrift


@dataclass(frozen=True, slots=True)
class Pair:
    """What is compared: materials (scope ''), the predictions of a model, or a version's vectors."""

    subject: Subject
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How a window compares with its baseline; ``found`` is None without a baseline.

    ``size`` and ``needed`` are observations: of the window, or those gathered for the first baseline.
    """

    pair: Pair
    verdict: Verdict
    size: int
    needed: int
    baseline: BaselineRow | None
    seen: Seen
    found: Found | None


@dataclass(slots=True)
class _Kept:
    """A baseline in memory: its sample, what is computed once for all windows, and the last answer."""

    number: int
    sample: Sample
    slots: SlotBaseline | None
    window: tuple[int, int] | None = None  # newest observation and size
    found: Found | None = None


class Comparing:
    """Compares windows of ``observations`` with the ``baselines`` in force. Thread-safe."""

    def __init__(self, settings: Settings, observations: Observations, baselines: Baselines) -> None:
        self._settings, self._observations, self._baselines = settings, observations, baselines
        self._kept: dict[Pair, _Kept] = {}
        self._one_at_a_time = threading.Lock()  # two at once would only take the cores from requests

    def assess(self, pair: Pair, count: int | None = None, hours: float | None = None) -> Assessment:
        """Return how the newest ``count`` observations of the last ``hours`` compare."""
        standing = self._baselines.standing(pair.subject, pair.scope)
        if standing.active is None:
            needed = self._settings.drift_baseline_size
            seen = self._observations.first(pair.subject, pair.scope, standing.after, needed)
            return Assessment(pair, "not enough data", len(seen.values), needed, None, seen, None)
        count = count or self._settings.drift_window
        hours = hours or self._settings.drift_window_hours
        seen = self._observations.latest(pair.subject, pair.scope, standing.after, count, hours)
        found = self._compare(pair, standing.active, seen)
        return Assessment(pair, found.verdict, found.size, SMALLEST, standing.active, seen, found)

    def _compare(self, pair: Pair, active: BaselineRow, seen: Seen) -> Found:
        window = (seen.last, len(seen.values))
        with self._one_at_a_time:
            kept = self._baseline(pair, active)
            if kept.found is None or kept.window != window:
                kept.window = window
                if kept.slots is None:
                    kept.found = categories.compare(kept.sample.counts or {}, counted(pair, seen.values))
                else:
                    vectors = np.array(seen.values, np.float32).reshape(-1, kept.slots.version.length)
                    kept.found = kept.slots.compare(vectors)
            return kept.found

    def _baseline(self, pair: Pair, active: BaselineRow) -> _Kept:
        kept = self._kept.get(pair)
        if kept is None or kept.number != active.number:
            sample = self._baselines.sample(pair.subject, pair.scope, active.number)
            slots = None if sample.vectors is None else SlotBaseline(version(pair.scope), sample.vectors)
            kept = self._kept[pair] = _Kept(active.number, sample, slots)
        return kept

    def picture(self, pair: Pair) -> str:
        """Return an SVG of a baseline in force beside the present window.

        Raises
        ------
        NotFound
            There is none.
        """
        now = self.assess(pair)
        if now.baseline is None:
            raise NotFound("no such baseline is in force", subject=pair.subject, scope=pair.scope)
        title = f"{pair.subject} {pair.scope} baseline {now.baseline.number}, window: {now.verdict}"
        with self._one_at_a_time:
            kept = self._baseline(pair, now.baseline)
        if kept.slots is not None:
            return picture.of_slots(
                title, kept.slots, now.found if isinstance(now.found, FeatureDrift) else None
            )
        return picture.of_categories(title, kept.sample.counts or {}, counted(pair, now.seen.values))

    def stale(self, row: BaselineRow) -> bool:
        """Whether the baseline is older than ``CADML_DRIFT_BASELINE_MAX_AGE_DAYS``."""
        return age_s(row) > self._settings.drift_baseline_max_age_days * 86400


def sample_of(pair: Pair, values: Sequence[Any]) -> Sample:
    """Return observed labels or vectors as what a baseline keeps of them."""
    if pair.subject == "feature":
        return Sample(vectors=sampled(np.stack(values)))
    return Sample(counts=counted(pair, values))


def counted(pair: Pair, labels: Sequence[Any]) -> dict[str, int]:
    """Return how often each label occurs; a prediction without one is an abstention."""
    return categories.counted(labels, ABSTAINED if pair.subject == "prediction" else categories.UNSTATED)


def age_s(row: BaselineRow) -> float:
    """Return the baseline's age in s."""
    return max((datetime.now(UTC) - row.created_at).total_seconds(), 0.0)
