"""METRICS: every exported series once, with type, closed labels, buckets and meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from cadml.drift.verdict import SUBJECTS
from cadml.errors import (
    BlobUnavailable,
    DatabaseUnavailable,
    DescriptionError,
    FileError,
    InternalError,
    InvalidRequest,
    UnknownVersion,
    every_error,
)
from cadml.features.versions import VERSIONS
from cadml.geometry.formats import FORMATS
from cadml.learning.opcodes.findings import OPCODES
from cadml.learning.verdict import INTERFACE_REASONS, SECURITY_REASONS, STATUSES
from cadml.migration.decision import STATUSES as MOVES

Labels = tuple[str, ...]
ROUTE_STATUS = ("2xx", "4xx", "5xx")  # no route redirects
ANSWERED = "2xx"  # whose duration is observed: how quickly a refusal comes tells nobody anything
UNMATCHED = ("OTHER", "unmatched")  # method and route of a request that no route takes as asked
STAGES = ("receive", "read", "describe", "classify", "store", "search")
UNIT_INTERVAL = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
ENDPOINTS = ("health", "ready", "vectors", "features_cache", "model")
CALL_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)
# Every bucket is a series for each combination of labels, and a scrape holds 2,000 at most.
SECONDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0)
QUERY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
REQUEST_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One metric: ``series`` lists every combination of label values that can ever appear."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    series: tuple[Labels, ...] = ((),)
    buckets: tuple[float, ...] = ()


METRICS: dict[str, Row] = {}


def _row(
    type_: Literal["counter", "gauge", "histogram"],
    name: str,
    meaning: str,
    buckets: tuple[float, ...] = (),
    series: Iterable[Labels] | None = None,
    /,
    **labels: Iterable[str],
) -> None:
    if name in METRICS:
        raise ValueError(f"metric {name} is registered twice")
    combinations = tuple(product(*labels.values())) if series is None else tuple(series)
    METRICS[name] = Row(name, type_, meaning, tuple(labels), combinations, buckets)


# What an analysis can fail with: the file, its description, what was asked, or what it needs.
_FAILURES = (
    *(error for error in every_error() if issubclass(error, FileError | DescriptionError)),
    *(InvalidRequest, UnknownVersion, DatabaseUnavailable, BlobUnavailable, InternalError),
)
# Refused before any reader looks at the content.
REJECTIONS = tuple(e.code.lower() for e in _FAILURES if issubclass(e, FileError) and e.stage == "receive")
# What a reader may find wrong with the content itself.
READER_REFUSALS = (
    *(e.code.lower() for e in _FAILURES if issubclass(e, FileError) and e.stage == "read"),
    "file_too_large",  # a zip bomb is judged by the reader, a large upload before it
)
WORKER_FAILURES = ("crash", "timeout", "memory")

_row("counter", "analysis_requests_total", "Files analysed, each once.", status=("success", "error"))
_row(
    "counter",
    "analysis_errors_total",
    "Failed analyses by the stage that failed.",
    (),
    ((e.stage, e.code) for e in _FAILURES),
    stage=(),
    code=(),
)
_row(
    "counter", "analysis_error_code_total", "Failed analyses by error code.", code=[e.code for e in _FAILURES]
)
_row("counter", "analysis_rejections_total", "Files refused before a reader saw them.", reason=REJECTIONS)
_row(
    "histogram", "analysis_stage_duration_seconds", "Time of each step of an analysis.", SECONDS, stage=STAGES
)
_row(
    "histogram",
    "analysis_feature_vector_dimension",
    "Length of the vector an analysis searches with.",
    (7.0, 12.0, 22.0, 24.0, 64.0, 128.0, 256.0, 512.0),
)
_row(
    "histogram", "parse_stage_latency_seconds", "Time to read one file of a format.", SECONDS, format=FORMATS
)
_row(
    "counter",
    "signature_validation_fail_total",
    "Content that is not what its extension says.",
    format=FORMATS,
)
_row(
    "counter",
    "format_validation_fail_total",
    "Files that their reader refused.",
    format=FORMATS,
    reason=READER_REFUSALS,
)
_row(
    "counter", "extraction_worker_failures_total", "Worker processes lost to a file.", reason=WORKER_FAILURES
)
_row("gauge", "extraction_workers", "Extraction processes now.", state=("idle", "busy"))
_row(
    "gauge",
    "extraction_queue_depth",
    "Items of the durable queue now.",
    state=("queued", "running", "failed"),
)
_row("gauge", "database_up", "1 while PostgreSQL answers.")

_row("gauge", "model_opcode_mode", "How pickled models are judged: 0 audit, 1 blocklist, 2 whitelist.")
_row("counter", "model_opcode_scans_total", "Pickle streams read by the opcode scanner.")
_row("counter", "model_opcode_blocked_total", "Model files refused for a dangerous opcode.", opcode=OPCODES)
_row("counter", "model_opcode_audit_total", "Opcodes that audit mode found and would refuse.", opcode=OPCODES)
_row(
    "counter",
    "model_opcode_whitelist_violations_total",
    "Model files refused for an import that is not on the list.",
    opcode=OPCODES,
)
_row("counter", "model_security_fail_total", "Model files refused for safety.", reason=SECURITY_REASONS)
_row(
    "counter",
    "model_interface_validation_fail_total",
    "Model files that hold no usable classifier.",
    reason=INTERFACE_REASONS,
)
_row("counter", "model_reload_total", "Reloads asked for.", status=STATUSES)
_row("counter", "model_rollback_total", "Times that a predecessor came to serve.", level=("1", "2", "3"))
_row("gauge", "model_rollback_level", "0: the newest activated model serves; n: its n-th predecessor.")
_row("gauge", "model_snapshots_available", "Predecessors that a rollback could go to.")
_row(
    "counter",
    "model_health_checks_total",
    "Answers of the model's health check.",
    status=("ok", "absent", "rollback"),
)
_row("gauge", "model_load_seq", "Activations up to the model that serves.")
_row("gauge", "classification_model_info", "1 for the model that serves.", (), (), version=(), format=())
_row("histogram", "classification_model_inference_seconds", "Time of one call of the model.", CALL_SECONDS)
_row(
    "histogram",
    "classification_latency_seconds",
    "Time to classify, from vector to answer.",
    CALL_SECONDS,
)
# The classes are the active model's own: it declares them.
_row(
    "counter",
    "classification_prediction_distribution_total",
    "Parts classified, by answer.",
    (),
    (),
    label=(),
)
_row(
    "counter",
    "health_requests_total",
    "Health questions asked.",
    endpoint=ENDPOINTS,
    status=("ok", "unavailable"),
)
_row(
    "histogram",
    "health_request_duration_seconds",
    "Time to answer a health question.",
    REQUEST_SECONDS,
    endpoint=ENDPOINTS,
)
# The routes are the application's own: it declares them once it is built.
_row("counter", "http_requests_total", "HTTP requests.", (), (), method=(), route=(), status=())
_row(
    "histogram",
    "http_request_duration_seconds",
    "Time from the first byte of a request that was answered as asked (2xx) to the answer's last.",
    REQUEST_SECONDS,
    (),
    method=(),
    route=(),
    status=(),
)
_row(
    "histogram",
    "v4_surface_count",
    "surface_count of parts described.",
    (0.0, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
)
_row("histogram", "v4_shape_entropy", "shape_entropy of parts described.", UNIT_INTERVAL)
_row(
    "histogram",
    "feature_extraction_latency_seconds",
    "Time to compute one vector from a part.",
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
    version=VERSIONS,
)
_row(
    "counter",
    "features_diff_requests_total",
    "Comparisons of two vectors asked for.",
    status=("success", "not_found", "error"),
)
_row("gauge", "vector_store_vectors", "Stored vectors now.", version=VERSIONS)
_row(
    "counter",
    "vector_migrate_total",
    "Parts and vectors that were to be moved to another feature version, by what became of each.",
    status=MOVES,
)
_row(
    "histogram",
    "vector_migrate_dimension_delta",
    "Change of a vector's length by a move to another feature version.",
    (-500.0, -100.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 100.0, 500.0),
)
_row(
    "gauge",
    "vector_migration_progress_ratio",
    "Share of the library that the last migration to a version has been through.",
    to_version=VERSIONS,
)
_row(
    "histogram",
    "vector_query_latency_seconds",
    "Time of one search in the store.",
    QUERY_SECONDS,
    kind=("part", "file", "vector"),
)
_row(
    "histogram",
    "vector_query_batch_latency_seconds",
    "Time of one batch of searches: small up to 5 ids, medium up to 20, large above.",
    QUERY_SECONDS,
    batch_size_range=("small", "medium", "large"),
)
_row(
    "counter",
    "vector_dimension_rejections_total",
    "Vectors refused.",
    reason=("dimension_mismatch", "not_finite"),
)


_row(
    "counter",
    "feature_cache_tuning_requests_total",
    "Advice on the feature cache asked for, from evidence (GET) or bands (POST).",
    status=("ok", "invalid", "error"),
)
_row("gauge", "feature_cache_tuning_recommended_capacity", "Entries last recommended; 0 before the first.")
_row("gauge", "feature_cache_tuning_recommended_ttl_seconds", "Ttl last recommended; 0 before the first.")
_row("counter", "feature_cache_hits_total", "Stored vectors answered from memory.")
_row("counter", "feature_cache_miss_total", "Stored vectors that the database had to be asked for.")
_row("counter", "feature_cache_evictions_total", "Vectors that left for lack of entries, bytes or use.")
_row("gauge", "feature_cache_size", "Vectors held now.")
_row("gauge", "feature_cache_capacity", "Most vectors that may be held.")
_row("gauge", "feature_cache_bytes", "Memory that the held vectors take.")
_row(
    "histogram",
    "feature_cache_lookup_seconds",
    "Time of one lookup in memory.",
    (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
)
_row(
    "counter",
    "feature_cache_prewarm_total",
    "Loads of the most used vectors: some came in, none was to come, or it failed.",
    result=("loaded", "nothing", "error"),
)
_row(
    "histogram",
    "material_distribution_drift_score",
    "Drift of stated materials, window by window; 0: as chance does, above 0.5: drifted.",
    UNIT_INTERVAL,
)
_row(
    "histogram",
    "classification_prediction_drift_score",
    "Drift of predicted classes, window by window; 0: as chance does, above 0.5: drifted.",
    UNIT_INTERVAL,
)
_row(
    "gauge",
    "feature_distribution_drift_score",
    "Drift of the slot group that moved most; 0: as chance does, or not judged yet; above 0.5: drifted.",
    version=VERSIONS,
)
_row(
    "counter", "drift_baseline_created_total", "Drift baselines made where none was in force.", type=SUBJECTS
)
_row(
    "counter",
    "drift_baseline_refresh_total",
    "Drift baselines put in the place of another.",
    type=SUBJECTS,
    trigger=("stale", "manual", "startup"),
)
_row("gauge", "baseline_material_age_seconds", "Age of the baseline of materials; 0 without one.")
_row(
    "gauge",
    "baseline_prediction_age_seconds",
    "Age of the baseline of the predicting model's classes; 0 without one.",
)
