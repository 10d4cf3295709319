"""Service level objectives, and alerts on how fast their error budget burns.

Several windows at once, as in chapter 5 of Google's *Site Reliability Workbook* (2018): a long one,
so that a blip does not page, and a twelfth of it, so that the alert ends soon after the trouble.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cadml.observability.queries import RULE, Wanted
from cadml.observability.rules.model import Alert, Group, Recording, Severity

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# Long window, short window, times the rate that would just use up the budget in 30 days; table 5-8.
FAST = (("1h", "5m", 14.4), ("6h", "30m", 6.0))
SLOW = (("1d", "2h", 3.0), ("3d", "6h", 1.0))
API = ("/api/v1/.+",)  # what people ask; probes and scrapes would hide their trouble


@dataclass(frozen=True, slots=True)
class Objective:
    """What is promised: at most ``budget`` of the requests may be ``bad``, a share in a window."""

    name: str
    budget: float
    promise: str
    trouble: str
    series: str
    bad: Callable[[str], str]

    def recorded(self, window: str) -> str:
        """Return the name of the recorded share of bad requests in ``window``."""
        return f"job:cadml_{self.series}:ratio_rate{window}"


def _requests(window: str, **match: Wanted) -> str:
    return RULE.over(window).rate("http_requests_total", "job", route=API, **match)


def _errors(window: str) -> str:
    return f"{_requests(window, status='5xx')} / {_requests(window)}"


def _slow(window: str) -> str:
    name = "http_request_duration_seconds"
    reads: dict[str, Wanted] = {"route": API, "method": "GET"}
    quick = RULE.over(window).rate(f"{name}_bucket", "job", **reads, le="0.5")
    return f"1 - {quick} / {RULE.over(window).rate(f'{name}_count', 'job', **reads)}"


OBJECTIVES = (
    Objective(
        "Availability",
        0.005,
        "99.5 % of requests do not end in a server error",
        "end in a server error",
        "errors",
        _errors,
    ),
    Objective(
        "Latency",
        0.05,
        "95 % of answered GET requests take half a second at most",
        "take longer than half a second",
        "slow_reads",
        _slow,
    ),
)


def _burn(
    objective: Objective, speed: str, severity: Severity, pairs: tuple[tuple[str, str, float], ...]
) -> Alert:
    both = [
        f"({objective.recorded(long)} > {factor * objective.budget:g}"
        f" and {objective.recorded(short)} > {factor * objective.budget:g})"
        for long, short, factor in pairs
    ]
    return Alert(
        f"Cadml{objective.name}Burns{speed}",
        severity,
        "2m" if speed == "Fast" else "15m",
        " or ".join(both),
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of requests " + objective.trouble,
        f"The promise is that {objective.promise} over 30 days. At this rate its error budget is used up"
        f" {'within days' if speed == 'Fast' else 'before the month ends'}.",
    )


GROUPS = tuple(
    Group(
        f"cadml-{objective.name.lower()}",
        (
            *(Recording(objective.recorded(window), objective.bad(window)) for window in WINDOWS),
            _burn(objective, "Fast", "critical", FAST),
            _burn(objective, "Slow", "warning", SLOW),
        ),
    )
    for objective in OBJECTIVES
)
