"""``/jobs``: many files at once, durably."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import UploadFile

from cadml.api.routing import Here, PartId, Service, reply, router
from cadml.api.schemas import JobReply
from cadml.api.uploads import described, file_name, form_body, on_disk
from cadml.errors import InvalidRequest
from cadml.store.ingest import JobStatus
from cadml.store.parts import NewEntry

routes = router("jobs")
FIELDS = frozenset({"files"})
MOST_FILES = 1000


@routes.post(
    "/jobs/ingest",
    response_model=JobReply,
    status_code=202,
    summary="Queue files for the library",
    openapi_extra={"requestBody": form_body(many=True, metadata="JSON object of metadata for every file")},
)
async def ingest(request: Request, service: Here) -> Response:
    """Answer once every file is kept: the job then survives a restart. Refused files are named at once.

    Paths on the server are not accepted here: `cadml ingest` reads those, with its user's own rights.
    """
    async with request.form(max_files=MOST_FILES, max_fields=200) as form:
        part_number, metadata = described(form, FIELDS)
        if part_number is not None:
            raise InvalidRequest("part_number: one number cannot be that of many files", field="part_number")
        files = [value for value in form.getlist("files") if isinstance(value, UploadFile)]
        if not files or len(files) != len(form.getlist("files")):
            raise InvalidRequest("files: at least one file is needed in this form field", field="files")
        body = await service.gate.run(_submit, service, files, metadata)
    return reply(body, 202, {"Location": f"{request.url.path.removesuffix('ingest')}{body['id']}"})


def _submit(service: Service, files: list[UploadFile], metadata: dict[str, Any]) -> dict[str, Any]:
    named = [(upload, file_name(upload)) for upload in files]
    with ExitStack() as stack:
        entries = [
            (stack.enter_context(on_disk(upload, service.spool)), NewEntry(name, None, dict(metadata)))
            for upload, name in named
        ]
        submission = service.engine.submit(entries)
    return job(service.engine.ingests.status(submission.job_id), submission.refused)


@routes.get("/jobs/{id}", response_model=JobReply, summary="How far a job is")
def status(id: PartId, service: Here) -> Response:  # noqa: A002 - the contract names it so
    """Answer with counts by state, and each failure with its reason."""
    return reply(job(service.engine.ingests.status(id)))


@routes.post("/jobs/{id}/cancel", response_model=JobReply, summary="Stop a job: what waits will not be read")
def cancel(id: PartId, service: Here) -> Response:  # noqa: A002 - as above
    """Answer with the job as it is now; what was added stays."""
    service.engine.ingests.cancel(id)
    return reply(job(service.engine.ingests.status(id)))


def job(status: JobStatus, refused: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Return a job as JSON."""
    return {
        "id": status.id,
        "state": status.state,
        "counts": status.counts,
        "failures": [{"name": f.name, "code": f.code, "message": f.message} for f in status.failures],
        "refused": refused or [],
        "created_at": status.created,
        "finished_at": status.finished,
    }
