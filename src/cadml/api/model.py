"""``/model``: what serves, what could, why a file was refused; switching and rolling back."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from anyio import to_thread
from fastapi import Query, Request, Response

from cadml.api.model_schemas import (
    ActiveReply,
    AuditReply,
    ReloadQuery,
    RollbackQuery,
    SwitchReply,
    VersionsReply,
)
from cadml.api.routing import Here, Service, reply, role, router
from cadml.learning.probation import WATCHED
from cadml.learning.slot import Place
from cadml.store.models import Event

routes = router("model")

Limit = Annotated[int, Ge(1), Le(1000), Query(description="Events.")]


@routes.get("/model", response_model=ActiveReply, summary="The model that serves")
def show(service: Here) -> Response:
    """Answer with the model, its level, and how its probation goes."""
    return reply(active(service))


@routes.get("/model/versions", response_model=VersionsReply, summary="Known models and their history")
def versions(service: Here, limit: Limit = 50) -> Response:
    """Answer with every known model and the last events."""
    models = service.engine.models
    state, place = models.serving.state(), models.serving.place()
    serving = place.loaded.card.version if place else None
    rows = [
        {
            "version": row.version,
            "format": row.format,
            "sha256": row.sha256,
            "feature_version": row.card["feature_version"],
            "classes": len(row.card["classes"]),
            "macro_f1": row.card["scores"].get("macro_f1"),
            "level": state.line.index(row.version) if row.version in state.line else None,
            "serves": row.version == serving,
            "created_at": row.created_at,
        }
        for row in models.store.all()
    ]
    return reply({"versions": rows, "events": [_event(each) for each in models.store.events(limit)]})


@routes.post(
    "/model/reload",
    response_model=SwitchReply,
    summary="Judge a model file and let it serve",
    openapi_extra=role("admin"),
)
async def reload(query: ReloadQuery, request: Request, service: Here) -> Response:
    """Answer once it serves; a refusal says which check refused it, and what served serves on."""
    return reply(await to_thread.run_sync(_reload, service, query, _who(request, service)))


def _reload(service: Service, query: ReloadQuery, who: str) -> dict[str, Any]:
    service.engine.models.reload(
        who,
        path=query.path,
        version=query.version,
        expected_version=query.expected_version,
        force=query.force,
    )
    return {"status": "success", "active": active(service)}


@routes.post(
    "/model/rollback",
    response_model=SwitchReply,
    summary="Let a predecessor serve again",
    openapi_extra=role("admin"),
)
async def rollback(query: RollbackQuery, request: Request, service: Here) -> Response:
    """Answer once it serves; 409 where there is no such predecessor. Without a word: one level back."""
    return reply(await to_thread.run_sync(_rollback, service, query, _who(request, service)))


def _rollback(service: Service, query: RollbackQuery, who: str) -> dict[str, Any]:
    levels = query.levels if query.levels or query.version else 1
    service.engine.models.roll_back(who, "asked for", levels=levels, version=query.version)
    return {"status": "success", "active": active(service)}


@routes.get(
    "/model/opcode-audit", response_model=AuditReply, summary="What the opcode scanner found in refused files"
)
def opcode_audit(service: Here, limit: Limit = 100) -> Response:
    """Answer with the scanner's mode and the last refusals: opcode, position, imports."""
    engine = service.engine
    events = engine.models.store.events(limit, "refused")
    verdicts = [event.verdict or {} for event in events]
    body = {
        "mode": engine.settings.model_opcode_mode,
        "refused": Counter(str(v.get("status")) for v in verdicts),
        "opcodes": Counter(str(v["opcode"]) for v in verdicts if v.get("opcode")),
        "events": [_event(event) for event in events],
    }
    return reply(body)


def active(service: Service) -> dict[str, Any]:
    """Return what serves here and how it came to that."""
    models = service.engine.models
    state, place = models.serving.state(), models.serving.place()
    return {
        "status": status_of(place),
        "level": place.level if place else 0,
        "load_seq": state.activations,
        "line": state.line,
        "model": _model(place) if place else None,
        "probation": _probation(place) if place else None,
        "fallen": models.serving.fallen,
    }


def status_of(place: Place | None) -> Literal["ok", "absent", "rollback"]:
    """Return the contract's word for what serves."""
    if place is None:
        return "absent"
    return "rollback" if place.level else "ok"


def _model(place: Place) -> dict[str, Any]:
    card = asdict(place.loaded.card)
    del card["length"]
    return card | {
        "format": place.loaded.format,
        "sha256": place.loaded.sha256,
        "canaries": len(place.loaded.card.canaries),
    }


def _probation(place: Place) -> dict[str, int] | None:
    return None if place.probation is None else place.probation.seen() | {"needed": WATCHED}


def _event(event: Event) -> dict[str, Any]:
    return asdict(event)


def _who(request: Request, service: Service) -> str:
    return service.keys.holder(request.headers.get("x-api-key"))
