"""Alerts on what comes in."""

from __future__ import annotations

from cadml.observability.queries import RULE
from cadml.observability.rules.model import Alert, Group

_WHO = ("job", "instance")
_NAMED = "{{ $labels.instance }}"
DRIFTED = 0.5  # of a score: chance alone would do this in fewer than one look out of a hundred
STALE_DAYS = 100  # ten more than the age at which the service renews a baseline by itself


def _drift(subject: str, what: str, score: str) -> Alert:
    return Alert(
        f"Cadml{subject}Drift",
        "warning",
        "30m",
        f"{score} > {DRIFTED:g}",
        f"{_NAMED}: {what} differ from their baseline",
        "What comes in is not what the baseline was made of. Nothing is blocked; answers may be worth less.",
    )


def _median(name: str) -> str:
    return RULE.over("1h").quantile(0.5, name, *_WHO)


DRIFT = Group(
    "cadml-drift",
    (
        _drift("Material", "stated materials", _median("material_distribution_drift_score")),
        _drift("Prediction", "predicted classes", _median("classification_prediction_drift_score")),
        _drift(
            "Feature",
            "{{ $labels.version }} vectors",
            RULE.gauge("feature_distribution_drift_score", *_WHO, "version", how="max"),
        ),
        Alert(
            "CadmlBaselineStale",
            "info",
            "1h",
            " or ".join(
                f"{RULE.gauge(f'baseline_{what}_age_seconds', *_WHO, how='max')} > {STALE_DAYS * 86400}"
                for what in ("material", "prediction")
            ),
            f"{_NAMED}: a drift baseline is {{{{ $value | humanizeDuration }}}} old",
            "It would have been renewed by itself if nothing had drifted, or if enough had come in.",
        ),
    ),
)
