"""Alerts on the service, its database and its disk."""

from __future__ import annotations

from cadml.observability.queries import JOBS, RULE
from cadml.observability.rules.model import Alert, Group

_NAMED = "{{ $labels.instance }}"

SERVICE = Group(
    "cadml-service",
    (
        Alert(
            "CadmlDown",
            "critical",
            "2m",
            f"up{{{JOBS}}} == 0",
            f"{_NAMED} cannot be scraped",
            "The process is gone, hangs, or is not reachable from Prometheus. It is found by a job whose name"
            " begins with cadml.",
        ),
        Alert(
            "CadmlDatabaseDown",
            "critical",
            "1m",
            f"{RULE.select('database_up')} == 0",
            f"{_NAMED} cannot reach PostgreSQL",
            "Everything but /health and /metrics answers 503 until it is back; nothing accepted is lost.",
        ),
        Alert(
            "CadmlMetricsDisabled",
            "info",
            "5m",
            f"{RULE.select('app_metrics_disabled')} == 1",
            f"{_NAMED} exports no metrics",
            "CADML_METRICS_ENABLED is false or the client library is missing: dashboards are empty.",
        ),
    ),
)

# An optional file of its own: these names are node_exporter's, not cadml's.
NODE = Group(
    "cadml-node",
    (
        Alert(
            "CadmlDiskNearlyFull",
            "warning",
            "15m",
            'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs"}'
            ' / node_filesystem_size_bytes{fstype!~"tmpfs|overlay|squashfs"} < 0.1',
            f"{_NAMED}: {{{{ $value | humanizePercentage }}}} of {{{{ $labels.mountpoint }}}} is free",
            "PostgreSQL stops when its disk is full, and uploads fail when the spool is.",
        ),
    ),
)
