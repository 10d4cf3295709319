"""Cache and tuning: whether vectors are found in memory, and what the cache is advised."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines, percentiles
from cadml.observability.queries import PANEL, SHOWN, ratio

_IDLE = "no lookups in this time"


def _share(hits: str, misses: str) -> str:
    return ratio(hits, f"({hits} + {misses})")


BOARD = Dashboard(
    "cadml-cache",
    "cadml / Cache and tuning",
    "The feature cache in memory: hits, size, evictions, and the advice on its capacity and ttl.",
    (
        Row(
            "Does it help",
            (
                Panel(
                    "Hit ratio",
                    "Share of lookups in the shown time that memory answered.",
                    "percentunit",
                    lines(
                        (
                            _share(
                                SHOWN.increase("feature_cache_hits_total"),
                                SHOWN.increase("feature_cache_miss_total"),
                            ),
                            "hits",
                        )
                    ),
                    _IDLE,
                    "stat",
                    width=6,
                    top=1,
                ),
                Panel(
                    "Hit ratio over time",
                    "A fall without a change of capacity means that other vectors are asked for than before.",
                    "percentunit",
                    lines(
                        (
                            _share(
                                PANEL.rate("feature_cache_hits_total"), PANEL.rate("feature_cache_miss_total")
                            ),
                            "hit ratio",
                        )
                    ),
                    _IDLE,
                    width=9,
                    top=1,
                ),
                Panel(
                    "Lookups",
                    "Each lookup is a hit or a miss, each counted once; an eviction makes room.",
                    "ops",
                    lines(
                        (PANEL.rate("feature_cache_hits_total"), "hits"),
                        (PANEL.rate("feature_cache_miss_total"), "misses"),
                        (PANEL.rate("feature_cache_evictions_total"), "evictions"),
                    ),
                    "no service is scraped",
                    width=9,
                ),
                Panel(
                    "Time of a lookup in memory",
                    "Microseconds are right; more means that the process is short of CPU.",
                    "s",
                    percentiles("feature_cache_lookup_seconds"),
                    _IDLE,
                ),
                Panel(
                    "Entries",
                    "Vectors held, and the most that may be held.",
                    "short",
                    lines(
                        (PANEL.gauge("feature_cache_size", "instance"), "held {{instance}}"),
                        (PANEL.gauge("feature_cache_capacity", "instance"), "capacity {{instance}}"),
                    ),
                    "no service is scraped",
                ),
                Panel(
                    "Memory",
                    "What the held vectors take.",
                    "bytes",
                    lines((PANEL.gauge("feature_cache_bytes", "instance"), "{{instance}}")),
                    "no service is scraped",
                ),
            ),
        ),
        Row(
            "Tuning",
            (
                Panel(
                    "Recommended capacity",
                    "What was last recommended, by evidence or by bands; 0 before the first advice.",
                    "short",
                    lines(
                        (PANEL.gauge("feature_cache_tuning_recommended_capacity", "instance"), "{{instance}}")
                    ),
                    "no service is scraped",
                    "stat",
                    width=6,
                ),
                Panel(
                    "Recommended ttl",
                    "What was last recommended; 0 before the first advice.",
                    "s",
                    lines(
                        (
                            PANEL.gauge("feature_cache_tuning_recommended_ttl_seconds", "instance"),
                            "{{instance}}",
                        )
                    ),
                    "no service is scraped",
                    "stat",
                    width=6,
                ),
                Panel(
                    "Advice asked for",
                    "Requests for advice in the shown time, by outcome.",
                    "short",
                    lines((SHOWN.increase("feature_cache_tuning_requests_total", "status"), "{{status}}")),
                    "no service is scraped",
                    "bargauge",
                    width=6,
                ),
                Panel(
                    "Prewarming",
                    "Loads of the most used vectors in the shown time, by outcome.",
                    "short",
                    lines((SHOWN.increase("feature_cache_prewarm_total", "result"), "{{result}}")),
                    "no service is scraped",
                    "bargauge",
                    width=6,
                ),
            ),
        ),
    ),
)
