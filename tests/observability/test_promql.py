"""The judge of queries: what fits the exported series passes, each kind of misfit is named."""

from __future__ import annotations

import pytest

from cadml.observability.promql import EXTERNAL, QueryError, exported, judge
from cadml.observability.queries import PANEL, RULE, SHOWN

KNOWN = {**exported(), **EXTERNAL}


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("database_up", {"job", "instance"}),
        ("sum by (status) (rate(analysis_requests_total[5m]))", {"status"}),
        ("sum without (status) (rate(analysis_requests_total[5m]))", {"job", "instance"}),
        ('rate(analysis_requests_total{status=~"success|error"}[$__rate_interval])', None),
        (
            "histogram_quantile(0.9, sum by (le, kind) (rate(vector_query_latency_seconds_bucket[5m])))",
            {"kind"},
        ),
        ("topk(3, sum by (code) (increase(analysis_error_code_total[1h])))", {"code"}),
        ("sum(rate(v4_surface_count_sum[5m])) / sum(rate(v4_surface_count_count[5m]))", set()),
        ("max_over_time(feature_cache_size[1h:1m]) > bool 10", {"job", "instance"}),
        ("feature_cache_size / on (instance) feature_cache_capacity", {"instance"}),
        ("extraction_queue_depth and on (job) (database_up == 1)", {"job", "instance", "state"}),
        ('extraction_workers * on (job, instance) group_left database_up{job=~"$job"}', None),
        ("predict_linear(feature_cache_bytes[1h], 3600)", {"job", "instance"}),
        ("node_filesystem_avail_bytes / node_filesystem_size_bytes", None),
        ("-(1 - clamp_max(feature_cache_size, 5))", {"job", "instance"}),
        ('http_request_duration_seconds_bucket{le="0.5"} offset 5m', "counter"),
    ],
)
def test_a_fitting_query_yields_its_labels(query, labels):
    if labels == "counter":
        query, labels = f"rate({query.removesuffix(' offset 5m')}[5m] offset 5m)", None
    shape = judge(query, KNOWN)
    assert labels is None or shape.labels == labels


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("sum(rate(analysis_requests_total[5m])", "no PromQL"),
        ("", "no PromQL"),
        ("rate(analyses_total[5m])", "nothing exports analyses_total"),
        ('{job="cadml"}', "without a name"),
        ('sum(rate(analysis_requests_total{code="X"}[5m]))', "no label code"),
        ('rate(analysis_requests_total{status="ok"}[5m])', "never has status='ok'"),
        ('rate(analysis_requests_total{status=~"success|failure"}[5m])', "never has status='failure'"),
        ('rate(http_request_duration_seconds_bucket{le="0.7"}[5m])', "never has le='0.7'"),
        ("sum by (code) (rate(analysis_requests_total[5m]))", "no label code"),
        ("analysis_requests_total", "says nothing by itself"),
        ("analysis_requests_total > 5", "counter in an operation"),
        ("sum(analysis_requests_total)", "sum of counters"),
        ("delta(analysis_requests_total[5m])", "not of counters"),
        ("max_over_time(analysis_requests_total[5m])", "not of counters"),
        ("rate(feature_cache_size[5m])", "rate is of counters"),
        ("increase(database_up[5m])", "increase is of counters"),
        ("delta(rate(v4_shape_entropy_count[5m])[10m:1m])", "delta is of gauges"),
        ("histogram_quantile(0.9, sum(rate(v4_shape_entropy_bucket[5m])))", "le among its labels"),
        ("histogram_quantile(0.9, v4_shape_entropy_bucket)", "rate of buckets"),
        ("histogram_quantile(0.9, rate(v4_shape_entropy_count[5m]))", "rate of buckets"),
        ("histogram_quantile(0.9, feature_cache_size)", "rate of buckets"),
        ("v4_shape_entropy", "nothing exports v4_shape_entropy"),
        ("extraction_workers / database_up", "never match"),
        ("feature_cache_size / on (state) feature_cache_capacity", "no label state"),
    ],
)
def test_a_misfit_is_named(query, complaint):
    with pytest.raises(QueryError, match=complaint):
        judge(query, KNOWN)


@pytest.mark.parametrize(
    "write",
    [
        lambda: PANEL.rate("analyses_total"),
        lambda: PANEL.rate("analysis_requests_total", "code"),
        lambda: PANEL.rate("analysis_requests_total", code="X"),
        lambda: RULE.gauge("database_up", "state"),
        lambda: SHOWN.quantile(0.5, "database_up"),
    ],
)
def test_a_query_over_what_is_not_exported_cannot_even_be_written(write):
    with pytest.raises(QueryError):
        write()


def test_the_names_are_those_that_a_scrape_shows():
    parser = pytest.importorskip("prometheus_client.parser")
    from cadml.observability.metrics import Metrics

    text = Metrics().text().decode()
    families = parser.text_string_to_metric_families(text)
    shown = {}
    for family in families:
        for sample in family.samples:
            shown.setdefault(sample.name, set()).add(tuple(sorted(sample.labels.items())))
    assert shown
    for name, samples in shown.items():
        series = exported()[name]
        for sample in samples:
            assert {label for label, _ in sample} == series.labels
            assert all(value in series.values[label] for label, value in sample), (name, sample)
