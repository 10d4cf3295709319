"""``/health``, ``/ready``, ``/metrics``: for those who watch the service."""

from __future__ import annotations

import time
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Response

from cadml import __version__
from cadml.api.cache_schemas import CacheHealth
from cadml.api.model import status_of
from cadml.api.model_schemas import ModelHealth
from cadml.api.routing import Here, Service, reply, router
from cadml.api.schemas import Health, Readiness, VectorsHealth
from cadml.migration.care import Care
from cadml.observability.metrics import CONTENT_TYPE
from cadml.source import fingerprint

open_routes = APIRouter(tags=["health"])  # no key: a load balancer and Prometheus ask these
routes = router("health")


def _counted(service: Service, endpoint: str, start: float, status: int, body: dict[str, Any]) -> Response:
    metrics = service.engine.metrics
    metrics.count("health_requests_total", endpoint=endpoint, status="ok" if status == 200 else "unavailable")
    metrics.observe("health_request_duration_seconds", time.perf_counter() - start, endpoint=endpoint)
    return reply(body, status)


@open_routes.get("/health", response_model=Health, summary="Whether the service is alive")
async def health(service: Here) -> Response:
    """Answer 200 as long as the process can answer at all."""
    start = time.perf_counter()
    runtime = {"metrics_enabled": service.engine.metrics.enabled}
    return _counted(
        service,
        "health",
        start,
        200,
        {"status": "ok", "version": __version__, "source": fingerprint(), "runtime": runtime},
    )


@open_routes.get(
    "/ready",
    response_model=Readiness,
    summary="Whether the service can do its work",
    responses={503: {"model": Readiness, "description": "Something is missing; it is named."}},
)
def ready(service: Here) -> Response:
    """Answer 200, or 503 with what is missing."""
    start = time.perf_counter()
    checks = service.engine.checks()
    missing = sorted(name for name, state in checks.items() if state != "ok")
    body = {"status": "not_ready" if missing else "ready", "missing": missing, "checks": checks}
    return _counted(service, "ready", start, 503 if missing else 200, body)


@routes.get("/health/vectors", response_model=VectorsHealth, summary="The state of the vector store")
def vectors(service: Here) -> Response:
    """Answer with counts, index size, dead rows, recall on a sample, and what to do."""
    start = time.perf_counter()
    care = service.engine.migrations.index_care()
    body = {
        "status": "ok",
        "active_version": service.engine.versions.active,
        "versions": service.engine.vector_states(),
        "indexes": {one.version: _index(one) for one in care},
        "advice": [f"{one.version}: {one.advice}" for one in care if one.advice],
    }
    return _counted(service, "vectors", start, 200, body)


def _index(care: Care) -> dict[str, Any]:
    return {
        "rows": care.state.rows,
        "dead_rows": care.state.dead,
        "table_bytes": care.state.table_bytes,
        "index_bytes": care.state.index_bytes,
        "breadth": None if care.state.index_bytes is None else care.state.breadth,
        "recall_at_10": care.recall,
        "searches": care.sampled,
    }


@routes.get(
    "/health/features/cache",
    response_model=CacheHealth,
    summary="The state of the feature cache",
    responses={503: {"model": CacheHealth, "description": "The database behind it does not answer."}},
)
def features_cache(service: Here) -> Response:
    """Answer with what it holds, and 503 while misses cannot be answered."""
    start = time.perf_counter()
    counts = service.engine.cache_counts()
    state = "ok" if service.engine.database.is_up() else "unavailable"
    body = {name: getattr(counts, name) for name in ("size", "capacity", "bytes", "max_bytes", "hit_ratio")}
    status = 200 if state == "ok" else 503
    return _counted(service, "features_cache", start, status, body | {"status": state, "second_tier": state})


@routes.get(
    "/health/model",
    response_model=ModelHealth,
    summary="Whether a model serves, and which",
    responses={503: {"model": ModelHealth, "description": "None of the activated models can be loaded."}},
)
def model(service: Here) -> Response:
    """Answer with what serves; 503 where one should and none does."""
    start = time.perf_counter()
    models = service.engine.models
    state, place = models.serving.state(), models.serving.place()
    status = status_of(place)
    service.engine.metrics.count("model_health_checks_total", status=status)
    body = {
        "status": status,
        "version": place.loaded.card.version if place else None,
        "level": place.level if place else 0,
        "load_seq": state.activations,
        "snapshots": models.serving.snapshots(place) if place else 0,
        "fallen": models.serving.fallen,
    }
    return _counted(service, "model", start, 503 if state.line and place is None else 200, body)


@open_routes.get(
    "/metrics",
    summary="What Prometheus scrapes",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: Here) -> Response:
    """Answer in Prometheus' text format; with metrics disabled, one gauge says so."""
    return Response(await to_thread.run_sync(service.engine.metrics.text), media_type=CONTENT_TYPE)
