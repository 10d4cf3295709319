"""What a dashboard is made of, before Grafana's words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cadml.observability.queries import PANEL

PanelKind = Literal["timeseries", "stat", "bargauge", "heatmap"]
Step = tuple[float, str]  # from this value on, this colour


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and how its series are named."""

    expression: str
    legend: str = "__auto"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``empty``: what it says while there is nothing to show, and that this is no fault."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    empty: str
    kind: PanelKind = "timeseries"
    width: int = 8
    steps: tuple[Step, ...] = ()
    words: tuple[tuple[str, str, str], ...] = ()  # value, text, colour
    bottom: float | None = 0
    top: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Every panel, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)


def lines(*queries: tuple[str, str]) -> tuple[Query, ...]:
    """Return queries from pairs of expression and legend."""
    return tuple(Query(*query) for query in queries)


def percentiles(name: str, legend: str = "", *by: str, **match: str) -> tuple[Query, ...]:
    """Return median, 95th and 99th percentile of histogram ``name``."""
    return tuple(
        Query(PANEL.quantile(share, name, *by, **match), f"{legend} {label}".strip())
        for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )
