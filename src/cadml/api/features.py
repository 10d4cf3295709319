"""``/features``: what the numbers mean, and how two parts differ in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from cadml.api.routing import Here, IdText, VersionName, reply, router
from cadml.api.schemas import DiffReply, SlotsReply, VersionReply
from cadml.features.versions import VERSIONS
from cadml.features.versions import version as version_named

routes = router("features")
QueryId = Annotated[str, Query(min_length=1, max_length=200, pattern=IdText)]


@routes.get("/features/versions", response_model=list[VersionReply], summary="The feature versions")
def versions(service: Here) -> Response:
    """Answer with each version, its length and metric, and how many vectors of it are stored."""
    counts, now = service.engine.vectors.counts(), service.engine.versions.refresh()
    rows = [
        {
            "name": row.name,
            "summary": row.summary,
            "length": row.length,
            "kinds": sorted(row.kinds),
            "metric": row.metric,
            "active": row.name == now.active,
            "state": now.states[row.name],
            "vectors": counts.get(row.name, 0),
        }
        for row in VERSIONS.values()
    ]
    return reply(rows)


@routes.get("/features/slots", response_model=SlotsReply, summary="What each number of a version means")
def slots(service: Here, version: VersionName = None) -> Response:
    """Answer with name, unit, meaning and invariances of each slot, in order."""
    row = version_named(version or service.engine.versions.active)
    pairs = [(descriptor.name, slot) for descriptor in row.descriptors for slot in descriptor.slots]
    listed = [
        {
            "index": index,
            "name": slot.name,
            "unit": slot.unit,
            "meaning": slot.meaning,
            "invariances": sorted(slot.invariances),
            "tolerance": slot.tolerance,
            "block": block,
        }
        for index, (block, slot) in enumerate(pairs)
    ]
    return reply({"version": row.name, "length": row.length, "slots": listed})


@routes.get("/features/diff", response_model=DiffReply, summary="How two parts differ, slot by slot")
def diff(service: Here, id_a: QueryId, id_b: QueryId, version: VersionName = None) -> Response:
    """Answer with both values of each slot and its share of the distance, the largest first."""
    name = version or service.engine.versions.active
    return reply(
        {"id_a": id_a, "id_b": id_b, "version": name, "slots": service.engine.diff(id_a, id_b, name)}
    )
