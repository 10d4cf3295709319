"""``POST /analyze``: one file in, all that it tells out."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from cadml.api import replies
from cadml.api.auth import Role
from cadml.api.routing import Here, Service, parsed, reply, require, role, router
from cadml.api.schemas import AnalyzeOptions, AnalyzeReply
from cadml.api.uploads import entry_of, form_body, on_disk, text_field, the_file
from cadml.engine import Options
from cadml.store.parts import NewEntry

routes = router("analyze")
FIELDS = frozenset({"file", "options"})
DEFAULT_NEIGHBOURS = 10

BODY = form_body(
    options="JSON object: store, features, classify, similar, version",
    part_number="number of the part",
    metadata="JSON object of further metadata",
)


@routes.post("/analyze/", include_in_schema=False, openapi_extra=role("reader"))
@routes.post(
    "/analyze",
    response_model=AnalyzeReply,
    summary="Read, describe, classify and store one file, and find its look-alikes",
    openapi_extra={"requestBody": BODY, **role("reader")},
)
async def analyze(request: Request, service: Here) -> Response:
    """Answer with facts, findings, vector, class and look-alikes. Storing needs the role writer."""
    async with request.form(max_files=1, max_fields=200) as form:
        options = parsed(AnalyzeOptions, text_field(form, "options"), "options")
        if options.store:
            require(request, Role.WRITER)
        upload = the_file(form)
        entry = entry_of(upload, form, FIELDS)
        return reply(await service.gate.run(_analyze, service, upload, entry, options))


def _analyze(service: Service, upload: Any, entry: NewEntry, options: AnalyzeOptions) -> dict[str, Any]:
    similar = DEFAULT_NEIGHBOURS if options.similar is True else int(options.similar)
    with on_disk(upload, service.spool) as path:
        asked = Options(options.store, similar, options.version, options.classify)
        result = service.engine.analyze(path, entry, asked)
    return replies.analysis(result, entry.name, features=options.features)
