"""Vectors and migration: what is stored in which version, and how a migration goes."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines
from cadml.observability.queries import PANEL, SHOWN, ratio

_ITEMS = "vector_migrate_total"
_DELTA = "vector_migrate_dimension_delta"
_SCRAPED = "no service is scraped"
_IDLE = "nothing was moved in this time"
_UNKNOWN = "the database does not tell"

BOARD = Dashboard(
    "cadml-vectors",
    "cadml / Vectors and migration",
    "Vectors by feature version, and parts on their way from one version to another.",
    (
        Row(
            "Stored",
            (
                Panel(
                    "Vectors by version",
                    "During a migration the new version catches up with the old one.",
                    "short",
                    lines((PANEL.gauge("vector_store_vectors", "version", how="max"), "{{version}}")),
                    _UNKNOWN,
                    width=12,
                ),
                Panel(
                    "Progress",
                    "Share of the library that the last migration to each version has been through.",
                    "percentunit",
                    lines(
                        (
                            PANEL.gauge("vector_migration_progress_ratio", "to_version", how="max"),
                            "{{to_version}}",
                        )
                    ),
                    _UNKNOWN,
                    "bargauge",
                    width=12,
                    top=1,
                ),
            ),
        ),
        Row(
            "Moved",
            (
                Panel(
                    "Items by outcome",
                    "Parts and vectors that were to be moved in the shown time, by what became of each.",
                    "short",
                    lines((SHOWN.increase(_ITEMS, "status"), "{{status}}")),
                    _SCRAPED,
                    "bargauge",
                ),
                Panel(
                    "Speed",
                    "Items a second by outcome.",
                    "ops",
                    lines((PANEL.rate(_ITEMS, "status"), "{{status}}")),
                    _SCRAPED,
                ),
                Panel(
                    "Share failed",
                    "Items that could not be moved, of all that were tried; the status lists why.",
                    "percentunit",
                    lines((ratio(PANEL.rate(_ITEMS, status="error"), PANEL.rate(_ITEMS)), "failed")),
                    _IDLE,
                    top=1,
                ),
                Panel(
                    "Change of length",
                    "Median change of a vector's length by a move: above 0 up, below 0 down.",
                    "short",
                    lines((PANEL.quantile(0.5, _DELTA), "p50")),
                    _IDLE,
                    width=12,
                    bottom=None,
                ),
                Panel(
                    "Distribution of changes",
                    "How the changes of length spread.",
                    "short",
                    lines((PANEL.increase(f"{_DELTA}_bucket", "le"), "{{le}}")),
                    _IDLE,
                    "heatmap",
                    width=12,
                ),
                Panel(
                    "Progress over time",
                    "A level line before the end is a migration that stands still.",
                    "percentunit",
                    lines(
                        (
                            PANEL.gauge("vector_migration_progress_ratio", "to_version", how="max"),
                            "{{to_version}}",
                        )
                    ),
                    _UNKNOWN,
                    width=24,
                    top=1,
                ),
            ),
        ),
    ),
)
