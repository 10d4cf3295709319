"""Database: whether PostgreSQL answers, how quickly, and what depends on it."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines, percentiles
from cadml.observability.queries import PANEL

_UP = (("0", "down", "red"), ("1", "up", "green"))

BOARD = Dashboard(
    "cadml-database",
    "cadml / Database",
    "PostgreSQL as the service sees it. For its insides, add its own exporter.",
    (
        Row(
            "Does it answer",
            (
                Panel(
                    "Database",
                    "1 while PostgreSQL answers, for each service.",
                    "none",
                    lines((PANEL.gauge("database_up", "instance", how="min"), "{{instance}}")),
                    "no service is scraped",
                    "stat",
                    width=6,
                    words=_UP,
                ),
                Panel(
                    "Over time",
                    "A gap is a service that was not scraped, a fall is a database that did not answer it.",
                    "none",
                    lines((PANEL.gauge("database_up", "instance", how="min"), "{{instance}}")),
                    "no service is scraped",
                    width=9,
                    top=1,
                ),
                Panel(
                    "Not ready",
                    "Questions for readiness that were answered with 503.",
                    "reqps",
                    lines(
                        (
                            PANEL.rate("health_requests_total", endpoint="ready", status="unavailable"),
                            "not ready",
                        )
                    ),
                    "no service is scraped",
                    width=9,
                ),
            ),
        ),
        Row(
            "How quickly",
            (
                Panel(
                    "Storing a part",
                    "Time of the transaction that keeps a part with its vectors and files.",
                    "s",
                    percentiles("analysis_stage_duration_seconds", "", stage="store"),
                    "nothing was stored in this time",
                ),
                Panel(
                    "Searching",
                    "Time of one search.",
                    "s",
                    percentiles("vector_query_latency_seconds"),
                    "no searches in this time",
                ),
                Panel(
                    "Failed for the database or the files",
                    "Analyses that failed because the database or the blob store did not answer.",
                    "ops",
                    lines(
                        (
                            PANEL.rate(
                                "analysis_error_code_total",
                                "code",
                                code=("DATABASE_UNAVAILABLE", "BLOB_UNAVAILABLE"),
                            ),
                            "{{code}}",
                        )
                    ),
                    "no service is scraped",
                ),
                Panel(
                    "Vectors stored",
                    "How the library grows, by feature version.",
                    "short",
                    lines((PANEL.gauge("vector_store_vectors", "version", how="max"), "{{version}}")),
                    "the database does not tell",
                    width=24,
                ),
            ),
        ),
    ),
)
