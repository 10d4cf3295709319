"""Advice from evidence: which capacity and ttl the observed re-use asks for, and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cadml.cache.curve import Curve, Reuse, references_for
from cadml.cache.feature_cache import CAPACITY_RANGE, TTL_RANGE, CacheCounts
from cadml.charts import Mark, lines

WITHIN = 0.01  # of the best reachable hit ratio: "one point"
NEEDED_REFERENCES = references_for(0.02)  # 4,612: hit ratios known to two points with 95 % confidence
NEEDED_REUSES = 100  # below, the curve's shape rests on too few keys
# A ttl is only known when it has been watched for: shorter than half of the time observed.
TTL_OF_OBSERVED = 0.5
TTL_MARGIN = 1.5  # re-use intervals of tomorrow are not exactly those of today


@dataclass(frozen=True, slots=True)
class Advice:
    """What the evidence says about the running cache.

    ``curve``: ``(capacity, hit ratio)``; ``error``: bound of the hit ratios (95 %).
    ``recommended_*`` are None unless ``status`` is ``ok``; ``recommended_ttl`` is None as well when
    the time observed is too short to tell; ``needed`` then says what is missing.
    """

    status: Literal["ok", "not enough evidence"]
    reasoning: tuple[str, ...]
    references: int
    needed: dict[str, int]
    observed_seconds: float
    curve: tuple[tuple[int, float], ...]
    error: float | None
    best_hit_ratio: float | None
    recommended_capacity: int | None
    recommended_ttl: int | None
    recommended_bytes: int | None
    expected_hit_ratio: float | None
    expected_now: float | None
    capacity: int
    ttl: int
    bytes: int
    hit_ratio: float | None


def advise(reuse: Reuse, counts: CacheCounts) -> Advice:
    """Return the smallest capacity within one point of the best hit ratio, its bytes, and the ttl."""
    curve = Curve(reuse)
    if needed := _needed(reuse):
        return _not_enough(reuse, needed, counts)
    # Two standard errors of so small a share keep the promise in spite of sampling.
    within = max(WITHIN - 2.0 * math.sqrt(WITHIN / reuse.sampled), WITHIN / 4)
    exact = curve.smallest(max(curve.best - within, 0.0))
    # Where the curve is a cliff (a loop), one entry too few loses everything: stay on the safe side.
    safe = math.ceil(exact * (1.0 + curve.stretch(exact)))
    capacity, why = _within_limits(safe, counts)
    ttl, why_ttl, missing = _ttl(curve, counts)
    expected, now = (float(h) for h in curve.hit_ratio([capacity, counts.capacity]))
    reasoning = (
        f"{reuse.references:,} lookups of about {reuse.distinct:,.0f} vectors were watched",
        f"at best {curve.best:.1%} of them can be hits (± {curve.error:.1%})",
        f"capacity {capacity:,} should reach {expected:.1%}, the present {counts.capacity:,} {now:.1%}",
        *why,
        why_ttl,
    )
    return Advice(
        status="ok",
        reasoning=reasoning,
        references=reuse.references,
        needed=missing,
        observed_seconds=reuse.seconds,
        curve=tuple(curve.points()),
        error=curve.error,
        best_hit_ratio=curve.best,
        recommended_capacity=capacity,
        recommended_ttl=ttl,
        recommended_bytes=round(capacity * counts.entry_bytes),
        expected_hit_ratio=expected,
        expected_now=now,
        capacity=counts.capacity,
        ttl=counts.ttl,
        bytes=counts.bytes,
        hit_ratio=counts.hit_ratio,
    )


def picture(advice: Advice) -> str:
    """Return the miss-ratio curve as SVG, with the present and the recommended capacity."""
    marks = [Mark(advice.capacity, f"now: {advice.capacity:,}")]
    if advice.recommended_capacity is not None:
        marks.append(Mark(advice.recommended_capacity, f"recommended: {advice.recommended_capacity:,}"))
    misses = [(float(capacity), 1.0 - hit) for capacity, hit in advice.curve]
    title = "Feature cache: misses by capacity"
    if advice.status != "ok":
        title += " (not enough evidence)"
    return lines(
        title, [("miss ratio", misses)], x_label="capacity (entries)", y_label="miss ratio", marks=marks
    )


def _needed(reuse: Reuse) -> dict[str, int]:
    """Return what is missing for any advice."""
    needed = {
        "references": NEEDED_REFERENCES - reuse.references,
        "reuses": NEEDED_REUSES - reuse.measured,
    }
    return {name: count for name, count in needed.items() if count > 0}


def _within_limits(wanted: int, counts: CacheCounts) -> tuple[int, tuple[str, ...]]:
    fitting = int(counts.max_bytes / counts.entry_bytes) if counts.entry_bytes else CAPACITY_RANGE[1]
    capacity = max(min(wanted, fitting, CAPACITY_RANGE[1]), CAPACITY_RANGE[0])
    if capacity == wanted:
        return capacity, ()
    return capacity, (f"{wanted:,} entries would be needed; the memory limit ends at {capacity:,}",)


def _ttl(curve: Curve, counts: CacheCounts) -> tuple[int | None, str, dict[str, int]]:
    """Return the ttl that loses at most half a point of hit ratio, the sentence, and what is missing."""
    lost = WITHIN / 2 / max(curve.best, WITHIN)
    interval = curve.interval(1.0 - lost)
    ttl = _rounded_up(interval * TTL_MARGIN)
    watched = curve.reuse.seconds
    if interval > TTL_OF_OBSERVED * watched:
        missing = math.ceil(interval / TTL_OF_OBSERVED - watched)
        sentence = (
            f"the ttl stays at {counts.ttl:,} s: re-use intervals reach {interval:,.0f} s and only "
            f"{watched:,.0f} s were watched"
        )
        return None, sentence, {"seconds": missing}
    ttl = max(min(ttl, TTL_RANGE[1]), 60)
    return ttl, f"{1 - lost:.1%} of re-uses come within {interval:,.0f} s: ttl {ttl:,} s", {}


def _rounded_up(seconds: float) -> int:
    """Return whole minutes, from an hour on whole ten minutes."""
    step = 60 if seconds < 3600 else 600
    return math.ceil(seconds / step) * step


def _not_enough(reuse: Reuse, needed: dict[str, int], counts: CacheCounts) -> Advice:
    what = " and ".join(f"{count:,} more {name}" for name, count in needed.items())
    return Advice(
        status="not enough evidence",
        reasoning=(
            f"not enough evidence: {reuse.references:,} lookups, {reuse.measured:,} re-uses; {what} needed",
        ),
        references=reuse.references,
        needed=needed,
        observed_seconds=reuse.seconds,
        curve=(),
        error=None,
        best_hit_ratio=None,
        recommended_capacity=None,
        recommended_ttl=None,
        recommended_bytes=None,
        expected_hit_ratio=None,
        expected_now=None,
        capacity=counts.capacity,
        ttl=counts.ttl,
        bytes=counts.bytes,
        hit_ratio=counts.hit_ratio,
    )
