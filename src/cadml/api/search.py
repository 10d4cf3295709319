"""``POST /search`` and ``POST /similarity/batch``: what looks alike."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from fastapi import Request, Response

from cadml.api import replies
from cadml.api.routing import Here, Service, parsed, reply, role, router
from cadml.api.schemas import BatchQuery, BatchReply, SearchOptions, SearchQuery, SearchReply
from cadml.api.uploads import file_name, form_body, on_disk, text_field, the_file
from cadml.engine import NOT_ASKED, Classified
from cadml.errors import CadmlError, InvalidRequest, UnsupportedMediaType
from cadml.store.vectors import Found

routes = router("search")

SEARCH_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": SearchQuery.model_json_schema()},
        **form_body(query="JSON object: k, version, filters, max_distance")["content"],
    },
}


@routes.post(
    "/search",
    response_model=SearchReply,
    summary="Find the parts nearest to a file, a stored part or a vector",
    openapi_extra={"requestBody": SEARCH_BODY, **role("reader")},
)
async def search(request: Request, service: Here) -> Response:
    """Answer with neighbours, nearest first; never fewer than pass the filters, up to ``k``."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        query = parsed(SearchQuery, await request.body(), "body")
        return reply(replies.found(*await to_thread.run_sync(_by_query, service, query)))
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            options = parsed(SearchOptions, text_field(form, "query"), "query")
            upload = the_file(form)
            return reply(replies.found(*await service.gate.run(_by_file, service, upload, options)))
    raise UnsupportedMediaType("send application/json, or multipart/form-data with a file", given=kind[:100])


def _by_query(service: Service, query: SearchQuery) -> tuple[Found, Classified]:
    rest = limits(query)
    if (query.part_id is None) == (query.vector is None):
        raise InvalidRequest("give exactly one of part_id and vector, or a file as multipart/form-data")
    if query.part_id is not None:
        found = service.engine.search_part(query.part_id, query.k, query.version, **rest)
        return found, service.engine.classify_part(query.part_id) if query.classify else NOT_ASKED
    version = query.version or service.engine.versions.active
    values = query.vector or []
    found = service.engine.search_vector(version, values, query.k, **rest)
    return found, service.engine.classify_vector(version, values) if query.classify else NOT_ASKED


def _by_file(service: Service, upload: Any, options: SearchOptions) -> tuple[Found, Classified]:
    name = file_name(upload)
    with on_disk(upload, service.spool) as path:
        found, content = service.engine.search_file(path, name, options.k, options.version, **limits(options))
    return found, service.engine.classify(content.vectors) if options.classify else NOT_ASKED


def limits(options: SearchOptions) -> dict[str, Any]:
    """Return what narrows a search, as the engine takes it."""
    return {"filters": options.filters, "max_distance": options.max_distance}


@routes.post(
    "/similarity/batch",
    response_model=BatchReply,
    summary="Find the neighbours of up to 1,000 stored parts in one call",
    openapi_extra=role("reader"),
)
def similarity_batch(query: BatchQuery, service: Here) -> Response:
    """Answer each id on its own: one that is unknown does not spoil the others."""
    results = service.engine.similar_batch(query.ids, query.k, query.version, **limits(query))
    return reply({"results": [_item(part_id, results[part_id]) for part_id in query.ids]})


def _item(part_id: str, result: Found | CadmlError) -> dict[str, Any]:
    if isinstance(result, CadmlError):
        return {
            "id": part_id,
            "status": "error",
            "code": result.code,
            "message": result.message,
            "result": None,
        }
    return {"id": part_id, "status": "ok", "code": None, "message": None, "result": replies.found(result)}
