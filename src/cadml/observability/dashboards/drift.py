"""Drift: whether what comes in still resembles the baselines."""

from __future__ import annotations

from cadml.observability.dashboards.model import Dashboard, Panel, Row, lines
from cadml.observability.queries import PANEL, SHOWN

_MATERIAL = "material_distribution_drift_score"
_PREDICTION = "classification_prediction_drift_score"
_FEATURE = "feature_distribution_drift_score"
_NONE = "nothing was judged in this time: too few observations, or no new ones"
_DRIFTED = ((0.5, "red"),)


def _median(name: str) -> tuple[str, str]:
    return PANEL.quantile(0.5, name), "median of the windows"


BOARD = Dashboard(
    "cadml-drift",
    "cadml / Drift",
    "0 is what chance does, above 0.5 is drifted; the score says how sure, `cadml drift status` how large.",
    (
        Row(
            "Now",
            (
                Panel(
                    "Materials",
                    "Median score of the windows judged in the shown time; above 0.5 they have drifted.",
                    "short",
                    lines((SHOWN.quantile(0.5, _MATERIAL), "materials")),
                    _NONE,
                    "stat",
                    steps=_DRIFTED,
                ),
                Panel(
                    "Predicted classes",
                    "The same for the classes that the active model predicts.",
                    "short",
                    lines((SHOWN.quantile(0.5, _PREDICTION), "predictions")),
                    _NONE,
                    "stat",
                    steps=_DRIFTED,
                ),
                Panel(
                    "Features",
                    "Score of the slot group that moved most, by version; 0 also before the first judgement.",
                    "short",
                    lines((PANEL.gauge(_FEATURE, "version", how="max"), "{{version}}")),
                    "no service is scraped",
                    "bargauge",
                    steps=_DRIFTED,
                    top=1,
                ),
            ),
        ),
        Row(
            "Over time",
            (
                Panel(
                    "Materials over time",
                    "Median score of the windows judged in each interval.",
                    "short",
                    lines(_median(_MATERIAL)),
                    _NONE,
                    steps=_DRIFTED,
                    top=1,
                ),
                Panel(
                    "Predicted classes over time",
                    "Median score of the windows judged in each interval.",
                    "short",
                    lines(_median(_PREDICTION)),
                    _NONE,
                    steps=_DRIFTED,
                    top=1,
                ),
                Panel(
                    "Features over time",
                    "Score of the slot group that moved most, by feature version.",
                    "short",
                    lines((PANEL.gauge(_FEATURE, "version", how="max"), "{{version}}")),
                    "no service is scraped",
                    steps=_DRIFTED,
                    top=1,
                ),
                Panel(
                    "Distribution of material scores",
                    "How the scores of single windows spread.",
                    "short",
                    lines((PANEL.increase(f"{_MATERIAL}_bucket", "le"), "{{le}}")),
                    _NONE,
                    "heatmap",
                    width=12,
                ),
                Panel(
                    "Windows judged",
                    "Judgements a second; none while nothing new comes in.",
                    "ops",
                    lines(
                        (PANEL.rate(f"{_MATERIAL}_count"), "materials"),
                        (PANEL.rate(f"{_PREDICTION}_count"), "predictions"),
                    ),
                    "no service is scraped",
                    width=12,
                ),
            ),
        ),
        Row(
            "Baselines",
            (
                Panel(
                    "Age",
                    "Age of the baselines in force; 0 without one. Old ones are renewed but for drift.",
                    "s",
                    lines(
                        (PANEL.gauge("baseline_material_age_seconds", how="max"), "materials"),
                        (PANEL.gauge("baseline_prediction_age_seconds", how="max"), "predictions"),
                    ),
                    "the database does not tell",
                ),
                Panel(
                    "Created",
                    "Baselines made in the shown time where there was none.",
                    "short",
                    lines((SHOWN.increase("drift_baseline_created_total", "type"), "{{type}}")),
                    "no service is scraped",
                    "bargauge",
                ),
                Panel(
                    "Renewed",
                    "Baselines put in the place of another in the shown time, and why.",
                    "short",
                    lines(
                        (
                            SHOWN.increase("drift_baseline_refresh_total", "type", "trigger"),
                            "{{type}}: {{trigger}}",
                        )
                    ),
                    "no service is scraped",
                    "bargauge",
                ),
            ),
        ),
    ),
)
