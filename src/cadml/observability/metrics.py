"""The series of one service: counted and observed as things happen, gauges read when scraped.

Counters and histograms are moved by :mod:`cadml.engine` and :mod:`cadml.api`; gauges are read
from their source when scraped, so that they are true at every scrape. Where the client library is
missing, or metrics are switched off, everything works and ``/metrics`` says so in one gauge.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cadml.observability.table import METRICS, Labels, Row

try:
    import prometheus_client
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError:  # pragma: no cover - shown by a test in a process without the library
    AVAILABLE = False
else:
    AVAILABLE = True

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DISABLED = (
    b"# HELP app_metrics_disabled Whether this service runs without metrics.\n"
    b"# TYPE app_metrics_disabled gauge\n"
    b"app_metrics_disabled 1\n"
)

Reading = float | Mapping[Labels, float]


class Metrics:
    """The series of one service, in a registry of its own (several services fit in a process)."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled and AVAILABLE
        self._series: dict[str, Any] = {}
        self._readers: dict[str, Callable[[], Reading]] = {}
        self._declared: dict[str, set[Labels]] = {}
        self._declaring = threading.Lock()
        if self.enabled:
            prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # its own lack
            self._registry = prometheus_client.CollectorRegistry()
            for row in METRICS.values():
                self._register(row)
            self._registry.register(_Gauges(self._readers))

    def _register(self, row: Row) -> None:
        if row.kind == "gauge":
            return
        if row.kind == "counter":
            metric: Any = prometheus_client.Counter(
                row.name, row.meaning, row.labels, registry=self._registry
            )
        else:
            metric = prometheus_client.Histogram(
                row.name, row.meaning, row.labels, registry=self._registry, buckets=row.buckets
            )
        self._series[row.name] = metric
        if row.labels:
            for values in row.series:
                metric.labels(*values)

    def declare(self, name: str, series: Iterable[Labels]) -> None:
        """Start series whose label values are known only now, at 0."""
        if self.enabled:
            for values in series:
                self._series[name].labels(*values)

    def declare_only(self, name: str, series: Iterable[Labels]) -> None:
        """Start these series at 0 unless they run, and end those declared before that are no more."""
        with self._declaring:
            wanted = set(series)
            former, self._declared[name] = self._declared.get(name, set()), wanted
            self.declare(name, wanted - former)
            for values in former - wanted if self.enabled else ():
                self._series[name].remove(*values)

    def count(self, name: str, **labels: str) -> None:
        """Add one to a counter."""
        if self.enabled:
            metric = self._series[name]
            (metric.labels(**labels) if labels else metric).inc()

    def add(self, name: str, amount: int) -> None:
        """Add ``amount`` to a counter without labels."""
        if self.enabled:
            self._series[name].inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add one observation to a histogram."""
        if self.enabled:
            metric = self._series[name]
            (metric.labels(**labels) if labels else metric).observe(value)

    @contextmanager
    def timed(self, name: str, **labels: str) -> Iterator[None]:
        """Observe how long the block took, also where it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(name, time.perf_counter() - start, **labels)

    def read(self, name: str, source: Callable[[], Reading]) -> None:
        """Read gauge ``name`` from ``source`` at every scrape."""
        if METRICS[name].kind != "gauge" or name in self._readers:
            raise ValueError(f"{name} is no gauge without a source")
        self._readers[name] = source

    def text(self) -> bytes:
        """Return what ``/metrics`` says now, in Prometheus' text format."""
        return prometheus_client.generate_latest(self._registry) if self.enabled else DISABLED


if AVAILABLE:

    class _Gauges(Collector):
        """Asks each gauge's source. A source that cannot know now gives no sample, not a wrong one."""

        def __init__(self, readers: Mapping[str, Callable[[], Reading]]) -> None:
            self._readers = readers

        def collect(self) -> Iterator[GaugeMetricFamily]:
            for name, source in self._readers.items():
                row = METRICS[name]
                family = GaugeMetricFamily(name, row.meaning, labels=row.labels)
                reading = source()
                values = reading if isinstance(reading, Mapping) else {(): reading}
                for labels, value in values.items():
                    family.add_metric(labels, value)
                yield family

        def describe(self) -> Iterator[GaugeMetricFamily]:
            return iter(())
