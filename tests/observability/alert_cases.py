"""For each alert, series under which it must fire and series under which it must stay silent.

Values are in promtool's notation: `0+5x60` begins at 0 and rises by 5 at each of 60 steps. A step is a
minute, or ten for alerts that look back for days.
"""

from __future__ import annotations

from dataclasses import dataclass

WHO = 'job="cadml", instance="a:8000"'


@dataclass(frozen=True)
class Case:
    """What is stored, and when the alert is looked at."""

    at: str
    series: dict[str, str]


def one(name: str, labels: str = "") -> str:
    return f"{name}{{{', '.join(part for part in (WHO, labels) if part)}}}"


def http(status: str, route: str = "/api/v1/search") -> str:
    return one("http_requests_total", f'method="POST", route="{route}", status="{status}"')


def reads(what: str) -> str:
    labels = 'method="GET", route="/api/v1/parts", status="2xx"'
    return one(f"http_request_duration_seconds_{what}", labels + (', le="0.5"' if what == "bucket" else ""))


def queue(values: str) -> dict[str, str]:
    return {one("extraction_queue_depth", 'state="queued"'): values}


def lookups(hits: str, misses: str) -> dict[str, str]:
    return {one("feature_cache_hits_total"): hits, one("feature_cache_miss_total"): misses}


def disk(free: str) -> dict[str, str]:
    where = 'instance="a:9100", job="node", device="/dev/vda1", fstype="ext4", mountpoint="/"'
    return {
        f"node_filesystem_avail_bytes{{{where}}}": free,
        f"node_filesystem_size_bytes{{{where}}}": "100x60",
    }


def scores(name: str, low: str, every: str) -> dict[str, str]:
    """Windows with a score up to 0.5, and all windows."""
    return {one(f"{name}_bucket", 'le="0.5"'): low, one(f"{name}_bucket", 'le="+Inf"'): every} | {
        one(f"{name}_bucket", 'le="0.75"'): every
    }


def progress(values: str) -> dict[str, str]:
    return {one("vector_migration_progress_ratio", 'to_version="v6"'): values}


def moved(well: str, badly: str) -> dict[str, str]:
    return {
        one("vector_migrate_total", 'status="migrated"'): well,
        one("vector_migrate_total", 'status="error"'): badly,
    }


