"""``/drift``: whether what comes in still resembles the past, and the baselines that say what is usual."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Body, Query, Response

from cadml.api.drift_schemas import (
    BaselinesReply,
    Document,
    DriftReply,
    DriftReset,
    ExportQuery,
    ResetReply,
    Subject,
)
from cadml.api.routing import Here, Service, reply, role, router
from cadml.drift.categories import CategoryDrift
from cadml.drift.slots import FeatureDrift
from cadml.drift.verdict import worst
from cadml.engine.baselining import Chosen
from cadml.engine.comparing import Assessment, age_s
from cadml.errors import InvalidRequest
from cadml.store.baselines import BaselineRow

routes = router("drift")

PICTURE = {"image/svg+xml": {"schema": {"type": "string"}}}
Count = Annotated[
    int | None, Query(ge=30, le=2000, description="Most observations of a window; none: the setting.")
]
Hours = Annotated[
    float | None, Query(gt=0, le=8784, description="Oldest observation of a window; none: the setting.")
]


@routes.get("/drift", response_model=DriftReply, summary="Whether what comes in has drifted")
def show(service: Here, count: Count = None, hours: Hours = None) -> Response:
    """Answer with a verdict on materials, predictions and each searched version's slot groups."""
    drift = service.engine.drift
    drift.settle()
    found = drift.assess(count, hours)
    waiting, lost = drift.counts()
    body = {"verdict": worst(each.verdict for each in found), "waiting": waiting, "lost": lost}
    return reply(body | {"subjects": [_subject(service, each) for each in found]})


def _subject(service: Service, each: Assessment) -> dict[str, Any]:
    found = each.found
    return {
        "subject": each.pair.subject,
        "scope": each.pair.scope,
        "verdict": each.verdict,
        "score": found.score if found else None,
        "p_value": found.p_value if found else None,
        "size": each.size,
        "needed": each.needed,
        "begin": each.seen.begin,
        "end": each.seen.end,
        "baseline": _baseline(service, each.baseline) if each.baseline else None,
        "categories": _categories(found),
        "groups": [asdict(group) for group in found.groups] if isinstance(found, FeatureDrift) else None,
    }


def _categories(found: CategoryDrift | FeatureDrift | None) -> dict[str, Any] | None:
    if not isinstance(found, CategoryDrift) or found.score is None:
        return None
    whole = asdict(found)
    return {name: whole[name] for name in ("jensen_shannon", "deviation", "psi", "moved")}


def _baseline(service: Service, row: BaselineRow) -> dict[str, Any]:
    return asdict(row) | {"age_seconds": age_s(row), "stale": service.engine.drift.stale(row)}


def _every(service: Service) -> list[dict[str, Any]]:
    return [_baseline(service, row) for row in service.engine.drift.baselines.every()]


@routes.get(
    "/drift/baseline",
    response_model=BaselinesReply,
    summary="The baselines, or a picture of one",
    responses={200: {"content": PICTURE}},
)
def baselines(
    service: Here,
    format: Annotated[str, Query(max_length=10, description="json, or svg for a picture.")] = "json",  # noqa: A002 - as for tuning
    subject: Annotated[Subject, Query(description="With svg: whose picture.")] = "material",
    scope: Annotated[
        str | None, Query(max_length=200, description="With svg: none: the searched one.")
    ] = None,
) -> Response:
    """Answer with every baseline that is kept; the picture shows the one in force and the present window."""
    if format not in {"json", "svg"}:
        raise InvalidRequest("format is json or svg", field="format", given=format)
    if format == "svg":
        return Response(service.engine.drift.picture(subject, scope), media_type="image/svg+xml")
    return reply({"baselines": _every(service)})


@routes.post(
    "/drift/baseline/export",
    summary="The baselines in force as one document",
    openapi_extra=role("reader"),
)
def export(service: Here, asked: Annotated[ExportQuery | None, Body()] = None) -> Response:
    """Answer with what import takes, here or on another installation."""
    return reply(service.engine.baselining.export(asked.subject if asked else None))


@routes.post(
    "/drift/baseline/import",
    response_model=BaselinesReply,
    summary="Put exported baselines in force",
    openapi_extra=role("admin"),
)
def import_(document: Document, service: Here) -> Response:
    """Answer with the new baselines; 422 where anything in the document is no good, and nothing changes."""
    rows = service.engine.baselining.import_(document)
    return reply({"baselines": [_baseline(service, row) for row in rows]})


@routes.post(
    "/drift/reset",
    response_model=ResetReply,
    summary="Begin anew with what is usual",
    openapi_extra=role("admin"),
)
def reset(asked: DriftReset, service: Here) -> Response:
    """Answer with what was changed; the next, the recent or chosen observations become the baseline."""
    chosen = Chosen(asked.ids, asked.filters)
    changed = service.engine.baselining.reset(asked.subject, asked.source, chosen)
    return reply({"changed": [asdict(pair) for pair in changed], "baselines": _every(service)})
