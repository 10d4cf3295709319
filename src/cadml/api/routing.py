"""What all routes share: access before the body is read, the service behind a request, JSON out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any, TypeVar

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from cadml.api.auth import Keys, Role
from cadml.engine import Engine
from cadml.errors import Forbidden, TooBusy

API = "/api/v1"
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

# No control character can be part of an id; PostgreSQL could not even compare a NUL.
IdText = r"^[^\x00-\x1f\x7f]+$"
PartId = Annotated[
    str, Path(min_length=1, max_length=200, pattern=IdText, description="Id of a library entry.")
]
VersionName = Annotated[
    str | None, Query(max_length=40, description="Feature version; without it the one that searches use.")
]


@dataclass(slots=True)
class Service:
    """What stands behind every request."""

    engine: Engine
    keys: Keys
    spool: FilePath
    gate: Gate


class Gate:
    """Lets few extractions run and some wait, so that they never take the threads of searches."""

    def __init__(self, running: int, waiting: int) -> None:
        self._limiter = CapacityLimiter(running)
        self._room = running + waiting

    async def run(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Return ``function(*args, **named)`` as computed in a thread.

        Raises
        ------
        TooBusy
            As many as fit are waiting already.
        """
        if self._room <= 0:
            raise TooBusy(
                "too many files are being analysed; try again shortly, or use POST /api/v1/jobs/ingest"
            )
        self._room -= 1
        try:
            return await to_thread.run_sync(partial(function, *args, **named), limiter=self._limiter)
        finally:
            self._room += 1


def needed_role(route: APIRoute) -> Role:
    """Return what ``route`` asks for: as stated, else reading for GET and writing for the rest."""
    stated = (route.openapi_extra or {}).get("x-cadml-role")
    if stated is not None:
        return Role[str(stated).upper()]
    return Role.READER if (route.methods or set()) <= {"GET", "HEAD"} else Role.WRITER


class GuardedRoute(APIRoute):
    """A route that judges the key before the body is read: no stranger can make us spool a file."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's function behind the check of the key."""
        answer = super().get_route_handler()
        needed = needed_role(self)

        async def guarded(request: Request) -> Response:
            require(request, needed)
            return await answer(request)

        return guarded


def require(request: Request, needed: Role) -> None:
    """Let the request pass if its key's role suffices.

    Raises
    ------
    MissingKey
        There is no valid key.
    Forbidden
        The key may not do this.
    """
    if service_of(request).keys.role(request.headers.get("x-api-key")) < needed:
        raise Forbidden(f"this needs a key of role {needed.name.lower()}", needed=needed.name.lower())


def service_of(request: Request) -> Service:
    """Return the service behind ``request``."""
    return request.app.state.service  # type: ignore[no-any-return]


async def _service(request: Request) -> Service:  # async: a plain function would cost a thread
    return service_of(request)


Here = Annotated[Service, Depends(_service)]


def router(tag: str) -> APIRouter:
    """Return the router of one noun."""
    return APIRouter(prefix=API, tags=[tag], route_class=GuardedRoute)


def role(name: str) -> dict[str, str]:
    """Return the ``openapi_extra`` that states which role a route needs."""
    return {"x-cadml-role": name}


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return ``body`` as JSON; numpy arrays and times are written as numbers and ISO texts."""
    data = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)
    return Response(data, status, headers, "application/json")


def parsed(model: type[M], text: str | bytes, field: str) -> M:
    """Return ``text`` as ``model``, or refuse it as FastAPI would refuse a body."""
    try:
        return model.model_validate_json(text or b"{}")
    except ValidationError as error:
        errors = [
            {**e, "loc": (field, *e["loc"])} for e in error.errors(include_context=False, include_input=False)
        ]
        raise RequestValidationError(errors) from error
