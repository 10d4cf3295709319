"""Extraction: files, the worker processes that read them, and the durable queue."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines, percentiles
from cadml.observability.queries import PANEL, SHOWN, ratio

_IDLE = "no files in this time"
_QUIET = "none: all is well"

BOARD = Dashboard(
    "cadml-extraction",
    "cadml / Extraction and jobs",
    "Files that come in, what becomes of them, the processes that read them, and what waits.",
    (
        Row(
            "Files",
            (
                Panel(
                    "Files by outcome",
                    "Each file once: it became a part, or it was refused with an error.",
                    "ops",
                    lines((PANEL.rate("analysis_requests_total", "status"), "{{status}}")),
                    "no service is scraped",
                ),
                Panel(
                    "Share refused",
                    "Files that could not be analysed, of all that came.",
                    "percentunit",
                    lines(
                        (
                            ratio(
                                PANEL.rate("analysis_requests_total", status="error"),
                                PANEL.rate("analysis_requests_total"),
                            ),
                            "refused",
                        )
                    ),
                    _IDLE,
                    top=1,
                ),
                Panel(
                    "Errors by code",
                    "Refused files in the shown time by error code (docs/reference/errors.md).",
                    "short",
                    lines((SHOWN.increase("analysis_error_code_total", "code") + " > 0", "{{code}}")),
                    _QUIET,
                    "bargauge",
                ),
                Panel(
                    "Errors by stage",
                    "The step at which files failed, with the error's code.",
                    "short",
                    lines(
                        (
                            SHOWN.increase("analysis_errors_total", "stage", "code") + " > 0",
                            "{{stage}}: {{code}}",
                        )
                    ),
                    _QUIET,
                    "bargauge",
                ),
                Panel(
                    "Refused before reading",
                    "Files that no reader saw: too large, of no known format, mislabelled, quarantined.",
                    "short",
                    lines((SHOWN.increase("analysis_rejections_total", "reason"), "{{reason}}")),
                    "no service is scraped",
                    "bargauge",
                ),
                Panel(
                    "Refused by their reader",
                    "Files whose content is not what its extension says, or breaks the rules of its format.",
                    "short",
                    lines(
                        (
                            SHOWN.increase("format_validation_fail_total", "format", "reason") + " > 0",
                            "{{format}}: {{reason}}",
                        ),
                        (
                            SHOWN.increase("signature_validation_fail_total", "format") + " > 0",
                            "{{format}}: not what it says",
                        ),
                    ),
                    _QUIET,
                    "bargauge",
                ),
            ),
        ),
        Row(
            "Time",
            (
                Panel(
                    "95th percentile by stage",
                    "Where the time of an analysis goes; read is the geometry kernel.",
                    "s",
                    lines((PANEL.quantile(0.95, "analysis_stage_duration_seconds", "stage"), "{{stage}}")),
                    _IDLE,
                ),
                Panel(
                    "Load by stage",
                    "Seconds spent a second: how many processes or threads each stage keeps busy.",
                    "short",
                    lines((PANEL.rate("analysis_stage_duration_seconds_sum", "stage"), "{{stage}}")),
                    "no service is scraped",
                ),
                Panel(
                    "95th percentile to read a file, by format",
                    "Time in the reader alone.",
                    "s",
                    lines((PANEL.quantile(0.95, "parse_stage_latency_seconds", "format"), "{{format}}")),
                    _IDLE,
                ),
                Panel(
                    "Time to read a file",
                    "Over all formats.",
                    "s",
                    percentiles("parse_stage_latency_seconds"),
                    _IDLE,
                    width=24,
                ),
            ),
        ),
        Row(
            "Workers and jobs",
            (
                Panel(
                    "Worker processes",
                    "Extraction processes of each service that wait, and that read.",
                    "short",
                    lines((PANEL.gauge("extraction_workers", "state"), "{{state}}")),
                    "no service is scraped",
                ),
                Panel(
                    "Queue",
                    "Files of durable jobs, in the one queue of all services; a job lists its failed ones.",
                    "short",
                    lines((PANEL.gauge("extraction_queue_depth", "state", how="max"), "{{state}}")),
                    "the database does not tell",
                ),
                Panel(
                    "Processes lost to files",
                    "Crashes, time-outs and memory limits in the shown time. Each cost one file only.",
                    "short",
                    lines((SHOWN.increase("extraction_worker_failures_total", "reason"), "{{reason}}")),
                    "no service is scraped",
                    "bargauge",
                    steps=((1, "orange"),),
                ),
            ),
        ),
    ),
)