# name: (fires, silent …)
CASES: dict[str, tuple[Case, ...]] = {
    "CadmlDown": (
        Case("4m", {one("up"): "1 1 0x10"}),
        Case("4m", {one("up"): "1 0 1 1 1 1"}),  # one lost scrape
        Case("4m", {'up{job="other", instance="b:1"}': "0x10"}),  # not ours
    ),
    "CadmlDatabaseDown": (
        Case("3m", {one("database_up"): "0x10"}),
        Case("3m", {one("database_up"): "1x10"}),
        Case("3m", {'database_up{job="shop", instance="b:1"}': "0x10"}),
    ),
    "CadmlMetricsDisabled": (
        Case("6m", {one("app_metrics_disabled"): "1x10"}),
        Case("6m", {one("database_up"): "1x10"}),
    ),
    "CadmlAvailabilityBurnsFast": (
        Case("70m", {http("2xx"): "0+90x90", http("5xx"): "0+10x90"}),  # 10 %
        Case("70m", {http("2xx"): "0+98x90", http("5xx"): "0+2x90"}),  # 2 %: slow, not fast
        Case("70m", {http("2xx"): "0+90x90", http("5xx"): "0+20x20 400x70"}),  # over since 50 minutes
        Case("70m", {http("2xx"): "0+90x90", http("5xx", "/ready"): "0+50x90"}),  # a probe's 503
    ),
    "CadmlAvailabilityBurnsSlow": (
        Case("26h", {http("2xx"): "0+98x160", http("5xx"): "0+2x160"}),  # 2 %
        Case("26h", {http("2xx"): "0+999x160", http("5xx"): "0+1x160"}),  # 0.1 %: as promised
        Case("26h", {http("4xx"): "0+50x160", http("2xx"): "0+50x160", http("5xx"): "0x160"}),
    ),
    "CadmlLatencyBurnsFast": (
        Case("70m", {reads("bucket"): "0+10x90", reads("count"): "0+100x90"}),  # 90 % are slow
        Case("70m", {reads("bucket"): "0+90x90", reads("count"): "0+100x90"}),  # 10 %: slow, not fast
        Case("70m", {reads("bucket"): "0x90", reads("count"): "0x90"}),  # nobody asks
    ),
    "CadmlLatencyBurnsSlow": (
        Case("26h", {reads("bucket"): "0+80x160", reads("count"): "0+100x160"}),  # 20 %
        Case("26h", {reads("bucket"): "0+98x160", reads("count"): "0+100x160"}),  # 2 %
    ),
    "CadmlExtractionCrashes": (
        Case("20m", {one("extraction_worker_failures_total", 'reason="crash"'): "0+1x30"}),
        Case("20m", {one("extraction_worker_failures_total", 'reason="crash"'): "0x10 3x20"}),
        Case(  # each reason is judged by itself
            "20m",
            {
                one("extraction_worker_failures_total", 'reason="timeout"'): "0x10 3x20",
                one("extraction_worker_failures_total", 'reason="memory"'): "0x10 3x20",
            },
        ),
    ),
    "CadmlNoExtractionWorkers": (
        Case(
            "7m",
            {one("extraction_workers", f'state="{state}"'): "0x10" for state in ("idle", "busy")},
        ),
        Case(
            "7m",
            {
                one("extraction_workers", 'state="idle"'): "0x10",
                one("extraction_workers", 'state="busy"'): "2x10",
            },
        ),
    ),
    "CadmlQueueNotDraining": (
        Case("60m", queue("500x60")),
        Case("60m", queue("100+5x60")),  # grows
        Case("60m", queue("500-5x60")),  # falls: slow is no fault
        Case("60m", queue("0x60")),
        Case("60m", queue("50x10 0x10 50x10 0x10 50x20")),  # was empty between
    ),
    "CadmlCacheHitRatioLow": (
        Case("60m", lookups("0+20x60", "0+100x60")),  # 17 % of 2 a second
        Case("60m", lookups("0+100x60", "0+20x60")),
        Case("60m", lookups("0+1x60", "0+9x60")),  # nobody would notice
    ),
    **{
        f"Cadml{subject}Drift": (
            Case("80m", scores(name, "0+1x90", "0+10x90")),  # nine of ten windows are above 0.5
            Case("80m", scores(name, "0+9x90", "0+10x90")),
            Case("80m", scores(name, "0x90", "0x90")),  # nothing was judged
        )
        for subject, name in (
            ("Material", "material_distribution_drift_score"),
            ("Prediction", "classification_prediction_drift_score"),
        )
    },
    "CadmlFeatureDrift": (
        Case("40m", {one("feature_distribution_drift_score", 'version="v5"'): "0.7x60"}),
        Case("40m", {one("feature_distribution_drift_score", 'version="v5"'): "0.45x60"}),
        Case("40m", {one("feature_distribution_drift_score", 'version="v5"'): "0x30 0.7x5 0x30"}),
    ),
    "CadmlBaselineStale": (
        Case("90m", {one("baseline_material_age_seconds"): "9000000+60x120"}),
        Case("90m", {one("baseline_prediction_age_seconds"): "9000000+60x120"}),
        Case("90m", {one("baseline_material_age_seconds"): "80000+60x120"}),
    ),
    "CadmlHostileModelRefused": (
        Case("20m", {one("model_security_fail_total", 'reason="opcode_blocked"'): "0x10 1x20"}),
        Case("20m", {one("model_security_fail_total", 'reason="size_exceeded"'): "0x10 1x20"}),  # a mistake
        Case("40m", {one("model_security_fail_total", 'reason="opcode_blocked"'): "0x10 1x60"}),  # over
        Case("20m", {one("model_security_fail_total", 'reason="hash_mismatch"'): "0x60"}),
    ),
    "CadmlModelRolledBack": (
        Case("10m", {one("model_rollback_level"): "1x20"}),
        Case("10m", {one("model_rollback_level"): "0x20"}),
        Case("10m", {one("model_rollback_level"): "0 1 1 0x20"}),
    ),
    "CadmlModelRollbackExhausted": (
        Case("5m", {one("model_rollback_level"): "3x20"}),
        Case("5m", {one("model_rollback_level"): "2x20"}),
    ),
    "CadmlNoModelSnapshots": (
        Case("20m", {one("model_snapshots_available"): "0x30", one("model_load_seq"): "2x30"}),
        Case("20m", {one("model_snapshots_available"): "0x30", one("model_load_seq"): "1x30"}),  # the first
        Case("20m", {one("model_snapshots_available"): "0x30", one("model_load_seq"): "0x30"}),  # none ever
        Case("20m", {one("model_snapshots_available"): "1x30", one("model_load_seq"): "2x30"}),
    ),
    "CadmlMigrationStalled": (
        Case("50m", progress("0.4x60")),
        Case("50m", progress("0.1+0.01x60")),
        Case("50m", progress("0x60")),  # there is none
        Case("50m", progress("1x60")),  # done
    ),
    "CadmlMigrationFailing": (
        Case("30m", moved("0+10x60", "0+2x60")),
        Case("30m", moved("0+100x60", "0+1x60")),
        Case("30m", moved("0x10 1x60", "0x10 2x60")),  # three items in all
    ),
    "CadmlDiskNearlyFull": (
        Case("20m", disk("5x60")),
        Case("20m", disk("40x60")),
    ),
}
STEP = {"CadmlAvailabilityBurnsSlow": "10m", "CadmlLatencyBurnsSlow": "10m"}
# A second way in which the alert must fire.
ALSO_FIRES = {("CadmlQueueNotDraining", 1), ("CadmlBaselineStale", 1)}
