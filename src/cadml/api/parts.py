"""``/parts``: the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

from annotated_types import Ge, Le
from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from cadml.api import replies
from cadml.api.routing import API, Here, PartId, Service, VersionName, reply, router
from cadml.api.schemas import Count, FeaturesReply, PageReply, PartChange, PartReply, SearchReply
from cadml.api.uploads import CHUNK, entry_of, form_body, on_disk, the_file
from cadml.engine import VIEW_NAMES, Options
from cadml.extraction import View
from cadml.geometry.formats import FORMATS
from cadml.store.parts import NewEntry, PartRow
from cadml.where import parse_where

routes = router("parts")
FIELDS = frozenset({"file"})
MEDIA_TYPES: dict[View, str] = {"glb": "model/gltf-binary", "svg": "image/svg+xml", "png": "image/png"}

Where = Annotated[
    list[str] | None,
    Query(
        description="Conditions `key=value`, `key=low..high`, `key=a,b` on metadata and facts; repeat it.",
        examples=[["material=steel", "volume=10..100"]],
    ),
]


@routes.post(
    "/parts",
    response_model=PartReply,
    status_code=201,
    summary="Add a file to the library",
    responses={200: {"model": PartReply, "description": "The same bytes under the same number were there."}},
    openapi_extra={
        "requestBody": form_body(part_number="number of the part", metadata="JSON object of metadata")
    },
)
async def add(request: Request, service: Here) -> Response:
    """Answer 201 with the entry, or 200 where it was there already."""
    async with request.form(max_files=1, max_fields=200) as form:
        upload = the_file(form)
        entry = entry_of(upload, form, FIELDS)
        row, added = await service.gate.run(_add, service, upload, entry)
    return reply(replies.part(row), 201 if added else 200, {"Location": f"{API}/parts/{row.id}"})


def _add(service: Service, upload: Any, entry: NewEntry) -> tuple[PartRow, bool]:
    with on_disk(upload, service.spool) as path:
        result = service.engine.analyze(path, entry, Options(similar=0))
    assert result.part is not None
    return result.part, result.added


@routes.get("/parts", response_model=PageReply, summary="List the library, page by page")
def list_parts(
    service: Here,
    where: Where = None,
    sort: Annotated[
        str, Query(max_length=100, description="A field; `-` before it reverses.")
    ] = "created_at",
    after: Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")] = None,
    limit: Annotated[int, Ge(1), Le(1000)] = 50,
) -> Response:
    """Answer with entries that pass the filters, in a stable order."""
    page = service.engine.parts.find(parse_where(where or []), sort, after, limit)
    return reply({"parts": [replies.part(row) for row in page.rows], "next": page.next, "total": page.total})


@routes.get("/parts/{id}", response_model=PartReply, summary="One entry of the library")
def get(id: PartId, service: Here) -> Response:  # noqa: A002 - the contract names it so
    """Answer with the entry."""
    return reply(replies.part(service.engine.parts.get(id)))


@routes.patch("/parts/{id}", response_model=PartReply, summary="Change name, part number or metadata")
def change(id: PartId, changes: PartChange, service: Here) -> Response:  # noqa: A002 - as above
    """Answer with the entry as it is now."""
    return reply(replies.part(service.engine.update(id, **changes.model_dump(exclude_unset=True))))


@routes.delete("/parts/{id}", status_code=204, summary="Remove an entry, and its content with the last one")
def remove(id: PartId, service: Here) -> Response:  # noqa: A002 - as above
    """Answer 204."""
    service.engine.delete(id)
    return Response(status_code=204)


@routes.get("/parts/{id}/similar", response_model=SearchReply, summary="The nearest parts")
def similar(  # noqa: PLR0917 - a query's fields have names, not positions
    id: PartId,  # noqa: A002 - as above
    service: Here,
    k: Count = 10,
    version: VersionName = None,
    where: Where = None,
    max_distance: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
) -> Response:
    """Answer with the part's neighbours, itself left out."""
    filters = parse_where(where or []) or None
    found = service.engine.search_part(id, k, version, filters=filters, max_distance=max_distance)
    return reply(replies.found(found))


@routes.get("/parts/{id}/features", response_model=FeaturesReply, summary="The part's feature vector")
def features(id: PartId, service: Here, version: VersionName = None) -> Response:  # noqa: A002 - as above
    """Answer with raw values; `/features/slots` says what each means."""
    vector = service.engine.features(id, version)
    return reply(replies.vector(vector.version, vector.values, id))


def _view(service: Service, request: Request, part_id: str, view: View) -> Response:
    row = service.engine.parts.get(part_id)
    headers = {"ETag": f'"{row.sha256}"', "Cache-Control": "private, max-age=0, must-revalidate"}
    if view == "svg":  # a drawing's texts end up in it: let no browser run them
        headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    if _is_current(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    data = service.engine.view(row, view)
    return Response(data, headers=headers, media_type=MEDIA_TYPES[view])


def _is_current(request: Request, etag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in given.split(",")]


_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def _picture(view: View, summary: str) -> None:
    @routes.get(
        f"/parts/{{id}}/{VIEW_NAMES[view]}",
        name=VIEW_NAMES[view],
        summary=summary,
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPES[view]: _BINARY}},
            304: {"description": "The one you have is current."},
        },
    )
    async def picture(id: PartId, request: Request, service: Here) -> Response:  # noqa: A002 - as above
        return await service.gate.run(_view, service, request, id, view)


_picture("glb", "The shape for a browser, in metres, with colours per face")
_picture("svg", "The drawing as SVG")
_picture("png", "A picture of 256 pixels")


@routes.get(
    "/parts/{id}/source",
    summary="The original file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": _BINARY}}},
)
def source(id: PartId, request: Request, service: Here) -> Response:  # noqa: A002 - as above
    """Answer with the bytes that came in, as a download."""
    row = service.engine.parts.get(id)
    etag = f'"{row.sha256}"'
    if _is_current(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    headers = {
        "ETag": etag,
        "Content-Length": str(row.bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.name, safe='')}",
    }
    return StreamingResponse(
        _pieces(service.engine.blobs.open(f"source/{row.sha256}")),
        headers=headers,
        media_type=FORMATS[row.format].media_type,
    )


def _pieces(stream: Any) -> Iterator[bytes]:
    with stream as file:
        while piece := file.read(CHUNK):
            yield piece
