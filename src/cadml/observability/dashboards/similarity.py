"""Similarity: searches, how long they take, and what they are asked with."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines, percentiles
from cadml.observability.queries import PANEL

_QUERY = "vector_query_latency_seconds"
_BATCH = "vector_query_batch_latency_seconds"
_IDLE = "no searches in this time"

BOARD = Dashboard(
    "cadml-similarity",
    "cadml / Similarity",
    "Searches by file, by stored part and by raw vector: how many, how quick, over how many vectors.",
    (
        Row(
            "Searches",
            (
                Panel(
                    "Searches by what they were asked with",
                    "A file is read first, a stored part is known, a vector comes from elsewhere.",
                    "ops",
                    lines((PANEL.rate(f"{_QUERY}_count", "kind"), "by {{kind}}")),
                    _IDLE,
                ),
                Panel(
                    "Time of one search",
                    "Time in the store alone, without reading a file.",
                    "s",
                    percentiles(_QUERY),
                    _IDLE,
                ),
                Panel(
                    "95th percentile by kind",
                    "A search by part that is slower than one by vector waits for the part's own vector.",
                    "s",
                    lines((PANEL.quantile(0.95, _QUERY, "kind"), "by {{kind}}")),
                    _IDLE,
                ),
                Panel(
                    "Distribution of search times",
                    "How the times spread; two bands tell of two plans: by index, or every candidate.",
                    "short",
                    lines((PANEL.increase(f"{_QUERY}_bucket", "le"), "{{le}}")),
                    _IDLE,
                    "heatmap",
                    width=12,
                ),
                Panel(
                    "Batches",
                    "Batches a second by size: small up to 5 ids, medium up to 20, large above.",
                    "ops",
                    lines((PANEL.rate(f"{_BATCH}_count", "batch_size_range"), "{{batch_size_range}}")),
                    "no batches in this time",
                    width=6,
                ),
                Panel(
                    "95th percentile of a batch",
                    "Time of a whole batch, by its size.",
                    "s",
                    lines((PANEL.quantile(0.95, _BATCH, "batch_size_range"), "{{batch_size_range}}")),
                    "no batches in this time",
                    width=6,
                ),
            ),
        ),
        Row(
            "What is compared",
            (
                Panel(
                    "Stored vectors",
                    "Vectors of each feature version; all services share one library.",
                    "short",
                    lines((PANEL.gauge("vector_store_vectors", "version", how="max"), "{{version}}")),
                    "the database does not tell",
                    "bargauge",
                ),
                Panel(
                    "Length of searched vectors",
                    "Median length of the vectors that files are searched with: it changes with the version.",
                    "short",
                    lines((PANEL.quantile(0.5, "analysis_feature_vector_dimension"), "p50")),
                    "no file was searched with",
                ),
                Panel(
                    "Vectors refused and comparisons",
                    "Raw vectors of the wrong length or not finite; slot-by-slot comparisons.",
                    "ops",
                    lines(
                        (PANEL.rate("vector_dimension_rejections_total", "reason"), "refused: {{reason}}"),
                        (PANEL.rate("features_diff_requests_total", "status"), "compared: {{status}}"),
                    ),
                    "no service is scraped",
                ),
            ),
        ),
    ),
)
