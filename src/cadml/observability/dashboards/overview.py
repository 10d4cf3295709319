"""Overview: whether the service does well, on one page."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines
from cadml.observability.queries import PANEL, SHOWN, ratio

_REQUESTS = "http_requests_total"
_SECONDS = "http_request_duration_seconds"
_UP = (("0", "down", "red"), ("1", "up", "green"))

BOARD = Dashboard(
    "cadml-overview",
    "cadml / Overview",
    "Is the service up, does it answer, does it read files, is anything waiting? Begin here.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Database",
                    "1 while PostgreSQL answers; the worst instance is shown.",
                    "none",
                    lines((PANEL.gauge("database_up", how="min"), "database")),
                    "no service is scraped",
                    "stat",
                    width=4,
                    words=_UP,
                ),
                Panel(
                    "Availability",
                    "Share of requests in the shown time that did not end in a server error.",
                    "percentunit",
                    lines(
                        (
                            "1 - "
                            + ratio(
                                SHOWN.increase(_REQUESTS, status="5xx"),
                                SHOWN.increase(_REQUESTS),
                            ),
                            "available",
                        )
                    ),
                    "no requests in this time",
                    "stat",
                    width=4,
                    top=1,
                ),
                Panel(
                    "Reads within 0.5 s",
                    "Share of answered GET requests under /api/v1 that took half a second at most.",
                    "percentunit",
                    lines(
                        (
                            ratio(
                                SHOWN.increase(f"{_SECONDS}_bucket", method="GET", le="0.5"),
                                SHOWN.increase(f"{_SECONDS}_count", method="GET"),
                            ),
                            "quick",
                        )
                    ),
                    "nothing was read in this time",
                    "stat",
                    width=4,
                    top=1,
                ),
                Panel(
                    "Files analysed",
                    "Files read in the shown time, each once, whether or not they could become parts.",
                    "short",
                    lines((SHOWN.increase("analysis_requests_total"), "files")),
                    "no files in this time",
                    "stat",
                    width=4,
                ),
                Panel(
                    "Waiting in the queue",
                    "Files of durable jobs that no worker has begun; all services share one queue.",
                    "short",
                    lines((PANEL.gauge("extraction_queue_depth", how="max", state="queued"), "queued")),
                    "the database does not tell",
                    "stat",
                    width=4,
                    steps=((1000, "orange"),),
                ),
                Panel(
                    "Readers lost",
                    "Worker processes that a file crashed, hung or filled in the shown time.",
                    "short",
                    lines((SHOWN.increase("extraction_worker_failures_total"), "lost")),
                    "no service is scraped",
                    "stat",
                    width=4,
                    steps=((1, "orange"),),
                ),
            ),
        ),
        Row(
            "Requests",
            (
                Panel(
                    "Requests by status",
                    "Requests a second by status class: 4xx are the caller's, 5xx are ours.",
                    "reqps",
                    lines((PANEL.rate(_REQUESTS, "status"), "{{status}}")),
                    "no service is scraped",
                ),
                Panel(
                    "Busiest routes",
                    "Requests a second of the eight routes that are asked most.",
                    "reqps",
                    lines(
                        (f"topk(8, {PANEL.rate(_REQUESTS, 'method', 'route')})", "{{method}} {{route}}"),
                    ),
                    "no service is scraped",
                ),
                Panel(
                    "Time to answer",
                    "Duration of answered requests over all routes, from the first byte to the last.",
                    "s",
                    lines(
                        (PANEL.quantile(0.5, _SECONDS), "p50"),
                        (PANEL.quantile(0.95, _SECONDS), "p95"),
                        (PANEL.quantile(0.99, _SECONDS), "p99"),
                    ),
                    "no requests in this time",
                ),
                Panel(
                    "Slowest routes",
                    "95th percentile of the eight slowest routes; reading a file takes its time.",
                    "s",
                    lines(
                        (
                            f"topk(8, {PANEL.quantile(0.95, _SECONDS, 'method', 'route')})",
                            "{{method}} {{route}}",
                        )
                    ),
                    "no requests in this time",
                ),
                Panel(
                    "Server errors by route",
                    "5xx answers in the shown time; none is what should be here.",
                    "short",
                    lines(
                        (
                            SHOWN.increase(_REQUESTS, "method", "route", status="5xx") + " > 0",
                            "{{method}} {{route}}",
                        )
                    ),
                    "none: all is well",
                    "bargauge",
                ),
                Panel(
                    "Health questions",
                    "What load balancers and people ask, by endpoint and answer.",
                    "reqps",
                    lines(
                        (PANEL.rate("health_requests_total", "endpoint", "status"), "{{endpoint}} {{status}}")
                    ),
                    "nobody asks for health",
                ),
                Panel(
                    "Time of a health answer",
                    "95th percentile by endpoint; a slow answer makes load balancers give up.",
                    "s",
                    lines(
                        (PANEL.quantile(0.95, "health_request_duration_seconds", "endpoint"), "{{endpoint}}")
                    ),
                    "nobody asks for health",
                    width=24,
                ),
            ),
        ),
    ),
)
