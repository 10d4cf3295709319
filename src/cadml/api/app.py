"""The application: all routes, their edge, and the service behind them."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache

from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Scope

from cadml import __version__
from cadml.api import (
    analyze,
    cache,
    drift,
    features,
    health,
    jobs,
    migrations,
    model,
    parts,
    problems,
    search,
    vectors,
)
from cadml.api.auth import Keys
from cadml.api.edge import Edge
from cadml.api.problems import MEDIA_TYPE
from cadml.api.routing import Gate, Service
from cadml.api.schemas import Problem
from cadml.api.uploads import sweep
from cadml.engine import Engine
from cadml.observability.table import ANSWERED, ROUTE_STATUS, UNMATCHED

ROUTERS = (  # in the order in which they are tried: what is asked most comes first
    search.routes,
    parts.routes,
    analyze.routes,
    health.open_routes,
    health.routes,
    jobs.routes,
    features.routes,
    cache.routes,
    migrations.routes,
    model.routes,
    drift.routes,
    vectors.routes,
)
THREADS = 32  # requests that may wait for PostgreSQL at once; more would only queue there
WAITING_PER_WORKER = 16  # analyses that may wait for each worker process, before 429

_PROBLEM = {
    "description": "An RFC 9457 problem.",
    "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}


def create_app(engine: Engine) -> ASGIApp:
    """Return the ASGI application that serves ``engine``; the caller closes the engine."""
    workers = engine.settings.extract_workers
    spool = engine.settings.data_dir / "spool"
    sweep(spool)
    tempfile.tempdir = str(spool)  # what Starlette spools belongs on the data disk, not into a /tmp in memory

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        app.state.service = Service(
            engine,
            Keys(engine.settings.api_keys_file),
            spool,
            Gate(workers + 2, WAITING_PER_WORKER * workers),
        )
        with engine.drift.watching():
            yield

    app = FastAPIOffline(  # its /docs loads nothing from outside: many a company network has no outside
        title="cadml",
        version=__version__,
        summary="Reads CAD files, finds look-alikes, names parts.",
        lifespan=lifespan,
        redoc_url=None,
        responses={"default": _PROBLEM},
        separate_input_output_schemas=False,
    )
    problems.install(app)
    for each in ROUTERS:
        app.include_router(each)
    declare_routes(engine)
    return Edge(app, engine.metrics, engine.traces, engine.settings.max_upload_mb << 20, matched)


def every_route() -> Iterator[APIRoute]:
    """Yield every route that the application declares."""
    for each in ROUTERS:
        yield from (route for route in each.routes if isinstance(route, APIRoute))


@lru_cache
def asked() -> frozenset[tuple[str, str]]:
    """Return method and path template of all that can be asked of the service."""
    return frozenset((method, route.path) for route in every_route() for method in route.methods or ())


def declare_routes(engine: Engine) -> None:
    """Start the HTTP series of every declared route at 0."""
    pairs = [*sorted(asked()), UNMATCHED]
    counted = [(*pair, status) for pair in pairs for status in ROUTE_STATUS]
    counted.append((*UNMATCHED, "3xx"))  # /parts/ is sent to /parts
    engine.metrics.declare("http_requests_total", counted)
    engine.metrics.declare("http_request_duration_seconds", [(*pair, ANSWERED) for pair in pairs])


def matched(scope: Scope) -> tuple[str, str]:
    """Return method and path template of the route that answered: never the path itself."""
    pair = (scope["method"], getattr(scope.get("route"), "path", ""))
    # Also where the method alone is wrong, and for the pages of /docs: no series for each thing one can ask.
    return pair if pair in asked() else UNMATCHED
