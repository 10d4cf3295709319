"""``/features/cache``: what the feature cache does, advice on its settings, and changing them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import orjson
from anyio import to_thread
from fastapi import Query, Request, Response

from cadml.api.cache_schemas import (
    AdviceReply,
    CacheChange,
    CacheReply,
    PrewarmReply,
    TuningQuery,
    TuningReply,
)
from cadml.api.routing import Here, Service, reply, role, router
from cadml.cache.tuning import Advice, picture
from cadml.errors import InvalidRequest

routes = router("features")

TUNING_BODY = {
    "required": True,
    "content": {"application/json": {"schema": TuningQuery.model_json_schema()}},
}
PICTURE = {"image/svg+xml": {"schema": {"type": "string"}}}


@routes.get("/features/cache", response_model=CacheReply, summary="What the feature cache holds and did")
def show(service: Here) -> Response:
    """Answer with counts, bounds, and what a rollback would restore."""
    return reply(_state(service))


def _state(service: Service) -> dict[str, Any]:
    engine = service.engine
    counts, adjusted = engine.cache_counts(), engine.adjusted()
    return {
        **asdict(counts),
        "hit_ratio": counts.hit_ratio,
        "automatic": engine.settings.feature_cache_auto,
        "build": engine.build,
        "rollback": asdict(adjusted.former) if adjusted.former else None,
        "rollback_seconds_left": adjusted.seconds_left,
    }


@routes.get(
    "/features/cache/tuning",
    response_model=AdviceReply,
    summary="Advice on the running cache, from its observed re-use",
    responses={200: {"content": PICTURE}},
)
def advice(
    service: Here,
    format: Annotated[str, Query(max_length=10, description="json, or svg for a picture.")] = "json",  # noqa: A002 - the contract's word
) -> Response:
    """Answer with the miss-ratio curve and what it recommends, or how much evidence is missing."""
    with service.engine.tuning_request():
        if format not in {"json", "svg"}:
            raise InvalidRequest("format is json or svg", field="format", given=format)
        found = service.engine.advice()
        if format == "svg":
            return Response(picture(found), media_type="image/svg+xml")
        return reply(_advice(found))


def _advice(found: Advice) -> dict[str, Any]:
    curve = [{"capacity": capacity, "hit_ratio": hit} for capacity, hit in found.curve]
    return asdict(found) | {"curve": curve}


@routes.post(
    "/features/cache/tuning",
    response_model=TuningReply,
    summary="Advice for a hit rate and settings that you state, by fixed bands",
    openapi_extra={"requestBody": TUNING_BODY, **role("reader")},
)
async def tuning(request: Request, service: Here) -> Response:
    """Answer with the bands' recommendation: deterministic, a rule of thumb."""
    with service.engine.tuning_request():
        try:
            fields = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"the body is no JSON: {error}") from error
        if not isinstance(fields, dict):
            raise InvalidRequest("the body must be an object with hit_rate, capacity and ttl")
        return reply(asdict(service.engine.recommend(fields)))


@routes.post(
    "/features/cache/apply",
    response_model=CacheReply,
    summary="Set capacity and ttl; the former ones are kept 300 s",
    openapi_extra=role("admin"),
)
def apply(change: CacheChange, service: Here) -> Response:
    """Answer with the cache as it is now; 409 while a former change can be rolled back."""
    service.engine.apply_cache(change.capacity, change.ttl)
    return reply(_state(service))


@routes.post(
    "/features/cache/rollback",
    response_model=CacheReply,
    summary="Restore the settings before the last change",
    openapi_extra=role("admin"),
)
def rollback(service: Here) -> Response:
    """Answer with the cache as it is now; 409 if nothing was applied within 300 s."""
    service.engine.rollback_cache()
    return reply(_state(service))


@routes.post(
    "/features/cache/prewarm",
    response_model=PrewarmReply,
    summary="Load the most used vectors from the database",
    openapi_extra=role("admin"),
)
async def prewarm(service: Here) -> Response:
    """Answer with how many came in; nothing is evicted for them."""
    return reply(asdict(await to_thread.run_sync(service.engine.prewarm)))
