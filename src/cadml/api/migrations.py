"""``/vectors/migrate``: parts, vectors and the whole library from one feature version to another."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le
from fastapi import Query, Response

from cadml.api.migration_schemas import (
    Move,
    MoveReply,
    PendingReply,
    PlanReply,
    PreviewReply,
    Run,
    StatusReply,
    SummaryReply,
    TrendsReply,
)
from cadml.api.routing import Here, IdText, Service, reply, role, router
from cadml.migration.reports import counted, example

routes = router("migration")
ADMIN = role("admin")
MOST_HOURS = 24 * 366

Target = Annotated[
    str | None,
    Query(max_length=40, description="Feature version; default: the open migration's, or the active one."),
]


@routes.post(
    "/vectors/migrate",
    response_model=MoveReply,
    summary="Move single parts and registered vectors to another feature version",
    openapi_extra=ADMIN,
)
async def migrate(move: Move, service: Here) -> Response:
    """Answer with what became of each; stored parts are described again, never padded."""
    outcomes = await service.gate.run(
        service.engine.migrations.migrate, move.ids, move.to_version, dry_run=move.dry_run
    )
    return reply(
        {
            "to_version": move.to_version,
            "dry_run": move.dry_run,
            "counts": counted(outcomes),
            "items": [example(outcome) for outcome in outcomes],
        }
    )


@routes.get(
    "/vectors/migrate/preview", response_model=PreviewReply, summary="What moving everything would do"
)
def preview(service: Here, to_version: Target = None, limit: Annotated[int, Ge(0), Le(100)] = 10) -> Response:
    """Answer with counts by outcome, and with examples; nothing is changed."""
    body = service.engine.migrations.reports.preview(_target(service, to_version), limit)
    return reply(body | {"examples": [example(outcome) for outcome in body["examples"]]})


@routes.get("/vectors/migrate/pending", response_model=PendingReply, summary="Entries that lack a version")
def pending(
    service: Here,
    to_version: Target = None,
    after: Annotated[str | None, Query(max_length=200, pattern=IdText)] = None,
    limit: Annotated[int, Ge(1), Le(1000)] = 100,
) -> Response:
    """Answer with what moving each of them would do."""
    body = service.engine.migrations.reports.pending(_target(service, to_version), after, limit)
    return reply(body | {"items": [example(outcome) for outcome in body["items"]]})


@routes.get("/vectors/migrate/plan", response_model=PlanReply, summary="What migrating the library takes")
def plan(service: Here, to_version: Target = None) -> Response:
    """Answer with numbers, and with whether it can begin."""
    workers = service.engine.settings.extract_workers
    return reply(service.engine.migrations.reports.plan(_target(service, to_version), workers))


@routes.get("/vectors/migrate/status", response_model=StatusReply, summary="How far the migration is")
def status(service: Here) -> Response:
    """Answer with progress, speed, time left, checks, and each failure with its reason."""
    return reply(_status(service))


@routes.get("/vectors/migrate/summary", response_model=SummaryReply, summary="What became of everything")
def summary(service: Here) -> Response:
    """Answer with counts since the beginning, and with what the library holds."""
    return reply(service.engine.migrations.reports.summary())


@routes.get("/vectors/migrate/trends", response_model=TrendsReply, summary="Rates and speed lately")
def trends(
    service: Here, window_hours: Annotated[float, Query(gt=0, le=MOST_HOURS, allow_inf_nan=False)] = 24
) -> Response:
    """Answer with what follows from what happened; a rate of nothing is null."""
    return reply(service.engine.migrations.reports.trends(window_hours))


@routes.post(
    "/vectors/migrate/run",
    response_model=StatusReply,
    status_code=202,
    summary="Begin to migrate the library; searches go on as before",
    openapi_extra=ADMIN,
)
def run(given: Run, service: Here) -> Response:
    """Answer once it is durable; 409 while another one is open."""
    service.engine.migrations.library.run(given.to_version, given.most_failed, given.least_recall)
    return reply(_status(service), 202)


@routes.post(
    "/vectors/migrate/activate",
    response_model=StatusReply,
    summary="Let searches use what is ready",
    openapi_extra=ADMIN,
)
def activate(service: Here) -> Response:
    """Answer when it is done: in one transaction; 409 unless it is ready."""
    service.engine.migrations.activate()
    return reply(_status(service))


@routes.post(
    "/vectors/migrate/rollback",
    response_model=StatusReply,
    summary="Let searches use what they used before",
    openapi_extra=ADMIN,
)
def rollback(service: Here) -> Response:
    """Answer when it is done; the new version stays ready to be activated again."""
    service.engine.migrations.roll_back()
    return reply(_status(service))


@routes.post(
    "/vectors/migrate/retire",
    response_model=StatusReply,
    summary="Delete the version that was replaced; there is no way back",
    openapi_extra=ADMIN,
)
def retire(service: Here) -> Response:
    """Answer at once; the vectors are deleted a moment later."""
    service.engine.migrations.retire()
    return reply(_status(service))


@routes.post(
    "/vectors/migrate/retry",
    response_model=StatusReply,
    status_code=202,
    summary="Try once more what failed",
    openapi_extra=ADMIN,
)
def retry(service: Here) -> Response:
    """Answer once that is durable."""
    service.engine.migrations.library.retry()
    return reply(_status(service), 202)


@routes.post(
    "/vectors/migrate/cancel",
    response_model=StatusReply,
    summary="Give the open migration up",
    openapi_extra=ADMIN,
)
def cancel(service: Here) -> Response:
    """Answer at once; what was built is deleted a moment later."""
    service.engine.migrations.library.cancel()
    return reply(_status(service))


def _target(service: Service, given: str | None) -> str:
    return given or service.engine.migrations.target()


def _status(service: Service) -> dict[str, Any]:
    return service.engine.migrations.reports.status()
