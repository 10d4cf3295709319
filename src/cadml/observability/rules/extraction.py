"""Alerts on reading files: processes, queue."""

from __future__ import annotations

from cadml.observability.queries import RULE
from cadml.observability.rules.model import Alert, Group

_WHO = ("job", "instance")
_NAMED = "{{ $labels.instance }}"
_QUEUED = RULE.select("extraction_queue_depth", state="queued")

EXTRACTION = Group(
    "cadml-extraction",
    (
        Alert(
            "CadmlExtractionCrashes",
            "warning",
            "1m",
            RULE.over("15m").increase("extraction_worker_failures_total", *_WHO, "reason") + " > 5",
            f"{_NAMED} lost {{{{ $value | humanize }}}} readers in 15 minutes ({{{{ $labels.reason }}}})",
            "Single files that stop a reader are normal and refused. Many of them mean a batch of bad files,"
            " a limit that is too low, or a machine short of memory.",
        ),
        Alert(
            "CadmlNoExtractionWorkers",
            "critical",
            "5m",
            RULE.gauge("extraction_workers", *_WHO) + " == 0",
            f"{_NAMED} has no process that could read a file",
            "Uploads wait and then fail; searches by part still answer.",
        ),
        Alert(
            "CadmlQueueNotDraining",
            "warning",
            "15m",
            f"min by (job) (min_over_time({_QUEUED}[30m])) > 0 and max by (job) (deriv({_QUEUED}[30m])) >= 0",
            "{{ $labels.job }}: {{ $value | humanize }} files wait and their number does not fall",
            "For half an hour the queue was never empty and did not become shorter: no worker takes from"
            " it, or more comes in than is read.",
        ),
    ),
)
