"""Pictures of baselines, with the present window beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cadml.charts import bars
from cadml.drift.slots import FeatureDrift, SlotBaseline

MOST_BARS = 12


def of_categories(title: str, baseline: Mapping[str, int], window: Mapping[str, int]) -> str:
    """Return an SVG of the shares that the most frequent categories have, then and now."""
    pooled = Counter(_shares(baseline)) + Counter(_shares(window))
    names = [name for name, _ in pooled.most_common(MOST_BARS)]
    series = [("baseline", baseline), ("window", window)] if window else [("baseline", baseline)]
    return bars(
        title,
        names,
        [(label, [_shares(counts).get(name, 0.0) for name in names]) for label, counts in series],
        y_label="share of the observations",
    )


def of_slots(title: str, baseline: SlotBaseline, found: FeatureDrift | None) -> str:
    """Return an SVG of each slot group: how widely the baseline spreads, and the window's score."""
    names = [each.name for each in baseline.version.descriptors]
    widest = float(baseline.spread.max()) or 1.0
    series = [("spread of the baseline", [float(value) / widest for value in baseline.spread])]
    if found is not None and found.groups:
        scores = {group.name: group.score for group in found.groups}
        series.append(("score (50 %: alarm)", [scores[name] for name in names]))
    return bars(title, names, series, y_label="of the widest; score of the window")


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}
