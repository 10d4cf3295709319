"""Write PromQL over the metric table: a name, label or value that is not exported raises at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cadml.observability.promql import TARGET_LABELS, QueryError, Series, exported

Wanted = str | tuple[str, ...]  # one value, or any of several


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose series are asked for: ``matchers`` on every selector, ``window`` for rates."""

    matchers: str
    window: str

    def select(self, name: str, **match: Wanted) -> str:
        """Return the selector of series ``name``.

        Raises
        ------
        QueryError
            Nothing exports it, or not with this label.
        """
        series = _series(name)
        parts = [self.matchers] if self.matchers else []
        for label, wanted in match.items():
            _check_label(name, series, label)
            several = isinstance(wanted, tuple)
            parts.append(f'{label}=~"{"|".join(wanted)}"' if several else f'{label}="{wanted}"')
        return f"{name}{{{', '.join(parts)}}}" if parts else name

    def over(self, window: str) -> Scope:
        """Return the same scope with another window."""
        return replace(self, window=window)

    def rate(self, name: str, *by: str, **match: Wanted) -> str:
        """Return events a second of a counter, summed to ``by``."""
        return _sum(name, by, f"rate({self.select(name, **match)}[{self.window}])")

    def increase(self, name: str, *by: str, **match: Wanted) -> str:
        """Return events of a counter in the window, summed to ``by``."""
        return _sum(name, by, f"increase({self.select(name, **match)}[{self.window}])")

    def gauge(self, name: str, *by: str, how: str = "sum", **match: Wanted) -> str:
        """Return a gauge, joined to ``by`` by ``how``."""
        for label in by:
            _check_label(name, _series(name), label)
        return f"{how}{_by(by)} ({self.select(name, **match)})"

    def quantile(self, share: float, name: str, *by: str, **match: Wanted) -> str:
        """Return the ``share`` quantile of histogram ``name``, one for each of ``by``."""
        return f"histogram_quantile({share:g}, {self.increase(f'{name}_bucket', *by, 'le', **match)})"

    def mean(self, name: str, *by: str, **match: Wanted) -> str:
        """Return the mean of what histogram ``name`` observed."""
        return ratio(self.rate(f"{name}_sum", *by, **match), self.rate(f"{name}_count", *by, **match))


# The matchers that the dashboards' variables fill; the names are those of Grafana's dashboard linter.
PANEL = Scope('job=~"$job", instance=~"$instance"', "$__rate_interval")
SHOWN = PANEL.over("$__range")  # all the time that the dashboard shows
# Other services export http_requests_total too: rules look at jobs whose name begins with cadml.
JOBS = 'job=~"cadml.*"'
RULE = Scope(JOBS, "5m")


def ratio(part: str, whole: str) -> str:
    """Return ``part`` divided by ``whole``; no value where there was nothing."""
    return f"{part} / ({whole} > 0)"


def _series(name: str) -> Series:
    series = exported().get(name)
    if series is None:
        raise QueryError(f"nothing exports {name}")
    return series


def _check_label(name: str, series: Series, label: str) -> None:
    if label not in series.labels | TARGET_LABELS:
        raise QueryError(f"{name} has no label {label}")


def _sum(name: str, by: tuple[str, ...], inner: str) -> str:
    series = _series(name)
    for label in by:
        _check_label(name, series, label)
    return f"sum{_by(by)} ({inner})"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
