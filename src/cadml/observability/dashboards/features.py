"""Features: what the described parts are like, and what describing costs."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines, percentiles
from cadml.observability.queries import PANEL

_IDLE = "nothing was described in this time"

BOARD = Dashboard(
    "cadml-features",
    "cadml / Features v4",
    "Surface counts and shape entropy of the parts that come in, and the time of each feature version.",
    (
        Row(
            "Parts described with v4",
            (
                Panel(
                    "Surface count",
                    "Faces of an exact part, facet groups of a mesh, surface-like entities of a drawing.",
                    "short",
                    percentiles("v4_surface_count"),
                    _IDLE,
                ),
                Panel(
                    "Shape entropy",
                    "0: one kind of surface only; 1: all kinds alike. A sudden change: other parts come in.",
                    "short",
                    percentiles("v4_shape_entropy"),
                    _IDLE,
                    top=1,
                ),
                Panel(
                    "Parts described",
                    "Parts a second whose v4 vector was computed.",
                    "ops",
                    lines((PANEL.rate("v4_surface_count_count"), "parts")),
                    "no service is scraped",
                ),
                Panel(
                    "Distribution of surface counts",
                    "How the counts spread over time.",
                    "short",
                    lines(
                        (
                            PANEL.increase("v4_surface_count_bucket", "le"),
                            "{{le}}",
                        )
                    ),
                    _IDLE,
                    "heatmap",
                    width=12,
                ),
                Panel(
                    "Distribution of shape entropy",
                    "How the entropies spread over time.",
                    "short",
                    lines(
                        (
                            PANEL.increase("v4_shape_entropy_bucket", "le"),
                            "{{le}}",
                        )
                    ),
                    _IDLE,
                    "heatmap",
                    width=12,
                ),
            ),
        ),
        Row(
            "Cost",
            (
                Panel(
                    "95th percentile by version",
                    "Time to compute one vector from a part that is read already.",
                    "s",
                    lines(
                        (PANEL.quantile(0.95, "feature_extraction_latency_seconds", "version"), "{{version}}")
                    ),
                    _IDLE,
                    width=12,
                ),
                Panel(
                    "Mean by version",
                    "The mean of the same.",
                    "s",
                    lines((PANEL.mean("feature_extraction_latency_seconds", "version"), "{{version}}")),
                    _IDLE,
                    width=12,
                ),
            ),
        ),
    ),
)
