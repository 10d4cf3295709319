"""``/vectors``: vectors described elsewhere, of files that may not leave their site."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from cadml.api.routing import API, Here, PartId, reply, router
from cadml.api.schemas import Registration, VectorReply
from cadml.store.vectors import Foreign

routes = router("vectors")


@routes.post("/vectors/register", response_model=VectorReply, status_code=201, summary="Register a vector")
def register(given: Registration, service: Here) -> Response:
    """Answer with the vector; searches find it from now on."""
    service.engine.register(given.id, given.version, given.vector, given.metadata)
    return reply(
        _vector(service.engine.vectors.foreign(given.id)), 201, {"Location": f"{API}/vectors/{given.id}"}
    )


@routes.get("/vectors/{id}", response_model=VectorReply, summary="A registered vector")
def get(id: PartId, service: Here) -> Response:  # noqa: A002 - the contract names it so
    """Answer with the values as they were registered, by feature version."""
    return reply(_vector(service.engine.vectors.foreign(id)))


@routes.delete("/vectors/{id}", status_code=204, summary="Forget a registered vector")
def remove(id: PartId, service: Here) -> Response:  # noqa: A002 - as above
    """Answer 204."""
    service.engine.vectors.unregister(id)
    return Response(status_code=204)


def _vector(row: Foreign) -> dict[str, Any]:
    return {"id": row.id, "vectors": row.vectors, "metadata": row.metadata}
