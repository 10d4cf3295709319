"""Alerts on moves between feature versions."""

from __future__ import annotations

from cadml.observability.queries import RULE
from cadml.observability.rules.model import Alert, Group

_SHARE = RULE.select("vector_migration_progress_ratio")
_PROGRESS = RULE.gauge("vector_migration_progress_ratio", "job", "to_version", how="max")
_MOVED = RULE.over("15m").increase("vector_migrate_total", "job")
_FAILED = RULE.over("15m").increase("vector_migrate_total", "job", status="error")
FEWEST = 20  # items: below, a share says little

MIGRATION = Group(
    "cadml-migration",
    (
        Alert(
            "CadmlMigrationStalled",
            "warning",
            "10m",
            f"{_PROGRESS} > 0 and {_PROGRESS} < 1 and max by (job, to_version) (changes({_SHARE}[30m])) == 0",
            "{{ $labels.job }}: the migration to {{ $labels.to_version }} stands at"
            " {{ $value | humanizePercentage }}",
            "It has begun, is not done, and did not get on for half an hour. Searches are not affected.",
        ),
        Alert(
            "CadmlMigrationFailing",
            "warning",
            "5m",
            f"{_FAILED} / {_MOVED} > 0.05 and {_MOVED} > {FEWEST}",
            "{{ $labels.job }}: {{ $value | humanizePercentage }} of the moved items fail",
            "Many parts cannot be described in the new version. Nothing is lost: the old version serves on.",
        ),
    ),
)
