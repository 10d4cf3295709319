"""Alerts on the feature cache."""

from __future__ import annotations

from cadml.observability.queries import RULE, ratio
from cadml.observability.rules.model import Alert, Group, Recording

_WHO = ("job", "instance")
RATIO = "instance:feature_cache_hits:ratio_rate15m"
LOOKUPS = "instance:feature_cache_lookups:rate15m"
_HITS = RULE.over("15m").rate("feature_cache_hits_total", *_WHO)
_MISSES = RULE.over("15m").rate("feature_cache_miss_total", *_WHO)
TRAFFIC = 1.0  # lookups a second: below, a low hit ratio costs nobody anything

CACHE = Group(
    "cadml-cache",
    (
        Recording(LOOKUPS, f"{_HITS} + {_MISSES}"),
        Recording(RATIO, ratio(_HITS, f"({_HITS} + {_MISSES})")),
        Alert(
            "CadmlCacheHitRatioLow",
            "info",
            "30m",
            f"{RATIO} < 0.4 and {LOOKUPS} > {TRAFFIC:g}",
            "{{ $labels.instance }}: memory answers {{ $value | humanizePercentage }} of the lookups",
            "Vectors are asked for often and mostly come from the database. Ask for advice:"
            " `cadml cache tuning`; a scan of the whole library never hits, however large the cache.",
        ),
    ),
)
