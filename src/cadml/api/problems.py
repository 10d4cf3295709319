"""Errors as RFC 9457 problems: each code of :mod:`cadml.errors` has its HTTP status here."""

from __future__ import annotations

import re
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from cadml.errors import (
    CadmlError,
    FileTooLarge,
    InternalError,
    InvalidRequest,
    NoSuchRoute,
    WrongMethod,
)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, int] = {
    "INVALID_REQUEST": 422,
    "API_KEY_REQUIRED": 401,
    "ROLE_NOT_ALLOWED": 403,
    "NOT_FOUND": 404,
    "NO_SUCH_ROUTE": 404,
    "PART_NOT_FOUND": 404,
    "JOB_NOT_FOUND": 404,
    "VECTOR_NOT_FOUND": 404,
    "MIGRATION_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "VERSION_NOT_KEPT": 409,
    "MIGRATION_CONFLICT": 409,
    "CACHE_TUNING_ROLLBACK_WINDOW_ACTIVE": 409,
    "NOTHING_TO_ROLL_BACK": 409,
    "NOT_ENOUGH_DATA": 409,
    "FILE_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "UNKNOWN_FORMAT": 415,
    "PROPRIETARY_FORMAT": 415,
    "MISLABELLED_FILE": 415,
    "EMPTY_FILE": 422,
    "TRUNCATED_FILE": 422,
    "MALFORMED_FILE": 422,
    "NO_SURFACE_GEOMETRY": 422,
    "READER_CRASHED": 422,
    "EXTRACTION_OUT_OF_MEMORY": 422,
    "QUARANTINED_FILE": 422,
    "VERSION_NOT_APPLICABLE": 422,
    "UNDEFINED_FEATURE": 422,
    "SOURCE_UNAVAILABLE": 422,
    "UNKNOWN_FEATURE_VERSION": 422,
    "DIMENSION_MISMATCH": 422,
    "TOO_LITTLE_DATA": 422,
    "MALFORMED_MODEL": 422,
    "MODEL_NOT_FOUND": 404,
    "MODEL_VERSION_MISMATCH": 409,
    "MODEL_SIZE_EXCEEDED": 413,
    "MODEL_HASH_MISMATCH": 403,
    "MODEL_MAGIC_INVALID": 415,
    "MODEL_OPCODE_BLOCKED": 403,
    "MODEL_OPCODE_SCAN_ERROR": 422,
    "MODEL_INTERFACE_INVALID": 422,
    "MODEL_CANARY_FAILED": 422,
    "MODEL_SCORE_TOO_LOW": 409,
    "MODEL_LOAD_ERROR": 422,
    "TOO_MANY_REQUESTS": 429,
    "EXTRACTION_TIMEOUT": 504,
    "DATABASE_UNAVAILABLE": 503,
    "BLOB_UNAVAILABLE": 503,
    "SERVICE_STOPPING": 503,
    "BACKUP_FAILED": 500,
    "MODEL_PROCESS_FAILED": 503,
    "MODEL_GUARD_BROKEN": 503,
    "CONFIGURATION_ERROR": 500,
    "INTERNAL_ERROR": 500,
}

# What the framework itself refuses before a route runs; its other 4xx are malformed bodies.
_FRAMEWORK: dict[int, CadmlError] = {
    404: NoSuchRoute("no route has this path; /docs lists them all"),
    405: WrongMethod("this path exists, but not with this method"),
    413: FileTooLarge("the request is larger than CADML_MAX_UPLOAD_MB allows"),
}

log = structlog.get_logger("cadml.api")


def problem(error: CadmlError, instance: str) -> Response:
    """Return ``error`` as an ``application/problem+json`` response."""
    status = STATUS[error.code]
    headers = {"Retry-After": "2"} if status in {429, 503} else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'ApiKey realm="cadml"'
    body = {
        "type": f"urn:cadml:problem:{error.code.lower().replace('_', '-')}",
        "title": type(error).meaning,
        "status": status,
        "detail": error.message,
        "instance": instance,
        "code": error.code,
        "stage": error.stage,
        "context": error.context,
    }
    return Response(orjson.dumps(body, default=str), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every failure of ``app`` answer as a problem."""

    async def on_cadml_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, CadmlError)
        if isinstance(error, InternalError):  # its context tells of our insides: for the log only
            return defect(error, request.url.path)
        return problem(error, request.url.path)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem(_invalid(error.errors()), request.url.path)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = _FRAMEWORK.get(error.status_code)
        answer = problem(known or InvalidRequest(_sentence(error.detail)), request.url.path)
        answer.headers.update(error.headers or {})  # Allow, on 405
        return answer

    async def on_defect(request: Request, _: Exception) -> Response:  # goes on to the edge, which logs it
        return _broken(request.url.path)

    app.add_exception_handler(CadmlError, on_cadml_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_defect)


def defect(error: Exception, instance: str) -> Response:
    """Return the answer to a defect of ours: logged in full, told without internals."""
    log.error("defect", path=instance, context=getattr(error, "context", {}), exc_info=error)
    return _broken(instance)


def _broken(instance: str) -> Response:
    return problem(
        InternalError("cadml failed here; the log line with this request's id tells more"), instance
    )


def _invalid(errors: Any) -> InvalidRequest:
    fields = [{"field": ".".join(map(str, e["loc"])), "problem": _sentence(e["msg"])} for e in errors[:20]]
    first = fields[0]
    return InvalidRequest(f"{first['field']}: {first['problem']}", fields=fields)


def _sentence(text: Any) -> str:
    return re.sub(r"\s+", " ", str(text)).strip()[:500]
