"""Grafana dashboards, written from the metric table by code."""

from __future__ import annotations

from cadml.observability.dashboards import (
    cache,
    database,
    drift,
    extraction,
    features,
    models,
    overview,
    similarity,
    vectors,
)
from cadml.observability.dashboards.model import Dashboard

DASHBOARDS: dict[str, Dashboard] = {
    board.uid: board
    for board in (
        overview.BOARD,
        similarity.BOARD,
        cache.BOARD,
        features.BOARD,
        models.BOARD,
        vectors.BOARD,
        drift.BOARD,
        extraction.BOARD,
        database.BOARD,
    )
}
